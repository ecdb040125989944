// Package optim changes weights by their gradients. An optimizer belongs to the weights under one view of an
// [autograd.Params]: all weights, or a group of them under a prefix. Its Step takes the gradient that a train.Step or a
// tape computed:
//
//	adam := optim.NewAdam(params, 1e-3)
//	...
//	optim.ClipNorm(step.Grads(), 1)
//	adam.Step(step.Grads())
//
// # Optimizers
//
// All of them implement [Optimizer]. Except Lion, which PyTorch does not have, they compute what PyTorch computes with the
// same settings.
//
//   - [Adam] and [AdamW] scale the step of each element by the size of its recent gradients: the usual first choice.
//     AdamW has weight decay that this scaling does not change.
//   - [SGD], with momentum or Nesterov's momentum if you set it.
//   - [RMSProp] and [Adagrad], the older adaptive methods; RMSProp may be centered and have momentum.
//   - [Lion], whose step depends only on the signs of an average of the gradient; it keeps half as many numbers as Adam.
//
// State yields the numbers that an optimizer keeps between steps, under PyTorch's names. A train.Checkpoint saves them, with
// the settings, to continue a run later.
//
// # Settings and schedules
//
// Settings are fields that may be changed between steps, so a schedule of the learning rate is an assignment:
//
//	schedule := optim.Warmup(500, optim.Cosine(1e-3, 0, 10_000))
//	for i := range 10_500 {
//		adam.LR = schedule(i)
//		...
//	}
//
// A [Schedule] is a function of the step alone, so a run that continues at step i needs no saved state for it. There are
// [Constant], [StepDecay], [Exponential], [Cosine], [OneCycle] and [Warmup], which precedes another schedule. A
// [Plateau] follows a metric instead, and its fields are its whole state. Schedules and Plateau may count epochs instead of
// steps.
//
// # Groups
//
// If parts of a model need different settings or optimizers, give each part its own optimizer and join them by [Groups]:
//
//	body := optim.NewAdamW(params.In("rnn"), 1e-3)
//	head := optim.NewSGD(params.In("head"), 0.1)
//	both := optim.Groups{body, head}
//	...
//	body.LR = schedule(i)
//	both.Step(step.Grads())
//
// # Averages of the weights
//
// An [EMA] keeps a moving average of the weights, which often does better than the weights after the last step. Swap puts
// it in the place of the weights for an evaluation.
//
// # Clipping
//
// The gradients of recurrent networks become very large now and then (Pascanu et al. 2013, arXiv:1211.5063). [ClipNorm]
// shortens the gradient of all weights as one vector and keeps its direction; [ClipValue] limits each element. Both
// change the gradient in place; call them before Step.
package optim

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Optimizer changes weights by their gradients. All optimizers of this package, and [Groups], implement it.
type Optimizer interface {
	// Step changes the weights that are not frozen by their gradients. It does not change the gradients.
	Step(*autograd.Grads)
	// State yields the numbers that the optimizer keeps between steps, such as averages of the gradient, each slice
	// under a name. The slices are the optimizer's own memory: read them to save the state, write to them to restore
	// it. Which slices there are depends on the settings, so set the settings before restoring; the settings themselves
	// are not in the state.
	State() iter.Seq2[string, []float32]
}

// memory is embedded in every optimizer of this package. It holds the weights, the step number of each weight, and the
// slots: arrays, such as the averages of Adam, with one number for each element of each weight.
type memory struct {
	params  *autograd.Params
	weights []*autograd.Param
	steps   []float32 // the step number of each weight; float32, as PyTorch saves them
	slots   []slot
	scratch []float32
}

// slot holds one number for each element of each weight, under PyTorch's name.
type slot struct {
	name string
	*autograd.Grads
}

// newMemory returns the memory of an optimizer for the weights under p's prefix, and seals p.
func newMemory(p *autograd.Params) memory {
	p.Seal()
	weights := slices.Collect(p.All())
	return memory{params: p, weights: weights, steps: make([]float32, len(weights))}
}

// slot returns the slot of this name. If the slot does not exist yet, it is made, with zeros, if it is wanted;
// otherwise slot returns nil.
func (m *memory) slot(name string, wanted bool) *autograd.Grads {
	for _, s := range m.slots {
		if s.name == name {
			return s.Grads
		}
	}
	if !wanted {
		return nil
	}
	s := slot{name, autograd.NewGrads(m.params)}
	m.slots = append(m.slots, s)
	return s.Grads
}

// state yields "<name>.step" and all slots, "<name>.<slot>", of each weight.
func (m *memory) state() iter.Seq2[string, []float32] {
	return func(yield func(string, []float32) bool) {
		for i, p := range m.weights {
			if !yield(p.Name+".step", m.steps[i:i+1:i+1]) {
				return
			}
			for _, s := range m.slots {
				if !yield(p.Name+"."+s.name, s.Of(p)) {
					return
				}
			}
		}
	}
}

// scratchFor returns scratch memory for n numbers. Every call returns the same memory.
func (m *memory) scratchFor(n int) []float32 {
	if cap(m.scratch) < n {
		m.scratch = make([]float32, n)
	}
	return m.scratch[:n]
}

// each calls step, within an Update, for every weight that is not frozen. t is the weight's step number, which step
// must increase. grad is the weight's gradient in g or, if l2 is not 0, a copy of it in scratch memory to which l2*w is
// added, for the weight w. Before step, each subtracts shrink*w from the weight.
func (m *memory) each(g *autograd.Grads, l2, shrink float64, step func(p *autograd.Param, grad []float32, t *float32)) {
	m.params.Update(func() {
		for i, p := range m.weights {
			if p.Frozen {
				continue
			}
			w, grad := p.Value.Data(), g.Of(p)
			if l2 != 0 {
				sum := m.scratchFor(len(grad))
				kernel.PlusScaled(sum, grad, float32(l2), w)
				grad = sum
			}
			if shrink != 0 { // not w *= 1-shrink: 1-shrink would round a small shrink in float32, the same way at every step
				kernel.AddScaled(w, float32(-shrink), w)
			}
			step(p, grad, &m.steps[i])
		}
	})
}

// setting is the name and the value of a setting, to be checked.
type setting struct {
	name  string
	value float64
}

// checkFinite panics if a setting is negative, infinite or NaN.
func checkFinite(where string, settings ...setting) {
	check(where, math.MaxFloat32, "at least 0 and finite", settings)
}

// checkDecays panics unless all settings are in [0, 1), the range of the decay of an average.
func checkDecays(where string, settings ...setting) {
	check(where, math.Nextafter(1, 0), "at least 0 and below 1", settings)
}

// checkEps panics if an Eps is 0 as the float32 that is added to a root, which may be 0 as well, negative or not finite.
func checkEps(where string, eps float64) {
	if !(float32(eps) > 0 && eps <= math.MaxFloat32) {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("Eps is %v, want above 0 as a float32 and finite", eps)})
	}
}

// check panics unless all settings are in [0, limit]. want says so in words.
func check(where string, limit float64, want string, settings []setting) {
	for _, s := range settings {
		if !(s.value >= 0 && s.value <= limit) {
			panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("%s is %v, want %s", s.name, s.value, want)})
		}
	}
}
