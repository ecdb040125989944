package optim

import (
	"iter"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// RMSProp is the optimizer of Tieleman & Hinton (2012, lecture 6.5 of "Neural Networks for Machine Learning") with the
// momentum and the centering of Graves (2013, arXiv:1308.0850, equations 38 to 41), as PyTorch computes it. With weight
// w and gradient g,
//
//	g = g + WeightDecay*w
//	v = Alpha*v + (1-Alpha)*g^2
//	m = Alpha*m + (1-Alpha)*g            if Centered, otherwise m = 0
//	u = g / (sqrt(v - m^2) + Eps)
//	b = Momentum*b + u
//	w = w - LR*b
//
// Eps is added outside the root, as in PyTorch; Graves and TensorFlow add it inside. If rounding makes v - m^2
// negative, as it can for a gradient that does not change, it counts as 0; PyTorch's result is NaN there.
type RMSProp struct {
	LR          float64 // learning rate
	Alpha       float64 // decay per step of the averages v and m
	Eps         float64
	Momentum    float64 // factor of b from step to step; 0: b is not kept
	Centered    bool    // divide by the standard deviation of the gradient instead of its root mean square
	WeightDecay float64 // L2 penalty

	memory
}

// NewRMSProp returns an RMSProp for the weights under p's prefix ([autograd.Params.All]), with PyTorch's defaults:
// Alpha 0.99, Eps 1e-8, Momentum 0, WeightDecay 0, and not Centered. No weight can be made in p's set afterwards.
func NewRMSProp(p *autograd.Params, lr float64) *RMSProp {
	return &RMSProp{LR: lr, Alpha: 0.99, Eps: 1e-8, memory: newMemory(p)}
}

// Step implements [Optimizer]. It panics with a [*autograd.UsageError] if g belongs to another Params or a setting is
// out of range: Alpha must be in [0, 1), Eps finite and above 0 as a float32, and the other settings finite and not negative.
func (r *RMSProp) Step(g *autograd.Grads) {
	checkFinite("optim.RMSProp", setting{"LR", r.LR}, setting{"Momentum", r.Momentum}, setting{"WeightDecay", r.WeightDecay})
	checkEps("optim.RMSProp", r.Eps)
	checkDecays("optim.RMSProp", setting{"Alpha", r.Alpha})
	square, mean, buffer := r.averages()
	decay, rest, eps := float32(r.Alpha), float32(1-r.Alpha), float32(r.Eps)
	r.each(g, r.WeightDecay, 0, func(p *autograd.Param, grad []float32, t *float32) {
		*t++
		u := r.scratchFor(len(grad))
		if r.Centered {
			kernel.ScaleByDeviation(u, grad, square.Of(p), mean.Of(p), decay, rest, eps)
		} else {
			kernel.ScaleByRMS(u, grad, square.Of(p), decay, rest, eps)
		}
		if r.Momentum != 0 {
			kernel.Momentum(p.Value.Data(), u, buffer.Of(p), float32(r.Momentum), 1, float32(r.LR))
		} else {
			kernel.AddScaled(p.Value.Data(), float32(-r.LR), u)
		}
	})
}

func (r *RMSProp) averages() (square, mean, buffer *autograd.Grads) {
	return r.slot("square_avg", true), r.slot("grad_avg", r.Centered), r.slot("momentum_buffer", r.Momentum != 0)
}

// State implements [Optimizer]. For each weight it yields, under PyTorch's names, "<name>.step", "<name>.square_avg"
// (v), "<name>.grad_avg" (m) if Centered is or was set, and "<name>.momentum_buffer" (b) if Momentum is or was above 0.
func (r *RMSProp) State() iter.Seq2[string, []float32] {
	r.averages()
	return r.state()
}

// Adagrad is the optimizer of Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic
// Optimization" (2011, JMLR 12), as PyTorch computes it. At step t, with weight w and gradient g,
//
//	g = g + WeightDecay*w
//	s = s + g^2                          before the first step: s = InitialAccumulator
//	w = w - LR/(1 + (t-1)*LRDecay) * g / (sqrt(s) + Eps)
type Adagrad struct {
	LR                 float64 // learning rate
	LRDecay            float64 // how fast the learning rate falls with the step number
	InitialAccumulator float64 // s before the first step of a weight
	Eps                float64
	WeightDecay        float64 // L2 penalty

	memory
}

// NewAdagrad returns an Adagrad for the weights under p's prefix ([autograd.Params.All]), with PyTorch's defaults: Eps
// 1e-10, and LRDecay, InitialAccumulator and WeightDecay 0. No weight can be made in p's set afterwards.
func NewAdagrad(p *autograd.Params, lr float64) *Adagrad {
	return &Adagrad{LR: lr, Eps: 1e-10, memory: newMemory(p)}
}

// Step implements [Optimizer]. Each weight has its own step number t, which does not grow while the weight is frozen.
// Step panics with a [*autograd.UsageError] if g belongs to another Params, a setting is negative or not finite, or Eps is
// 0 as a float32.
func (a *Adagrad) Step(g *autograd.Grads) {
	checkFinite("optim.Adagrad", setting{"LR", a.LR}, setting{"LRDecay", a.LRDecay},
		setting{"InitialAccumulator", a.InitialAccumulator}, setting{"WeightDecay", a.WeightDecay})
	checkEps("optim.Adagrad", a.Eps)
	sum := a.sum()
	a.each(g, a.WeightDecay, 0, func(p *autograd.Param, grad []float32, t *float32) {
		s, u := sum.Of(p), a.scratchFor(len(grad))
		if *t == 0 {
			for i := range s {
				s[i] = float32(a.InitialAccumulator)
			}
		}
		rate := a.LR / (1 + float64(*t)*a.LRDecay)
		*t++
		kernel.ScaleByRMS(u, grad, s, 1, 1, float32(a.Eps))
		kernel.AddScaled(p.Value.Data(), float32(-rate), u)
	})
}

func (a *Adagrad) sum() *autograd.Grads { return a.slot("sum", true) }

// State implements [Optimizer]. For each weight it yields, under PyTorch's names, "<name>.step" (t) and "<name>.sum"
// (s). The sum is 0 before the first step, also if InitialAccumulator is not 0.
func (a *Adagrad) State() iter.Seq2[string, []float32] {
	a.sum()
	return a.state()
}
