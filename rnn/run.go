package rnn

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// run is one call of a stack on a tape, and the operation that it records.
//
// Time is cut into windows (Options.Truncate; else one), counted back from the last step. Each goes through
// all layers before the next begins. What the steps leave behind is kept for all T steps where Backward needs
// them all, and otherwise overwritten by the next window.
type run struct {
	s            *stack
	x, y         *autograd.Node
	start, end   Carry
	steps, batch int
	all          bool // y is [T,B,H], the outputs of all steps; else [B,H], the last one
	window       int  // steps between two cuts
	span         int  // steps that h and c keep: T or window
	trace        int  // steps that z and tc keep: span, or 1 if nothing is recorded

	h      []float32 // [layers, span, B, H]; without the top layer if all, whose h is y
	c      []float32 // [layers, span, B, H]
	z, tc  []float32 // [layers, trace, B, G*H and H]
	h0, c0 []float32 // [layers, B, H]: the state before a window that began after step 0, where span is not T
}

// inferenceWindow is how many steps a layer of a stack is ahead of the next when nothing is recorded: enough to
// use a layer's weights again while they are in the cache.
const inferenceWindow = 16

func (s *stack) run(x *autograd.Node, steps, batch int, o Options, all bool) (*autograd.Node, Carry) {
	t := autograd.TapeOf(s.name, x, o.Start.H, o.Start.C)
	s.checkStart(o.Start, batch)
	if o.Truncate < 0 {
		panic(&autograd.UsageError{Where: s.name, What: fmt.Sprintf("Truncate is %d, want 0 or more", o.Truncate)})
	}
	record := t.Training() && (s.learns() || x.RequiresGrad() || wanted(o.Start.H) || wanted(o.Start.C))
	if steps == 1 && !record && !all {
		return s.once(t, x, batch, o.Start)
	}
	layers, state := len(s.weights), batch*s.hidden
	r := run{s: s, x: x, start: o.Start, steps: steps, batch: batch, all: all}
	switch {
	case !record:
		r.window = min(steps, inferenceWindow)
		r.span, r.trace = r.window, 1
	default:
		r.window = steps
		if o.Truncate > 0 {
			r.window = min(steps, o.Truncate)
		}
		r.span = r.window
		if all {
			r.span = steps
		}
		r.trace = r.span
	}
	if all {
		r.y = t.New(steps, batch, s.hidden)
		r.h = t.Scratch((layers - 1) * r.span * state)
	} else {
		r.y = t.New(batch, s.hidden)
		r.h = t.Scratch(layers * r.span * state)
	}
	if r.span < steps {
		r.h0 = t.Scratch(layers * state)
	}
	r.end.H = t.New(layers, batch, s.hidden)
	if g := s.cell.gates(); g > 1 {
		r.z = t.Scratch(layers * r.trace * g * state)
	}
	if s.cell.hasC() {
		r.c = t.Scratch(layers * r.span * state)
		r.tc = t.Scratch(layers * r.trace * state)
		r.c0 = t.Scratch(layers * state)
		r.end.C = t.New(layers, batch, s.hidden)
	}
	r.forward()
	if record && r.end.C != nil {
		autograd.Record(t, r, r.y, r.end.H, r.end.C)
	} else if record {
		autograd.Record(t, r, r.y, r.end.H)
	}
	return r.y, r.end
}

// once is a run of one step that nobody goes back through: each layer writes its state where it is returned.
func (s *stack) once(t *autograd.Tape, x *autograd.Node, batch int, start Carry) (*autograd.Node, Carry) {
	packs, n, gates := *s.forward.Get(), batch*s.hidden, s.cell.gates()
	end := Carry{H: t.New(len(packs), batch, s.hidden)}
	var z, c, tc, cPrev, hPrev []float32
	if gates > 1 {
		z = t.Scratch(gates * n)
	}
	if s.cell.hasC() {
		end.C = t.New(len(packs), batch, s.hidden)
		c, tc = end.C.Data(), t.Scratch(n)
		if start.C != nil {
			cPrev = start.C.Data()
		} else {
			clear(c)
			cPrev = c
		}
	}
	if start.H != nil {
		hPrev = start.H.Data()
	}
	in, width, h := x.Data(), s.input, end.H.Data()
	for l := range packs {
		p, lo := &packs[l], l*n
		m := moment{h: h[lo:][:n], z: z, hidden: s.hidden}
		if gates == 1 {
			m.z = m.h
		}
		if c != nil {
			m.c, m.tc, m.cPrev = c[lo:][:n], tc, cPrev[lo:][:n]
		}
		var before kernel.Block
		if hPrev != nil {
			before = kernel.Block{Data: hPrev[lo:], Stride: s.hidden, Cols: s.hidden}
		}
		kernel.Affine(m.z, p.w.N, batch, p.bias, kernel.Block{Data: in, Stride: width, Cols: width}, before, &p.w)
		s.cell.forward(m)
		in, width = m.h, s.hidden
	}
	return t.View(in, batch, s.hidden), end
}

