// Package rnn holds recurrent layers, trained by backpropagation through time.
//
// A layer reads a sequence step by step and keeps a state: h_t follows from x_t and h_(t-1). [Elman] is the simple
// one; [LSTM] and [GRU] have gates that let them remember for longer. The same layer
// can be run in three ways. [Elman.Forward] is sequence to sequence, [T,B,Input] -> [T,B,Dirs*Out];
// [Elman.Last] is sequence to vector, the output of the last step alone, and the cheaper of the two to train
// a classifier with; [Elman.Step] is one step, for streaming. Sequences are time-major, always. Dirs is 2 for a
// bidirectional layer, else 1; Out is Hidden, or the projection's width.
//
//	cell := rnn.NewElman(params.In("rnn"), rnn.ElmanConfig{Input: 28, Hidden: 150})
//	h, _ := cell.Last(tape.Input(batch.X), rnn.Options{})
//
// A recurrence of your own is a [Cell], and [Unroll] takes it over a sequence.
//
// # State
//
// A layer holds no state of its own. What a sequence ends with is a [Carry], and the next sequence may start from it
// (Options.Start). On the same tape, a Carry keeps its gradient: the two calls are one
// sequence. Across runs a state is plain numbers, a [State], through which no gradient flows:
//
//	state := cell.NewState(batch)
//	for ... {
//		tape.Reset()
//		y, next := cell.Step(tape.Input(x), state.Carry(tape, 0, batch))
//		state.Set(next, 0)
//	}
//
// A sequence starts from zeros, from a Carry, or from a state that is learned, a [Start].
//
// # Sequences of different lengths
//
// Options.Lengths says how long each row of a batch is. Rows come in any order, results too, and padding costs next to
// nothing: a step computes the rows that have it.
//
//	y, end := cell.Forward(tape.Input(batch.X), rnn.Options{Lengths: batch.Lengths})
//
// # Backpropagation through time
//
// Backward goes through all steps from the last to the first (Werbos 1990, "Backpropagation through time:
// what it does and how to do it"). With Options.Truncate k the sequence is cut into windows of k steps,
// counted back from the last one, and no gradient crosses a cut; the state does (Williams & Peng 1990). Last
// then keeps the activations of one window alone, and goes back through that alone; not so with two directions or with
// Lengths, where a gradient may begin anywhere.
//
// # Regularisation
//
// Four fields of a configuration, each a probability, act on training tapes; in inference they do nothing, but that zoneout
// takes the mean. Dropout is PyTorch's: what a layer above the first reads is dropped element by element. RecurrentDropout
// drops units of the state as the recurrent product reads it, the same ones at all steps of a call (Gal & Ghahramani 2016, "A
// theoretically grounded application of dropout in recurrent neural networks"). WeightDropout drops elements of weight_hh,
// the same ones for all rows and steps of a call (Merity, Keskar & Socher 2018, "Regularizing and optimizing LSTM
// language models"). Zoneout lets a unit keep its state for a step (Krueger et al. 2017, "Zoneout"). What is
// kept by a dropout is divided by 1-p. A call on a tape is a sequence here: one that is cut into several calls draws
// new masks for each.
//
// # Weights
//
// Names, shapes and the order of gates are PyTorch's: weight_ih_l0 [G*Hidden, Input], weight_hh_l0 [G*Hidden,
// Out], bias_ih_l0 and bias_hh_l0 [G*Hidden], and so on for each layer, with G gates; those of the reverse direction end with
// _reverse. A layer above the first has Dirs*Out inputs. States are [Layers*Dirs, B, Out].
package rnn

import "github.com/unroll-go/unroll/autograd"

// Options are the settings of one call. The zero value starts from zeros and backpropagates through
// all steps.
type Options struct {
	// Start is the state before the first step: the end of an earlier call or [State.Carry]. The zero
	// value is zeros.
	Start Carry
	// Truncate is the number of steps that gradients go back: windows of so many steps counted back from the last
	// one of x, the same cuts in every layer, direction and row. 0, or T and more, is full backpropagation.
	Truncate int
	// Lengths is the number of steps of each row of the batch, 0 to T, in any order; nil: all rows have T. What x holds
	// past a row's end (padding) is never read. Outputs there are 0, the end is the state after the row's own last step, and
	// the reverse direction begins at it. A row of length 0 ends with its start.
	Lengths []int
}

// Carry is a state on a tape: H is [Layers*Dirs, B, Out], where Out is Hidden, or the LSTM's Projection; C is
// [Layers*Dirs, B, Hidden], and nil but for the LSTM. Directions of a layer lie side by side: forward, reverse.
type Carry struct{ H, C *autograd.Node }

// Layer is what the recurrent layers share; see [Elman] for its methods.
type Layer interface {
	Forward(x *autograd.Node, o Options) (y *autograd.Node, end Carry)
	Last(x *autograd.Node, o Options) (h *autograd.Node, end Carry)
	Step(x *autograd.Node, s Carry) (y *autograd.Node, next Carry)
	NewState(batch int) *State
}

var (
	_ Layer = (*Elman)(nil)
	_ Layer = (*LSTM)(nil)
	_ Layer = (*GRU)(nil)
)

// Init names the first values of a recurrent layer's weights.
type Init int

const (
	// Glorot draws both matrices from the uniform distribution of limit sqrt(6/(in+Out+G*Hidden)):
	// Glorot's rule for the joined matrix over [x_t, h_(t-1)], as TensorFlow 1 initialises its cells. Biases
	// are 0, but the LSTM's forget gate starts at 1.
	Glorot Init = iota
	// PyTorch draws everything, biases too, from the uniform distribution of limit 1/sqrt(Hidden).
	PyTorch
	// Keras draws the input matrix by Glorot's rule, the recurrent one orthogonal. Biases are 0, but
	// the LSTM's forget gate starts at 1.
	Keras
)
