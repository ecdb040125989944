package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// count fills in firsts and returns the number of all rows of all steps.
func (r *run) count(t *autograd.Tape) int {
	r.firsts = t.ScratchInts(r.steps + 1)
	clear(r.firsts)
	for _, n := range r.lengths {
		if n > 0 {
			r.firsts[n]--
		}
	}
	// firsts[n] is minus the rows of length n; what is left of the batch is summed up.
	rows, sum := 0, 0
	for _, n := range r.lengths {
		if n > 0 {
			rows++
		}
	}
	for t := range r.steps + 1 {
		rows += r.firsts[t]
		r.firsts[t], sum = sum, sum+rows
	}
	return r.firsts[r.steps]
}

// has reports whether a row has step t.
func (r *run) has(row, t int) bool { return r.lengths == nil || r.lengths[row] > t }

// rows returns the number of rows that have step t.
func (r *run) rows(t int) int {
	if r.lengths == nil {
		return r.batch
	}
	if r.firsts != nil {
		return r.firsts[t+1] - r.firsts[t]
	}
	rows := 0
	for _, n := range r.lengths {
		if n > t {
			rows++
		}
	}
	return rows
}

// rowsOf returns the number of rows of steps a to b, which are of one window.
func (r *run) rowsOf(a, b int) int { return r.first(b-1, r.span) + r.rows(b-1) - r.first(a, r.span) }

// clearOthers clears what v has for the rows of step t that have a step after it; an empty v is not wanted.
func (r *run) clearOthers(v []float32, t, width int) {
	i := 0
	for _, n := range r.lengths {
		if n > t {
			if n > t+1 && len(v) > 0 {
				clear(v[i:][:width])
			}
			i += width
		}
	}
}

// gather copies the rows of a batch that have step t to one after the other.
func (r *run) gather(to, batch []float32, t, width int) {
	if r.rows(t) == r.batch {
		copy(to[:r.batch*width], batch)
		return
	}
	i := 0
	for row, n := range r.lengths {
		if n > t {
			copy(to[i:][:width], batch[row*width:])
			i += width
		}
	}
}

// scatter copies the rows of step t to their places in a batch.
func (r *run) scatter(batch, from []float32, t, width int) {
	if r.rows(t) == r.batch {
		copy(batch[:r.batch*width], from)
		return
	}
	i := 0
	for row, n := range r.lengths {
		if n > t {
			copy(batch[row*width:][:width], from[i:])
			i += width
		}
	}
}

// mulRows computes to = from*batch, where to and from are the rows of step t.
func (r *run) mulRows(to, from, batch []float32, t, width int) {
	if r.rows(t) == r.batch {
		kernel.Mul(to[:r.batch*width], from[:r.batch*width], batch)
		return
	}
	i := 0
	for row, n := range r.lengths {
		if n > t {
			kernel.Mul(to[i:][:width], from[i:][:width], batch[row*width:])
			i += width
		}
	}
}

// beginStates puts the states where the steps find them: with lengths, at the place of the end.
func (r *run) beginStates() {
	if r.lengths == nil {
		return
	}
	for _, n := range [2]struct{ end, start *autograd.Node }{{r.end.H, r.start.H}, {r.end.C, r.start.C}} {
		switch {
		case n.end == nil:
		case n.start == nil:
			clear(n.end.Data())
		default:
			copy(n.end.Data(), n.start.Data())
		}
	}
}

// gatherStates makes of the states in the end those that step t of k begins with.
func (r *run) gatherStates(k, t int) {
	if r.lengths == nil {
		return
	}
	s := r.s
	r.gather(r.place(r.hBefore, r.span, k, t, s.out), r.end.H.Data()[k*r.batch*s.out:], t, s.out)
	if r.cBefore != nil {
		r.gather(r.place(r.cBefore, r.span, k, t, s.hidden), r.end.C.Data()[k*r.batch*s.hidden:], t, s.hidden)
	}
}

func (r *run) scatterStates(k, t int, m moment) {
	if r.lengths == nil {
		return
	}
	s := r.s
	r.scatter(r.end.H.Data()[k*r.batch*s.out:], m.y, t, s.out)
	if m.c != nil {
		r.scatter(r.end.C.Data()[k*r.batch*s.hidden:], m.c, t, s.hidden)
	}
}

// endStates leaves the states after the last step in the end, and, if y is that of the last step, in y.
func (r *run) endStates() {
	s := r.s
	n := r.batch * s.out
	for k := range s.weights {
		last := r.steps - 1
		if r.reverse(k) {
			last = 0
		}
		if r.lengths == nil {
			copy(r.end.H.Data()[k*n:][:n], r.out(k, last))
			if r.c != nil {
				n := r.batch * s.hidden
				copy(r.end.C.Data()[k*n:][:n], r.place(r.c, r.span, k, last, s.hidden))
			}
		}
		if top := k - (s.layers-1)*s.directions; top >= 0 && !r.all {
			h, width := r.end.H.Data()[k*n:], s.directions*s.out
			for row := range r.batch {
				copy(r.y.Data()[row*width+top*s.out:][:s.out], h[row*s.out:])
			}
		}
	}
}
