package rnn

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// State is the state of B sequences between runs, one row for each: plain numbers in the caller's memory. H is
// [Layers*Dirs, B, H_out]; C is [Layers*Dirs, B, Hidden] for a layer with a second state, the LSTM, and nil for the other
// layers. [Elman.NewState] makes one.
//
// Carry and CarryRows copy rows onto a tape, where they are the start of a call. Set and SetRows copy the end of a call back
// into rows. No gradient flows through a State. Goroutines may use disjoint rows of one State at the same time.
type State struct{ H, C *tensor.Tensor }

// Tensors returns H under the name "h" and C, if there is one, under the name "c", for safetensors.SaveTensors and
// LoadTensors: a stream whose state was saved and loaded continues with the same bits.
func (s *State) Tensors() map[string]*tensor.Tensor {
	all := map[string]*tensor.Tensor{"h": s.H}
	if s.C != nil {
		all["c"] = s.C
	}
	return all
}

// Zero sets all rows to zeros, the start of a sequence.
func (s *State) Zero() {
	s.H.Zero()
	if s.C != nil {
		s.C.Zero()
	}
}

// ZeroRow sets one row to zeros, the start of a sequence. It panics with a [*autograd.ShapeError] if the state has no
// such row.
func (s *State) ZeroRow(row int) {
	s.check("rnn.State.ZeroRow", selection{first: row, n: 1})
	for _, v := range [2]*tensor.Tensor{s.H, s.C} {
		if v != nil {
			for l := range v.Dim(0) {
				clear(rowOf(v, l, row))
			}
		}
	}
}

// Resize changes the number of rows, so that a server can take on more sequences: the rows that fit keep their values, and
// new rows are zeros. No other goroutine may use the state meanwhile. It panics with a [*autograd.UsageError] if rows is not
// positive.
func (s *State) Resize(rows int) {
	if rows < 1 {
		panic(&autograd.UsageError{Where: "rnn.State.Resize", What: fmt.Sprintf("%d rows, want at least 1", rows)})
	}
	for _, v := range [2]**tensor.Tensor{&s.C, &s.H} { // the wider first: nothing has changed if it is too large
		old := *v
		if old == nil {
			continue
		}
		*v = tensor.New(old.Dim(0), rows, old.Dim(2))
		for l := range old.Dim(0) {
			for row := range min(rows, old.Dim(1)) {
				copy(rowOf(*v, l, row), rowOf(old, l, row))
			}
		}
	}
}

// Carry copies n consecutive rows, from row first on, onto a tape, where they want no gradient. It panics with a
// [*autograd.ShapeError] if n is not positive or the state has no such rows.
func (s *State) Carry(t *autograd.Tape, first, n int) Carry {
	return s.carry("rnn.State.Carry", t, selection{first: first, n: n})
}

// CarryRows copies any rows onto a tape, where they want no gradient: row i of the Carry is row rows[i] of the state. With
// SetRows it advances some of many sequences in one step, in which each gets the same bits as in a step of its own:
//
//	y, next := layer.Step(tape.Input(x), state.CarryRows(tape, rows)) // x is [len(rows), Input]
//	state.SetRows(next, rows)
//
// A row may be named several times, as a beam search does. It panics with a [*autograd.ShapeError] if rows is empty or
// the state has no such row.
func (s *State) CarryRows(t *autograd.Tape, rows []int) Carry {
	return s.carry("rnn.State.CarryRows", t, selection{n: len(rows), named: rows})
}

func (s *State) carry(where string, t *autograd.Tape, rows selection) (c Carry) {
	s.check(where, rows)
	read := func(v *tensor.Tensor) *autograd.Node {
		y, width := t.New(v.Dim(0), rows.n, v.Dim(2)), v.Dim(2)
		for l := range v.Dim(0) {
			for i := range rows.n {
				copy(y.Data()[(l*rows.n+i)*width:][:width], rowOf(v, l, rows.at(i)))
			}
		}
		return y
	}
	c.H = read(s.H)
	if s.C != nil {
		c.C = read(s.C)
	}
	return c
}

