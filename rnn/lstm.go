package rnn

import (
	"fmt"
	"math/rand/v2"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// LSTMConfig says what an [LSTM] is made of. Input and Hidden must be given.
type LSTMConfig struct {
	Input         int  // features of a step
	Hidden        int  // units of each layer
	Layers        int  // stacked layers; 0: one
	Bidirectional bool // a second direction that reads each sequence from its end
	NoBias        bool // no bias_ih and bias_hh

	// Projection is the width of h where that is less than Hidden: h_t = W_hr·(o*tanh(c_t)) (Sak, Senior & Beaufays
	// 2014), PyTorch's proj_size. 0: none.
	Projection int
	// Peephole lets the gates see the second state (Gers & Schmidhuber 2000, "Recurrent nets that time and count").
	Peephole bool
	// LayerNorm normalises the two products of the gates (Ba, Kiros & Hinton 2016, "Layer normalization"). Sequences that
	// begin with frames of zeros make its gradient explode: see [LSTM].
	LayerNorm bool
	// ForgetBias is the first value of the forget gate's bias_ih; its bias_hh begins at 0 then. 0: as Init says.
	ForgetBias float32
	// Chrono, if not 0, is the longest time, in steps, over which something must be remembered. The biases of the gates then begin so that the units
	// of a layer remember for different times, from 1 step to Chrono, and gradients get through long sequences from the beginning (Tallec & Ollivier
	// 2018, "Can recurrent neural networks warp time?"). 0: the biases begin as Init says.
	Chrono int

	// These are probabilities, 0 or more and less than 1: see Regularisation in the package's text.
	Dropout          float32 // of what a layer above the first reads
	RecurrentDropout float32 // of the state as the recurrent product reads it, the same units all through a sequence
	WeightDropout    float32 // of the elements of weight_hh
	Zoneout          float32 // that an h keeps its value for a step
	ZoneoutCell      float32 // that a c does

	Init Init // first values of the weights; the zero value is Glorot
}

// LSTM is the long short-term memory (Hochreiter & Schmidhuber 1997) with forget gates (Gers, Schmidhuber & Cummins
// 2000, "Learning to forget"), PyTorch's nn.LSTM. With the sums of the four gates in the order i, f, g, o,
//
//	z_t = W_ih·x_t + b_ih + W_hh·h_(t-1) + b_hh
//	i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)
//	g   = tanh(z_g)
//	c_t = f*c_(t-1) + i*g
//	h_t = o*tanh(c_t)
//
// In a stack, the x_t of a layer is the h_t of the one below. Its [Carry] and [State] have a C beside H.
//
// With Peephole, z_i and z_f get p_i*c_(t-1) and p_f*c_(t-1), and z_o gets p_o*c_t: weight_peephole_l0 [3*Hidden] is
// p_i, p_f, p_o. With Projection, h_t = W_hr·(o*tanh(c_t)): weight_hr_l0 [Projection, Hidden]. With LayerNorm,
//
//	z_t = norm(W_ih·x_t)*w_ih + b_ih + norm(W_hh·h_(t-1))*w_hh + b_hh
//
// where norm takes the mean from all 4*Hidden sums of a row and divides by sqrt(variance + 1e-5); the gains w_ih and w_hh
// are weight_ln_ih_l0 and weight_ln_hh_l0 [4*Hidden]. c_t is not normalised.
//
// LayerNorm is sensitive to leading frames of zeros, such as the blank rows at the top of a picture. As long as x_t, h_(t-1) and
// the biases are all 0, norm divides by sqrt(1e-5), and backpropagation through such a step multiplies the gradient of h by up
// to 0.25/sqrt(1e-5) = 79 times the norm of the rows of W_hh for the gate g. With 64 units and Init Glorot that is a factor of
// about 50 a step: after some 20 such steps the gradient overflows and is NaN, although the loss is finite. Any of these
// helps: biases that are not 0 (Init PyTorch); noise of 0.001 on the input, or an h_0 that is not 0; padding at the
// end of a sequence, with Options.Lengths, in place of padding at its beginning. optim.ClipNorm helps while the gradient is
// finite, that is, for few such frames.
type LSTM struct{ stack }

var _ Layer = (*LSTM)(nil)

// NewLSTM makes the weights in p. It panics with a [*autograd.UsageError] if the configuration cannot be,
// and as [autograd.Params.New] does.
func NewLSTM(p *autograd.Params, c LSTMConfig) *LSTM {
	cell := lstmCell(nameOf(p, "rnn.LSTM"), c)
	return &LSTM{newStack(p, cell, FusedConfig{Input: c.Input, Layers: c.Layers, Bidirectional: c.Bidirectional, NoBias: c.NoBias,
		Dropout: c.Dropout, RecurrentDropout: c.RecurrentDropout, WeightDropout: c.WeightDropout,
		Zoneout: c.Zoneout, ZoneoutCell: c.ZoneoutCell, Init: c.Init})}
}

// lstmCell has the gates i, f, g, o in the rows of its weights and in a row of sums. With Projection, o*tanh(c) follows in the sums, and a
// second stage multiplies it. tanh(c) is saved behind the sums.
func lstmCell(where string, c LSTMConfig) FusedCell {
	c.check(where)
	h, state := c.Hidden, c.Hidden
	if c.Projection > 0 {
		state = c.Projection
	}
	cell := FusedCell{
		Name: "rnn.LSTM", Gates: "ifgo", Hidden: h, State: state, C: true, Sums: 4 * h, Saved: h,
		Weights: []Weight{
			{Name: "weight_ih", Shape: []int{4 * h, InputWidth}},
			{Name: "weight_hh", Shape: []int{4 * h, state}},
			{Name: "bias_ih", Shape: []int{4 * h}, Init: c.gateBias(1)},
			{Name: "bias_hh", Shape: []int{4 * h}, Init: c.gateBias(0)},
		},
		Stages: []Stage{{Terms: []Term{
			{Weight: "weight_ih", Bias: "bias_ih", Rows: 4 * h, Source: FromInput},
			{Weight: "weight_hh", Bias: "bias_hh", Rows: 4 * h, Source: FromState},
		}}},
	}
	gates := &lstmGates{hidden: h, peephole: -1}
	if c.Projection > 0 {
		cell.Sums, gates.projected = 5*h, true
		cell.Weights = append(cell.Weights, Weight{Name: "weight_hr", Shape: []int{state, h}})
		cell.Stages = append(cell.Stages, Stage{Terms: []Term{{Weight: "weight_hr", Rows: state, Source: FromSums, From: 4 * h, To: ToState}}})
	}
	if c.Peephole {
		gates.peephole = len(cell.Weights)
		cell.Weights = append(cell.Weights, Weight{Name: "weight_peephole", Shape: []int{3 * h}})
	}
	cell.Stages[0].Apply, cell.Stages[0].Backprop = gates.apply, gates.backprop
	if c.LayerNorm {
		cell.normalise()
	}
	return cell
}

// check panics with a [*autograd.UsageError] if the configuration's own fields cannot be.
func (c *LSTMConfig) check(where string) {
	switch {
	case c.Projection < 0 || c.Projection > 0 && c.Projection >= c.Hidden:
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("Projection is %d, want less than Hidden, %d, or 0 for none", c.Projection, c.Hidden)})
	case c.ForgetBias != 0 && c.NoBias:
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("ForgetBias is %v, but NoBias leaves no bias", c.ForgetBias)})
	case c.ForgetBias != 0 && c.Chrono != 0:
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("ForgetBias is %v and Chrono is %d; want one of the two", c.ForgetBias, c.Chrono)})
	}
	c.chrono().check(where, c.NoBias)
}

