package rnn

import "github.com/unroll-go/unroll/internal/kernel"

// forward computes one step from the state before. With ahead, the products of the first stage with the input are in their places already.
func (p *plan) forward(w *pack, f *Frame, ahead bool) {
	for i := range p.stages {
		s := &p.stages[i]
		for j := s.from; j < s.end; j++ {
			p.multiply(w, j, f, ahead && i == 0)
		}
		if apply := p.Stages[i].Apply; apply != nil {
			apply(f)
		}
	}
}

// multiply computes product j of a step.
func (p *plan) multiply(w *pack, j int, f *Frame, ahead bool) {
	q, m := &p.products[j], &w.matrices[j]
	first := q.terms[0]
	to, stride := f.place(q.to)
	x, h := f.source(first), kernel.Block{}
	if len(q.terms) > 1 {
		h = f.source(q.terms[1])
	}
	switch {
	case first.gain >= 0:
		p.normalise(w, j, f)
	case ahead && first.Source == FromInput && !q.add:
		kernel.GemmRows(to, stride, f.rows, h, x.Cols, m)
	case q.add:
		kernel.GemmRows(to, stride, f.rows, x, 0, m)
		for i := range f.rows {
			kernel.Add(to[i*stride:], w.biases[j])
		}
	default:
		kernel.Affine(to, stride, f.rows, w.biases[j], x, h, m)
	}
}

// place returns where the sums of a term lie, from the first row on, and the distance of rows.
func (f *Frame) place(to int) (sums []float32, stride int) {
	if to == ToState {
		return f.h, f.plan.State
	}
	return f.sums[to:], f.plan.kept
}

// source returns what a term multiplies. It has no columns if it is a state of zeros.
func (f *Frame) source(l *link) kernel.Block {
	switch l.Source {
	case FromInput:
		return f.in
	case FromState:
		return f.read
	}
	return kernel.Block{Data: f.sums[l.From:], Stride: f.plan.kept, Cols: l.cols}
}

// backward computes the gradients of the sums of a step, of the second state before it and, if wantDH, of the state before it: dh becomes what
// does not come through a product; what does is added to dhRead.
func (p *plan) backward(w *pack, f *Frame, wantDH bool) {
	for i := len(p.stages) - 1; i >= 0; i-- {
		s := &p.stages[i]
		if backprop := p.Stages[i].Backprop; backprop != nil {
			backprop(f)
		}
		if s.toState {
			for row := range f.rows {
				copy(f.dsums[row*p.dsums+p.FusedCell.Sums:][:p.State], f.DH(row))
			}
		}
		for _, l := range s.terms {
			if l.gain >= 0 {
				p.normaliseGrad(l, f)
			}
		}
		for j := range s.sums {
			g := &s.sums[j]
			g.compute(f.dsums[g.at:], p.dsums, f.rows, f.dsums, p.dsums, &w.matrices[g.matrix], false)
		}
	}
	if !wantDH {
		return
	}
	apart := &f.dh[0] != &f.dhRead[0]
	if !p.Direct && (apart || len(p.state.terms) == 0) {
		clear(f.dh)
	}
	p.state.compute(f.dhRead, p.State, f.rows, f.dsums, p.dsums, &w.matrices[p.state.matrix], p.Direct || apart)
}

// compute computes the gradient of a source, or adds it, for rows of dsums.
func (g *sourceGrad) compute(to []float32, stride, rows int, dsums []float32, width int, m *kernel.Matrix, add bool) {
	block := func(i int) kernel.Block {
		return kernel.Block{Data: dsums[g.blocks[i].at:], Stride: width, Cols: g.blocks[i].n}
	}
	row, i := 0, 0
	switch {
	case len(g.blocks) == 0:
		return
	case !add && len(g.blocks) == 1:
		kernel.Affine(to, stride, rows, nil, block(0), kernel.Block{}, m)
		return
	case !add:
		kernel.Affine(to, stride, rows, nil, block(0), block(1), m)
		row, i = g.blocks[0].n+g.blocks[1].n, 2
	}
	for ; i < len(g.blocks); i++ {
		kernel.GemmRows(to, stride, rows, block(i), row, m)
		row += g.blocks[i].n
	}
}

// addWeightGrad adds what rows of gradients of the sums give to the gradients of a term's weight and bias. source is what the term multiplied in those
// rows, with no columns if it was zero.
func (l *link) addWeightGrad(grads [][]float32, rows int, dsums []float32, width int, source kernel.Block) {
	if dW := grads[l.weight]; dW != nil && rows > 0 && source.Cols > 0 {
		kernel.GemmT(dW[l.First*source.Cols:], source.Cols, l.Rows, source.Cols, rows, dsums[l.dProduct:], width, source.Data, source.Stride)
	}
}

// addBiasGrad adds what rows of gradients of the sums give to the gradient of a term's bias.
func (l *link) addBiasGrad(grads [][]float32, rows int, dsums []float32, width int) {
	if l.bias >= 0 && grads[l.bias] != nil {
		kernel.AddColumns(grads[l.bias][l.First:][:l.Rows], dsums[l.dSum:], width, rows)
	}
}
