package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// backward is the scratch of one backward pass.
type backward struct {
	*run
	packs       []pack
	dsums       []float32 // [chunk, B, plan.dsums]
	states      [2]dstate // of h and c
	dhRead      []float32 // [B, State]: with recurrent dropout, the gradient of the state as the products read it
	dx          []float32 // [chunk, B, widest In]: the gradient of what a lane reads, before it is added to that of x or of the layer below
	dy, dyBelow []float32 // [window, B, Out]: the gradients of the output of a layer below the top one, and of the layer below that
	dDropped    []float32 // [Layers*Dirs, rows*columns]: with weight dropout, the gradients of the recurrent matrices before the mask
}

// dstate is the gradient of a state on its way back.
type dstate struct {
	width int
	all   []float32 // [Layers*Dirs, B, width]: the gradients of all lanes
	grad  []float32 // [B, width]: that of the present lane
	rows  []float32 // with lengths: the rows that have the step, one after the other
	kept  []float32 // with zoneout: the part that bypasses the cell because the unit kept its value
}

// Backward is backpropagation through time: window by window from the last to the first, in a window from the top layer to the lowest, in a
// layer from the last step of a direction to its first. No gradient of a state crosses a cut.
func (r *run) Backward() {
	if r.y.Grad() == nil && r.end[0].Grad() == nil && (r.end[1] == nil || r.end[1].Grad() == nil) {
		return
	}
	b := r.newBackward(r.y.Tape())
	windows := 1 // the gradient of the last output alone does not reach the windows before a cut
	if r.all || r.windows.again {
		windows = r.windows.count()
	}
	for i := range windows {
		from, to := r.windows.at(i)
		if r.windows.again && b.silentWindow(from, to) {
			continue
		}
		r.forwardAgain(i)
		for layer := r.s.Layers - 1; layer >= 0; layer-- {
			for d := range r.s.directions {
				b.lane(&r.lanes[layer*r.s.directions+d], from, to)
			}
			b.dy, b.dyBelow = b.dyBelow, b.dy
			if layer > 0 && r.drops(r.s.Dropout) {
				for t := from; t < to; t++ {
					dy := b.windowAt(b.dy, t, from)[:r.rows.count(t)*r.s.Out()]
					kernel.Mul(dy, dy, r.inputMask(layer, t))
				}
			}
		}
	}
	from, _ := r.windows.at(windows - 1)
	b.finish(from == 0)
}

// newBackward takes the memory of a backward pass from the tape.
func (r *run) newBackward(t *autograd.Tape) (b backward) {
	s, p, batch := r.s, &r.s.plan, r.rows.batch
	b.run, b.packs = r, r.dropped.backward
	if r.drops(s.WeightDropout) {
		b.dDropped = t.Scratch(len(r.lanes) * r.dropped.size)
		clear(b.dDropped)
	} else {
		b.packs = *s.backward.Get()
	}
	b.dsums = t.Scratch(r.windows.chunk * batch * p.dsums)
	for i, width := range p.states {
		n := batch * width
		b.states[i] = dstate{width: width, all: t.Scratch(len(r.lanes) * n), rows: scratchIf(t, r.rows.lengths != nil, n),
			kept: scratchIf(t, r.drops(s.zoneouts()[i]), n)}
	}
	b.dhRead = scratchIf(t, r.drops(s.RecurrentDropout), batch*p.State)
	b.dx = scratchIf(t, r.x.RequiresGrad() || s.directions > 1, r.windows.chunk*batch*max(s.Input, s.Out()))
	b.dy = scratchIf(t, s.Layers > 1, r.windows.size*batch*s.Out())
	if b.dyBelow = b.dy; s.directions > 1 {
		b.dyBelow = scratchIf(t, s.Layers > 1, len(b.dy))
	}
	for k := range r.lanes {
		l := &r.lanes[k]
		if l.useGrads(t.Grads()); b.dDropped != nil && l.grads[p.recurrent] != nil {
			l.grads[p.recurrent] = b.dDropped[k*r.dropped.size:][:r.dropped.size]
		}
	}
	b.begin()
	return b
}

// windowAt returns dy [window, B, Out], whose first step is from, from the rows of step t on.
func (b *backward) windowAt(dy []float32, t, from int) []float32 {
	return dy[(b.rows.first(t, b.windows.states)-b.rows.first(from, b.windows.states))*b.s.Out():]
}