func (c *LSTMConfig) chrono() chrono {
	return chrono{steps: c.Chrono, hidden: c.Hidden, keep: 1, write: 0}
}

// gateBias returns the rule for a bias: of its gates by Chrono, or of its forget gate, which begins at ForgetBias or, except for Init PyTorch, at 1.
// factor is 1 for bias_ih and 0 for bias_hh. It returns nil if Init alone says how the bias begins.
func (c LSTMConfig) gateBias(factor float32) func(autograd.Init) autograd.Init {
	if c.Chrono > 0 {
		return c.chrono().bias(float64(factor))
	}
	value := c.ForgetBias
	switch {
	case value == 0 && c.Init == PyTorch:
		return nil
	case value == 0:
		value = 1
	}
	return func(rule autograd.Init) autograd.Init {
		return func(r *rand.Rand, v *tensor.Tensor) {
			rule(r, v)
			for j := range c.Hidden {
				v.Data()[c.Hidden+j] = factor * value
			}
		}
	}
}

// lstmGates is the stage of the gates.
type lstmGates struct {
	hidden    int
	projected bool // o*tanh(c) goes to the sums, not to the state
	peephole  int  // place of weight_peephole in the cell's Weights; -1: none
}

func (g *lstmGates) apply(f *Frame) {
	for i := range f.rows {
		z, tanhC := f.Sums(i), f.Saved(i)
		h := g.unprojected(f.H(i), z)
		if g.peephole >= 0 {
			kernel.LSTMPeephole(z, f.Weight(g.peephole), f.CBefore(i), f.C(i), tanhC, h)
		} else {
			kernel.LSTM(z, f.CBefore(i), f.C(i), tanhC, h)
		}
	}
}

func (g *lstmGates) backprop(f *Frame) {
	for i := range f.rows {
		z, dz, tanhC := f.Sums(i), f.DSums(i), f.Saved(i)
		dh := g.unprojected(f.DH(i), dz)
		if g.peephole < 0 {
			kernel.LSTMGrad(dz, f.DC(i), dh, z, f.CBefore(i), tanhC)
			continue
		}
		kernel.LSTMPeepholeGrad(dz, f.DC(i), dh, z, f.Weight(g.peephole), f.CBefore(i), tanhC)
		if dp := f.WeightGrad(g.peephole); dp != nil {
			kernel.AddPeepholeGrad(dp, dz, z, f.CBefore(i))
		}
	}
}

// unprojected returns the place of o*tanh(c), or of its gradient: the state, or the block after the gates.
func (g *lstmGates) unprojected(state, sums []float32) []float32 {
	if !g.projected {
		return state
	}
	return sums[4*g.hidden:][:g.hidden]
}
