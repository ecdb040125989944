// Package rnn holds recurrent layers and trains them by backpropagation through time.
//
// A recurrent layer reads a sequence step by step. It computes each state h_t from the input x_t of the step and the
// state before, h_(t-1), with the same weights at every step. [Elman] is the simplest layer. [LSTM] and [GRU] have
// gates, which decide how much of the state is kept, and so learn to remember over more steps. In [MinGRU] and [IndRNN] no matrix multiplies
// the state, which makes a step cheap, and deep stacks of them trainable.
//
//	layer := rnn.NewElman(params.In("rnn"), rnn.ElmanConfig{Input: 28, Hidden: 150})
//	head := layers.NewDense(params.In("head"), layer.Out(), 10)
//	...
//	h, _ := layer.Last(tape.Input(batch.X), rnn.Options{}) // [28,B,28] gives [B,150]
//	logits := head.Forward(h)
//
// # Three ways to run a layer
//
// Sequences are always time-major: [T,B,Input] is T steps of B rows, and each row is one sequence of the batch.
//
//   - [Elman.Forward] is sequence to sequence: it returns the outputs of all steps, [T,B,Out].
//   - [Elman.Last] is sequence to vector: it returns the output of each row's last step, [B,Out]. It costs less memory and
//     time than Forward when the loss needs the last output only, as a classifier's does.
//   - [Elman.Step] is a single step, [B,Input] to [B,Out], for streams whose next input is not known yet.
//
// In these shapes, Out is what the layer's method Out returns: Dirs*H_out. Dirs is 2 for a bidirectional layer and 1
// otherwise. H_out, as PyTorch calls it, is Hidden, or Projection for an LSTM that has a projection.
//
// A recurrence of your own is a [Cell] composed of operations, which [Unroll] takes over a sequence, or a [FusedCell], from which [NewFused] makes
// a layer as fast as those of this package: see the last section.
//
// # Streams: where the state is
//
// A layer holds weights and no state, so that one layer serves any number of sequences and goroutines at once. Each
// call starts from the state in Options.Start and returns the state after the last step. There are four starts:
//
//   - The zero [Carry]: zeros, the start of a new sequence.
//   - A [Carry] that an earlier call on the same tape returned. The two calls are then one sequence, and the gradient
//     flows from the second call back into the first. A Carry consists of nodes, and is gone when its tape is Reset.
//   - A [State]: plain numbers that the program keeps from run to run. No gradient flows through them.
//   - A [Start]: weights, from which all sequences start and which are trained with the other weights.
//
// A server that streams keeps a State and copies it onto the tape and back at each step:
//
//	state := layer.NewState(1)
//	for ... {
//		tape.Reset()
//		y, next := layer.Step(tape.Input(x), state.Carry(tape, 0, 1))
//		state.Set(next, 0)
//	}
//	state.ZeroRow(0) // the next sequence starts anew
//
// A [Stream] is the same for a single sequence, with less around it: it takes and gives plain numbers, and owns its state. A [Chain] takes a
// step through several layers:
//
//	chain := rnn.Chain{dense.NewStream(), rnn.Pointwise(rnn.Tanh), gru.NewStream(), head.NewStream()}
//	for ... {
//		y := chain.Step(x)
//	}
//
// With many streams, each has a row of one State. [State.CarryRows] and [State.SetRows] advance any of them in one step, which
// is much faster than a step for each; every stream gets the same bits as it would alone. The example named Server is a server
// that does so, and whose weights may be replaced while it runs ([autograd.Pool]).
//
// Data that consists of many sequences, such as the documents of a text or the episodes of a game, needs no padding if each row of a batch holds
// one sequence after the other: [Options].Resets says where they begin. The state and its gradient are cut there.
//
// # Sequences of different lengths
//
// Options.Lengths is the number of steps of each row of a batch. Rows may be in any order, and the results are in the same
// order. Padding costs next to nothing, since a step computes only the rows that reach it.
//
//	y, end := layer.Forward(tape.Input(batch.X), rnn.Options{Lengths: batch.Lengths})
//
// # Backpropagation through time
//
// The gradient of the loss is computed from the last step back to the first (Werbos 1990, "Backpropagation through time: what
// it does and how to do it"). At each step, the gradient of h_t is turned into the gradients of x_t, of h_(t-1) and
// of the weights; since all steps share the weights, their gradients add up.
//
// With Options.Truncate k, the sequence is cut into windows of k steps, counted back from the last step. The state
// crosses the cuts, but no gradient does (Williams & Peng 1990). Last then keeps the activations of a single window, and
// goes back through the last window alone. This saving does not apply to a bidirectional layer or to rows of
// different lengths, where a gradient may begin at any step.
//
// A gradient that goes back through many steps is multiplied by the recurrent weights at each of them, and may vanish
// or explode. Gates help against the first, and optim.ClipNorm against the second.
//
// # Truncated backpropagation through streams
//
// A sequence too long for one run, or without an end, is trained in windows: one run for each window, and an update of the weights after each run.
// Two numbers define truncated backpropagation through time, TBPTT(K1, K2) (Williams & Peng 1990, "An efficient gradient-based algorithm for on-line
// training of recurrent network trajectories", BPTT(h; h') with h of K2 and h' of K1). At every K1-th step, t = K1, 2*K1, ..., there is an update:
//
//   - Its loss consists of the terms of the last K1 steps, t-K1+1 to t. If K2 is smaller, only the terms of the last K2 steps count. So each term of
//     the loss is in exactly one update, or in none if K2 < K1.
//   - Its gradient goes back through the last K2 steps, t-K2+1 to t. The term of step s reaches the steps t-K2+1 to s: at most K2 steps, and if K2 is
//     K1 or more at least K2-K1+1.
//   - The state after step t-K2 is a constant: the state that the run of the update before computed.
//
// So a window consists of the max(K1, K2) steps up to t, and of fewer at the beginning of a stream. If K2 is larger than K1, it begins with K2-K1
// steps that the window before had, too. They are computed again, with the present weights, and have no loss. The memory is that of a window.
//
// All this is the same for every layer, stack and shard of a batch, and for a loss at every step, at every n-th or at the last alone: a label that
// does not count (loss.Ignore, or NaN as a target) takes a term out of the loss. dataset.Streams cuts streams of any kind into such windows, and its
// batches have what the options need:
//
//	rows := batch.Rows()
//	y, carry := layer.Forward(x, rnn.Options{Start: state.Carry(tape, batch.First, rows), Lengths: batch.Lengths,
//		Resets: batch.Begins, Overlap: batch.Overlap, Truncate: k2})
//	state.Set(carry, batch.First)
//
// The state has a row for each stream; in train.Step, whose shards run side by side, a shard uses the rows from batch.First on.
//
// For example, let h_t = w*h_(t-1) + x_t with w = 0.5 and all x of 1, so that h is 1, 1.5, 1.75, 1.875. The loss is the sum of all h. At the second
// update of K1 = 2, at step 4, the terms are h_3 and h_4. Let D_t be the derivative of h_t with respect to w: D_t = h_(t-1) + w*D_(t-1), and D = 0 for
// the constant.
//
//   - K2 = 2: h_2 is the constant. D_3 = 1.5, D_4 = 1.75 + 0.5*1.5 = 2.5, together 4.
//   - K2 = 3: h_1 is the constant. D_2 = 1, D_3 = 1.5 + 0.5*1 = 2, D_4 = 1.75 + 0.5*2 = 2.75; of h_3 and h_4 together 4.75.
//   - K2 = 1: h_3 is the constant, and h_3 does not count. D_4 = 1.75.
//
// # Memory
//
// Backpropagation needs the states of all steps, so the memory grows with their number. With Options.Recompute or Options.MemoryBudget, Forward and
// Last cut time into windows and keep the states at the beginnings of the windows only; Backward computes each window again. The gradients have the
// same bits, the memory grows as the square root of the number of steps, and the time by a fifth to two fifths. What follows the layer, such as the
// logits of a long text, is often larger than its states: autograd.Recompute does the same for a window of the whole model.
//
// # Regularisation
//
// A configuration has up to five probabilities, which act on training tapes. In inference they do nothing, except that
// zoneout takes the mean over its masks.
//
//   - Dropout drops elements of the input of each layer above the first, as in PyTorch.
//   - RecurrentDropout drops units of h_(t-1) where it is multiplied by weight_hh, the same units at all steps of a call
//     (Gal & Ghahramani 2016, "A theoretically grounded application of dropout in recurrent neural networks").
//   - WeightDropout drops elements of weight_hh, the same elements for all rows and steps of a call (Merity, Keskar &
//     Socher 2018, "Regularizing and optimizing LSTM language models").
//   - Zoneout lets a unit of h keep its value for a step, and the LSTM's ZoneoutCell a unit of c (Krueger et al. 2017,
//     "Zoneout: Regularizing RNNs by randomly preserving hidden activations").
//
// Elements that a dropout keeps are divided by 1-p. Every call draws new masks, so a sequence that is cut into
// several calls has new masks in each.
//
// # Weights
//
// Names, shapes and the order of gates are those of PyTorch. Layer 0 has weight_ih_l0 [G*Hidden, Input], weight_hh_l0
// [G*Hidden, H_out], bias_ih_l0 and bias_hh_l0 [G*Hidden], where G is the number of gates: 1 for Elman, 4 for LSTM, 3 for
// GRU. Layer 1 has weight_ih_l1 [G*Hidden, Dirs*H_out], and so on. Weights of the reverse direction have the suffix
// _reverse.
//
// # A fused cell of your own
//
// A [FusedCell] says what a recurrence is made of; the engine does the rest. Its parts are
//
//   - Weights: the matrices and vectors of one layer and direction;
//   - a row of sums, Sums floats for each row of the batch. A [Term] adds a product to some of these sums: the rows of a matrix times the
//     input or the state before, and a bias. Terms with the same place become one matrix product, and the engine derives the gradients of
//     the input, of the state before and of the weights from the terms;
//   - Apply, which computes the new state of each row from its sums, and leaves in the sums what the way back needs;
//   - Backprop, which computes the gradients of the sums from the gradient of the new state. If the new state depends on the state before also
//     without a product, as a GRU's does, the cell is Direct, and Backprop leaves that part of the gradient in DH.
//
// Apply and Backprop see a [Frame]: one step of one layer and direction, for all rows of the batch that have the step. The example of NewFused is
// such a cell, h_t = g*h_(t-1) + (1-g)*c with g = sigmoid and c = tanh of products of the input and the state:
//
//	cell := rnn.FusedCell{
//		Name: "UGRNN", Hidden: h, Sums: 2 * h, Direct: true,
//		Weights: []rnn.Weight{
//			{Name: "weight_ih", Shape: []int{2 * h, rnn.InputWidth}},
//			{Name: "weight_hh", Shape: []int{2 * h, h}},
//			{Name: "bias", Shape: []int{2 * h}},
//		},
//		Stages: []rnn.Stage{{
//			Terms: []rnn.Term{
//				{Weight: "weight_ih", Bias: "bias", Rows: 2 * h, Source: rnn.FromInput},
//				{Weight: "weight_hh", Rows: 2 * h, Source: rnn.FromState},
//			},
//			Apply: func(f *rnn.Frame) {
//				for row := range f.Rows() {
//					c, g, before, next := f.Sums(row)[:h], f.Sums(row)[h:], f.HBefore(row), f.H(row)
//					...
//
// The functions may be plain loops; [Tanh] and [Sigmoid] are the fast ones of this package. A cell may have a second state that no product
// reads, as the LSTM's c (C), floats to keep from Apply to Backprop (Saved), vectors that it multiplies by itself (Frame.Weight and
// WeightGrad, by their place in Weights), products that are normalised (Term.Gain), and a second [Stage] with products that read what the
// first stage computed. If the sums of a cell turn into the state one by one, as Elman's do, they may lie in the place of the state (Sums
// is 0, To is ToState). Package gradcheck proves Backprop.
package rnn

