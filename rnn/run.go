package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// run is one call of a stack on a tape, with all that its Backward needs. The tape keeps it: the same call of the tape's next run uses its memory
// again.
//
// Each window of time goes through all layers before the next window begins, and in a layer through both directions. At a step of a lane, the
// frame is filled in, plan.forward computes it, and the states after it lie where the next step reads them.
type run struct {
	s          *stack
	x, y       *autograd.Node
	start, end [2]*autograd.Node // h and c [Layers*Dirs, B, width]
	resetTo    [2]*autograd.Node // the states with which resets begin
	carry      [2]*autograd.Node // the states before the last overlap steps
	overlap    int
	rows       rows
	windows    windows
	present    int // the window whose steps were computed last
	noise      noise
	all        bool // y has the outputs of all steps; otherwise the last one alone
	record     bool // gradients may be asked for: the steps keep what the way back needs
	lanes      []lane
	sums       []float32 // [chunk, B, plan.kept]: the sums of a chunk that are computed again
	dropped    droppedWeights
	frame      Frame
}

func (r *run) String() string { return "recurrent layer " + r.s.name }

// wanted reports whether a gradient of n is asked for.
func wanted(n *autograd.Node) bool { return n != nil && n.RequiresGrad() }

// run computes y, the outputs of all steps or the last one alone, and the end from x [steps, B, Input].
func (s *stack) run(t *autograd.Tape, x *autograd.Node, steps, batch int, o Options, all bool) (*autograd.Node, Carry) {
	s.checkOptions(o, steps, batch)
	autograd.TapeOf(s.name, x, o.ResetTo.H, o.ResetTo.C)
	record := t.Training() && (s.trains() || x.RequiresGrad() || wanted(o.Start.H) || wanted(o.Start.C) || wanted(o.ResetTo.H) || wanted(o.ResetTo.C))
	random := t.Training() && s.random()
	if steps == 1 && !record && !all && o.Lengths == nil && o.Resets == nil && o.Overlap == 0 && s.directions == 1 && !random && s.Zoneout+s.ZoneoutCell == 0 {
		return s.step(t, x, batch, o.Start)
	}
	r := autograd.Reuse[run](t)
	if r.s != s {
		*r = run{s: s, lanes: make([]lane, len(s.weights))} // the tape kept it for another layer
	}
	r.x, r.all, r.record, r.overlap = x, all, record, o.Overlap
	r.start, r.resetTo = [2]*autograd.Node{o.Start.H, o.Start.C}, [2]*autograd.Node{o.ResetTo.H, o.ResetTo.C}
	r.noise = noise{on: random}
	if random {
		r.noise.seed = t.Rand().Uint64()
	}
	r.rows = newRows(t, steps, batch, o)
	r.windows = r.newWindows(steps, o)
	r.layOut(t)
	if r.drops(s.WeightDropout) {
		r.dropped.make(t, r)
	}
	r.forward(r.packs())
	if record {
		outputs := [3]*autograd.Node{r.y, r.end[0], r.end[1]}
		autograd.Record(t, r, outputs[:1+len(s.plan.states)]...)
	}
	if o.Overlap > 0 {
		return r.y, Carry{r.carry[0], r.carry[1]}
	}
	return r.y, Carry{r.end[0], r.end[1]}
}

// direct reports whether y is the memory of the states of the top layer.
func (r *run) direct() bool { return r.all && r.s.directions == 1 && r.rows.lengths == nil }

// packs returns the weights of the lanes, packed for the steps forward.
func (r *run) packs() []pack {
	if r.drops(r.s.WeightDropout) {
		return r.dropped.forward
	}
	return *r.s.forward.Get()
}

// drops reports whether something is dropped at a rate in this run.
func (r *run) drops(rate float32) bool { return r.noise.on && rate > 0 }

// scratchIf returns memory of the tape for n floats, or nil if it is not wanted.
func scratchIf(t *autograd.Tape, wanted bool, n int) []float32 {
	if !wanted {
		return nil
	}
	return t.Scratch(n)
}

