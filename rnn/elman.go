package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// ElmanConfig says what an [Elman] is made of. Input and Hidden must be given.
type ElmanConfig struct {
	Input         int  // features of a step
	Hidden        int  // units of each layer
	Layers        int  // stacked layers; 0: one
	Bidirectional bool // a second direction that reads each sequence from its end
	NoBias        bool // no bias_ih and bias_hh
	ReLU          bool // max(0, .) in place of tanh
	LayerNorm     bool // normalises the products of the gates, each term by itself (Ba, Kiros & Hinton 2016)

	// Dropout, RecurrentDropout, WeightDropout and Zoneout are probabilities, 0 or more and less than 1: see
	// Regularisation in the package's text.
	Dropout          float32 // of what a layer above the first reads
	RecurrentDropout float32 // of the state as the recurrent product reads it, the same units all through a sequence
	WeightDropout    float32 // of the elements of weight_hh
	Zoneout          float32 // that a unit keeps its state for a step

	Init Init // first values of the weights; the zero value is Glorot
}

// Elman is the simple recurrent layer (Elman 1990, "Finding structure in time"), PyTorch's nn.RNN:
//
//	h_t = tanh(W_ih·x_t + b_ih + W_hh·h_(t-1) + b_hh)
//
// or, with ReLU, max(0, .) in place of tanh. With LayerNorm, each product W·v becomes norm(W·v)*w, as in an [LSTM]; the gains w are
// weight_ln_ih_l0 and weight_ln_hh_l0 [Hidden]. In a stack, the x_t of a layer is the h_t of the one below.
type Elman struct{ stack }

var _ Layer = (*Elman)(nil)

// NewElman makes the weights in p. It panics with a [*autograd.UsageError] if the configuration cannot be,
// and as [autograd.Params.New] does.
func NewElman(p *autograd.Params, c ElmanConfig) *Elman {
	cell := elmanCell(c.Hidden, c.ReLU)
	if c.LayerNorm {
		cell.normalise()
	}
	return &Elman{newStack(p, cell, FusedConfig{Input: c.Input, Layers: c.Layers, Bidirectional: c.Bidirectional, NoBias: c.NoBias,
		Dropout: c.Dropout, RecurrentDropout: c.RecurrentDropout, WeightDropout: c.WeightDropout, Zoneout: c.Zoneout, Init: c.Init})}
}

// elmanCell has one gate, whose sums lie in the place of the state.
func elmanCell(h int, relu bool) FusedCell {
	apply, backprop := kernel.Tanh, kernel.TanhGrad
	if relu {
		apply, backprop = kernel.ReLU, kernel.ReLUGrad
	}
	return FusedCell{
		Name: "rnn.Elman", Hidden: h,
		Weights: []Weight{
			{Name: "weight_ih", Shape: []int{h, InputWidth}},
			{Name: "weight_hh", Shape: []int{h, h}},
			{Name: "bias_ih", Shape: []int{h}},
			{Name: "bias_hh", Shape: []int{h}},
		},
		Stages: []Stage{{
			Terms: []Term{
				{Weight: "weight_ih", Bias: "bias_ih", Rows: h, Source: FromInput, To: ToState},
				{Weight: "weight_hh", Bias: "bias_hh", Rows: h, Source: FromState, To: ToState},
			},
			Apply: func(f *Frame) { apply(f.h, f.h) },
			Backprop: func(f *Frame) {
				if len(f.dsums) == len(f.dh) { // nothing is normalised: the rows lie one after the other
					backprop(f.dsums, f.dh, f.h)
					return
				}
				for i := range f.rows {
					backprop(f.DSums(i), f.DH(i), f.H(i))
				}
			},
		}},
	}
}
