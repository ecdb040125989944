package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// run is one call of a stack on a tape, and the operation that it records.
//
// Time is cut into windows, counted back from the last step. Each goes through all layers before the next begins, so
// that what its steps leave behind may be overwritten by the next window unless Backward needs it. A layer of two
// directions, and rows of different lengths that are learnt from, make one window.
//
// With lengths, a step's rows are those that have it, one after the other in their order: nothing is computed, kept or
// summed for padding, and no sum has another order than it would have with it. The states are gathered from and
// scattered to their places in a whole batch before and after each step.
type run struct {
	s            *stack
	x, y         *autograd.Node
	start, end   Carry
	steps, batch int
	all          bool  // y is of all steps; else of the last one
	lengths      []int // of the rows; nil: all have all steps
	firsts       []int // with lengths, where a span is all steps: the rows of all steps before each; the last is of all
	truncate     int   // steps between two cuts; 0: none
	window       int   // steps that go through all layers together
	span         int   // steps that h and c keep: all, or a window
	trace        int   // steps that z and tc keep: span, or 1 if nothing is recorded
	random       bool  // something is dropped in this run
	seed         uint64

	// By layer and direction, then by step:
	h        []float32 // [k, span, B, out]: without that of y, where that is one
	c        []float32 // [k, span, B, H]
	z        []float32 // [k, trace, B, cell.trace]
	tc       []float32 // [k, trace, B, H]
	hBefore  []float32 // [k, span, B, out]: with lengths, the states before
	cBefore  []float32 // [k, span, B, H]
	hRead    []float32 // [k, span, B, out]: with recurrent dropout, what the products read
	h0, c0   []float32 // [k, B, out or H]: the state before a window that began after step 0, where span is not all
	between  []float32 // [layers-1, span, B, dirs*out]: what layers above the first read, where that is not h
	packed   []float32 // [span, B, in]: with lengths, what the first reads
	keep     []float32 // [k, B, out]: the mask of recurrent dropout
	zero     []float32 // [B, H]
	spare    []float32 // a cell's scratch
	mask     []float32 // [B, widest]: of a step
	hh       []float32 // [k, G*H, out]: weights of which some are dropped
	hhMask   []float32 // [k, G*H, out]
	ownPacks *ownPacks
}

// inferenceWindow is how many steps a layer of a stack is ahead of the next when nothing is recorded: enough to
// use a layer's weights again while they are in the cache.
const inferenceWindow = 16

func (s *stack) run(x *autograd.Node, steps, batch int, o Options, all bool) (*autograd.Node, Carry) {
	t := autograd.TapeOf(s.name, x, o.Start.H, o.Start.C)
	s.checkOptions(o, steps, batch)
	record := t.Training() && (s.learns() || x.RequiresGrad() || wanted(o.Start.H) || wanted(o.Start.C))
	random := t.Training() && max(s.dropout, s.recurrent, s.weight, s.zone, s.zoneC) > 0
	if steps == 1 && !record && !all && o.Lengths == nil && s.directions == 1 && !random && s.zone+s.zoneC == 0 {
		return s.once(t, x, batch, o.Start)
	}
	r := run{s: s, x: x, start: o.Start, steps: steps, batch: batch, all: all, random: random}
	if random {
		r.seed = t.Rand().Uint64()
	}
	if o.Truncate < steps {
		r.truncate = o.Truncate
	}
	for _, n := range o.Lengths {
		if n != steps {
			r.lengths = t.ScratchInts(batch)
			copy(r.lengths, o.Lengths)
			break
		}
	}
	r.plan(record)
	r.allocate(t, record)
	packs := *s.forward.Get()
	if random && s.weight > 0 {
		packs = r.dropWeights(t, record)
	}
	r.forward(packs)
	switch {
	case !record:
		r.giveBack()
	case r.end.C != nil:
		autograd.Record(t, r, r.y, r.end.H, r.end.C)
	default:
		autograd.Record(t, r, r.y, r.end.H)
	}
	return r.y, r.end
}