// layOut takes the memory of the run from the tape.
func (r *run) layOut(t *autograd.Tape) {
	s, p, batch, steps := r.s, &r.s.plan, r.rows.batch, r.windows.steps
	if r.rows.lengths != nil && (r.windows.states == r.rows.steps || r.windows.again) {
		r.rows.pack(t)
	}
	for k := range r.lanes {
		r.layOutLane(t, k)
	}
	switch {
	case r.direct():
		r.y = t.View(r.lanes[len(r.lanes)-1].states[0].after.data[:steps*batch*p.State], steps, batch, p.State)
	case r.all:
		r.y = t.New(steps, batch, s.Out())
		clear(r.y.Data()[r.rows.steps*batch*s.Out():])
	default:
		r.y = t.New(batch, s.Out())
	}
	for i, width := range p.states {
		r.end[i], r.carry[i] = t.New(len(r.lanes), batch, width), nil
		if r.overlap > 0 {
			r.carry[i] = t.New(len(r.lanes), batch, width)
		}
		for k := range r.lanes {
			l := &r.lanes[k]
			state := &l.states[i]
			state.start, state.resetTo = r.part(r.start[i], l), r.part(r.resetTo[i], l)
			state.end, state.carry = r.part(r.end[i], l), r.part(r.carry[i], l)
			state.saved = scratchIf(t, r.windows.again, r.windows.count()*batch*width)
		}
	}
	r.sums = scratchIf(t, r.windows.sums, r.windows.chunk*batch*p.kept)
	r.noise.mask = scratchIf(t, r.noise.on, batch*max(p.Hidden, s.Out()))
}

// layOutLane takes the memory of lane k from the tape.
func (r *run) layOutLane(t *autograd.Tape, k int) {
	s, p, w := r.s, &r.s.plan, &r.windows
	l := &r.lanes[k]
	*l = lane{vectors: vectors{s.weights[k], l.grads}, index: k, layer: k / s.directions, direction: k % s.directions,
		isZero: r.start[0] == nil && !r.rows.apart()}
	if l.direction == 1 {
		l.first = r.rows.steps - 1
	}
	for i, width := range p.states {
		span := w.states
		if i == 0 && r.direct() && l.layer == s.Layers-1 {
			span = r.rows.steps
		}
		l.states[i] = newTrack(t, &r.rows, width, w.states, span, l.direction)
	}
	if l.read = l.states[0].before; r.drops(s.RecurrentDropout) {
		l.read = newSlab(t, &r.rows, p.State, w.states)
		l.keep = t.Scratch(r.rows.batch * p.State)
		r.noise.keep(l.keep, ofState, k, s.RecurrentDropout)
	}
	switch width := r.gathered(l.layer); {
	case l.direction == 1:
		l.in = r.lanes[k-1].in
	case width > 0:
		l.in = newSlab(t, &r.rows, width, w.states)
	case k == 0:
		l.in = slab{data: r.x.Data(), width: s.Input, span: r.rows.steps}
	default:
		l.in = r.lanes[k-1].states[0].after
	}
	l.ahead = w.size > 1 && !w.sums && p.ahead(r.rows.batch, l.in.width)
	span := 1
	if r.record && !w.sums || l.ahead {
		span = w.states
	}
	l.sums = newSlab(t, &r.rows, p.kept, span)
}

// gathered returns the width of the input that a layer gathers in memory of its own, or 0 if the layer reads x, or the states of the layer below, where
// they are.
func (r *run) gathered(layer int) int {
	switch {
	case layer == 0 && r.rows.lengths != nil:
		return r.s.Input
	case layer > 0 && (r.s.directions > 1 || r.drops(r.s.Dropout)):
		return r.s.Out()
	}
	return 0
}

// part returns the part of a node [Layers*Dirs, B, width] that belongs to a lane, [B, width]. It returns nil if there is no node.
func (r *run) part(of *autograd.Node, l *lane) []float32 {
	if of == nil {
		return nil
	}
	size := len(of.Data()) / len(r.lanes)
	return of.Data()[l.index*size:][:size]
}

// droppedWeights are the recurrent matrices of a run with weight dropout, and their packs.
type droppedWeights struct {
	values, masks     []float32 // [Layers*Dirs, rows*columns]
	size              int       // of one matrix
	forward, backward []pack
}

// make drops elements of the recurrent matrices, and packs them.
func (d *droppedWeights) make(t *autograd.Tape, r *run) {
	s := r.s
	d.size = s.weights[0][s.plan.recurrent].Value.Len()
	d.values, d.masks = t.Scratch(len(s.weights)*d.size), t.Scratch(len(s.weights)*d.size)
	for k, weights := range s.weights {
		mask := d.masks[k*d.size:][:d.size]
		r.noise.keep(mask, ofWeights, k, s.WeightDropout)
		kernel.Mul(d.values[k*d.size:][:d.size], weights[s.plan.recurrent].Value.Data(), mask)
	}
	s.pack(&d.forward, d.values, s.plan.packForward)
	if r.record {
		s.pack(&d.backward, d.values, s.plan.packBackward)
	}
}
