package rnn

import "github.com/unroll-go/unroll/internal/kernel"

// forward computes one step of a lane. With ahead, the sums of the first stage hold the products with the input already.
func (p *plan) forward(w *pack, f *Frame, ahead bool) {
	for i := range p.stages {
		s := &p.stages[i]
		for j := s.from; j < s.end; j++ {
			k := j
			if f.back && !s.adds {
				k = s.from + s.end - 1 - j
			}
			p.multiply(w, k, f, ahead && i == 0)
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
	x.Back, h.Back = f.back, f.back
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

// place returns the memory of the sums at a place, from the first row on, and the distance of rows.
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

// backward computes the gradients of the sums of a step (dsums), of the second state before it (dc) and, if wantDH, of the state before it.
// The part that comes through a product is added to dhRead, and the other part is left in dh; without recurrent dropout the two are one
// memory, and so the sum.
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
		for _, g := range s.sums {
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

// compute computes the gradient of a source: rows of dsums times the joined weights m. With add it is added to what is there.
func (g *sourceGrad) compute(to []float32, stride, rows int, dsums []float32, width int, m *kernel.Matrix, add bool) {
	block := func(i int) (b kernel.Block) {
		if i < len(g.blocks) {
			b = kernel.Block{Data: dsums[g.blocks[i].at:], Stride: width, Cols: g.blocks[i].n}
		}
		return b
	}
	row, i := 0, 0
	if !add && len(g.blocks) > 0 {
		kernel.Affine(to, stride, rows, nil, block(0), block(1), m)
		row, i = block(0).Cols+block(1).Cols, 2
	}
	for ; i < len(g.blocks); i++ {
		kernel.GemmRows(to, stride, rows, block(i), row, m)
		row += g.blocks[i].n
	}
}