// plan settles what is kept.
func (r *run) plan(record bool) {
	r.window = r.steps
	if r.s.directions == 1 && !(record && r.lengths != nil) {
		switch {
		case !record:
			r.window = min(r.steps, inferenceWindow)
		case r.truncate > 0:
			r.window = r.truncate
		}
	}
	r.span = r.window
	if record && r.all {
		r.span = r.steps
	}
	r.trace = r.span
	if !record {
		r.trace = 1
	}
}

func (r *run) allocate(t *autograd.Tape, record bool) {
	s, rows := r.s, r.batch*r.span
	count, n := len(s.weights), rows
	if r.lengths != nil && r.span == r.steps {
		n = r.count(t)
	}
	if r.all {
		r.y = t.New(r.steps, r.batch, s.directions*s.out)
	} else {
		r.y = t.New(r.batch, s.directions*s.out)
	}
	r.end.H = t.New(count, r.batch, s.out)
	if r.direct() {
		r.h = t.Scratch((count - 1) * n * s.out)
	} else {
		r.h = t.Scratch(count * n * s.out)
	}
	traced := n
	if !record {
		traced = r.batch
	}
	r.z = t.Scratch(count * traced * s.cell.trace())
	if s.cell.hasC() {
		r.end.C = t.New(count, r.batch, s.hidden)
		r.c = t.Scratch(count * n * s.hidden)
		r.tc = t.Scratch(count * traced * s.hidden)
	}
	if r.lengths != nil {
		r.packed = t.Scratch(n * s.input)
		r.hBefore = t.Scratch(count * n * s.out)
		if s.cell.hasC() {
			r.cBefore = t.Scratch(count * n * s.hidden)
		}
	} else if r.span < r.steps {
		r.h0 = t.Scratch(count * r.batch * s.out)
		if s.cell.hasC() {
			r.c0 = t.Scratch(count * r.batch * s.hidden)
		}
	}
	if s.layers > 1 && (s.directions > 1 || r.drops(s.dropout)) {
		r.between = t.Scratch((s.layers - 1) * n * s.directions * s.out)
	}
	if r.drops(s.recurrent) {
		r.hRead = t.Scratch(count * n * s.out)
		r.keep = t.Scratch(count * r.batch * s.out)
		for k := range count {
			kernel.Bernoulli(r.keep[k*r.batch*s.out:][:r.batch*s.out], r.stream(ofState, k), 0, s.recurrent, 0, 1/(1-s.recurrent))
		}
	}
	if r.random {
		r.mask = t.Scratch(r.batch * max(s.hidden, s.directions*s.out))
	}
	r.zero = t.Scratch(r.batch * s.hidden)
	clear(r.zero)
	if s.cell.trace() > 4*s.hidden { // of an LSTM's options
		r.spare = t.Scratch(max(4, r.batch) * s.hidden)
	}
}

// drops reports whether a rate of what is dropped counts in this run.
func (r *run) drops(rate float32) bool { return r.random && rate > 0 }

// direct reports whether the h of the top layer is y.
func (r *run) direct() bool { return r.all && r.s.directions == 1 && r.lengths == nil }

// What is random in a run comes from streams of its seed, one for each use and each layer and direction.
const (
	ofState = iota
	ofWeights
	ofZone
	ofZoneC
	ofInput
)

func (r *run) stream(use, k int) uint64 { return r.seed + uint64(use)<<32 + uint64(k) }

// dropWeights makes the recurrent matrices of this run, and packs them.
func (r *run) dropWeights(t *autograd.Tape, record bool) []forwardPack {
	s := r.s
	size := len(s.weights[0].hh.Value.Data())
	r.hh, r.hhMask = t.Scratch(len(s.weights)*size), t.Scratch(len(s.weights)*size)
	for k, w := range s.weights {
		mask := r.hhMask[k*size:][:size]
		kernel.Bernoulli(mask, r.stream(ofWeights, k), 0, s.weight, 0, 1/(1-s.weight))
		kernel.Mul(r.hh[k*size:], w.hh.Value.Data(), mask)
	}
	select {
	case r.ownPacks = <-s.own:
	default:
		r.ownPacks = new(ownPacks)
	}
	s.packForward(&r.ownPacks.forward, r.hh)
	if record {
		s.packBackward(&r.ownPacks.backward, r.hh)
	}
	return r.ownPacks.forward
}

