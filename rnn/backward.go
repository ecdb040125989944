package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// slopes is the memory of a Backward.
type slopes struct {
	packs        []backwardPack
	chunk        int       // steps between two products for the weights
	dz           []float32 // [chunk, B, cell.slopes]: of the gates' sums
	dh, dc       []float32 // [B, out], [B, H]: of the state, on its way back
	hRows, cRows []float32 // with lengths, those of the rows of a step
	hKept, cKept []float32 // with zoneout, what passes a step by
	products     []float32 // with recurrent dropout, what comes through the products
	dx           []float32 // [chunk, B, widest input]: what is to be added elsewhere
	dy, dyBelow  []float32 // [window, B, dirs*out]: of the output of a layer below the top, written by the layer above it
	dhh          []float32 // [G*H, out]: of weights of which some are dropped
}

// Backward is backpropagation through time: window by window from the last to the first, in each from the top
// layer to the lowest, in each from the last step of a direction to its first. No gradient of a state crosses a
// cut.
func (r run) Backward() {
	if r.y.Grad() == nil && r.end.H.Grad() == nil && (r.end.C == nil || r.end.C.Grad() == nil) {
		r.giveBack()
		return
	}
	d := r.allocateBack(r.y.Tape())
	s := r.s
	for b := r.steps; b > 0; b -= r.window {
		a := max(0, b-r.window)
		for l := s.layers - 1; l >= 0; l-- {
			for k := l * s.directions; k < (l+1)*s.directions; k++ {
				r.backwardWindow(&d, k, a, b)
			}
			if s.directions > 1 {
				d.dy, d.dyBelow = d.dyBelow, d.dy
			}
			if l > 0 && r.drops(s.dropout) {
				for t := a; t < b; t++ {
					dy := d.dy[(r.first(t, r.span)-r.first(a, r.span))*s.directions*s.out:][:r.rows(t)*s.directions*s.out]
					kernel.Mul(dy, dy, r.inputMask(l, t))
				}
			}
		}
		if !r.all {
			break // the windows before get no gradient
		}
	}
	r.giveBack()
}

func (r *run) allocateBack(t *autograd.Tape) (d slopes) {
	s, batch := r.s, r.batch
	if d.packs = *s.backward.Get(); r.ownPacks != nil {
		d.packs = r.ownPacks.backward
	}
	d.chunk = min(r.window, max(4, 128/batch))
	d.dz = t.Scratch(d.chunk * batch * s.cell.slopes())
	d.dh = t.Scratch(batch * s.out)
	if r.c != nil {
		d.dc = t.Scratch(batch * s.hidden)
	}
	if r.lengths != nil {
		d.hRows, d.cRows = t.Scratch(batch*s.out), t.Scratch(len(d.dc))
	}
	if r.drops(s.zone) {
		d.hKept = t.Scratch(batch * s.out)
	}
	if r.drops(s.zoneC) {
		d.cKept = t.Scratch(batch * s.hidden)
	}
	if r.keep != nil {
		d.products = t.Scratch(batch * s.out)
	}
	if r.x.RequiresGrad() || s.directions > 1 {
		d.dx = t.Scratch(d.chunk * batch * max(s.input, s.directions*s.out))
	}
	if s.layers > 1 {
		d.dy = t.Scratch(r.window * batch * s.directions * s.out)
		if s.directions > 1 {
			d.dyBelow = t.Scratch(r.window * batch * s.directions * s.out)
		}
	}
	if r.hh != nil {
		d.dhh = t.Scratch(len(s.weights[0].hh.Value.Data()))
	}
	return d
}

// endGrads begins dh and dc of k with the gradients of the end, and of y where that is the end.
func (r *run) endGrads(d *slopes, k int) {
	s, n := r.s, r.batch*r.s.out
	clear(d.dh)
	if g := r.end.H.Grad(); g != nil {
		copy(d.dh, g[k*n:])
	}
	if g := r.y.Grad(); g != nil && !r.all && k >= (s.layers-1)*s.directions {
		width := s.directions * s.out
		for row := range r.batch {
			kernel.Add(d.dh[row*s.out:][:s.out], g[row*width+k%s.directions*s.out:][:s.out])
		}
	}
	if r.c == nil {
		return
	}
	clear(d.dc)
	if g := r.end.C.Grad(); g != nil {
		copy(d.dc, g[k*r.batch*s.hidden:])
	}
}

