package main

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

// model is a classifier of sequences: a dense layer computes 10 logits from the last output of a recurrent layer.
type model struct {
	params  *autograd.Params
	cell    rnn.Layer
	head    *layers.Dense
	options rnn.Options
	dropout float32
}

func newModel(o options) *model {
	m := &model{params: autograd.NewParams(o.seed), options: rnn.Options{Truncate: o.truncate, Recompute: o.recompute}, dropout: float32(o.dropout)}
	in, width, input, chrono := m.params.In("rnn"), o.hidden, 28, 0
	if o.read == "pixels" {
		input, chrono = 1, 28*28 // units that remember for long, or hardly a gradient would reach the first pixels
	}
	if o.bidirectional {
		width *= 2
	}
	switch o.cell {
	case "lstm":
		m.cell = rnn.NewLSTM(in, rnn.LSTMConfig{Input: input, Hidden: o.hidden, Layers: o.layers, Bidirectional: o.bidirectional, Dropout: m.dropout, Chrono: chrono})
	case "gru":
		m.cell = rnn.NewGRU(in, rnn.GRUConfig{Input: input, Hidden: o.hidden, Layers: o.layers, Bidirectional: o.bidirectional, Dropout: m.dropout, Chrono: chrono})
	default:
		m.cell = rnn.NewElman(in, rnn.ElmanConfig{Input: input, Hidden: o.hidden, Layers: o.layers, Bidirectional: o.bidirectional, Dropout: m.dropout})
	}
	m.head = layers.NewDense(m.params.In("head"), width, 10)
	return m
}

// classify returns the logits [B,10] of a batch of pictures, [28,B,28] or, pixel by pixel, [784,B,1].
func (m *model) classify(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	h, _ := m.cell.Last(t.Input(b.X), m.options)
	return m.head.Forward(autograd.Dropout(h, m.dropout))
}

func (m *model) loss(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	return loss.SparseSoftmaxCrossEntropy(m.classify(t, b), b.Labels)
}

// accuracy returns the share of pictures that are classified correctly.
func (m *model) accuracy(pictures dataset.Source) (float64, error) {
	top := metrics.TopK{K: 1}
	err := train.Evaluate(m.params, pictures, 256, m.classify, func(logits *autograd.Node, b *dataset.Batch) {
		top.Add(logits.Data(), b.Labels)
	})
	return top.Value(), err
}
