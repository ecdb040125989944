package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// normalise has every term of weight_ih and weight_hh normalised, with gains weight_ln_ih and weight_ln_hh [rows of the matrix] that begin at 1.
func (c *FusedCell) normalise() {
	ones := func(autograd.Init) autograd.Init { return autograd.Constant(1) }
	gains := map[string]string{"weight_ih": "weight_ln_ih", "weight_hh": "weight_ln_hh"}
	for _, w := range c.Weights {
		if gain := gains[w.Name]; gain != "" {
			c.Weights = append(c.Weights, Weight{Name: gain, Shape: w.Shape[:1], Init: ones})
		}
	}
	for i := range c.Stages {
		for j := range c.Stages[i].Terms {
			t := &c.Stages[i].Terms[j]
			t.Gain = gains[t.Weight]
		}
	}
}

const normEps = 1e-5 // as PyTorch's

// normalise computes the normalised product j of a step. The product itself is kept behind the sums, followed by its mean and
// 1/deviation, for the way back.
func (p *plan) normalise(w *pack, j int, f *Frame) {
	q := &p.products[j]
	l := q.terms[0]
	kernel.Affine(f.sums[l.raw:], p.kept, f.rows, nil, f.source(l), kernel.Block{}, &w.matrices[j])
	gain := f.Weight(l.gain)[l.First:][:l.Rows]
	to, stride := f.place(q.to)
	norm := kernel.LayerNorm
	if q.add {
		norm = kernel.LayerNormAdd
	}
	for row := range f.rows {
		raw := f.sums[row*p.kept+l.raw:][:l.Rows+2]
		raw[l.Rows], raw[l.Rows+1] = norm(to[row*stride:][:l.Rows], raw[:l.Rows], gain, w.biases[j], normEps)
	}
}

// normaliseGrad computes the gradient of a normalised product from the gradient of the sums, and adds to the gradient of the gain.
func (p *plan) normaliseGrad(l *link, f *Frame) {
	gain, dGain := f.Weight(l.gain)[l.First:][:l.Rows], f.WeightGrad(l.gain)
	if dGain != nil {
		dGain = dGain[l.First:][:l.Rows]
	}
	for row := range f.rows {
		dsums, raw := f.dsums[row*p.dsums:][:p.dsums], f.sums[row*p.kept+l.raw:]
		kernel.LayerNormGradInto(dsums[l.dProduct:][:l.Rows], dGain, nil, dsums[l.dSum:][:l.Rows], raw[:l.Rows], gain, raw[l.Rows], raw[l.Rows+1])
	}
}