// backwardWindow takes the gradient of layer and direction k back through steps a to b.
func (r *run) backwardWindow(d *slopes, k, a, b int) {
	s := r.s
	reverse := r.reverse(k)
	if b == r.steps {
		r.endGrads(d, k)
	} else {
		clear(d.dh)
		clear(d.dc)
	}
	g := s.weights[k].grads(r.y.Tape().Grads())
	ofHH := g.hh
	if d.dhh != nil && ofHH != nil {
		clear(d.dhh)
		g.hh = d.dhh
	}
	for i := 0; i < b-a; i += d.chunk {
		t0, t1 := max(a, b-i-d.chunk), b-i
		if reverse {
			t0, t1 = a+i, min(b, a+i+d.chunk)
		}
		base := r.first(t0, r.span)
		for j := range t1 - t0 {
			t := t1 - 1 - j
			if reverse {
				t = t0 + j
			}
			if r.rows(t) > 0 {
				r.backwardStep(d, d.dz[(r.first(t, r.span)-base)*s.cell.slopes():], k, t, a, b)
			}
		}
		r.weightGrads(d, g, k, t0, t1, a, b)
		r.inputGrad(d, k, t0, t1, a)
	}
	if d.dhh != nil && ofHH != nil {
		kernel.AddMul(ofHH, d.dhh, r.hhMask[k*len(d.dhh):][:len(d.dhh)])
	}
	if a == 0 && wanted(r.start.H) {
		kernel.Add(r.start.H.AccumulateGrad()[k*len(d.dh):], d.dh)
	}
	if a == 0 && wanted(r.start.C) {
		kernel.Add(r.start.C.AccumulateGrad()[k*len(d.dc):], d.dc)
	}
}

// backwardStep computes dz of step t and takes dh and dc back over it.
func (r *run) backwardStep(d *slopes, dz []float32, k, t, a, b int) {
	s, rows := r.s, r.rows(t)
	dh, dc := d.dh, d.dc
	if r.lengths != nil {
		dh = d.hRows[:rows*s.out]
		r.gather(dh, d.dh, t, s.out)
		if r.c != nil {
			dc = d.cRows[:rows*s.hidden]
			r.gather(dc, d.dc, t, s.hidden)
		}
	}
	r.addOutputGrad(d, dh, k, t, a)
	m := r.moment(k, t, a, b)
	var hKept, cKept []float32
	if d.hKept != nil {
		hKept = passBy(d.hKept, dh, r.stepMask(ofZone, k, t, s.zone, 1, 0, s.out))
	}
	if d.cKept != nil {
		cKept = passBy(d.cKept, dc, r.stepMask(ofZoneC, k, t, s.zoneC, 1, 0, s.hidden))
	}
	crosses := r.crosses(k, t)
	// Rows of a reverse direction that begin here get their start from nobody: there is nothing to cut.
	begins := r.lengths != nil && r.reverse(k)
	m.through = crosses || begins
	if d.products != nil && m.through {
		m.products = d.products[:rows*s.out]
	}
	s.cell.backward(&d.packs[k], dz[:rows*s.cell.slopes()], dh, dc, m)
	if m.products != nil {
		r.mulRows(m.products, m.products, r.keep[k*r.batch*s.out:], t, s.out)
		kernel.Add(dh, m.products)
	}
	if hKept != nil {
		kernel.Add(dh, hKept)
	}
	if cKept != nil {
		kernel.Add(dc, cKept)
	}
	switch {
	case crosses:
	case begins:
		r.clearOthers(dh, t, s.out)
		r.clearOthers(dc, t, s.hidden)
	default:
		clear(dh)
		clear(dc)
	}
	if r.lengths != nil {
		r.scatter(d.dh, dh, t, s.out)
		if r.c != nil {
			r.scatter(d.dc, dc, t, s.hidden)
		}
	}
}

// passBy takes out of a gradient what zoneout hands to the step before as it is, and returns it.
func passBy(kept, grad, mask []float32) []float32 {
	kept = kept[:len(grad)]
	kernel.Mul(kept, grad, mask)
	kernel.AddScaled(grad, -1, kept)
	return kept
}

// crosses reports whether a gradient of the state before step t is wanted.
func (r *run) crosses(k, t int) bool {
	at, first := t, 0 // a cut before step at
	if r.reverse(k) {
		at, first = t+1, r.steps-1
	}
	if t == first && r.lengths == nil {
		return wanted(r.start.H) || wanted(r.start.C)
	}
	return r.truncate == 0 || at <= 0 || at >= r.steps || (r.steps-at)%r.truncate != 0
}

