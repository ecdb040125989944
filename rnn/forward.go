package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// forward takes the windows of time through the layers.
func (r *run) forward(packs []pack) {
	r.present = 0
	for i := r.windows.count() - 1; i >= 0; i-- {
		from, to := r.windows.at(i)
		for k := range r.lanes {
			l := &r.lanes[k]
			r.readInput(l, from, to)
			for j := range r.s.plan.states {
				l.states[j].enter(&r.rows, &r.windows, i, max(from, l.first))
			}
			if r.forwardLane(&packs[k], l, from, to); to == r.rows.steps {
				r.finishLane(l)
			}
		}
		r.writeOutput(from, to)
	}
	if !r.windows.again || !r.rows.apart() {
		return
	}
	for k := range r.lanes { // steps that are computed again change the states of the rows, but not the end, which is an output
		for i, width := range r.s.plan.states {
			r.lanes[k].states[i].end = r.y.Tape().Scratch(r.rows.batch * width)
		}
	}
}

// finishLane writes the states with which a lane ends.
func (r *run) finishLane(l *lane) {
	for i := range r.s.plan.states {
		s := &l.states[i]
		if s.finish(&r.rows, r.rows.steps-1-l.first); s.carry != nil && r.windows.steps-r.overlap >= r.rows.steps {
			copy(s.carry, s.end)
		}
	}
}

// forwardAgain takes window i through the layers once more, for Backward, unless its steps are those that were computed last.
func (r *run) forwardAgain(i int) {
	if !r.windows.again || r.present == i {
		return
	}
	r.present = i
	from, to := r.windows.at(i)
	packs := r.packs()
	for k := range r.lanes {
		l := &r.lanes[k]
		r.readInput(l, from, to)
		for j := range r.s.plan.states {
			l.states[j].enterAgain(&r.rows, i, from)
		}
		r.forwardLane(&packs[k], l, from, to)
	}
}

// forwardLane takes a lane through steps [from, to).
func (r *run) forwardLane(w *pack, l *lane, from, to int) {
	states := l.states[:len(r.s.plan.states)]
	if l.ahead {
		r.inputProducts(w, l, from, to)
	}
	for i := range to - from {
		t := from + i
		if l.direction == 1 {
			t = to - 1 - i
		}
		if r.overlap > 0 && t == r.windows.steps-r.overlap {
			for i := range states {
				states[i].keep(&r.rows, t)
			}
		}
		if r.rows.count(t) == 0 {
			continue
		}
		for i := range states {
			states[i].load(&r.rows, t, l.direction)
		}
		r.forwardStep(w, l, t)
		for i := range states {
			states[i].store(&r.rows, t)
		}
	}
}

// forwardStep computes the states after step t of a lane, and its sums, from the states before it.
func (r *run) forwardStep(w *pack, l *lane, t int) {
	p, f, zoneouts := &r.s.plan, &r.frame, r.s.zoneouts()
	l.frame(f, p, &r.rows, t)
	if l.keep != nil && f.read.Cols > 0 {
		r.rows.mul(f.read.Data, f.hBefore, l.keep, t, p.State)
	}
	f.back = !f.back
	p.forward(w, f, l.ahead)
	for i := range p.states {
		if s := &l.states[i]; zoneouts[i] > 0 {
			n := f.rows * s.after.width
			r.noise.zoneout(&r.rows, s.after.at(&r.rows, t)[:n], s.before.at(&r.rows, t)[:n], ofZone+i, l.index, t, zoneouts[i], s.after.width)
		}
	}
}

// sumsAgain computes the sums of steps [from, to) of a lane once more, for Backward.
func (r *run) sumsAgain(w *pack, l *lane, from, to int) {
	l.sums = slab{data: r.sums, width: r.s.plan.kept, span: r.windows.states, from: r.rows.first(from, r.windows.states)}
	for t := from; t < to; t++ {
		if r.rows.count(t) > 0 {
			r.forwardStep(w, l, t)
		}
	}
}

// inputProducts computes the products of the first stage with the input for steps [from, to) at once.
func (r *run) inputProducts(w *pack, l *lane, from, to int) {
	p := &r.s.plan
	rows := r.rows.between(from, to, r.windows.states)
	for j := range p.stages[0].end {
		q := &p.products[j]
		first := q.terms[0]
		if rows == 0 || first.Source != FromInput || first.gain >= 0 || q.add {
			continue
		}
		sums, stride := l.states[0].after.at(&r.rows, from), p.State
		if q.to != ToState {
			sums, stride = l.sums.at(&r.rows, from)[q.to:], p.kept
		}
		kernel.Affine(sums, stride, rows, w.biases[j], l.in.block(&r.rows, from), kernel.Block{}, &w.matrices[j])
	}
}

