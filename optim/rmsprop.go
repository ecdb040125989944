package optim

import (
	"iter"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// RMSProp is the optimizer of Tieleman & Hinton (2012, lecture 6.5 of "Neural Networks for Machine Learning"), with
// what Graves (2013, arXiv:1308.0850, equations 38 to 41) added, in the form of PyTorch's: with gradient g,
//
//	g = g + WeightDecay*w
//	v = Alpha*v + (1-Alpha)*g^2
//	m = Alpha*m + (1-Alpha)*g            if Centered, or else m = 0
//	u = g / (sqrt(v - m^2) + Eps)
//	b = Momentum*b + u
//	w = w - LR*b
//
// Eps stands outside the root, as in PyTorch; Graves and TensorFlow have it inside. Where rounding makes v - m^2
// negative, as for gradients that do not change, it counts as 0; PyTorch has NaN there.
type RMSProp struct {
	LR          float64 // learning rate
	Alpha       float64 // decay of the averages a step
	Eps         float64
	Momentum    float64 // what is left of b after a step; 0: none is kept
	Centered    bool    // divide by the standard deviation of the gradient, not the root of its mean square
	WeightDecay float64 // L2 penalty

	memory
}

// NewRMSProp returns an RMSProp over the weights under p's prefix ([autograd.Params.All]), with PyTorch's defaults:
// Alpha 0.99, Eps 1e-8, neither Momentum nor WeightDecay, not Centered. No weight can be made in p's set afterwards.
func NewRMSProp(p *autograd.Params, lr float64) *RMSProp {
	return &RMSProp{LR: lr, Alpha: 0.99, Eps: 1e-8, memory: newMemory(p)}
}

// Step implements [Optimizer]. It panics with a [*autograd.UsageError] if g is of another Params or a setting is out
// of range: Alpha is within [0, 1), the others finite and not negative.
func (r *RMSProp) Step(g *autograd.Grads) {
	checkFinite("optim.RMSProp", setting{"LR", r.LR}, setting{"Eps", r.Eps}, setting{"Momentum", r.Momentum},
		setting{"WeightDecay", r.WeightDecay})
	checkDecays("optim.RMSProp", setting{"Alpha", r.Alpha})
	square, mean, buffer := r.averages()
	decay, rest, eps := float32(r.Alpha), float32(1-r.Alpha), float32(r.Eps)
	r.each(g, r.WeightDecay, 0, func(p *autograd.Param, grad []float32, t *float32) {
		*t++
		u := r.room(len(grad))
		if r.Centered {
			kernel.ScaleByDeviation(u, grad, square.Of(p), mean.Of(p), decay, rest, eps)
		} else {
			kernel.ScaleByRMS(u, grad, square.Of(p), decay, rest, eps)
		}
		if r.Momentum != 0 {
			b := buffer.Of(p)
			kernel.Scale(b, float32(r.Momentum))
			kernel.Add(b, u)
			u = b
		}
		kernel.AddScaled(p.Value.Data(), float32(-r.LR), u)
	})
}

func (r *RMSProp) averages() (square, mean, buffer *autograd.Grads) {
	return r.slot("square_avg", true), r.slot("grad_avg", r.Centered), r.slot("momentum_buffer", r.Momentum != 0)
}

// State implements [Optimizer], by PyTorch's names: for each weight "<name>.step", "<name>.square_avg" (v), once it was
// Centered "<name>.grad_avg" (m), and once there was Momentum "<name>.momentum_buffer" (b).
func (r *RMSProp) State() iter.Seq2[string, []float32] {
	r.averages()
	return r.state()
}

// Adagrad is the optimizer of Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic
// Optimization" (2011, JMLR 12), in the form of PyTorch's: at step t, with gradient g,
//
//	g = g + WeightDecay*w
//	s = s + g^2                          at first: s = InitialAccumulator
//	w = w - LR/(1 + (t-1)*LRDecay) * g / (sqrt(s) + Eps)
type Adagrad struct {
	LR                 float64 // learning rate
	LRDecay            float64 // by how much a step slows down those after it
	InitialAccumulator float64 // s before a weight's first step
	Eps                float64
	WeightDecay        float64 // L2 penalty

	memory
}

// NewAdagrad returns an Adagrad over the weights under p's prefix ([autograd.Params.All]), with PyTorch's defaults:
// Eps 1e-10, all other settings but lr are 0. No weight can be made in p's set afterwards.
func NewAdagrad(p *autograd.Params, lr float64) *Adagrad {
	return &Adagrad{LR: lr, Eps: 1e-10, memory: newMemory(p)}
}

// Step implements [Optimizer]. Each weight counts its own steps: those while it is frozen are none of them. It panics
// with a [*autograd.UsageError] if g is of another Params or a setting is negative or not finite.
func (a *Adagrad) Step(g *autograd.Grads) {
	checkFinite("optim.Adagrad", setting{"LR", a.LR}, setting{"LRDecay", a.LRDecay},
		setting{"InitialAccumulator", a.InitialAccumulator}, setting{"Eps", a.Eps}, setting{"WeightDecay", a.WeightDecay})
	sum := a.sum()
	a.each(g, a.WeightDecay, 0, func(p *autograd.Param, grad []float32, t *float32) {
		s, u := sum.Of(p), a.room(len(grad))
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

// State implements [Optimizer], by PyTorch's names: for each weight "<name>.step" (t) and "<name>.sum" (s), which is 0
// before the first step whatever InitialAccumulator is.
func (a *Adagrad) State() iter.Seq2[string, []float32] {
	a.sum()
	return a.state()
}