func wanted(n *autograd.Node) bool { return n != nil && n.RequiresGrad() }

func (r run) String() string { return "recurrent layer " + r.s.name }

// place returns step t of layer l, and what lies behind it, in a slab that keeps span steps of each layer. The steps
// of a window lie one after the other.
func (r *run) place(slab []float32, span, l, t, width int) []float32 {
	slot := span - 1 - (r.steps-1-t)%span
	return slab[(l*span+slot)*r.batch*width:]
}

// out returns the h of layer l from step t on.
func (r *run) out(l, t int) []float32 {
	if r.all && l == len(r.s.weights)-1 {
		return r.y.Data()[t*r.batch*r.s.hidden:]
	}
	return r.place(r.h, r.span, l, t, r.s.hidden)
}

// in returns what layer l reads, from step t on, and its number of features.
func (r *run) in(l, t int) ([]float32, int) {
	if l == 0 {
		return r.x.Data()[t*r.batch*r.s.input:], r.s.input
	}
	return r.out(l-1, t), r.s.hidden
}

// hBefore returns the h of layer l before step t of the window that begins at step a; nil is zero.
func (r *run) hBefore(l, t, a int) []float32 {
	switch {
	case t > a || t > 0 && r.keeps(l):
		return r.out(l, t-1)
	case t > 0:
		return r.h0[l*r.batch*r.s.hidden:]
	case r.start.H != nil:
		return r.start.H.Data()[l*r.batch*r.s.hidden:]
	}
	return nil
}

// keeps reports whether layer l's h of all steps stays.
func (r *run) keeps(l int) bool { return r.span == r.steps || r.all && l == len(r.s.weights)-1 }

// cBefore is hBefore of c, where zero is in c0.
func (r *run) cBefore(l, t, a int) []float32 {
	switch {
	case t > a || t > 0 && r.span == r.steps:
		return r.place(r.c, r.span, l, t-1, r.s.hidden)
	case t == 0 && r.start.C != nil:
		return r.start.C.Data()[l*r.batch*r.s.hidden:]
	}
	return r.c0[l*r.batch*r.s.hidden:]
}

func (r *run) moment(l, t, a int) moment {
	n := r.batch * r.s.hidden
	m := moment{h: r.out(l, t)[:n], hidden: r.s.hidden}
	m.z = m.h
	if g := r.s.cell.gates(); g > 1 {
		m.z = r.place(r.z, r.trace, l, t, g*r.s.hidden)[:g*n]
	}
	if r.c != nil {
		m.c = r.place(r.c, r.span, l, t, r.s.hidden)[:n]
		m.tc = r.place(r.tc, r.trace, l, t, r.s.hidden)[:n]
		m.cPrev = r.cBefore(l, t, a)[:n]
	}
	return m
}

func (r *run) forward() {
	packs := *r.s.forward.Get()
	clear(r.c0)
	for a, b := 0, r.steps-(r.steps-1)/r.window*r.window; a < r.steps; a, b = b, b+r.window {
		for l := range packs {
			r.forwardWindow(&packs[l], l, a, b)
		}
	}
	n := r.batch * r.s.hidden
	for l := range packs {
		copy(r.end.H.Data()[l*n:][:n], r.out(l, r.steps-1))
		if r.c != nil {
			copy(r.end.C.Data()[l*n:][:n], r.place(r.c, r.span, l, r.steps-1, r.s.hidden))
		}
	}
	if !r.all {
		copy(r.y.Data(), r.out(len(packs)-1, r.steps-1))
	}
}

// forwardWindow takes layer l through steps a to b.
func (r *run) forwardWindow(p *forwardPack, l, a, b int) {
	hidden, n := r.s.hidden, r.batch*r.s.hidden
	if a > 0 && !r.keeps(l) {
		copy(r.h0[l*n:][:n], r.out(l, a-1))
	}
	if a > 0 && r.c != nil && r.span < r.steps {
		copy(r.c0[l*n:][:n], r.place(r.c, r.span, l, a-1, hidden))
	}
	for t := a; t < b; t++ {
		m := r.moment(l, t, a)
		x, width := r.in(l, t)
		var h kernel.Block
		if before := r.hBefore(l, t, a); before != nil {
			h = kernel.Block{Data: before, Stride: hidden, Cols: hidden}
		}
		kernel.Affine(m.z, p.w.N, r.batch, p.bias, kernel.Block{Data: x, Stride: width, Cols: width}, h, &p.w)
		r.s.cell.forward(m)
	}
}

// slopes is the memory of a Backward.
type slopes struct {
	packs  []backwardPack
	chunk  int       // steps between two products for the weights
	dz     []float32 // [chunk, B, G*H]: of the gates' sums
	dh, dc []float32 // [B, H]: of the state, on its way back
	dy     []float32 // [window, B, H]: of the output of a layer below the top, written by the layer above it
}

