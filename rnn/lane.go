package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// lane is one layer in one direction during a run: its weights, its states, and what its steps keep for the way back.
type lane struct {
	vectors
	index     int // layer*directions + direction
	layer     int
	direction int       // 0: forward; 1: reverse
	first     int       // the step that the direction reads first
	isZero    bool      // the state before the first step is zero
	in        slab      // [span, B, In]: what the layer reads
	states    [2]track  // h, and c if the cell has one
	sums      slab      // [span, B, plan.kept]; span is 1 if only the step itself reads its sums
	read      slab      // [span, B, State]: the states before the steps as products read them: states[0].before, or a copy after recurrent dropout
	keep      []float32 // [B, State]: the mask of recurrent dropout
	ahead     bool      // products with the input are computed for all steps of a window at once
}

// track is a state of a lane over time. The states before and after a step have the same place in two slabs. Unless rows are apart, the two
// share their memory: the state after a step is the state before the next.
type track struct {
	before, after slab
	start         []float32 // [B, width]: the state before the first step; nil: zeros
	resetTo       []float32 // [B, width]: the state with which a reset begins; nil: zeros
	end           []float32 // [B, width]: the state after the last step; if rows are apart, while steps are computed, the state of each row so far
	carry         []float32 // [B, width]: the state from which an overlapping call goes on; nil: the end
	saved         []float32 // [windows, B, width]: the states before the windows, if these are computed again
}

// newTrack returns the memory for the states of a window of so many steps, and for those after span steps, as many or all.
func newTrack(t *autograd.Tape, r *rows, width, window, span, direction int) track {
	if r.apart() {
		return track{before: newSlab(t, r, width, window), after: newSlab(t, r, width, span)}
	}
	step, n := r.batch*width, r.size(span)*width
	data := t.Scratch(n + step)
	earlier, later := slab{data: data[:n], width: width, span: span}, slab{data: data[step:], width: width, span: span}
	if direction == 1 {
		return track{before: later, after: earlier}
	}
	return track{before: earlier, after: later}
}

// entry returns the memory from which step t, the first one of a window, gets the states before it.
func (s *track) entry(r *rows, t int) []float32 {
	if r.apart() {
		return s.end
	}
	return s.before.at(r, t)[:len(s.end)]
}

// enter begins window i, of which t is the step that is read first: it copies the start, or the state after the window before, to where step t
// reads it.
func (s *track) enter(r *rows, w *windows, i, t int) {
	switch to := s.entry(r, t); {
	case i == w.count()-1:
		setState(to, s.start)
	case !r.apart() && s.before.span < r.steps:
		copy(to, s.after.at(r, t-1))
	}
	if n := len(s.end); s.saved != nil {
		copy(s.saved[i*n:][:n], s.entry(r, t))
	}
}

// enterAgain begins window i once more.
func (s *track) enterAgain(r *rows, i, t int) {
	copy(s.entry(r, t), s.saved[i*len(s.end):])
}

// setState copies a state to memory for one. Nil is zeros.
func setState(to, state []float32) {
	if state == nil {
		clear(to)
	} else {
		copy(to, state)
	}
}

// load gathers the states of the rows that have step t, if rows are apart, and begins new sequences. Otherwise the states are there already.
func (s *track) load(r *rows, t, direction int) {
	if !r.apart() {
		return
	}
	before, width := s.before.at(r, t), s.before.width
	r.gather(before, s.end, t, width)
	if !r.resetsAt(t, direction) {
		return
	}
	for rows := range r.ranges(t) {
		for i := range rows.n {
			if row := rows.row + i; r.reset(t, row, direction) {
				var state []float32
				if s.resetTo != nil {
					state = s.resetTo[row*width:]
				}
				setState(before[(rows.i+i)*width:][:width], state)
			}
		}
	}
}

// store scatters the states after step t back to their rows of end, if rows are apart.
func (s *track) store(r *rows, t int) {
	if r.apart() {
		r.scatter(s.end, s.after.at(r, t), t, s.after.width)
	}
}

// keep copies the state before step t, with which no sequence has begun yet, to carry.
func (s *track) keep(r *rows, t int) {
	if r.apart() {
		copy(s.carry, s.end)
	} else {
		copy(s.carry, s.before.at(r, t))
	}
}

// finish copies the state after the step last, which the lane reads last of all, to end. If rows are apart it is there already.
func (s *track) finish(r *rows, last int) {
	if !r.apart() {
		copy(s.end, s.after.at(r, last))
	}
}

// zeroAt reports whether the state before step t is zero, so that no product need read it.
func (l *lane) zeroAt(t int) bool { return l.isZero && t == l.first }

// useGrads looks up the gradients of the weights.
func (l *lane) useGrads(grads *autograd.Grads) {
	l.grads = l.grads[:0]
	for _, w := range l.weights {
		var grad []float32
		if w != nil && !w.Frozen {
			grad = grads.Of(w)
		}
		l.grads = append(l.grads, grad)
	}
}

// frame fills in the frame of step t.
func (l *lane) frame(f *Frame, p *plan, r *rows, t int) {
	n := r.count(t)
	f.plan, f.rows, f.vectors = p, n, l.vectors
	f.in = l.in.block(r, t)
	f.hBefore, f.h = l.states[0].before.at(r, t)[:n*p.State], l.states[0].after.at(r, t)[:n*p.State]
	if f.read = l.read.block(r, t); l.zeroAt(t) {
		f.read = kernel.Block{}
	}
	f.sums = l.sums.at(r, t)[:n*p.kept]
	if p.C {
		f.cBefore, f.c = l.states[1].before.at(r, t)[:n*p.Hidden], l.states[1].after.at(r, t)[:n*p.Hidden]
	}
}