import "github.com/unroll-go/unroll/autograd"

// Options are the settings of one call. The zero value starts from zeros and backpropagates through all steps of rows
// that all have T steps.
type Options struct {
	// Start is the state before the first step: the end of an earlier call, [State.Carry] or [Start.Carry]. The zero value is
	// zeros. Gradients go to H and to C where these want one, independently of each other.
	Start Carry
	// Truncate is the number of steps k in a window of truncated backpropagation through time. Windows are counted back from
	// the last step of x, and their cuts are at the same steps in all layers, directions and rows. 0, or k of T and more,
	// is full backpropagation.
	Truncate int
	// Lengths is the number of steps of each row of the batch, 0 to T, in any order. Nil means that all rows have T steps.
	// Values of x beyond the end of a row (padding) are never read, and outputs there are 0. The end of a row is the state
	// after its own last step, where the reverse direction begins. A row of length 0 ends with its start.
	// More padding, as in a batch that is padded to another number of steps, changes no bit of the outputs and gradients, unless Truncate or Overlap
	// counts from the last step of x.
	Lengths []int
	// Resets tells where in a row a new sequence begins, [T*B]: Resets[t*B+b] is true if step t of row b is the first step of a sequence. Nil means
	// nowhere. The state before the step, and its gradient, are cut there, as if the sequences had been given in calls of their own: outputs, states
	// and the gradients of inputs and starts have the same bits, though masks of dropout are those of the one call. In a reverse direction, the
	// sequence before begins at step t-1. The layer borrows Resets as a tape borrows its input: it must not change before the tape's next run.
	Resets []bool
	// ResetTo is the state with which the sequences begin that Resets names. Its parts have the shape of Start's. The zero value is zeros. Gradients
	// go to its H and C where these want one.
	ResetTo Carry
	// Overlap is the number of steps at the end of x that the next call will read again, 0 to T: the Carry that the call returns is the state before
	// them, and wants no gradient. 0 is the state after the last step. A bidirectional layer has no such state. See "Truncated backpropagation
	// through streams" in the package's text.
	Overlap int
	// Recompute is a number of windows of time. Of all windows but the last, the layer keeps only the states at their beginnings, and Backward computes
	// each window again before it goes back through it (Chen et al. 2016, "Training deep nets with sublinear memory cost"; Gruslys et al. 2016,
	// "Memory-efficient backpropagation through time"). This takes one more pass forward and changes no bit. With about sqrt(T) windows the memory grows
	// as sqrt(T), but the output of Forward has T steps all the same. With Truncate and without Lengths, the windows are those between the cuts. A
	// bidirectional layer keeps its states and computes the sums of its gates again. 0, or 1, is a single window: nothing is computed again.
	Recompute int
	// MemoryBudget has the layer choose the number of windows, so that what it keeps for Backward takes at most so many bytes, besides x, y and their
	// gradients: one window if that fits; otherwise the fewest windows that fit; and if none do, those that take the least memory. 0 is no limit. If
	// Recompute is given, too, it is the number of windows where one does not fit.
	MemoryBudget int
}

