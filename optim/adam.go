package optim

import (
	"iter"
	"math"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Adam is the optimizer of Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2015, arXiv:1412.6980, algorithm
// 1), as PyTorch computes it. At step t, with weight w and gradient g,
//
//	g = g + WeightDecay*w
//	m = Beta1*m + (1-Beta1)*g
//	v = Beta2*v + (1-Beta2)*g^2
//	w = w - LR/(1-Beta1^t) * m / (sqrt(v/(1-Beta2^t)) + Eps)
//
// Eps is added outside the root and after the bias correction of v, as in the paper's algorithm and in PyTorch.
// TensorFlow 1 and Keras add it to sqrt(v) before the correction (the paper's "epsilon hat"). An epsilon of theirs has
// the effect of an Eps that is larger by the factor 1/sqrt(1-Beta2^t): 32 at the first step if Beta2 is 0.999, and 1 in
// the limit.
type Adam struct {
	LR           float64 // learning rate
	Beta1, Beta2 float64 // decay per step of the averages m and v
	Eps          float64
	WeightDecay  float64 // factor of the L2 penalty; in AdamW, decay of the weights themselves

	memory
}

// NewAdam returns an Adam for the weights under p's prefix ([autograd.Params.All]), with PyTorch's defaults: Beta1 0.9,
// Beta2 0.999, Eps 1e-8, WeightDecay 0. No weight can be made in p's set afterwards.
func NewAdam(p *autograd.Params, lr float64) *Adam {
	return &Adam{LR: lr, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, memory: newMemory(p)}
}

// Step implements [Optimizer]. Each weight has its own step number t, which does not grow while the weight is frozen.
// Step panics with a [*autograd.UsageError] if g belongs to another Params or a setting is out of range: Beta1 and
// Beta2 must be in [0, 1), LR and WeightDecay finite and not negative, and Eps finite and above 0 as a float32.
func (a *Adam) Step(g *autograd.Grads) { a.step("optim.Adam", g, a.WeightDecay, 0) }

func (a *Adam) step(where string, g *autograd.Grads, l2, shrink float64) {
	checkFinite(where, setting{"LR", a.LR}, setting{"WeightDecay", a.WeightDecay})
	checkEps(where, a.Eps)
	checkDecays(where, setting{"Beta1", a.Beta1}, setting{"Beta2", a.Beta2})
	m, v := a.averages()
	a.each(g, l2, shrink, func(p *autograd.Param, grad []float32, t *float32) {
		*t++
		step := a.LR / (1 - math.Pow(a.Beta1, float64(*t)))
		root := 1 / math.Sqrt(1-math.Pow(a.Beta2, float64(*t)))
		kernel.Adam(p.Value.Data(), grad, m.Of(p), v.Of(p), float32(a.Beta1), float32(1-a.Beta1),
			float32(a.Beta2), float32(1-a.Beta2), float32(step), float32(root), float32(a.Eps))
	})
}

func (a *Adam) averages() (m, v *autograd.Grads) {
	return a.slot("exp_avg", true), a.slot("exp_avg_sq", true)
}

// State implements [Optimizer]. For each weight it yields, under PyTorch's names, "<name>.step" (t), "<name>.exp_avg"
// (m) and "<name>.exp_avg_sq" (v).
func (a *Adam) State() iter.Seq2[string, []float32] {
	a.averages()
	return a.state()
}

// AdamW is [Adam] with the weight decay of Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019,
// arXiv:1711.05101, algorithm 2), as PyTorch computes it. WeightDecay does not change the gradient. Instead, before
// each step,
//
//	w = w - LR*WeightDecay*w
//
// In the paper the decay is multiplied by the schedule of the learning rate alone, not by the learning rate.
type AdamW struct{ Adam }

// NewAdamW returns an AdamW for the weights under p's prefix ([autograd.Params.All]), with PyTorch's defaults: Beta1
// 0.9, Beta2 0.999, Eps 1e-8, WeightDecay 0.01. No weight can be made in p's set afterwards.
func NewAdamW(p *autograd.Params, lr float64) *AdamW {
	a := &AdamW{*NewAdam(p, lr)}
	a.WeightDecay = 0.01
	return a
}

// Step implements [Optimizer] and panics as [Adam.Step] does.
func (a *AdamW) Step(g *autograd.Grads) { a.step("optim.AdamW", g, 0, a.LR*a.WeightDecay) }