// giveBack ends the use of the run's own packs.
func (r *run) giveBack() {
	if r.ownPacks != nil {
		select {
		case r.s.own <- r.ownPacks:
		default:
		}
	}
}

// once is a run of one step that nobody goes back through: each layer writes its state where it is returned.
func (s *stack) once(t *autograd.Tape, x *autograd.Node, batch int, start Carry) (*autograd.Node, Carry) {
	packs := *s.forward.Get()
	end := Carry{H: t.New(len(packs), batch, s.out)}
	m := moment{rows: batch, x: kernel.Block{Data: x.Data(), Stride: s.input, Cols: s.input}, z: t.Scratch(batch * s.cell.trace())}
	var c, cBefore, hBefore []float32
	if s.cell.hasC() {
		end.C = t.New(len(packs), batch, s.hidden)
		c, m.tc = end.C.Data(), t.Scratch(batch*s.hidden)
		if cBefore = c; start.C != nil {
			cBefore = start.C.Data()
		} else {
			clear(c)
		}
	}
	h := end.H.Data()
	if hBefore = h; start.H != nil {
		hBefore = start.H.Data()
	} else {
		clear(h)
	}
	if s.cell.trace() > 4*s.hidden {
		m.spare = t.Scratch(max(4, batch) * s.hidden)
	}
	for l := range packs {
		lo, n := l*batch*s.out, batch*s.out
		m.y, m.before = h[lo:][:n], hBefore[lo:][:n]
		if start.H != nil {
			m.h = kernel.Block{Data: m.before, Stride: s.out, Cols: s.out}
		}
		if c != nil {
			lo, n := l*batch*s.hidden, batch*s.hidden
			m.c, m.cBefore = c[lo:][:n], cBefore[lo:][:n]
		}
		s.cell.forward(&packs[l], m)
		m.x = kernel.Block{Data: m.y, Stride: s.out, Cols: s.out}
	}
	return t.View(m.y, batch, s.out), end
}

func wanted(n *autograd.Node) bool { return n != nil && n.RequiresGrad() }

func (r run) String() string { return "recurrent layer " + r.s.name }

// first returns the row of step t in a slab that keeps span steps. The steps of a window lie one after the other.
func (r *run) first(t, span int) int {
	if r.firsts != nil && span == r.span {
		return r.firsts[t]
	}
	return (span - 1 - (r.steps-1-t)%span) * r.batch
}

// all rows that a slab keeps for span steps.
func (r *run) kept(span int) int {
	if r.firsts != nil && span == r.span {
		return r.firsts[r.steps]
	}
	return span * r.batch
}

// place returns step t of part k, and what lies behind it, in a slab that keeps span steps of each.
func (r *run) place(slab []float32, span, k, t, width int) []float32 {
	return slab[(k*r.kept(span)+r.first(t, span))*width:]
}

// out returns the h of layer and direction k from step t on.
func (r *run) out(k, t int) []float32 {
	if k == len(r.s.weights)-1 && r.direct() {
		return r.y.Data()[t*r.batch*r.s.out:]
	}
	return r.place(r.h, r.span, k, t, r.s.out)
}

// in returns what layer l reads, from step t on, and its number of features.
func (r *run) in(l, t int) ([]float32, int) {
	width := r.s.directions * r.s.out
	switch {
	case l == 0 && r.lengths != nil:
		return r.place(r.packed, r.span, 0, t, r.s.input), r.s.input
	case l == 0:
		return r.x.Data()[t*r.batch*r.s.input:], r.s.input
	case r.between != nil:
		return r.place(r.between, r.span, l-1, t, width), width
	}
	return r.out(l-1, t), width
}