// recomputes reports whether Backward may compute steps again.
func (o *Options) recomputes() bool { return o.Recompute > 1 || o.MemoryBudget > 0 }

// Carry is a state on a tape. H is [Layers*Dirs, B, H_out]; C is [Layers*Dirs, B, Hidden] for a layer with a second state, the LSTM, and
// nil for the other layers. The two directions of a layer follow each other: forward, then reverse.
type Carry struct{ H, C *autograd.Node }

// Layer is what the recurrent layers have in common. See [Elman] for the methods.
type Layer interface {
	Forward(x *autograd.Node, o Options) (y *autograd.Node, end Carry)
	Last(x *autograd.Node, o Options) (h *autograd.Node, end Carry)
	Step(x *autograd.Node, s Carry) (y *autograd.Node, next Carry)
	NewState(batch int) *State
	NewStream() *Stream
	Out() int
}

// Init is a rule for the first values of a recurrent layer's weights.
type Init int

const (
	// Glorot draws both matrices from U(-limit, limit) with limit sqrt(6/(in + H_out + G*Hidden)), which is Glorot's
	// rule for one matrix that multiplies [x_t, h_(t-1)], as in the cells of TensorFlow 1. Without a matrix that multiplies the
	// state, H_out is left out. Biases are 0, except that the
	// LSTM's forget gate starts at 1.
	Glorot Init = iota
	// PyTorch draws all weights and biases from U(-1/sqrt(Hidden), 1/sqrt(Hidden)).
	PyTorch
	// Keras draws weight_ih by Glorot's rule and makes weight_hh orthogonal. Biases are 0, except that the LSTM's forget
	// gate starts at 1.
	Keras
)
