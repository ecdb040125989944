package rnn

import "github.com/unroll-go/unroll/internal/kernel"

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
	for rows := range b.rows.ranges(t) {
		b.addRows(dh[rows.i*state:], dy[(t*b.rows.batch+rows.row)*width:], l.direction, rows.n)
	}
}

// weightGrads adds the gradients of the weights of a lane from steps [t0, t1), which have so many rows: one product for each matrix.
func (b *backward) weightGrads(l *lane, t0, t1, rows int) {
	p := &b.s.plan
	for i := range p.grads {
		g := &p.grads[i]
		if g.bias >= 0 && l.grads[g.bias] != nil {
			kernel.AddColumns(l.grads[g.bias][g.First:][:g.Rows], b.dsums[g.dSum:], p.dsums, rows)
		}
		dW := l.grads[g.weight]
		if dW == nil {
			continue
		}
		var source kernel.Block
		dsums, n := b.dsums, rows
		switch g.Source {
		case FromInput:
			source = l.in.block(&b.rows, t0)
		case FromState:
			from := t0
			switch { // a step whose state before is zero gives nothing
			case l.zeroAt(t0):
				from, dsums, n = t0+1, dsums[b.rows.batch*p.dsums:], n-b.rows.batch
			case l.zeroAt(t1 - 1):
				n -= b.rows.batch
			}
			source = l.read.block(&b.rows, from)
		case FromSums:
			source = kernel.Block{Data: l.sums.at(&b.rows, t0)[g.From:], Stride: p.kept, Cols: g.cols}
		}
		if n > 0 {
			kernel.GemmT(dW[g.First*source.Cols:], source.Cols, g.Rows, source.Cols, n, dsums[g.dProduct:], p.dsums, source.Data, source.Stride)
		}
	}
}

// inputGrad computes the gradient of what a lane read in steps [t0, t1). For the layer below, the forward direction writes it, and the
// reverse direction adds to it; from is the first step of the window. The first layer adds it to the gradient of x.
func (b *backward) inputGrad(l *lane, t0, t1, rows, from int) {
	if l.layer == 0 && !b.x.RequiresGrad() {
		return
	}
	p, width := &b.s.plan, l.in.width
	dx := b.dx
	if l.layer > 0 && l.direction == 0 {
		dx = b.windowAt(b.dyBelow, t0, from)
	}
	p.input.compute(dx, width, rows, b.dsums, p.dsums, &b.packs[l.index].matrices[p.input.matrix], false)
	switch {
	case l.layer > 0 && l.direction == 1:
		kernel.Add(b.windowAt(b.dyBelow, t0, from)[:rows*width], dx[:rows*width])
	case l.layer == 0:
		grad := b.x.AccumulateGrad()
		for t := t0; t < t1; t++ {
			for rows := range b.rows.ranges(t) {
				kernel.Add(grad[(t*b.rows.batch+rows.row)*width:], dx[:rows.n*width])
				dx = dx[rows.n*width:]
			}
		}
	}
}
