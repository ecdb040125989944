package main

import (
	"math"

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

func newModel(o options, p problem, truncate int) model {
	steps, _, features, outputs := p.sizes()
	m := model{params: autograd.NewParams(o.seed), options: rnn.Options{Truncate: truncate, Recompute: o.recompute, MemoryBudget: o.memory << 20}}
	in := m.params.In("rnn")
	switch o.cell {
	case "lstm":
		m.layer = rnn.NewLSTM(in, rnn.LSTMConfig{Input: features, Hidden: o.hidden})
	case "gru":
		m.layer = rnn.NewGRU(in, rnn.GRUConfig{Input: features, Hidden: o.hidden})
	case "mingru":
		m.layer = rnn.NewMinGRU(in, rnn.MinGRUConfig{Input: features, Hidden: o.hidden})
	}
	spread(o.cell, m.params.Get("rnn.bias_ih_l0").Value.Data(), steps)
	m.head = layers.NewDense(m.params.In("head"), o.hidden, outputs)
	return m
}

// spread sets the biases of a gated layer, so that its units remember for different times at first. A gate of sigmoid(b) that keeps the state does so for
// about e^b steps, and unit j begins with e^b = steps^(j/(H-1)), from 1 to the steps of a sequence. The gate that lets the input in begins with -b.
//
// Without long memories at the beginning, the gradients of a long sequence vanish. This is the chrono initialisation of Tallec & Ollivier (2018, "Can
// recurrent neural networks warp time?"), except that the paper draws e^b uniformly. Hardly a unit has a short memory then, and the network
// learns which symbols there were, but not in which order.
func spread(cell string, bias []float32, steps int) {
	keep, write := -1, -1 // the places of the gates in the bias
	gates := 0
	switch cell {
	case "lstm": // i, f, g, o
		gates, write, keep = 4, 0, 1
	case "gru": // r, z, n
		gates, keep = 3, 1
	case "mingru": // z, n
		gates, write = 2, 0
	}
	hidden := len(bias) / gates
	for j := range hidden {
		b := math.Log(float64(steps)) * float64(j) / float64(max(1, hidden-1))
		if keep >= 0 {
			bias[keep*hidden+j] = float32(b)
		}
		if write >= 0 {
			bias[write*hidden+j] = float32(-b)
		}
	}
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
