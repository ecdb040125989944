package optim

import (
	"fmt"
	"iter"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// SGD is stochastic gradient descent, optionally with momentum, as PyTorch computes it. With weight w and gradient g,
//
//	g = g + WeightDecay*w
//	b = Momentum*b + (1-Dampening)*g      at the first step: b = g
//	w = w - LR*b                          with Nesterov: w = w - LR*(g + Momentum*b)
//
// Without Momentum, b is g. In Sutskever et al. (2013, "On the importance of initialization and momentum in deep
// learning", equations 1 to 4) the learning rate multiplies the gradient that is added to b; here LR multiplies b
// itself. The results differ once LR changes.
type SGD struct {
	LR          float64 // learning rate
	Momentum    float64 // factor of b from step to step; 0: b is not kept
	Dampening   float64 // the gradient is multiplied by 1-Dampening before it is added to b
	Nesterov    bool    // Nesterov's momentum; requires Momentum above 0 and Dampening 0
	WeightDecay float64 // L2 penalty

	memory
}

// NewSGD returns an SGD for the weights under p's prefix ([autograd.Params.All]), with PyTorch's defaults: all settings
// but lr are 0. No weight can be made in p's set afterwards.
func NewSGD(p *autograd.Params, lr float64) *SGD {
	return &SGD{LR: lr, memory: newMemory(p)}
}

// Step implements [Optimizer]. In the formula of b, the first step of a weight is the first one with Momentum in which
// the weight is not frozen. Step panics with a [*autograd.UsageError] if g belongs to another Params, if a setting is
// negative or not finite, or if Nesterov is set without Momentum or with Dampening.
func (s *SGD) Step(g *autograd.Grads) {
	const where = "optim.SGD"
	checkFinite(where, setting{"LR", s.LR}, setting{"Momentum", s.Momentum}, setting{"Dampening", s.Dampening},
		setting{"WeightDecay", s.WeightDecay})
	if s.Nesterov && (s.Momentum == 0 || s.Dampening != 0) {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf(
			"Nesterov with Momentum %v and Dampening %v, want Momentum above 0 and Dampening 0", s.Momentum, s.Dampening)})
	}
	buffer := s.buffer()
	s.each(g, s.WeightDecay, 0, func(p *autograd.Param, grad []float32, t *float32) {
		w := p.Value.Data()
		if s.Momentum == 0 {
			kernel.AddScaled(w, float32(-s.LR), grad)
			return
		}
		b, decay, rest := buffer.Of(p), float32(s.Momentum), float32(1-s.Dampening)
		if *t++; *t == 1 {
			clear(b)
			rest = 1
		}
		if s.Nesterov {
			kernel.Nesterov(w, grad, b, decay, rest, float32(s.LR), float32(s.LR*s.Momentum))
		} else {
			kernel.Momentum(w, grad, b, decay, rest, float32(s.LR))
		}
	})
}

func (s *SGD) buffer() *autograd.Grads { return s.slot("momentum_buffer", s.Momentum != 0) }

// State implements [Optimizer]. For each weight it yields "<name>.momentum_buffer" (b), PyTorch's name, if Momentum is
// or was above 0, and "<name>.step", the number of steps with Momentum. PyTorch does not keep this number: where it is
// 0, PyTorch's buffer is None.
func (s *SGD) State() iter.Seq2[string, []float32] {
	s.buffer()
	return s.state()
}