// keeps reports whether the h of all steps of k stays.
func (r *run) keeps(k int) bool { return r.span == r.steps || k == len(r.s.weights)-1 && r.direct() }

// hPrevious returns the h of k before step t of the window of steps a to b, and zeros where there is none.
func (r *run) hPrevious(k, t, a, b int) (h []float32, isZero bool) {
	reverse := r.reverse(k)
	switch {
	case r.lengths != nil:
		return r.place(r.hBefore, r.span, k, t, r.s.out), false
	case reverse && t < r.steps-1:
		return r.out(k, t+1), false
	case !reverse && (t > a || t > 0 && r.keeps(k)):
		return r.out(k, t-1), false
	case !reverse && t > 0:
		return r.h0[k*r.batch*r.s.out:], false
	case r.start.H != nil:
		return r.start.H.Data()[k*r.batch*r.s.out:], false
	}
	return r.zero, true
}

// cPrevious is hPrevious of c.
func (r *run) cPrevious(k, t, a, b int) []float32 {
	reverse := r.reverse(k)
	switch {
	case r.lengths != nil:
		return r.place(r.cBefore, r.span, k, t, r.s.hidden)
	case reverse && t < r.steps-1:
		return r.place(r.c, r.span, k, t+1, r.s.hidden)
	case !reverse && (t > a || t > 0 && r.span == r.steps):
		return r.place(r.c, r.span, k, t-1, r.s.hidden)
	case !reverse && t > 0:
		return r.c0[k*r.batch*r.s.hidden:]
	case r.start.C != nil:
		return r.start.C.Data()[k*r.batch*r.s.hidden:]
	}
	return r.zero
}

func (r *run) reverse(k int) bool { return k%r.s.directions == 1 }

// moment returns what layer and direction k has at step t of the window of steps a to b.
func (r *run) moment(k, t, a, b int) moment {
	s, rows := r.s, r.rows(t)
	m := moment{rows: rows, y: r.out(k, t)[:rows*s.out], spare: r.spare}
	x, width := r.in(k/s.directions, t)
	m.x = kernel.Block{Data: x, Stride: width, Cols: width}
	before, isZero := r.hPrevious(k, t, a, b)
	m.before = before[:rows*s.out]
	if !isZero {
		m.h = kernel.Block{Data: m.before, Stride: s.out, Cols: s.out}
		if r.hRead != nil {
			m.h.Data = r.place(r.hRead, r.span, k, t, s.out)
		}
	}
	m.z = r.place(r.z, r.trace, k, t, s.cell.trace())
	if r.c != nil {
		n := rows * s.hidden
		m.c = r.place(r.c, r.span, k, t, s.hidden)[:n]
		m.tc = r.place(r.tc, r.trace, k, t, s.hidden)[:n]
		m.cBefore = r.cPrevious(k, t, a, b)[:n]
	}
	return m
}

func (r *run) forward(packs []forwardPack) {
	r.beginStates()
	for a, b := 0, r.steps-(r.steps-1)/r.window*r.window; a < r.steps; a, b = b, b+r.window {
		for l := range r.s.layers {
			r.readInput(l, a, b)
			for k := l * r.s.directions; k < (l+1)*r.s.directions; k++ {
				r.forwardWindow(&packs[k], k, a, b)
			}
		}
		r.writeOutput(a, b)
	}
	r.endStates()
}

