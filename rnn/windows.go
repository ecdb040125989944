package rnn

import "iter"

// inferenceWindow is how many steps a layer of a stack is ahead of the next layer when nothing is recorded: enough to use a layer's
// weights again while they are in the cache.
const inferenceWindow = 16

// windows cuts time. The steps of a window go through all layers before the next window begins, so that the next window may overwrite what
// they leave unless Backward needs it. Windows are counted back from the last step.
type windows struct {
	steps    int
	size     int // steps of a window
	truncate int // steps between two cuts of the gradient; 0: none
	states   int // span of the states: all steps, or a window
}

// newWindows chooses the windows of a run. whole says that a gradient may begin at any step, so that no window may be overwritten.
func newWindows(steps, truncate int, record, whole, all bool) windows {
	w := windows{steps: steps, size: steps}
	if truncate < steps {
		w.truncate = truncate
	}
	switch {
	case whole:
	case !record:
		w.size = min(steps, inferenceWindow)
	case w.truncate > 0:
		w.size = w.truncate
	}
	w.states = w.size
	if record && all {
		w.states = steps
	}
	return w
}

// forward yields the windows, from the first to the last, as steps from to to.
func (w *windows) forward() iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		first := w.steps - (w.steps-1)/w.size*w.size
		for from, to := 0, first; from < w.steps; from, to = to, to+w.size {
			if !yield(from, to) {
				return
			}
		}
	}
}

// backward yields the windows from the last to the first.
func (w *windows) backward() iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		for to := w.steps; to > 0; to -= w.size {
			if !yield(max(0, to-w.size), to) {
				return
			}
		}
	}
}

// cut reports whether a cut lies between step t and the step that a direction reads before it.
func (w *windows) cut(t int, reverse bool) bool {
	if reverse {
		t++
	}
	return w.truncate > 0 && t > 0 && t < w.steps && (w.steps-t)%w.truncate == 0
}
