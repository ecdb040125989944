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
	isZero    bool      // the state before the first step is zero, and no product reads it
	in        slab      // [span, B, In]: what the layer reads
	states    [2]track  // h, and c if the cell has one
	sums      slab      // [span, B, plan.kept]; the span is 1 if nobody reads the sums of an earlier step
	read      slab      // [span, B, State]: with recurrent dropout, the states before the steps as the products read them
	keep      []float32 // [B, State]: the mask of recurrent dropout
	ahead     bool      // products with the input are computed for all steps of a window at once
}

// track is a state of a lane over time. The states before and after a step have the same place in two slabs. If all rows have all steps, the two are one
// memory: the state after a step is the state before the next.
type track struct{ before, after slab }

// newTrack returns the memory for the states of span steps.
func newTrack(t *autograd.Tape, r *rows, width, span, direction int) track {
	if r.lengths != nil {
		return track{newSlab(t, r, width, span), newSlab(t, r, width, span)}
	}
	step, n := r.batch*width, r.size(span)*width
	data := t.Scratch(n + step)
	earlier, later := slab{data[:n], width, span}, slab{data[step:], width, span}
	if direction == 1 {
		return track{before: later, after: earlier}
	}
	return track{before: earlier, after: later}
}

// begin puts a state before the first step: start [B, width] or, if that is nil, zeros. If rows have different lengths, the running state, which becomes
// the end, begins with it.
func (s *track) begin(r *rows, first int, start, end []float32) {
	to := end
	if r.lengths == nil {
		to = s.before.at(r, first)[:len(end)]
	}
	if start == nil {
		clear(to)
	} else {
		copy(to, start)
	}
}

// slide puts the state after the window that ended before step a where step a reads it.
func (s *track) slide(r *rows, a int) {
	if r.lengths == nil && a > 0 && s.before.span < r.steps {
		copy(s.before.at(r, a)[:r.batch*s.before.width], s.after.at(r, a-1))
	}
}

// load gathers the running state of the rows that have step t; store scatters their state after the step back. Without lengths nothing is to be done.
func (s *track) load(r *rows, t int, running []float32) {
	if r.lengths != nil {
		r.gather(s.before.at(r, t), running, t, s.before.width)
	}
}

func (s *track) store(r *rows, t int, running []float32) {
	if r.lengths != nil {
		r.scatter(running, s.after.at(r, t), t, s.after.width)
	}
}

// finish copies the state after the last step to the end.
func (s *track) finish(r *rows, last int, end []float32) {
	if r.lengths == nil {
		copy(end, s.after.at(r, last))
	}
}

// zeroAt reports whether the products of step t have no state to read.
func (l *lane) zeroAt(t int) bool { return l.isZero && t == l.first }

// useGrads looks up the gradients of the weights.
func (l *lane) useGrads(grads *autograd.Grads) {
	l.grads = l.grads[:0]
	for _, w := range l.weights {
		if w == nil || w.Frozen {
			l.grads = append(l.grads, nil)
		} else {
			l.grads = append(l.grads, grads.Of(w))
		}
	}
}

// frame fills in the frame of step t.
func (l *lane) frame(f *Frame, p *plan, r *rows, t int) {
	n := r.count(t)
	f.plan, f.rows, f.vectors = p, n, l.vectors
	f.in = l.in.block(r, t)
	f.hBefore, f.h = l.states[0].before.at(r, t)[:n*p.State], l.states[0].after.at(r, t)[:n*p.State]
	switch {
	case l.zeroAt(t):
		f.read = kernel.Block{}
	case l.read.data != nil:
		f.read = l.read.block(r, t)
	default:
		f.read = kernel.Block{Data: f.hBefore, Stride: p.State, Cols: p.State}
	}
	if p.kept > 0 {
		f.sums = l.sums.at(r, t)[:n*p.kept]
	}
	if p.C {
		f.cBefore, f.c = l.states[1].before.at(r, t)[:n*p.Hidden], l.states[1].after.at(r, t)[:n*p.Hidden]
	}
}
