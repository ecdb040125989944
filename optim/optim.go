// Package optim changes weights by their gradients. An optimizer belongs to the weights under
// one view of a Params (all of them, or a group by its prefix) and steps on the gradient
// that train.Step or a tape computed:
//
//	adam := optim.NewAdam(params, 1e-3)
//	...
//	optim.ClipNorm(step.Grads(), 1)
//	adam.Step(step.Grads())
//
// # Settings and schedules
//
// Settings are fields that may be set between steps, so a learning-rate schedule is an assignment:
//
//	schedule := optim.Warmup(500, optim.Cosine(1e-3, 0, 10_000))
//	for i := range 10_500 {
//		adam.LR = schedule(i)
//		...
//	}
//
// A [Schedule] is a function of the step alone: a run that goes on at step i needs nothing else. A [Plateau] follows
// a metric instead, and its fields are all that it remembers. Both serve epochs as well as steps.
//
// # Groups
//
// Parts of a model learn by settings or optimizers of their own: one each, joined by [Groups].
//
//	body := optim.NewAdamW(params.In("rnn"), 1e-3)
//	head := optim.NewSGD(params.In("head"), 0.1)
//	both := optim.Groups{body, head}
//	...
//	body.LR = schedule(i)
//	both.Step(step.Grads())
//
// # Clipping
//
// Gradients of recurrent networks explode now and then (Pascanu et al. 2013, arXiv:1211.5063). [ClipNorm] shortens the
// gradient of all weights as one vector and keeps its direction; [ClipValue] limits each element. Both change the
// gradient in place, before Step.
package optim

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Optimizer is what all optimizers share.
type Optimizer interface {
	// Step changes the weights, but for frozen ones, by the gradient, which it leaves as it is.
	Step(*autograd.Grads)
	// State yields, under a name each, the numbers that the optimizer keeps between steps: its
	// own memory, so that writing to it restores a state. What there is follows from the settings,
	// which are no part of it: set them first.
	State() iter.Seq2[string, []float32]
}

// memory is what every optimizer here has: its weights and, of each, the number of its steps and some numbers an
// element.
type memory struct {
	params  *autograd.Params
	weights []*autograd.Param
	steps   []float32 // of each weight; float32, as PyTorch saves them
	slots   []slot
	scratch []float32
}

// slot is one number an element of each weight, under PyTorch's name.
type slot struct {
	name string
	*autograd.Grads
}

func newMemory(p *autograd.Params) memory {
	p.Seal()
	weights := slices.Collect(p.All())
	return memory{params: p, weights: weights, steps: make([]float32, len(weights))}
}

// slot returns the slot of that name. It is made, of zeros, when it is wanted first; before, it is nil.
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

// state yields "<name>.step" and "<name>.<slot>" of each weight.
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

// room returns n numbers to work with, the same memory every time.
func (m *memory) room(n int) []float32 {
	if cap(m.scratch) < n {
		m.scratch = make([]float32, n)
	}
	return m.scratch[:n]
}

// each calls step for every weight that is not frozen, with the number of its steps so far, which step counts. The
// gradient is g's, with l2*w added; if l2 is not 0, it lies in room. Before, the weight shrinks by w*shrink.
func (m *memory) each(g *autograd.Grads, l2, shrink float64, step func(p *autograd.Param, grad []float32, t *float32)) {
	m.params.Update(func() {
		for i, p := range m.weights {
			if p.Frozen {
				continue
			}
			w, grad := p.Value.Data(), g.Of(p)
			if l2 != 0 {
				sum := m.room(len(grad))
				copy(sum, grad)
				kernel.AddScaled(sum, float32(l2), w)
				grad = sum
			}
			if shrink != 0 { // not w *= 1-shrink: a small shrink would lose its digits in float32, the same way at every step
				kernel.AddScaled(w, float32(-shrink), w)
			}
			step(p, grad, &m.steps[i])
		}
	})
}

// setting is a number that a user set.
type setting struct {
	name  string
	value float64
}

// checkFinite panics if a setting is negative, infinite or NaN.
func checkFinite(where string, settings ...setting) {
	check(where, math.MaxFloat32, "at least 0 and finite", settings)
}

// checkDecays panics unless all settings are decays of averages: within [0, 1).
func checkDecays(where string, settings ...setting) {
	check(where, math.Nextafter(1, 0), "at least 0 and below 1", settings)
}

func check(where string, limit float64, want string, settings []setting) {
	for _, s := range settings {
		if !(s.value >= 0 && s.value <= limit) {
			panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("%s is %v, want %s", s.name, s.value, want)})
		}
	}
}
