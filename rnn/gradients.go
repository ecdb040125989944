package rnn

import (
	"github.com/unroll-go/unroll/internal/kernel"
)

// addOutputGrad adds the gradient of a lane's output at step t to dh.
func (b *backward) addOutputGrad(l *lane, dh []float32, t, from int) {
	if l.layer < b.s.Layers-1 {
		b.addRows(dh, b.windowAt(b.dy, t, from), l.direction, b.rows.count(t))
		return
	}
	dy, width, state := b.y.Grad(), b.s.Out(), b.s.plan.State
	if dy == nil || !b.all {
		return
	}
	dy = dy[t*b.rows.batch*width:]
	if b.rows.all(t) {
		b.addRows(dh, dy, l.direction, b.rows.batch)
		return
	}
	for i, row := range b.rows.alive(t) {
		kernel.Add(dh[i*state:][:state], dy[row*width+l.direction*state:][:state])
	}
}

// weightGrads adds what steps t0 to t1 give to the gradients of the weights of a lane: one product for each matrix.
func (b *backward) weightGrads(l *lane, t0, t1, rows int) {
	p := &b.s.plan
	for i := range p.grads {
		g := &p.grads[i]
		g.addBiasGrad(l.grads, rows, b.dsums, p.dsums)
		switch g.Source {
		case FromInput:
			g.addWeightGrad(l.grads, rows, b.dsums, p.dsums, l.in.block(&b.rows, t0))
		case FromSums:
			sums := l.sums.at(&b.rows, t0)[g.From:]
			g.addWeightGrad(l.grads, rows, b.dsums, p.dsums, kernel.Block{Data: sums, Stride: p.kept, Cols: g.cols})
		case FromState:
			b.recurrentGrad(l, g, t0, t1, rows)
		}
	}
}

// recurrentGrad adds what steps t0 to t1 give to the gradient of a recurrent weight. A step whose state before is zero gives nothing.
func (b *backward) recurrentGrad(l *lane, g *link, t0, t1, rows int) {
	width, dsums := b.s.plan.dsums, b.dsums
	switch {
	case l.direction == 0 && l.zeroAt(t0):
		t0, dsums, rows = t0+1, dsums[b.rows.batch*width:], rows-b.rows.batch
	case l.direction == 1 && l.zeroAt(t1-1):
		rows -= b.rows.batch
	}
	read := &l.states[0].before
	if l.keep != nil {
		read = &l.read
	}
	if rows > 0 {
		g.addWeightGrad(l.grads, rows, dsums, width, read.block(&b.rows, t0))
	}
}

// inputGrad computes the gradient of what a lane read in steps t0 to t1. The forward direction of a layer writes it for the layer below, the
// reverse direction adds to it.
func (b *backward) inputGrad(l *lane, t0, t1, rows, from int) {
	if l.layer == 0 && !b.x.RequiresGrad() {
		return
	}
	p, width := &b.s.plan, l.in.width
	dx := b.dx
	if l.layer > 0 && l.direction == 0 {
		dx = b.windowAt(b.dyNext, t0, from)
	}
	p.input.compute(dx, width, rows, b.dsums, p.dsums, &b.packs[l.index].matrices[p.input.matrix], false)
	switch {
	case l.layer > 0 && l.direction == 1:
		kernel.Add(b.windowAt(b.dyNext, t0, from)[:rows*width], dx[:rows*width])
	case l.layer > 0:
	case b.rows.lengths == nil:
		kernel.Add(b.x.AccumulateGrad()[t0*b.rows.batch*width:][:rows*width], dx[:rows*width])
	default:
		grad := b.x.AccumulateGrad()
		for t := t0; t < t1; t++ {
			for i, row := range b.rows.alive(t) {
				kernel.Add(grad[(t*b.rows.batch+row)*width:][:width], dx[i*width:][:width])
			}
			dx = dx[b.rows.count(t)*width:]
		}
	}
}