// lane takes the gradient of a lane back through steps [from, to), in chunks.
func (b *backward) lane(l *lane, from, to int) {
	for i := range b.states {
		d := &b.states[i]
		n := b.rows.batch * d.width
		d.grad = d.all[l.index*n:][:n]
	}
	chunk := b.windows.chunk
	for i := 0; i < to-from; i += chunk {
		t0, t1 := max(from, to-i-chunk), to-i
		if l.direction == 1 {
			t0, t1 = from+i, min(to, from+i+chunk)
		}
		base := b.rows.first(t0, b.windows.states)
		rows := b.rows.between(t0, t1, b.windows.states)
		if b.silent(l, t0, t1, rows, from) {
			if l.layer > 0 && l.direction == 0 {
				clear(b.windowAt(b.dyBelow, t0, from)[:rows*l.in.width])
			}
			continue
		}
		if b.windows.sums {
			b.sumsAgain(&b.run.packs()[l.index], l, t0, t1)
		}
		for j := range t1 - t0 {
			t := t1 - 1 - j
			if l.direction == 1 {
				t = t0 + j
			}
			if b.rows.count(t) > 0 {
				b.step(l, b.dsums[(b.rows.first(t, b.windows.states)-base)*b.s.plan.dsums:], t, from)
				b.checkStep(l, t)
			}
		}
		if rows > 0 {
			b.weightGrads(l, t0, t1, rows)
			b.checkWeights(l, t0, t1)
			b.inputGrad(l, t0, t1, rows, from)
		}
	}
}

// silent reports whether all gradients are 0 that steps [t0, t1) of a lane could pass on, of so many rows in all: the gradients of the states, as where
// they have vanished, and those of the outputs. Then these steps add nothing to any gradient, and are skipped.
func (b *backward) silent(l *lane, t0, t1, rows, from int) bool {
	for i := range b.states {
		if !zero(b.states[i].grad) {
			return false
		}
	}
	if l.layer < b.s.Layers-1 {
		return zero(b.windowAt(b.dy, t0, from)[:rows*b.s.Out()])
	}
	return b.silentOutputs(t0, t1)
}

// silentOutputs reports whether the gradients of y are 0 in steps [t0, t1).
func (b *backward) silentOutputs(t0, t1 int) bool {
	dy, step := b.y.Grad(), b.rows.batch*b.s.Out()
	return dy == nil || !b.all || zero(dy[t0*step:t1*step])
}

// silentWindow reports whether a window adds nothing to any gradient.
func (b *backward) silentWindow(from, to int) bool {
	for i := range b.states {
		if !zero(b.states[i].all) {
			return false
		}
	}
	return b.silentOutputs(from, to)
}

// zero reports whether every element of v is 0.
func zero(v []float32) bool {
	for _, x := range v {
		if x != 0 {
			return false
		}
	}
	return true
}

// begin sets the gradients of the states after the last step. They are the gradients of the end, to which Last adds the gradient of y.
func (b *backward) begin() {
	for i := range b.s.plan.states {
		all, end := b.states[i].all, b.end[i].Grad()
		if end == nil {
			clear(all)
		} else {
			copy(all, end)
		}
	}
	g, h := b.y.Grad(), &b.states[0]
	if g == nil || b.all {
		return
	}
	for k := len(b.lanes) - b.s.directions; k < len(b.lanes); k++ {
		n := b.rows.batch * h.width
		b.addRows(h.all[k*n:][:n], g, b.lanes[k].direction, b.rows.batch)
	}
}

// finish adds the gradients of the states before the first step to the start, and the gradients of the dropped recurrent matrices to the matrices.
func (b *backward) finish(atStart bool) {
	for i := range b.s.plan.states {
		if atStart && wanted(b.start[i]) {
			kernel.Add(b.start[i].AccumulateGrad(), b.states[i].all)
		}
	}
	for k := range b.lanes {
		if w := b.lanes[k].weights; b.dDropped != nil && !w[b.s.plan.recurrent].Frozen {
			grad := b.y.Tape().Grads().Of(w[b.s.plan.recurrent])
			n := len(grad)
			kernel.AddMul(grad, b.dDropped[k*n:][:n], b.dropped.masks[k*n:][:n])
		}
	}
}

