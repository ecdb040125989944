package optim

import (
	"fmt"
	"iter"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// SGD is gradient descent, with momentum if wanted, in the form of PyTorch's: with gradient g,
//
//	g = g + WeightDecay*w
//	b = Momentum*b + (1-Dampening)*g      at the first step: b = g
//	w = w - LR*b                          Nesterov: w = w - LR*(g + Momentum*b)
//
// where without Momentum b is g. Here, unlike in Sutskever et al. (2013, "On the importance of initialization and
// momentum in deep learning", equations 1 to 4), LR multiplies b when it is used and not what is added to it, which
// differs once LR changes.
type SGD struct {
	LR          float64 // learning rate
	Momentum    float64 // what is left of b after a step; 0: none is kept
	Dampening   float64 // by how much less than 1 a gradient counts in b
	Nesterov    bool    // look ahead; wants Momentum, and no Dampening
	WeightDecay float64 // L2 penalty

	memory
}

// NewSGD returns an SGD over the weights under p's prefix ([autograd.Params.All]), with PyTorch's defaults: all
// settings but lr are 0. No weight can be made in p's set afterwards.
func NewSGD(p *autograd.Params, lr float64) *SGD {
	return &SGD{LR: lr, memory: newMemory(p)}
}

// Step implements [Optimizer]. For b, a weight's first step is the first with Momentum while it is not frozen. Step
// panics with a [*autograd.UsageError] if g is of another Params, a setting is negative or not finite, or Nesterov is
// set without Momentum or with Dampening.
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
		w, rate := p.Value.Data(), s.LR
		if s.Momentum != 0 {
			b := buffer.Of(p)
			if *t++; *t == 1 {
				copy(b, grad)
			} else {
				kernel.Scale(b, float32(s.Momentum))
				kernel.AddScaled(b, float32(1-s.Dampening), grad)
			}
			if s.Nesterov {
				kernel.AddScaled(w, float32(-rate), grad)
				rate *= s.Momentum
			}
			grad = b
		}
		kernel.AddScaled(w, float32(-rate), grad)
	})
}

func (s *SGD) buffer() *autograd.Grads { return s.slot("momentum_buffer", s.Momentum != 0) }

// State implements [Optimizer]: for each weight, by PyTorch's name, "<name>.momentum_buffer" (b) once there was
// Momentum; and "<name>.step", the number of its steps with Momentum, which PyTorch does not keep: where it is 0,
// PyTorch's buffer is None.
func (s *SGD) State() iter.Seq2[string, []float32] {
	s.buffer()
	return s.state()
}
