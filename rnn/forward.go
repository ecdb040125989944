package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// forward takes the windows of time through the layers.
func (r *run) forward(packs []pack) {
	states := len(r.s.plan.widths())
	for k := range r.lanes {
		l := &r.lanes[k]
		for i := range states {
			l.states[i].begin(&r.rows, l.first, r.part(r.start[i], l), r.part(r.end[i], l))
		}
	}
	for from, to := range r.windows.forward() {
		for k := range r.lanes {
			r.readInput(&r.lanes[k], from, to)
			r.forwardLane(&packs[k], &r.lanes[k], from, to)
		}
		r.writeOutput(from, to)
	}
	for k := range r.lanes {
		l := &r.lanes[k]
		for i := range states {
			l.states[i].finish(&r.rows, r.rows.steps-1-l.first, r.part(r.end[i], l))
		}
		if !r.all && l.layer == r.s.Layers-1 {
			h, width, state := r.part(r.end[0], l), r.s.Out(), r.s.plan.State
			for row := range r.rows.batch {
				copy(r.y.Data()[row*width+l.direction*state:][:state], h[row*state:])
			}
		}
	}
}

// forwardLane takes a lane through steps from to to.
func (r *run) forwardLane(w *pack, l *lane, from, to int) {
	p, f, states := &r.s.plan, &r.frame, l.states[:len(r.s.plan.widths())]
	for i := range states {
		states[i].slide(&r.rows, from)
	}
	if l.ahead {
		r.inputProducts(w, l, from, to)
	}
	for i := range to - from {
		t := from + i
		if l.direction == 1 {
			t = to - 1 - i
		}
		if r.rows.count(t) == 0 {
			continue
		}
		for i := range states {
			states[i].load(&r.rows, t, r.part(r.end[i], l))
		}
		l.frame(f, p, &r.rows, t)
		if l.keep != nil && f.read.Cols > 0 {
			r.rows.mul(f.read.Data, f.hBefore, l.keep, t, p.State)
		}
		p.forward(w, f, l.ahead)
		for i, rate := range r.s.zoneouts() {
			if rate > 0 {
				s := &states[i]
				n := f.rows * s.after.width
				r.noise.zoneout(&r.rows, s.after.at(&r.rows, t)[:n], s.before.at(&r.rows, t)[:n], ofZone[i], l.index, t, rate, s.after.width)
			}
		}
		for i := range states {
			states[i].store(&r.rows, t, r.part(r.end[i], l))
		}
	}
}

// inputProducts computes the products of the first stage with the input for steps from to to at once.
func (r *run) inputProducts(w *pack, l *lane, from, to int) {
	p := &r.s.plan
	rows := r.rows.first(to-1, r.windows.states) + r.rows.count(to-1) - r.rows.first(from, r.windows.states)
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

// readInput writes what the layer of a lane reads in steps from to to, unless it lies somewhere already.
func (r *run) readInput(l *lane, from, to int) {
	s := r.s
	switch {
	case l.direction == 1:
	case l.layer == 0 && r.rows.lengths != nil:
		for t := from; t < to; t++ {
			r.rows.gather(l.in.at(&r.rows, t), r.x.Data()[t*r.rows.batch*s.Input:], t, s.Input)
		}
	case l.layer > 0 && (s.directions > 1 || r.drops(s.Dropout)):
		for t := from; t < to; t++ {
			x := l.in.at(&r.rows, t)[:r.rows.count(t)*s.Out()]
			for d := range s.directions {
				h := r.lanes[(l.layer-1)*s.directions+d].states[0].after.at(&r.rows, t)
				for i := range r.rows.count(t) {
					copy(x[i*s.Out()+d*s.plan.State:][:s.plan.State], h[i*s.plan.State:])
				}
			}
			if r.drops(s.Dropout) {
				kernel.Mul(x, x, r.inputMask(l.layer, t))
			}
		}
	}
}

// inputMask returns the mask of dropout on the input of a layer at step t.
func (r *run) inputMask(layer, t int) []float32 {
	return r.noise.step(&r.rows, ofInput, layer, t, r.s.Dropout, 0, 1/(1-r.s.Dropout), r.s.Out())
}

// writeOutput writes the outputs of steps from to to to y, unless the states of the top layer are y.
func (r *run) writeOutput(from, to int) {
	if !r.all || r.direct {
		return
	}
	width, state := r.s.Out(), r.s.plan.State
	for t := from; t < to; t++ {
		y := r.y.Data()[t*r.rows.batch*width:][:r.rows.batch*width]
		if !r.rows.all(t) {
			clear(y)
		}
		for d := range r.s.directions {
			h := r.lanes[(r.s.Layers-1)*r.s.directions+d].states[0].after.at(&r.rows, t)
			for i, row := range r.rows.alive(t) {
				copy(y[row*width+d*state:][:state], h[i*state:])
			}
		}
	}
}

// step is a run of one step that nobody goes back through, for streaming: each layer writes its state where it is returned.
func (s *stack) step(t *autograd.Tape, x *autograd.Node, batch int, start Carry) (*autograd.Node, Carry) {
	packs, p := *s.forward.Get(), &s.plan
	var end [2]*autograd.Node
	var before, after [2][]float32
	for i, width := range p.widths() {
		end[i] = t.New(len(packs), batch, width)
		after[i] = end[i].Data()
		if from := [2]*autograd.Node{start.H, start.C}[i]; from != nil {
			before[i] = from.Data()
		} else {
			before[i] = after[i] // zeros, until the step is computed
			clear(after[i])
		}
	}
	f := autograd.Reuse[Frame](t)
	f.plan, f.rows, f.sums = p, batch, t.Scratch(batch*p.kept)
	f.in = kernel.Block{Data: x.Data(), Stride: s.Input, Cols: s.Input}
	for k := range packs {
		f.weights = s.weights[k]
		n := batch * p.State
		f.h, f.hBefore, f.read = after[0][k*n:][:n], before[0][k*n:][:n], kernel.Block{}
		if start.H != nil {
			f.read = kernel.Block{Data: f.hBefore, Stride: p.State, Cols: p.State}
		}
		if p.C {
			n := batch * p.Hidden
			f.c, f.cBefore = after[1][k*n:][:n], before[1][k*n:][:n]
		}
		p.forward(&packs[k], f, false)
		f.in = kernel.Block{Data: f.h, Stride: p.State, Cols: p.State}
	}
	return t.View(f.h, batch, p.State), Carry{end[0], end[1]}
}
