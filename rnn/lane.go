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

// track is a state of a lane over time. The states before and after a step have the same place in two slabs. If all rows have all steps, the two
// share their memory: the state after a step is the state before the next.
type track struct {
	before, after slab
	start         []float32 // [B, width]: the state before the first step; nil: zeros
	end           []float32 // [B, width]: the state after the last step; with lengths, while steps are computed, the state of each row so far
}

// newTrack returns the memory for the states of span steps.
func newTrack(t *autograd.Tape, r *rows, width, span, direction int) track {
	if r.lengths != nil {
		return track{before: newSlab(t, r, width, span), after: newSlab(t, r, width, span)}
	}
	step, n := r.batch*width, r.size(span)*width
	data := t.Scratch(n + step)
	earlier, later := slab{data[:n], width, span}, slab{data[step:], width, span}
	if direction == 1 {
		return track{before: later, after: earlier}
	}
	return track{before: earlier, after: later}
}

// enter begins the window whose first step is from: it copies the start, or the state after the window before, to where the next step reads it. first
// is the step that the lane reads first of all.
func (s *track) enter(r *rows, first, from int) {
	switch {
	case from == 0:
		to := s.end
		if r.lengths == nil {
			to = s.before.at(r, first)[:len(s.end)]
		}
		if s.start == nil {
			clear(to)
		} else {
			copy(to, s.start)
		}
	case r.lengths == nil && s.before.span < r.steps:
		copy(s.before.at(r, from)[:len(s.end)], s.after.at(r, from-1))
	}
}

// load gathers the states of the rows that have step t, if there are lengths. Without lengths they are there already.
func (s *track) load(r *rows, t int) {
	if r.lengths != nil {
		r.gather(s.before.at(r, t), s.end, t, s.before.width)
	}
}

// store scatters the states after step t back to their rows of end, if there are lengths.
func (s *track) store(r *rows, t int) {
	if r.lengths != nil {
		r.scatter(s.end, s.after.at(r, t), t, s.after.width)
	}
}

// finish copies the state after the step last, which the lane reads last of all, to end. With lengths it is there already.
func (s *track) finish(r *rows, last int) {
	if r.lengths == nil {
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
