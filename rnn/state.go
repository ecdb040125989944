package rnn

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// State is a state between runs: plain numbers in the caller's memory, of the shapes of a [Carry], C nil
// but for the LSTM. What goes to and from a tape is copied. Goroutines may use disjoint rows of one State.
type State struct{ H, C *tensor.Tensor }

// Tensors returns H as "h" and C, if there is one, as "c", for safetensors.SaveTensors and LoadTensors: a stream goes on
// where it was, bit for bit.
func (s *State) Tensors() map[string]*tensor.Tensor {
	all := map[string]*tensor.Tensor{"h": s.H}
	if s.C != nil {
		all["c"] = s.C
	}
	return all
}

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