// Set copies all rows of c into consecutive rows of the state, from row first on. It panics with a [*autograd.ShapeError]
// if c does not have the state's layers and widths or the state has no such rows, and with a [*autograd.UsageError] if one of
// the two has a C and the other does not. The state is unchanged then, and also if the run only repeats an earlier one
// ([autograd.Tape.Checking]). If the Run of a train.Step returns an error, the state is as it was before the Run
// ([autograd.Tape.Preserve]), unless the error is train.ErrNothingCounted.
func (s *State) Set(c Carry, first int) {
	const where = "rnn.State.Set"
	s.set(where, c, selection{first: first, n: s.checkCarry(where, c)})
}

// SetRows copies row i of c into row rows[i] of the state, for all rows of c. It panics as Set does, with a
// [*autograd.ShapeError] if c does not have len(rows) rows, and with a [*autograd.UsageError] if rows names a row twice.
// The state is unchanged then.
func (s *State) SetRows(c Carry, rows []int) {
	const where = "rnn.State.SetRows"
	n := s.checkCarry(where, c)
	if n != len(rows) {
		panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("%d rows", len(rows)), Want: fmt.Sprintf("%d, one for each row of the carry", n)})
	}
	sorted := c.H.Tape().ScratchInts(n)
	copy(sorted, rows)
	slices.Sort(sorted)
	for i := 1; i < n; i++ {
		if sorted[i] == sorted[i-1] {
			panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("row %d is named twice; a row can be set to one row of the carry", sorted[i])})
		}
	}
	s.set(where, c, selection{n: n, named: rows})
}

func (s *State) set(where string, c Carry, rows selection) {
	s.check(where, rows)
	tape := c.H.Tape()
	if tape.Checking() {
		return
	}
	write := func(v *tensor.Tensor, from *autograd.Node) {
		data, width := from.Data(), v.Dim(2)
		for l := range v.Dim(0) {
			for i := range rows.n {
				row := rowOf(v, l, rows.at(i))
				tape.Preserve(row)
				copy(row, data[(l*rows.n+i)*width:])
			}
		}
	}
	write(s.H, c.H)
	if s.C != nil {
		write(s.C, c.C)
	}
}

// selection is n rows of a state: consecutive ones from first on, or the named ones.
type selection struct {
	first, n int
	named    []int // nil: consecutive
}

// at returns the number of the selection's i-th row.
func (r selection) at(i int) int {
	if r.named != nil {
		return r.named[i]
	}
	return r.first + i
}

// data returns the numbers of H and C.
func (s *State) data() (all [2][]float32) {
	if all[0] = s.H.Data(); s.C != nil {
		all[1] = s.C.Data()
	}
	return all
}

// rowOf returns the given row of layer l of v [layers, B, width].
func rowOf(v *tensor.Tensor, l, row int) []float32 {
	width := v.Dim(2)
	return v.Data()[(l*v.Dim(1)+row)*width:][:width]
}

// check panics if the state does not have all rows of the selection, or if the selection is empty.
func (s *State) check(where string, rows selection) {
	batch := s.H.Dim(1)
	if rows.n < 1 || rows.named == nil && (rows.first < 0 || rows.n > batch-rows.first) {
		panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("%d rows from row %d on", rows.n, rows.first),
			Want: fmt.Sprintf("at least one, within the state's %d", batch)})
	}
	for _, row := range rows.named {
		if row < 0 || row >= batch {
			panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("row %d", row), Want: fmt.Sprintf("0 to %d, the state's last", batch-1)})
		}
	}
}

// checkCarry returns the number of c's rows. It panics if c is not the carry of a layer whose state s is.
func (s *State) checkCarry(where string, c Carry) (rows int) {
	if c.H == nil || (c.C == nil) != (s.C == nil) {
		panic(&autograd.UsageError{Where: where, What: "the carry is that of another kind of layer: one has a C, the other has none"})
	}
	for i, n := range [2]*autograd.Node{c.H, c.C} {
		if n == nil {
			continue
		}
		v, shape := [2]*tensor.Tensor{s.H, s.C}[i], n.Shape()
		if len(shape) != 3 || shape[0] != v.Dim(0) || i > 0 && shape[1] != rows || shape[2] != v.Dim(2) {
			want := "rows"
			if i > 0 {
				want = fmt.Sprint(rows)
			}
			panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("carry of shape %v", slices.Clone(shape)),
				Want: fmt.Sprintf("[%d, %s, %d]", v.Dim(0), want, v.Dim(2))})
		}
		rows = shape[1]
	}
	return rows
}