// readInput gathers what the layer of a lane reads in steps [from, to), unless the layer reads it where it is. The reverse direction reads what the forward
// direction gathered.
func (r *run) readInput(l *lane, from, to int) {
	s := r.s
	if l.direction == 1 || r.gathered(l.layer) == 0 {
		return
	}
	for t := from; t < to; t++ {
		x := l.in.at(&r.rows, t)
		if l.layer == 0 {
			r.rows.gather(x, r.x.Data()[t*r.rows.batch*s.Input:], t, s.Input)
			continue
		}
		n := r.rows.count(t)
		x = x[:n*s.Out()]
		for d := range s.directions {
			s.setOutput(x, r.lanes[(l.layer-1)*s.directions+d].states[0].after.at(&r.rows, t), d, n)
		}
		if r.drops(s.Dropout) {
			kernel.Mul(x, x, r.inputMask(l.layer, t))
		}
	}
}

// setOutput copies the states of a direction, h [rows, State], to its columns of y [rows, Out].
func (s *stack) setOutput(y, h []float32, direction, rows int) {
	state, width := s.plan.State, s.Out()
	for i := range rows {
		copy(y[i*width+direction*state:][:state], h[i*state:])
	}
}

// inputMask returns the mask of dropout on the input of a layer at step t.
func (r *run) inputMask(layer, t int) []float32 {
	return r.noise.step(&r.rows, ofInput, layer, t, r.s.Dropout, 0, 1/(1-r.s.Dropout), r.s.Out())
}

// writeOutput copies the states of the top layer after steps [from, to) to y. If y has the last output alone, it copies the states at the end.
func (r *run) writeOutput(from, to int) {
	s, top := r.s, r.lanes[len(r.lanes)-r.s.directions:]
	switch {
	case r.direct(): // the states are y
	case r.all:
		for t := from; t < to; t++ {
			y := r.y.Data()[t*r.rows.batch*s.Out():][:r.rows.batch*s.Out()]
			if r.rows.lengths != nil {
				clear(y)
			}
			for d := range top {
				h := top[d].states[0].after.at(&r.rows, t)
				for rows := range r.rows.ranges(t) {
					s.setOutput(y[rows.row*s.Out():], h[rows.i*s.plan.State:], d, rows.n)
				}
			}
		}
	case to == r.rows.steps:
		for d := range top {
			s.setOutput(r.y.Data(), top[d].states[0].end, d, r.rows.batch)
		}
	}
}

// setStates has the frame hold the states of layer k before and after a step: parts of h and c [Layers, rows, width].
func (f *Frame) setStates(k int, before, after [2][]float32) {
	p := f.plan
	n := f.rows * p.State
	f.hBefore, f.h = before[0][k*n:][:n], after[0][k*n:][:n]
	f.read = kernel.Block{Data: f.hBefore, Stride: p.State, Cols: p.State}
	if p.C {
		n := f.rows * p.Hidden
		f.cBefore, f.c = before[1][k*n:][:n], after[1][k*n:][:n]
	}
}

// step computes one step that no gradient is asked of, for streaming. Each layer writes its new state into the node that is returned.
func (s *stack) step(t *autograd.Tape, x *autograd.Node, batch int, start Carry) (*autograd.Node, Carry) {
	packs, p := *s.forward.Get(), &s.plan
	f := autograd.Reuse[Frame](t)
	f.plan, f.rows, f.back, f.sums = p, batch, !f.back, t.Scratch(batch*p.kept)
	var end [2]*autograd.Node
	var before, after [2][]float32
	for i, width := range p.states {
		end[i] = t.New(len(packs), batch, width)
		after[i] = end[i].Data()
		if from := [2]*autograd.Node{start.H, start.C}[i]; from != nil {
			before[i] = from.Data()
		} else {
			before[i] = t.Scratch(len(after[i])) // memory of its own: a cell may write the state after before it reads the state before
			clear(before[i])
		}
	}
	f.in = kernel.Block{Data: x.Data(), Stride: s.Input, Cols: s.Input}
	for k := range packs {
		f.weights = s.weights[k]
		if f.setStates(k, before, after); start.H == nil {
			f.read = kernel.Block{}
		}
		p.forward(&packs[k], f, false)
		f.in = kernel.Block{Data: f.h, Stride: p.State, Cols: p.State}
	}
	return t.View(f.h, batch, p.State), Carry{end[0], end[1]}
}
