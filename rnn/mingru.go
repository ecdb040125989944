package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// MinGRUConfig says what a [MinGRU] is made of. Input and Hidden must be given.
type MinGRUConfig struct {
	Input         int  // features of a step
	Hidden        int  // units of each layer
	Layers        int  // stacked layers; 0: one
	Bidirectional bool // a second direction that reads each sequence from its end
	NoBias        bool // no bias_ih

	// Chrono, if not 0, is the longest time, in steps, over which something must be remembered. The biases of the gates then begin so that the units
	// of a layer remember for different times, from 1 step to Chrono, and gradients get through long sequences from the beginning (Tallec & Ollivier
	// 2018, "Can recurrent neural networks warp time?"). 0: the biases begin as Init says.
	Chrono int

	// These are probabilities, 0 or more and less than 1: see Regularisation in the package's text.
	Dropout float32 // of the elements that a layer above the first reads
	Zoneout float32 // that a unit keeps its state for a step

	Init Init // first values of the weights; the zero value is Glorot
}

// MinGRU is the minimal gated recurrent unit (Feng, Tung, Ahmed, Bengio & Hajimirsadeghi 2024, "Were RNNs all we needed?",
// section 3.1), whose gate and candidate depend on the input alone:
//
//	z   = sigmoid(W_iz·x_t + b_iz)
//	n   = W_in·x_t + b_in
//	h_t = (1-z)*h_(t-1) + z*n
//
// The rows of weight_ih_l0 [2*Hidden, Input] and bias_ih_l0 [2*Hidden] are in the order z, n. There is no matrix that multiplies the state: the
// products of all steps are taken at once, and a step costs a few operations for each unit. In a stack, the x_t of a layer is the h_t of the layer
// below.
type MinGRU struct{ stack }

var _ Layer = (*MinGRU)(nil)

// NewMinGRU makes the weights in p. It panics with a [*autograd.UsageError] if the configuration cannot be,
// and as [autograd.Params.New] does.
func NewMinGRU(p *autograd.Params, c MinGRUConfig) *MinGRU {
	long := chrono{steps: c.Chrono, hidden: c.Hidden, keep: -1, write: 0}
	long.check(nameOf(p, "rnn.MinGRU"), c.NoBias)
	return &MinGRU{newStack(p, minGRUCell(c.Hidden, long), FusedConfig{Input: c.Input, Layers: c.Layers, Bidirectional: c.Bidirectional, NoBias: c.NoBias,
		Dropout: c.Dropout, Zoneout: c.Zoneout, Init: c.Init})}
}

// minGRUCell has z, n in the rows of its weights and in a row of sums.
func minGRUCell(h int, long chrono) FusedCell {
	return FusedCell{
		Name: "rnn.MinGRU", Gates: "zn", Hidden: h, Sums: 2 * h, Direct: true,
		Weights: []Weight{
			{Name: "weight_ih", Shape: []int{2 * h, InputWidth}},
			{Name: "bias_ih", Shape: []int{2 * h}, Init: long.bias(1)},
		},
		Stages: []Stage{{
			Terms: []Term{{Weight: "weight_ih", Bias: "bias_ih", Rows: 2 * h, Source: FromInput}},
			Apply: func(f *Frame) {
				for i := range f.rows {
					kernel.MinGRU(f.Sums(i), f.HBefore(i), f.H(i))
				}
			},
			Backprop: func(f *Frame) {
				for i := range f.rows {
					kernel.MinGRUGrad(f.DSums(i), f.DH(i), f.Sums(i), f.HBefore(i))
				}
			},
		}},
	}
}
