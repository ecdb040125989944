package main

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

// model is a recurrent layer whose outputs at the last steps go through a dense layer.
type model struct {
	params  *autograd.Params
	layer   rnn.Layer
	head    *layers.Dense
	options rnn.Options // of the steps before the answers
}

// Without long memories at the beginning, the gradients of a long sequence vanish: Chrono gives the units such memories.
func newModel(o options, p problem, truncate int) model {
	steps, _, features, outputs := p.sizes()
	m := model{params: autograd.NewParams(o.seed), options: rnn.Options{Truncate: truncate, Recompute: o.recompute, MemoryBudget: o.memory << 20}}
	in := m.params.In("rnn")
	switch o.cell {
	case "lstm":
		m.layer = rnn.NewLSTM(in, rnn.LSTMConfig{Input: features, Hidden: o.hidden, Chrono: steps})
	case "gru":
		m.layer = rnn.NewGRU(in, rnn.GRUConfig{Input: features, Hidden: o.hidden, Chrono: steps})
	case "mingru":
		m.layer = rnn.NewMinGRU(in, rnn.MinGRUConfig{Input: features, Hidden: o.hidden, Chrono: steps})
	}
	m.head = layers.NewDense(m.params.In("head"), o.hidden, outputs)
	return m
}

// answer reads sequences x [T,B,F] and returns the outputs of the last n steps, [n,B,outputs]. Nothing is asked of the steps before: Last, unlike Forward,
// returns no outputs of all of them, and so takes less memory.
func (m model) answer(x *autograd.Node, n int) *autograd.Node {
	before := x.Shape()[0] - n
	_, state := m.layer.Last(autograd.Slice(x, 0, 0, before), m.options)
	h, _ := m.layer.Forward(autograd.Slice(x, 0, before, before+n), rnn.Options{Start: state})
	return m.head.Forward(h)
}

// step returns the training step on a problem.
func (m model) step(p problem) *train.Step {
	_, answers, _, _ := p.sizes()
	return train.NewStep(m.params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return p.loss(m.answer(t.Input(b.X), answers), b)
	})
}