// forwardWindow takes layer and direction k through steps a to b.
func (r *run) forwardWindow(p *forwardPack, k, a, b int) {
	s := r.s
	if n := r.batch * s.out; a > 0 && r.lengths == nil && !r.keeps(k) {
		copy(r.h0[k*n:][:n], r.out(k, a-1))
	}
	if n := r.batch * s.hidden; a > 0 && r.c0 != nil {
		copy(r.c0[k*n:][:n], r.place(r.c, r.span, k, a-1, s.hidden))
	}
	for i := range b - a {
		t := a + i
		if r.reverse(k) {
			t = b - 1 - i
		}
		r.gatherStates(k, t)
		m := r.moment(k, t, a, b)
		if m.rows == 0 {
			continue
		}
		if r.hRead != nil {
			r.readStates(m, k, t)
		}
		s.cell.forward(p, m)
		if s.zone > 0 {
			r.blend(m.y, m.before, ofZone, k, t, s.zone, s.out)
		}
		if s.zoneC > 0 {
			r.blend(m.c, m.cBefore, ofZoneC, k, t, s.zoneC, s.hidden)
		}
		r.scatterStates(k, t, m)
	}
}

// readStates drops what the products do not read of the states.
func (r *run) readStates(m moment, k, t int) {
	read := r.place(r.hRead, r.span, k, t, r.s.out)[:m.rows*r.s.out]
	if m.h.Cols == 0 {
		clear(read) // where the products for the weights read it
		return
	}
	r.mulRows(read, m.before, r.keep[k*r.batch*r.s.out:], t, r.s.out)
}

// blend is zoneout: y becomes what it was before, where the mask says so. Without a mask, in inference, it is
// the mean of what the masks make of it.
func (r *run) blend(y, before []float32, use, k, t int, rate float32, width int) {
	if !r.random {
		kernel.BlendConst(y, y, before, rate)
		return
	}
	kernel.Blend(y, y, before, r.stepMask(use, k, t, rate, 1, 0, width))
}

// stepMask returns a mask for the rows of step t. A row's is the same whatever rows there are beside it.
func (r *run) stepMask(use, k, t int, rate, hit, miss float32, width int) []float32 {
	mask, seed := r.mask[:r.rows(t)*width], r.stream(use, k)
	if len(mask) == r.batch*width {
		kernel.Bernoulli(mask, seed, uint64(t*r.batch*width), rate, hit, miss)
		return mask
	}
	i := 0
	for row, n := range r.lengths {
		if n > t {
			kernel.Bernoulli(mask[i:][:width], seed, uint64((t*r.batch+row)*width), rate, hit, miss)
			i += width
		}
	}
	return mask
}

// readInput puts together what layer l reads in steps a to b, where that does not lie anywhere yet.
func (r *run) readInput(l, a, b int) {
	s := r.s
	if l == 0 {
		if r.lengths != nil {
			for t := a; t < b; t++ {
				x, _ := r.in(0, t)
				r.gather(x, r.x.Data()[t*r.batch*s.input:], t, s.input)
			}
		}
		return
	}
	if r.between == nil {
		return
	}
	width := s.directions * s.out
	for t := a; t < b; t++ {
		x, _ := r.in(l, t)
		x = x[:r.rows(t)*width]
		for d := range s.directions {
			h := r.out((l-1)*s.directions+d, t)
			for i := range r.rows(t) {
				copy(x[i*width+d*s.out:][:s.out], h[i*s.out:])
			}
		}
		if r.drops(s.dropout) {
			kernel.Mul(x, x, r.inputMask(l, t))
		}
	}
}

// inputMask is what dropout leaves of what layer l reads at step t.
func (r *run) inputMask(l, t int) []float32 {
	return r.stepMask(ofInput, l, t, r.s.dropout, 0, 1/(1-r.s.dropout), r.s.directions*r.s.out)
}

// writeOutput writes what y has of steps a to b, where that is not the top layer's h itself.
func (r *run) writeOutput(a, b int) {
	if !r.all || r.direct() {
		return
	}
	s, width := r.s, r.s.directions*r.s.out
	for t := a; t < b; t++ {
		y := r.y.Data()[t*r.batch*width:][:r.batch*width]
		if r.rows(t) < r.batch {
			clear(y)
		}
		for d := range s.directions {
			h, i := r.out((s.layers-1)*s.directions+d, t), 0
			for row := range r.batch {
				if r.has(row, t) {
					copy(y[row*width+d*s.out:][:s.out], h[i*s.out:])
					i++
				}
			}
		}
	}
}
