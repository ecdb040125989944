package optim

import (
	"iter"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// EMA keeps an exponential moving average of weights, which often generalises better than the last weights (Polyak &
// Juditsky 1992, "Acceleration of stochastic approximation by averaging"; TensorFlow's ExponentialMovingAverage). Each
// Step computes, for a weight w and its average a,
//
//	a = a + (1-Decay)*(w - a)
//
// An evaluation exchanges the weights and the averages, and exchanges them back:
//
//	ema := optim.NewEMA(params, 0.999)
//	...
//	adam.Step(step.Grads())
//	ema.Step(step.Grads())
//	...
//	ema.Swap()
//	err := train.Evaluate(...)
//	ema.Swap()
//
// An EMA is an [Optimizer] that leaves gradients and weights alone, so it can be the last member of [Groups] and is saved
// and restored as an optimizer is.
type EMA struct {
	Decay float64 // of the averages per step; about 1/(1-Decay) steps count. It may be changed between steps

	// Average holds the averages, under the names of the weights; between two calls of Swap, the weights. It is a set of its
	// own, so safetensors.Save writes it as it writes a model.
	Average *autograd.Params `json:"-"`
	// Swapped tells that Swap exchanged weights and averages, and has not exchanged them back.
	Swapped bool `json:"-"`

	params         *autograd.Params
	weights, means []*autograd.Param
	scratch        []float32
}

var _ Optimizer = (*EMA)(nil)

// NewEMA returns an EMA of the weights under p's prefix ([autograd.Params.All]). The averages begin at the values that the
// weights have now, so make it after the weights were loaded; PyTorch's AveragedModel begins at the weights after the
// first step. No weight can be made in p's set afterwards.
func NewEMA(p *autograd.Params, decay float64) *EMA {
	p.Seal()
	e := &EMA{Decay: decay, Average: p.Clone(), params: p, weights: slices.Collect(p.All()), scratch: make([]float32, 4096)}
	e.means = slices.Collect(e.Average.All())
	return e
}

// Step implements [Optimizer]: it moves the averages towards the weights. It does not read the gradients, which may be nil.
// It panics with a [*autograd.UsageError] if Decay is not in [0, 1), or between two calls of Swap.
func (e *EMA) Step(*autograd.Grads) {
	checkDecays("optim.EMA", setting{"Decay", e.Decay})
	e.checkInPlace("Step")
	rest := float32(1 - e.Decay)
	for i, p := range e.weights {
		w, a := p.Value.Data(), e.means[i].Value.Data()
		for lo := 0; lo < len(w); lo += len(e.scratch) {
			d := e.scratch[:min(len(e.scratch), len(w)-lo)]
			copy(d, w[lo:])
			kernel.AddScaled(d, -1, a[lo:lo+len(d)])
			kernel.AddScaled(a[lo:], rest, d)
		}
	}
}

// Swap exchanges the weights and the averages. A second Swap exchanges them back.
func (e *EMA) Swap() {
	e.params.Update(func() {
		for i, p := range e.weights {
			w, a := p.Value.Data(), e.means[i].Value.Data()
			for j := range w {
				w[j], a[j] = a[j], w[j]
			}
		}
	})
	e.Swapped = !e.Swapped
}

// State implements [Optimizer]: for each weight it yields "<name>.ema", its average. It panics with a
// [*autograd.UsageError] between two calls of Swap.
func (e *EMA) State() iter.Seq2[string, []float32] {
	e.checkInPlace("State")
	return func(yield func(string, []float32) bool) {
		for i, p := range e.weights {
			if !yield(p.Name+".ema", e.means[i].Value.Data()) {
				return
			}
		}
	}
}

// checkInPlace panics if weights and averages are exchanged.
func (e *EMA) checkInPlace(method string) {
	if e.Swapped {
		panic(&autograd.UsageError{Where: "optim.EMA." + method, What: "the weights and their averages are exchanged; Swap them back before"})
	}
}
