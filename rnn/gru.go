package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// GRUConfig says what a [GRU] is made of. Input and Hidden must be given.
type GRUConfig struct {
	Input         int  // features of a step
	Hidden        int  // units of each layer
	Layers        int  // stacked layers; 0: one
	Bidirectional bool // a second direction that reads each sequence from its end
	NoBias        bool // no bias_ih and bias_hh

	// ResetBefore applies the reset gate before the recurrent product, as the original does, and not after it, as
	// PyTorch and cuDNN do: Keras' reset_after=False, ONNX' linear_before_reset=0.
	ResetBefore bool
	// LayerNorm normalises the products of the gates, each term by itself (Ba, Kiros & Hinton 2016).
	LayerNorm bool
	// Chrono, if not 0, is the longest time, in steps, over which something must be remembered. The biases of the gates then begin so that the units
	// of a layer remember for different times, from 1 step to Chrono, and gradients get through long sequences from the beginning (Tallec & Ollivier
	// 2018, "Can recurrent neural networks warp time?"). 0: the biases begin as Init says.
	Chrono int

	// These are probabilities, 0 or more and less than 1: see Regularisation in the package's text.
	Dropout          float32 // of what a layer above the first reads
	RecurrentDropout float32 // of the state as the recurrent product reads it, the same units all through a sequence
	WeightDropout    float32 // of the elements of weight_hh
	Zoneout          float32 // that a unit keeps its state for a step

	Init Init // first values of the weights; the zero value is Glorot
}

// GRU is the gated recurrent unit (Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder"),
// PyTorch's nn.GRU. With the rows of its weights in the order r, z, n,
//
//	r   = sigmoid(W_ir·x_t + b_ir + W_hr·h_(t-1) + b_hr)
//	z   = sigmoid(W_iz·x_t + b_iz + W_hz·h_(t-1) + b_hz)
//	n   = tanh(W_in·x_t + b_in + r*(W_hn·h_(t-1) + b_hn))
//	h_t = (1-z)*n + z*h_(t-1)
//
// or, with ResetBefore, n = tanh(W_in·x_t + b_in + W_hn·(r*h_(t-1)) + b_hn). With LayerNorm, each product W·v becomes norm(W·v)*w, as in an
// [LSTM], where norm takes the 2*Hidden elements for r and z together and the Hidden for n by themselves; the gains w are
// weight_ln_ih_l0 and weight_ln_hh_l0 [3*Hidden]. In a stack, the x_t of a layer is the h_t of the one below.
type GRU struct{ stack }

var _ Layer = (*GRU)(nil)

// NewGRU makes the weights in p. It panics with a [*autograd.UsageError] if the configuration cannot be,
// and as [autograd.Params.New] does.
func NewGRU(p *autograd.Params, c GRUConfig) *GRU {
	long := chrono{steps: c.Chrono, hidden: c.Hidden, keep: 1, write: -1}
	long.check(nameOf(p, "rnn.GRU"), c.NoBias)
	cell := gruCell(c.Hidden, long)
	if c.ResetBefore {
		cell.Stages = resetBefore(c.Hidden)
	}
	if c.LayerNorm {
		cell.normalise()
	}
	return &GRU{newStack(p, cell, FusedConfig{Input: c.Input, Layers: c.Layers, Bidirectional: c.Bidirectional, NoBias: c.NoBias,
		Dropout: c.Dropout, RecurrentDropout: c.RecurrentDropout, WeightDropout: c.WeightDropout, Zoneout: c.Zoneout, Init: c.Init})}
}

// gruCell has the gates r, z, n in the rows of its weights, and n, r, z in a row of sums, followed by the recurrent product of n: so the sums of the
// input are the first three blocks and those of the state the last three.
func gruCell(h int, long chrono) FusedCell {
	return FusedCell{
		Name: "rnn.GRU", Gates: "rzn", Hidden: h, Sums: 4 * h, Direct: true,
		Weights: []Weight{
			{Name: "weight_ih", Shape: []int{3 * h, InputWidth}},
			{Name: "weight_hh", Shape: []int{3 * h, h}},
			{Name: "bias_ih", Shape: []int{3 * h}, Init: long.bias(1)},
			{Name: "bias_hh", Shape: []int{3 * h}, Init: long.bias(0)},
		},
		Stages: []Stage{{
			Terms: append(resetAndUpdate(h),
				Term{Weight: "weight_ih", Bias: "bias_ih", First: 2 * h, Rows: h, Source: FromInput, To: 0},
				Term{Weight: "weight_hh", Bias: "bias_hh", First: 2 * h, Rows: h, Source: FromState, To: 3 * h}),
			Apply: func(f *Frame) {
				for i := range f.rows {
					kernel.GRU(f.Sums(i), f.HBefore(i), f.H(i))
				}
			},
			Backprop: func(f *Frame) {
				for i := range f.rows {
					kernel.GRUGrad(f.DSums(i), f.DH(i), f.Sums(i), f.HBefore(i))
				}
			},
		}},
	}
}

// resetAndUpdate returns the terms of the gates r and z.
func resetAndUpdate(h int) []Term {
	return []Term{
		{Weight: "weight_ih", Bias: "bias_ih", Rows: 2 * h, Source: FromInput, To: h},
		{Weight: "weight_hh", Bias: "bias_hh", Rows: 2 * h, Source: FromState, To: h},
	}
}

// resetBefore returns the stages of a cell whose reset gate acts before the recurrent product of n: that product reads r*h, which the
// first stage leaves in the fourth block of the sums.
func resetBefore(h int) []Stage {
	return []Stage{{
		Terms: resetAndUpdate(h),
		Apply: func(f *Frame) {
			for i := range f.rows {
				kernel.GRUReset(f.Sums(i), f.HRead(i))
			}
		},
		Backprop: func(f *Frame) {
			for i := range f.rows {
				kernel.GRUResetGrad(f.DSums(i), f.Sums(i), f.HRead(i))
				kernel.Add(f.DHRead(i), f.DSums(i)[3*h:])
			}
		},
	}, {
		Terms: []Term{
			{Weight: "weight_ih", Bias: "bias_ih", First: 2 * h, Rows: h, Source: FromInput, To: 0},
			{Weight: "weight_hh", Bias: "bias_hh", First: 2 * h, Rows: h, Source: FromSums, From: 3 * h, To: 0},
		},
		Apply: func(f *Frame) {
			for i := range f.rows {
				kernel.GRUUpdate(f.Sums(i), f.HBefore(i), f.H(i))
			}
		},
		Backprop: func(f *Frame) {
			for i := range f.rows {
				kernel.GRUUpdateGrad(f.DSums(i), f.DH(i), f.Sums(i), f.HBefore(i))
			}
		},
	}}
}
