// Package rnn holds recurrent layers, trained by backpropagation through time.
//
// A layer reads a sequence step by step and keeps a state: h_t follows from x_t and h_(t-1). The same layer
// can be run in three ways. [Elman.Forward] is sequence to sequence, [T,B,Input] -> [T,B,Hidden];
// [Elman.Last] is sequence to vector, the output of the last step alone, and the cheaper of the two to train
// a classifier with; [Elman.Step] is one step, for streaming. Sequences are time-major, always.
//
//	cell := rnn.NewElman(params.In("rnn"), rnn.ElmanConfig{Input: 28, Hidden: 150})
//	h, _ := cell.Last(tape.Input(batch.X), rnn.Options{})
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
// # Backpropagation through time
//
// Backward goes through all steps from the last to the first (Werbos 1990, "Backpropagation through time:
// what it does and how to do it"). With Options.Truncate k the sequence is cut into windows of k steps,
// counted back from the last one, and no gradient crosses a cut; the state does (Williams & Peng 1990). Last
// then keeps the activations of one window alone, and goes back through that alone.
//
// # Weights
//
// Names, shapes and the order of gates are PyTorch's: weight_ih_l0 [G*Hidden, Input], weight_hh_l0 [G*Hidden,
// Hidden], bias_ih_l0 and bias_hh_l0 [G*Hidden], and so on for each layer, with G gates. States are
// [Layers*Dirs, B, Hidden], where Dirs, the number of directions, is 1 for the layers that read forward only.
package rnn

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// Options are the settings of one call. The zero value starts from zeros and backpropagates through
// all steps.
type Options struct {
	// Start is the state before the first step: the end of an earlier call or [State.Carry]. The zero
	// value is zeros.
	Start Carry
	// Truncate is the number of steps that gradients go back: windows of so many steps counted back from the last
	// one, the same cuts in every layer. 0, or T and more, is full backpropagation.
	Truncate int
}

// Carry is a state on a tape, shape [Layers*Dirs, B, Hidden]. C is nil but for the LSTM.
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
)

// Init names the first values of a recurrent layer's weights.
type Init int

const (
	// Glorot draws both matrices from the uniform distribution of limit sqrt(6/(in+Hidden+G*Hidden)):
	// Glorot's rule for the joined matrix over [x_t, h_(t-1)], as TensorFlow 1 initialises its cells. Biases
	// are 0, but the LSTM's forget gate starts at 1.
	Glorot Init = iota
	// PyTorch draws everything, biases too, from the uniform distribution of limit 1/sqrt(Hidden).
	PyTorch
	// Keras draws the input matrix by Glorot's rule, the recurrent one orthogonal. Biases are 0, but
	// the LSTM's forget gate starts at 1.
	Keras
)

// State is a state between runs: plain numbers in the caller's memory, shape [Layers*Dirs, B, Hidden], C nil
// but for the LSTM. What goes to and from a tape is copied. Goroutines may use disjoint rows of one State.
type State struct{ H, C *tensor.Tensor }

// Zero sets all rows to the start of a sequence.
func (s *State) Zero() {
	s.H.Zero()
	if s.C != nil {
		s.C.Zero()
	}
}

// ZeroRow sets one row of the batch to the start of a sequence. It panics with a [*autograd.ShapeError] if
// there is no such row.
func (s *State) ZeroRow(row int) {
	s.checkRows("rnn.State.ZeroRow", row, 1)
	eachLayer(s.H, row, 1, func(part []float32, _ int) { clear(part) })
	if s.C != nil {
		eachLayer(s.C, row, 1, func(part []float32, _ int) { clear(part) })
	}
}

// Carry copies n rows, from first on, onto a tape, as a start without gradient. It panics with a
// [*autograd.ShapeError] if there are no such rows.
func (s *State) Carry(t *autograd.Tape, first, n int) Carry {
	s.checkRows("rnn.State.Carry", first, n)
	c := Carry{H: t.New(s.H.Dim(0), n, s.H.Dim(2))}
	data := c.H.Data()
	eachLayer(s.H, first, n, func(part []float32, l int) { copy(data[l*len(part):], part) })
	if s.C != nil {
		c.C = t.New(s.C.Dim(0), n, s.C.Dim(2))
		data := c.C.Data()
		eachLayer(s.C, first, n, func(part []float32, l int) { copy(data[l*len(part):], part) })
	}
	return c
}

// Set copies all of c's rows into s, from row first on. It panics with a [*autograd.ShapeError] if c is not
// of s's layers and size, and with a [*autograd.UsageError] if one of them has a C and the other has not.
func (s *State) Set(c Carry, first int) {
	const where = "rnn.State.Set"
	if c.H == nil || (c.C == nil) != (s.C == nil) {
		panic(&autograd.UsageError{Where: where, What: "the carry is that of another kind of layer: one has a C, the other has none"})
	}
	pairs := [2]struct {
		to   *tensor.Tensor
		from *autograd.Node
	}{{s.H, c.H}, {s.C, c.C}}
	for _, p := range pairs { // all of them before anything is written
		if p.from == nil {
			continue
		}
		shape := p.from.Shape()
		if len(shape) != 3 || shape[0] != p.to.Dim(0) || shape[2] != p.to.Dim(2) {
			panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("carry of shape %v", append([]int(nil), shape...)),
				Want: fmt.Sprintf("[%d, rows, %d]", p.to.Dim(0), p.to.Dim(2))})
		}
		s.checkRows(where, first, shape[1])
	}
	for _, p := range pairs {
		if p.from != nil {
			data := p.from.Data()
			eachLayer(p.to, first, p.from.Shape()[1], func(part []float32, l int) { copy(part, data[l*len(part):]) })
		}
	}
}

// eachLayer calls f with the n rows from first on of each layer l of v, shape [layers, B, H].
func eachLayer(v *tensor.Tensor, first, n int, f func(part []float32, l int)) {
	layers, batch, hidden := v.Dim(0), v.Dim(1), v.Dim(2)
	for l := range layers {
		f(v.Data()[(l*batch+first)*hidden:][:n*hidden], l)
	}
}

func (s *State) checkRows(where string, first, n int) {
	if first < 0 || n < 1 || first+n > s.H.Dim(1) {
		panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("rows %d to %d", first, first+n),
			Want: fmt.Sprintf("at least one, within the state's %d", s.H.Dim(1))})
	}
}
