package rnn

// inferenceWindow returns how many steps of a batch a layer computes before the next layer does when nothing is recorded: enough to use a layer's
// weights again while they are in the cache. The fewer the rows, the more steps can be kept, and the more a step's time is that of reading weights.
func inferenceWindow(batch int) int { return min(max(16, 512/batch), 128) }

// windows cuts time. The steps of a window go through all layers before the next window begins, so that the next window may overwrite what
// they leave unless Backward needs it. Windows are counted back from the last step.
type windows struct {
	steps    int  // of the input
	last     int  // steps that any row has
	size     int  // steps of a window
	truncate int  // steps between two cuts of the gradient; 0: none
	states   int  // steps that the slabs of states keep: all, or one window
	chunk    int  // steps whose gradients of the weights are computed together
	again    bool // Backward computes each window but the last again, from the states before it
	sums     bool // Backward computes the sums of each chunk again, from the states before its steps
}

// newWindows chooses the windows of a run.
func (r *run) newWindows(steps int, o Options) windows {
	last := r.rows.steps
	w := windows{steps: steps, last: last, size: last, chunk: max(4, 128/r.rows.batch)}
	if o.Truncate < steps {
		w.truncate = o.Truncate
	}
	// All steps are one window if a gradient may begin at any step, or if a direction begins at the last step.
	whole := r.s.directions > 1 || r.record && r.rows.lengths != nil
	switch {
	case whole:
	case !r.record:
		w.size = min(last, inferenceWindow(r.rows.batch))
	case w.truncate > 0:
		w.size = w.truncate
	}
	w.chunk = min(w.chunk, w.size)
	w.states = w.size
	if r.record && r.all {
		w.states = last
	}
	if r.record && o.recomputes() {
		r.recompute(&w, o)
	}
	return w
}

// recompute chooses windows that Backward computes again. A window has a multiple of the steps of a chunk, so that the gradients of the weights are
// added in the same order as without. If the gradient is cut, the windows are those between the cuts.
func (r *run) recompute(w *windows, o Options) {
	step, state := r.floatsOfStep()
	// The bytes of everything may be more than an int of 32 bits holds.
	bytes := func(size int) int64 {
		return 4 * (int64(step)*int64(size) + int64(state)*int64(ceilDiv(w.last, size)-1))
	}
	budget := int64(o.MemoryBudget)
	if budget > 0 && bytes(w.last) <= budget {
		return
	}
	switch {
	case r.s.directions > 1: // the reverse direction begins with the last step, so the states of all steps are kept
		w.sums = r.s.plan.kept > 0
		return
	case w.truncate > 0 && r.rows.lengths == nil:
		if !r.all { // only the last window is kept
			return
		}
		w.size = w.truncate
	case o.Recompute > 0:
		w.size = ceilDiv(ceilDiv(w.last, min(w.last, o.Recompute)), w.chunk) * w.chunk
	default:
		best := w.chunk
		for size := w.chunk; size < w.last+w.chunk; size += w.chunk {
			if n := bytes(size); n <= budget || n < bytes(best) {
				best = size
			}
		}
		w.size = best
	}
	w.size = min(w.size, w.last)
	w.states, w.again = w.size, w.size < w.last
}

// floatsOfStep returns how many floats the run keeps for each step, and how many for the states before a window.
func (r *run) floatsOfStep() (step, state int) {
	s, p := r.s, &r.s.plan
	for k := range r.lanes {
		for i, width := range p.states {
			state += width
			if direct := i == 0 && r.direct() && k == len(r.lanes)-1; !direct {
				step += width
			}
			if r.rows.apart() {
				step += width
			}
		}
		step += p.kept
		if r.drops(s.RecurrentDropout) {
			step += p.State
		}
		if k%s.directions == 0 {
			step += r.gathered(k / s.directions)
		}
	}
	if s.Layers > 1 {
		step += s.Out() * s.directions // the gradients of what a layer and the layer below it return
	}
	return step * r.rows.batch, state * r.rows.batch
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// count returns the number of windows.
func (w *windows) count() int { return ceilDiv(w.last, w.size) }

// at returns window i, counted back from the last, as steps [from, to).
func (w *windows) at(i int) (from, to int) {
	to = w.last - i*w.size
	return max(0, to-w.size), to
}

// cut reports whether a cut lies between step t and the step that a direction reads before it.
func (w *windows) cut(t int, reverse bool) bool {
	if reverse {
		t++
	}
	return w.truncate > 0 && t > 0 && t < w.steps && (w.steps-t)%w.truncate == 0
}
