package rnn

// inferenceWindow returns how many steps of a batch a layer computes before the next layer does when nothing is recorded: enough to use a layer's
// weights again while they are in the cache. The fewer the rows, the more steps can be kept, and the more a step's time is that of reading weights.
func inferenceWindow(batch int) int { return min(max(16, 512/max(1, batch)), 128) }

// windows cuts time. The steps of a window go through all layers before the next window begins, so that the next window may overwrite what
// they leave unless Backward needs it. Windows are counted back from the last step.
type windows struct {
	steps    int
	size     int // steps of a window
	truncate int // steps between two cuts of the gradient; 0: none
	states   int // steps that the slabs of states keep: all, or one window
}

// newWindows chooses the windows of a run of so many rows that is recorded for Backward or not, and whose output has all steps or the last one alone. If it
// is whole, all steps are one window, because a gradient may begin at any step, or because a direction begins at the last step.
func newWindows(steps, batch, truncate int, record, whole, all bool) windows {
	w := windows{steps: steps, size: steps}
	if truncate < steps {
		w.truncate = truncate
	}
	switch {
	case whole:
	case !record:
		w.size = min(steps, inferenceWindow(batch))
	case w.truncate > 0:
		w.size = w.truncate
	}
	w.states = w.size
	if record && all {
		w.states = steps
	}
	return w
}

// count returns the number of windows.
func (w *windows) count() int { return (w.steps + w.size - 1) / w.size }

// at returns window i, counted back from the last, as steps [from, to).
func (w *windows) at(i int) (from, to int) {
	to = w.steps - i*w.size
	return max(0, to-w.size), to
}

// cut reports whether a cut lies between step t and the step that a direction reads before it.
func (w *windows) cut(t int, reverse bool) bool {
	if reverse {
		t++
	}
	return w.truncate > 0 && t > 0 && t < w.steps && (w.steps-t)%w.truncate == 0
}