// Backward is backpropagation through time: window by window from the last to the first, in each from the top
// layer to the lowest, in each from its last step to its first. No gradient of a state crosses from one
// window into the one before.
func (r run) Backward() {
	if r.y.Grad() == nil && r.end.H.Grad() == nil && (r.end.C == nil || r.end.C.Grad() == nil) {
		return
	}
	t, n := r.y.Tape(), r.batch*r.s.hidden
	d := slopes{packs: *r.s.backward.Get(), chunk: min(r.window, max(4, 128/r.batch))}
	d.dz = t.Scratch(d.chunk * r.s.cell.gates() * n)
	d.dh = t.Scratch(n)
	if r.c != nil {
		d.dc = t.Scratch(n)
	}
	if len(r.s.weights) > 1 {
		d.dy = t.Scratch(r.window * n)
	}
	for b := r.steps; b > 0; b -= r.window {
		for l := len(r.s.weights) - 1; l >= 0; l-- {
			r.backwardWindow(&d, l, max(0, b-r.window), b)
		}
		if !r.all {
			break // the windows before get no gradient
		}
	}
}

// backwardWindow takes the gradient of layer l back through steps b to a.
func (r *run) backwardWindow(d *slopes, l, a, b int) {
	n, hidden, gates := r.batch*r.s.hidden, r.s.hidden, r.s.cell.gates()*r.s.hidden
	top := l == len(r.s.weights)-1
	clear(d.dh)
	clear(d.dc)
	if b == r.steps {
		if g := r.end.H.Grad(); g != nil {
			copy(d.dh, g[l*n:])
		}
		if r.end.C != nil && r.end.C.Grad() != nil {
			copy(d.dc, r.end.C.Grad()[l*n:])
		}
	}
	dy := r.y.Grad()
	for t1 := b; t1 > a; {
		t0 := max(a, t1-d.chunk)
		for t := t1 - 1; t >= t0; t-- {
			switch {
			case !top:
				kernel.Add(d.dh, d.dy[(t-a)*n:][:n])
			case dy != nil && r.all:
				kernel.Add(d.dh, dy[t*n:][:n])
			case dy != nil && t == r.steps-1:
				kernel.Add(d.dh, dy)
			}
			dz := d.dz[(t-t0)*r.batch*gates:][:r.batch*gates]
			r.s.cell.backward(dz, d.dh, d.dc, r.moment(l, t, a))
			if t > a || a == 0 && wanted(r.start.H) {
				kernel.Affine(d.dh, hidden, r.batch, nil, kernel.Block{Data: dz, Stride: gates, Cols: gates}, kernel.Block{}, &d.packs[l].hh)
			}
		}
		r.weightGrads(d.dz, l, t0, t1, a)
		dz, rows := kernel.Block{Data: d.dz, Stride: gates, Cols: gates}, (t1-t0)*r.batch
		if l > 0 {
			kernel.Affine(d.dy[(t0-a)*n:], hidden, rows, nil, dz, kernel.Block{}, &d.packs[l].ih)
		} else if r.x.RequiresGrad() {
			kernel.Gemm(r.x.AccumulateGrad()[t0*r.batch*r.s.input:], r.s.input, rows, dz, &d.packs[l].ih)
		}
		t1 = t0
	}
	if a == 0 && wanted(r.start.H) {
		kernel.Add(r.start.H.AccumulateGrad()[l*n:], d.dh)
	}
	if a == 0 && wanted(r.start.C) {
		kernel.Add(r.start.C.AccumulateGrad()[l*n:], d.dc)
	}
}

// weightGrads adds what steps t0 to t1 of the window that begins at a give to the gradients of layer l's weights: one
// product a matrix for all of these steps.
func (r *run) weightGrads(dz []float32, l, t0, t1, a int) {
	grads, w := r.y.Tape().Grads(), r.s.weights[l]
	hidden, gates := r.s.hidden, r.s.cell.gates()*r.s.hidden
	rows := (t1 - t0) * r.batch
	if !w.ih.Frozen {
		x, width := r.in(l, t0)
		kernel.GemmT(grads.Of(w.ih), width, gates, width, rows, dz, gates, x, width)
	}
	if !w.biasIH.Frozen {
		kernel.AddColumns(grads.Of(w.biasIH), dz, gates, rows)
	}
	if !w.biasHH.Frozen {
		kernel.AddColumns(grads.Of(w.biasHH), dz, gates, rows)
	}
	if w.hh.Frozen {
		return
	}
	dW := grads.Of(w.hh)
	if t0 == a { // the state before it lies elsewhere, or is zero
		if h := r.hBefore(l, a, a); h != nil {
			kernel.GemmT(dW, hidden, gates, hidden, r.batch, dz, gates, h, hidden)
		}
		t0, dz = t0+1, dz[r.batch*gates:]
	}
	if t0 < t1 {
		kernel.GemmT(dW, hidden, gates, hidden, (t1-t0)*r.batch, dz, gates, r.out(l, t0-1), hidden)
	}
}
