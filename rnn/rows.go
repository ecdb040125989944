package rnn

import (
	"iter"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// rows tells which rows of a batch have a step, and where the values of these rows lie in a [slab]: one after the other, in the order of the
// batch.
type rows struct {
	steps, batch int
	lengths      []int // number of steps of each row; nil: all rows have all steps
	firsts       []int // [steps+1]: the number of rows of all steps before each step, for slabs of all steps; nil: steps are a batch apart
}

// newRows copies the lengths to the tape. Lengths that are all equal to the number of steps are left out.
func newRows(t *autograd.Tape, steps, batch int, lengths []int) rows {
	r := rows{steps: steps, batch: batch}
	for _, n := range lengths {
		if n != steps {
			r.lengths = t.ScratchInts(batch)
			copy(r.lengths, lengths)
			break
		}
	}
	return r
}

// pack has slabs of all steps keep no room for padding.
func (r *rows) pack(t *autograd.Tape) {
	r.firsts = t.ScratchInts(r.steps + 1)
	sum := 0
	for step := range r.steps {
		n := 0
		for range r.alive(step) {
			n++
		}
		r.firsts[step], sum = sum, sum+n
	}
	r.firsts[r.steps] = sum
}

// alive yields the rows that have step t: i counts them, row is the place in the batch.
func (r *rows) alive(t int) iter.Seq2[int, int] {
	return func(yield func(i, row int) bool) {
		i := 0
		for row := range r.batch {
			if r.lengths == nil || r.lengths[row] > t {
				if !yield(i, row) {
					return
				}
				i++
			}
		}
	}
}

// count returns the number of rows that have step t.
func (r *rows) count(t int) int {
	switch {
	case r.lengths == nil:
		return r.batch
	case r.firsts != nil:
		return r.firsts[t+1] - r.firsts[t]
	}
	n := 0
	for _, length := range r.lengths {
		if length > t {
			n++
		}
	}
	return n
}

// all reports whether all rows of the batch have step t.
func (r *rows) all(t int) bool { return r.lengths == nil || r.count(t) == r.batch }

// first returns the place of step t in a slab that keeps span steps.
func (r *rows) first(t, span int) int {
	switch {
	case span < r.steps:
		return (span - 1 - (r.steps-1-t)%span) * r.batch
	case r.firsts != nil:
		return r.firsts[t]
	}
	return t * r.batch
}

// size returns the number of rows that a slab of span steps keeps.
func (r *rows) size(span int) int {
	if r.firsts != nil && span == r.steps {
		return r.firsts[r.steps]
	}
	return span * r.batch
}

// gather copies the rows of a batch that have step t to one after the other.
func (r *rows) gather(to, batch []float32, t, width int) {
	if r.all(t) {
		copy(to[:r.batch*width], batch)
		return
	}
	for i, row := range r.alive(t) {
		copy(to[i*width:][:width], batch[row*width:])
	}
}

// scatter copies the rows of step t to their places in a batch.
func (r *rows) scatter(batch, from []float32, t, width int) {
	if r.all(t) {
		copy(batch[:r.batch*width], from)
		return
	}
	for i, row := range r.alive(t) {
		copy(batch[row*width:][:width], from[i*width:])
	}
}

// clearOthers clears the rows of step t, in v, that have a step after it.
func (r *rows) clearOthers(v []float32, t, width int) {
	for i, row := range r.alive(t) {
		if r.lengths[row] > t+1 {
			clear(v[i*width:][:width])
		}
	}
}

// mul computes to = from*batch, where to and from are the rows of step t.
func (r *rows) mul(to, from, batch []float32, t, width int) {
	if r.all(t) {
		kernel.Mul(to[:r.batch*width], from[:r.batch*width], batch)
		return
	}
	for i, row := range r.alive(t) {
		kernel.Mul(to[i*width:][:width], from[i*width:][:width], batch[row*width:])
	}
}

// slab keeps width floats for each row of the last span steps.
type slab struct {
	data        []float32
	width, span int
}

func newSlab(t *autograd.Tape, r *rows, width, span int) slab {
	return slab{t.Scratch(r.size(span) * width), width, span}
}

// at returns the rows of step t, and those of the steps behind it.
func (s *slab) at(r *rows, t int) []float32 { return s.data[r.first(t, s.span)*s.width:] }

// block returns the rows of step t, and those of the steps behind it, as the left-hand side of a product.
func (s *slab) block(r *rows, t int) kernel.Block {
	return kernel.Block{Data: s.at(r, t), Stride: s.width, Cols: s.width}
}
