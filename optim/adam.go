// Package optim changes weights by their gradients. An optimizer belongs to the weights under
// one view of a Params (all of them, or a group by its prefix) and steps on the gradient
// that train.Step or a tape computed:
//
//	adam := optim.NewAdam(params, 1e-3)
//	...
//	optim.ClipNorm(step.Grads(), 1)
//	adam.Step(step.Grads())
//
// Its settings are fields that may be set between steps: a learning-rate schedule is an assignment.
package optim

import (
	"fmt"
	"iter"
	"math"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Optimizer is what all optimizers share.
type Optimizer interface {
	// Step changes the weights, but for frozen ones, by the gradient, which it leaves as it is.
	Step(*autograd.Grads)
	// State yields, under a name each, the numbers that the optimizer keeps between steps: its
	// own memory, so that writing to it restores a state.
	State() iter.Seq2[string, []float32]
}

// Adam is the optimizer of Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2015,
// arXiv:1412.6980, algorithm 1), in the form of PyTorch's: at step t, with gradient g,
//
//	m = Beta1*m + (1-Beta1)*g
//	v = Beta2*v + (1-Beta2)*g^2
//	w = w - LR/(1-Beta1^t) * m / (sqrt(v/(1-Beta2^t)) + Eps)
//
// Eps stands outside the root and is added after the bias correction of v, as in the paper's algorithm and in
// PyTorch. TensorFlow 1 and Keras add it to sqrt(v) before the correction (the paper's "epsilon hat"): their
// eps is smaller than this one by the factor sqrt(1-Beta2^t), 0.03 at the first step and 1 in the long run.
type Adam struct {
	LR           float64 // learning rate
	Beta1, Beta2 float64 // decay of the two averages a step
	Eps          float64

	params *autograd.Params
	m, v   *autograd.Grads
	steps  []float32 // t of each weight, in order; float32, as PyTorch saves them
}

// NewAdam returns an Adam over the weights under p's prefix ([autograd.Params.All]), with PyTorch's defaults:
// Beta1 0.9, Beta2 0.999, Eps 1e-8. No weight can be made in p's set afterwards.
func NewAdam(p *autograd.Params, lr float64) *Adam {
	count := 0
	for range p.All() {
		count++
	}
	return &Adam{LR: lr, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8,
		params: p, m: autograd.NewGrads(p), v: autograd.NewGrads(p), steps: make([]float32, count)}
}

// Step implements [Optimizer]. Each weight counts its own steps: those while it is frozen are none of them.
// It panics with a [*autograd.UsageError] if g is of another Params or a setting is out of range: Beta1 and
// Beta2 are within [0, 1), LR and Eps finite and not negative.
func (a *Adam) Step(g *autograd.Grads) {
	if !(a.Beta1 >= 0 && a.Beta1 < 1 && a.Beta2 >= 0 && a.Beta2 < 1 && a.LR >= 0 && a.LR <= math.MaxFloat32 && a.Eps >= 0 && a.Eps <= math.MaxFloat32) {
		panic(&autograd.UsageError{Where: "optim.Adam", What: fmt.Sprintf("LR %v, Beta1 %v, Beta2 %v, Eps %v: out of range", a.LR, a.Beta1, a.Beta2, a.Eps)})
	}
	a.params.Update(func() {
		i := 0
		for p := range a.params.All() {
			if !p.Frozen {
				grad := g.Of(p)
				a.steps[i]++
				t := float64(a.steps[i])
				step := a.LR / (1 - math.Pow(a.Beta1, t))
				root := 1 / math.Sqrt(1-math.Pow(a.Beta2, t))
				kernel.Adam(p.Value.Data(), grad, a.m.Of(p), a.v.Of(p), float32(a.Beta1), float32(1-a.Beta1),
					float32(a.Beta2), float32(1-a.Beta2), float32(step), float32(root), float32(a.Eps))
			}
			i++
		}
	})
}

// State implements [Optimizer], by PyTorch's names: for each weight "<name>.step" (t), "<name>.exp_avg" (m)
// and "<name>.exp_avg_sq" (v).
func (a *Adam) State() iter.Seq2[string, []float32] {
	return func(yield func(string, []float32) bool) {
		i := 0
		for p := range a.params.All() {
			if !yield(p.Name+".step", a.steps[i:i+1:i+1]) || !yield(p.Name+".exp_avg", a.m.Of(p)) || !yield(p.Name+".exp_avg_sq", a.v.Of(p)) {
				return
			}
			i++
		}
	}
}

// ClipNorm scales the gradient of all weights down so that its Euclidean norm is at most limit, as PyTorch's
// clip_grad_norm_ does (by limit/(norm+1e-6) where that is below 1), and returns the norm it had. A gradient
// whose norm is NaN or infinite is left as it is. It panics if limit is not positive.
func ClipNorm(g *autograd.Grads, limit float64) (norm float64) {
	if !(limit > 0) {
		panic(&autograd.UsageError{Where: "optim.ClipNorm", What: fmt.Sprintf("limit is %v, want more than 0", limit)})
	}
	norm = g.Norm()
	if scale := limit / (norm + 1e-6); scale < 1 && norm <= math.MaxFloat64 {
		kernel.Scale(g.Data, float32(scale))
	}
	return norm
}
