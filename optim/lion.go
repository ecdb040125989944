package optim

import (
	"iter"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Lion is the optimizer of Chen et al., "Symbolic Discovery of Optimization Algorithms" (2023, arXiv:2302.06675,
// algorithm 2). Apart from the weight decay, every element of a weight moves by LR, regardless of the size of its
// gradient. With weight w and gradient g,
//
//	w = w - LR*(sign(Beta1*m + (1-Beta1)*g) + WeightDecay*w)
//	m = Beta2*m + (1-Beta2)*g
//
// The paper recommends a learning rate that is 3 to 10 times smaller than AdamW's, and a WeightDecay that is larger by
// the same factor.
type Lion struct {
	LR           float64 // learning rate
	Beta1, Beta2 float64 // decay of the average m within the update of w, and from step to step
	WeightDecay  float64 // decay of the weights themselves, as in AdamW

	memory
}

// NewLion returns a Lion for the weights under p's prefix ([autograd.Params.All]), with the paper's defaults: Beta1
// 0.9, Beta2 0.99, WeightDecay 0. No weight can be made in p's set afterwards.
func NewLion(p *autograd.Params, lr float64) *Lion {
	return &Lion{LR: lr, Beta1: 0.9, Beta2: 0.99, memory: newMemory(p)}
}

// Step implements [Optimizer]. It panics with a [*autograd.UsageError] if g belongs to another Params or a setting is
// out of range: Beta1 and Beta2 must be in [0, 1), and LR and WeightDecay finite and not negative.
func (l *Lion) Step(g *autograd.Grads) {
	checkFinite("optim.Lion", setting{"LR", l.LR}, setting{"WeightDecay", l.WeightDecay})
	checkDecays("optim.Lion", setting{"Beta1", l.Beta1}, setting{"Beta2", l.Beta2})
	m := l.average()
	l.each(g, 0, l.LR*l.WeightDecay, func(p *autograd.Param, grad []float32, t *float32) {
		*t++
		kernel.Lion(p.Value.Data(), grad, m.Of(p), float32(l.Beta1), float32(1-l.Beta1),
			float32(l.Beta2), float32(1-l.Beta2), float32(l.LR))
	})
}

func (l *Lion) average() *autograd.Grads { return l.slot("exp_avg", true) }

// State implements [Optimizer]. For each weight it yields "<name>.exp_avg" (m), the name in the authors' PyTorch code,
// and "<name>.step", the number of steps, which the authors' code does not keep.
func (l *Lion) State() iter.Seq2[string, []float32] {
	l.average()
	return l.state()
}
