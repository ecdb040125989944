package rnn

import (
	"math/rand/v2"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// IndRNNConfig says what an [IndRNN] is made of. Input and Hidden must be given.
type IndRNNConfig struct {
	Input         int  // features of a step
	Hidden        int  // units of each layer
	Layers        int  // stacked layers; 0: one
	Bidirectional bool // a second direction that reads each sequence from its end
	NoBias        bool // no bias_ih
	Tanh          bool // tanh in place of max(0, .)

	// These are probabilities, 0 or more and less than 1: see Regularisation in the package's text.
	Dropout          float32 // of the elements that a layer above the first reads
	RecurrentDropout float32 // of the state as weight_hh multiplies it, the same units all through a sequence
	Zoneout          float32 // that a unit keeps its state for a step

	Init Init // first values of the weights; the zero value is Glorot
}

// IndRNN is the independently recurrent layer (Li, Li, Cook, Zhu & Gao 2018, "Independently recurrent neural network (IndRNN): building a longer and
// deeper RNN", equation 2), in which a unit sees its own state alone:
//
//	h_t = max(0, W_ih·x_t + b_ih + w_hh*h_(t-1))
//
// or, with Tanh, tanh in place of max(0, .). weight_hh_l0 [Hidden] is a vector, so that the products of all steps are taken at once, and
// units mix in the layer above. Over k steps the gradient of a unit is multiplied by w_hh to the power of k: keep the absolute values of
// w_hh below 2^(1/T), as the paper does, by clipping them after each update. They begin between 0 and 1, but for Init PyTorch. In a stack,
// the x_t of a layer is the h_t of the layer below.
type IndRNN struct{ stack }

var _ Layer = (*IndRNN)(nil)

// NewIndRNN makes the weights in p. It panics with a [*autograd.UsageError] if the configuration cannot be,
// and as [autograd.Params.New] does.
func NewIndRNN(p *autograd.Params, c IndRNNConfig) *IndRNN {
	return &IndRNN{newStack(p, indRNNCell(c), FusedConfig{Input: c.Input, Layers: c.Layers, Bidirectional: c.Bidirectional, NoBias: c.NoBias,
		Dropout: c.Dropout, RecurrentDropout: c.RecurrentDropout, Zoneout: c.Zoneout, Init: c.Init})}
}

// indRNNCell has one gate, whose sums lie in the place of the state.
func indRNNCell(c IndRNNConfig) FusedCell {
	const weightHH = 1
	h := c.Hidden
	apply, backprop := kernel.ReLU, kernel.ReLUGrad
	if c.Tanh {
		apply, backprop = kernel.Tanh, kernel.TanhGrad
	}
	first := func(rule autograd.Init) autograd.Init {
		if c.Init == PyTorch {
			return rule
		}
		return func(r *rand.Rand, v *tensor.Tensor) {
			for i := range v.Data() {
				v.Data()[i] = r.Float32()
			}
		}
	}
	return FusedCell{
		Name: "rnn.IndRNN", Hidden: h, Direct: true,
		Weights: []Weight{
			{Name: "weight_ih", Shape: []int{h, InputWidth}},
			weightHH: {Name: "weight_hh", Shape: []int{h}, Init: first},
			{Name: "bias_ih", Shape: []int{h}},
		},
		Stages: []Stage{{
			Terms: []Term{{Weight: "weight_ih", Bias: "bias_ih", Rows: h, Source: FromInput, To: ToState}},
			Apply: func(f *Frame) {
				w := f.Weight(weightHH)
				for i := range f.rows {
					kernel.AddMul(f.H(i), w, f.HRead(i))
				}
				apply(f.h, f.h)
			},
			Backprop: func(f *Frame) {
				backprop(f.dsums, f.dh, f.h)
				clear(f.dh)
				w, dw := f.Weight(weightHH), f.WeightGrad(weightHH)
				for i := range f.rows {
					kernel.AddMul(f.DHRead(i), w, f.DSums(i))
					if dw != nil {
						kernel.AddMul(dw, f.DSums(i), f.HRead(i))
					}
				}
			},
		}},
	}
}