// addOutputGrad adds the gradient of the output of k at step t to dh.
func (r *run) addOutputGrad(d *slopes, dh []float32, k, t, a int) {
	s, width := r.s, r.s.directions*r.s.out
	top := k >= (s.layers-1)*s.directions
	dy, natural := d.dy, false
	if top {
		if dy, natural = r.y.Grad(), true; dy == nil || !r.all {
			return
		}
		dy = dy[t*r.batch*width:]
	} else {
		dy = dy[(r.first(t, r.span)-r.first(a, r.span))*width:]
	}
	rows := r.rows(t)
	natural = natural && rows < r.batch
	if s.directions == 1 && !natural {
		kernel.Add(dh, dy[:rows*width])
		return
	}
	dy = dy[k%s.directions*s.out:]
	if !natural {
		for i := range rows {
			kernel.Add(dh[i*s.out:][:s.out], dy[i*width:][:s.out])
		}
		return
	}
	i := 0
	for row, n := range r.lengths {
		if n > t {
			kernel.Add(dh[i:][:s.out], dy[row*width:][:s.out])
			i += s.out
		}
	}
}

// weightGrads adds what steps t0 to t1 give to the gradients of the weights of k: one product a matrix for all of these
// steps, but that the state before the first step of a window lies elsewhere.
func (r *run) weightGrads(d *slopes, g grads, k, t0, t1, a, b int) {
	s := r.s
	base := r.first(t0, r.span)
	if r.rowsOf(t0, t1) == 0 {
		return
	}
	x, width := r.in(k/s.directions, t0)
	s.cell.inputGrads(g, r.rowsOf(t0, t1), d.dz, r.place(r.z, r.trace, k, t0, s.cell.trace()), kernel.Block{Data: x, Stride: width, Cols: width})
	part := func(from, to int) {
		if from == to || r.rowsOf(from, to) == 0 {
			return
		}
		h, isZero := r.hPrevious(k, from, a, b)
		switch {
		case r.hRead != nil:
			h = r.place(r.hRead, r.span, k, from, s.out)
		case isZero:
			h = nil
		}
		var c []float32
		if r.c != nil {
			c = r.cPrevious(k, from, a, b)
		}
		dz := d.dz[(r.first(from, r.span)-base)*s.cell.slopes():]
		s.cell.recurrentGrads(g, r.rowsOf(from, to), dz, r.place(r.z, r.trace, k, from, s.cell.trace()), h, c)
	}
	if r.reverse(k) && t1 == b {
		part(t1-1, t1)
		part(t0, t1-1)
	} else if !r.reverse(k) && t0 == a {
		part(t0, t0+1)
		part(t0+1, t1)
	} else {
		part(t0, t1)
	}
}

// inputGrad computes the gradient of what the layer of k read in steps t0 to t1.
func (r *run) inputGrad(d *slopes, k, t0, t1, a int) {
	s := r.s
	l := k / s.directions
	base, rows := r.first(t0, r.span), r.rowsOf(t0, t1)
	if rows == 0 || l == 0 && !r.x.RequiresGrad() {
		return
	}
	x, h := s.cell.input(d.dz)
	ih := &d.packs[k].ih
	if l > 0 {
		below := d.dy
		if s.directions > 1 {
			below = d.dyBelow
		}
		below = below[(base-r.first(a, r.span))*ih.N:][:rows*ih.N]
		if !r.reverse(k) {
			kernel.Affine(below, ih.N, rows, nil, x, h, ih)
			return
		}
		kernel.Affine(d.dx, ih.N, rows, nil, x, h, ih)
		kernel.Add(below, d.dx[:rows*ih.N])
		return
	}
	kernel.Affine(d.dx, ih.N, rows, nil, x, h, ih)
	grad := r.x.AccumulateGrad()
	if r.lengths == nil {
		kernel.Add(grad[t0*r.batch*s.input:][:rows*s.input], d.dx[:rows*s.input])
		return
	}
	i := 0
	for t := t0; t < t1; t++ {
		for row, n := range r.lengths {
			if n > t {
				kernel.Add(grad[(t*r.batch+row)*s.input:][:s.input], d.dx[i:][:s.input])
				i += s.input
			}
		}
	}
}
