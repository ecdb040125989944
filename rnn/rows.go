package rnn

import (
	"iter"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// rows tells which rows of a batch have a step, where the values of these rows lie in a [slab] (one after the other, in the order of the
// batch), and where in a row a new sequence begins.
type rows struct {
	steps, batch int    // steps that any row has, and at least 1
	lengths      []int  // number of steps of each row; nil: all rows have all steps
	firsts       []int  // [steps+1]: the number of rows of all steps before each step, for slabs without padding; nil: steps are a batch apart
	resets       []bool // [steps*B]: whether a new sequence begins; nil: nowhere
}

// newRows copies the lengths to the tape. Lengths that are all equal to the number of steps are left out, and so are resets that are all false.
func newRows(t *autograd.Tape, steps, batch int, o Options) rows {
	r := rows{steps: steps, batch: batch}
	if slices.ContainsFunc(o.Lengths, func(n int) bool { return n != steps }) {
		r.lengths = t.ScratchInts(batch)
		copy(r.lengths, o.Lengths)
		r.steps = max(1, slices.Max(o.Lengths))
	}
	if slices.Contains(o.Resets, true) {
		r.resets = o.Resets
	}
	return r
}

// apart reports whether the states before a step have memory of their own, because they are not simply the states after the step before.
func (r *rows) apart() bool { return r.lengths != nil || r.resets != nil }

// reset reports whether a direction begins a new sequence at step t of a row. In the reverse direction, it begins where the sequence ends.
func (r *rows) reset(t, row, direction int) bool {
	if direction == 1 {
		if t++; t == r.steps || r.lengths != nil && t >= r.lengths[row] {
			return false
		}
	}
	return r.resets != nil && r.resets[t*r.batch+row]
}

// resetsAt reports whether a direction begins a new sequence at step t of any row.
func (r *rows) resetsAt(t, direction int) bool {
	t += direction
	return r.resets != nil && t < r.steps && slices.Contains(r.resets[t*r.batch:][:r.batch], true)
}

// pack fills in firsts, so that slabs have no padding between their rows.
func (r *rows) pack(t *autograd.Tape) {
	firsts := t.ScratchInts(r.steps + 1)
	firsts[0] = 0
	for step := range r.steps {
		firsts[step+1] = firsts[step] + r.count(step)
	}
	r.firsts = firsts
}

// rowRange is n consecutive rows of a batch, from row on. They are the rows from i on among those that have a step.
type rowRange struct{ i, row, n int }

// ranges yields the rows that have step t.
func (r *rows) ranges(t int) iter.Seq[rowRange] {
	return func(yield func(rowRange) bool) {
		if r.lengths == nil {
			yield(rowRange{n: r.batch})
			return
		}
		for i, row := 0, 0; row < r.batch; row++ {
			n := 0
			for row+n < r.batch && r.lengths[row+n] > t {
				n++
			}
			if n > 0 && !yield(rowRange{i, row, n}) {
				return
			}
			i, row = i+n, row+n
		}
	}
}

// count returns the number of rows that have step t.
func (r *rows) count(t int) (n int) {
	if r.firsts != nil {
		return r.firsts[t+1] - r.firsts[t]
	}
	for rows := range r.ranges(t) {
		n += rows.n
	}
	return n
}

// first returns the number of rows before step t in a slab that keeps span steps. A slab that keeps fewer than all steps has one window of time at
// once, and ends with its last step.
func (r *rows) first(t, span int) int {
	at := t // counted from the first step of the window
	if span < r.steps {
		at = span - 1 - (r.steps-1-t)%span
	}
	if r.firsts != nil {
		return r.firsts[t] - r.firsts[max(0, t-at)]
	}
	return at * r.batch
}

// between returns the number of rows of steps [from, to) in a slab that keeps span steps.
func (r *rows) between(from, to, span int) int {
	return r.first(to-1, span) + r.count(to-1) - r.first(from, span)
}

// size returns the number of rows that a slab of span steps keeps.
func (r *rows) size(span int) int {
	if r.firsts != nil && span == r.steps {
		return r.firsts[r.steps]
	}
	return span * r.batch
}

// gather copies the rows of a batch that have step t, one after the other.
func (r *rows) gather(to, batch []float32, t, width int) {
	for rows := range r.ranges(t) {
		copy(to[rows.i*width:][:rows.n*width], batch[rows.row*width:])
	}
}

// scatter copies the rows of step t, which lie one after the other, to their places in a batch.
func (r *rows) scatter(batch, from []float32, t, width int) {
	for rows := range r.ranges(t) {
		copy(batch[rows.row*width:][:rows.n*width], from[rows.i*width:])
	}
}

// mul computes to = from*batch for the rows of step t, which lie one after the other in to and from, and at their places in batch.
func (r *rows) mul(to, from, batch []float32, t, width int) {
	for rows := range r.ranges(t) {
		at, n := rows.i*width, rows.n*width
		kernel.Mul(to[at:][:n], from[at:][:n], batch[rows.row*width:][:n])
	}
}

// slab keeps width floats for each row of the last span steps.
type slab struct {
	data        []float32
	width, span int
	from        int // the number of rows before those that data begins with: 0, unless data has some of the span's steps alone
}

func newSlab(t *autograd.Tape, r *rows, width, span int) slab {
	return slab{data: t.Scratch(r.size(span) * width), width: width, span: span}
}

// at returns the memory that begins with the rows of step t.
func (s *slab) at(r *rows, t int) []float32 { return s.data[(r.first(t, s.span)-s.from)*s.width:] }

// block returns the memory that begins with the rows of step t as the left-hand side of a product.
func (s *slab) block(r *rows, t int) kernel.Block {
	return kernel.Block{Data: s.at(r, t), Stride: s.width, Cols: s.width}
}