// addRows adds the columns of dy [rows, Out] that belong to a direction to dh [rows, State].
func (b *backward) addRows(dh, dy []float32, direction, rows int) {
	state, width := b.s.plan.State, b.s.Out()
	if width == state {
		kernel.Add(dh[:rows*state], dy[:rows*state])
		return
	}
	for i := range rows {
		kernel.Add(dh[i*state:][:state], dy[i*width+direction*state:][:state])
	}
}

// step takes the gradients of the states back over step t, and writes the gradients of its sums to dsums. from is the first step of the window.
func (b *backward) step(l *lane, dsums []float32, t, from int) {
	s, p, f := b.s, &b.s.plan, &b.frame
	l.frame(f, p, &b.rows, t)
	f.dsums = dsums[:f.rows*p.dsums]
	var grads [2][]float32 // of the rows that have the step
	for i := range b.states {
		d := &b.states[i]
		if grads[i] = d.grad; b.rows.lengths != nil {
			grads[i] = d.rows[:f.rows*d.width]
			b.rows.gather(grads[i], d.grad, t, d.width)
		}
	}
	b.addOutputGrad(l, grads[0], t, from)
	for i := range b.states {
		if d := &b.states[i]; d.kept != nil {
			bypass(d.kept, grads[i], b.noise.step(&b.rows, ofZone+i, l.index, t, s.zoneouts()[i], 1, 0, d.width))
		}
	}
	f.dh, f.dc, f.dhRead = grads[0], grads[1], grads[0]
	if b.dhRead != nil {
		f.dhRead = b.dhRead[:len(f.dh)]
		clear(f.dhRead)
	}
	crosses := b.crosses(l, t)
	resets := b.rows.resetsAt(t, l.direction)
	// In a reverse direction, a row whose last step is t begins there: the state before is its start, to which the gradient goes whether
	// there is a cut or not.
	begins := b.rows.lengths != nil && l.direction == 1
	back := crosses || begins || resets && (wanted(b.resetTo[0]) || wanted(b.resetTo[1]))
	p.backward(&b.packs[l.index], f, back)
	if b.dhRead != nil && back {
		b.rows.mul(f.dhRead, f.dhRead, l.keep, t, p.State)
		kernel.Add(f.dh, f.dhRead)
	}
	for i := range b.states {
		d := &b.states[i]
		if d.kept != nil {
			kernel.Add(grads[i], d.kept[:len(grads[i])])
		}
		switch {
		case resets || begins && !crosses:
			b.leaveRows(l, i, grads[i], t, crosses)
		case !crosses:
			clear(grads[i])
		}
		if b.rows.lengths != nil {
			b.rows.scatter(d.grad, grads[i], t, d.width)
		}
	}
}

// leaveRows decides for each row where the gradient of state i before step t goes. If a sequence begins at the step, it goes to ResetTo. Otherwise it
// crosses to the step before, unless there is a cut. In the reverse direction, a row whose last step is t keeps its gradient for its start.
func (b *backward) leaveRows(l *lane, i int, grad []float32, t int, crosses bool) {
	width := b.states[i].width
	for rows := range b.rows.ranges(t) {
		for j := range rows.n {
			row, g := rows.row+j, grad[(rows.i+j)*width:][:width]
			switch {
			case b.rows.reset(t, row, l.direction):
				if to := b.resetTo[i]; wanted(to) {
					kernel.Add(to.AccumulateGrad()[(l.index*b.rows.batch+row)*width:][:width], g)
				}
				clear(g)
			case crosses || l.direction == 1 && b.rows.lengths != nil && b.rows.lengths[row] == t+1:
			default:
				clear(g)
			}
		}
	}
}

// bypass moves mask*grad out of grad to kept.
func bypass(kept, grad, mask []float32) {
	kept = kept[:len(grad)]
	kernel.Mul(kept, grad, mask)
	kernel.AddScaled(grad, -1, kept)
}

// crosses reports whether a gradient of the state before step t is wanted.
func (b *backward) crosses(l *lane, t int) bool {
	if t == l.first && b.rows.lengths == nil {
		return wanted(b.start[0]) || wanted(b.start[1])
	}
	return !b.windows.cut(t, l.direction == 1)
}
