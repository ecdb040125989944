package dataset

import (
	"fmt"
	"sort"

	"github.com/unroll-go/unroll/tensor"
)

// WindowConfig says which windows are taken from a series and what is to be predicted from each window.
type WindowConfig struct {
	Steps  int // steps of a window
	Stride int // steps from the start of one window to the start of the next. 0: 1
	// Ahead is how many steps after an input its target is: 1 for the next step. 0, the same step, is for targets that
	// are not inputs.
	Ahead int
	// Horizon 0 is sequence to sequence: each step of a window has a target, Ahead steps later, and Batch.Target is
	// [Steps,B,K]. Horizon n is sequence to vector: the targets of a window are the values of n steps, the first of them
	// Ahead steps after the last step of the window, and Batch.Target is [B,n*K], step by step.
	Horizon int
	Inputs  []int // columns of the series that are inputs, F of them, counted from 0. Empty: all
	Targets []int // columns that are to be predicted, K of them. Empty: all
	// SkipGaps leaves out each window with a NaN among its inputs or targets, as FillGaps or an empty field of a CSV
	// leaves in a series. Where NaN occurs in targets alone, SkipGaps is not needed: losses and metrics pass over such
	// targets.
	SkipGaps bool
}

// Windows is a Source of windows over one or several series of numbers. An example is a window. The series are kept once,
// however much their windows overlap. Gather fills Batch.X, [Steps,B,F], and Batch.Target.
//
// Windows are in the order of time, series by series. The last window of a series is the last whose targets all lie within
// the series; a series that is too short has none. No window reaches from one series into the next. [Split] cuts by time,
// but windows on both sides of the cut share steps; where that must not be, cut the series instead, with [SplitSeries].
type Windows struct {
	c        WindowConfig
	series   []*tensor.Tensor
	ends     []int // for each series, the number of windows in it and in all series before it
	firsts   []int // with SkipGaps: the first step of each window
	skipped  int
	features int // columns of the series
}

// NewWindows returns the windows over series of shape [T,F], with the same F, which it borrows. With SkipGaps it looks for
// NaN now, not later. It panics with a [*tensor.ShapeError] if a series has another shape, and with a [*tensor.UsageError]
// if Steps is not positive, another number is negative, a column is not in the series, there is no series, or Ahead is 0
// for a column that is both input and target.
func NewWindows(c WindowConfig, series ...*tensor.Tensor) *Windows {
	const where = "dataset.NewWindows"
	if c.Stride == 0 {
		c.Stride = 1
	}
	wrong := func(format string, args ...any) {
		panic(&tensor.UsageError{Where: where, What: fmt.Sprintf(format, args...)})
	}
	if c.Steps < 1 || c.Stride < 0 || c.Ahead < 0 || c.Horizon < 0 {
		wrong("Steps %d, Stride %d, Ahead %d, Horizon %d, want at least 1 step and nothing negative",
			c.Steps, c.Stride, c.Ahead, c.Horizon)
	}
	if len(series) == 0 {
		wrong("no series, want at least one")
	}
	w := &Windows{c: c, series: series}
	for i, s := range series {
		_, width := seriesShape(where, fmt.Sprintf("series %d", i), s)
		if i == 0 {
			w.features = width
		}
		if width != w.features {
			panic(&tensor.ShapeError{Where: where, Got: fmt.Sprintf("series %d has %d columns", i, width),
				Want: fmt.Sprintf("%d as in series 0", w.features)})
		}
	}
	w.c.Inputs = columnsOr(where, "Inputs", c.Inputs, w.features)
	w.c.Targets = columnsOr(where, "Targets", c.Targets, w.features)
	input := make([]bool, w.features)
	for _, f := range w.c.Inputs {
		input[f] = true
	}
	for _, f := range w.c.Targets {
		if c.Ahead == 0 && input[f] {
			wrong("Ahead is 0, but column %d is both input and target", f)
		}
	}
	w.place()
	return w
}

// place finds the windows.
func (w *Windows) place() {
	reach := w.c.Steps + w.c.Ahead + max(w.c.Horizon, 1) - 1 // steps from the start of a window to behind its last target
	total := 0
	for _, s := range w.series {
		windows := 0
		if spare := s.Dim(0) - reach; spare >= 0 {
			windows = spare/w.c.Stride + 1
		}
		if w.c.SkipGaps {
			windows = w.placeWhole(s, windows)
		}
		total += windows
		w.ends = append(w.ends, total)
	}
}

// placeWhole appends to firsts the windows of a series that have no NaN, and returns how many there are.
func (w *Windows) placeWhole(s *tensor.Tensor, windows int) (whole int) {
	inputs, targets := w.gaps(s, w.c.Inputs), w.gaps(s, w.c.Targets)
	from, steps := w.targets()
	for i := range windows {
		first := i * w.c.Stride
		if inputs[first+w.c.Steps]-inputs[first] == 0 && targets[first+from+steps]-targets[first+from] == 0 {
			w.firsts = append(w.firsts, first)
			whole++
		}
	}
	w.skipped += windows - whole
	return whole
}

// gaps returns, for each step of a series and for its end, how many steps before it have a NaN in one of the columns.
func (w *Windows) gaps(s *tensor.Tensor, columns []int) []int {
	steps := s.Dim(0)
	before := make([]int, steps+1)
	for t := range steps {
		before[t+1] = before[t]
		for _, f := range columns {
			if v := s.Data()[t*w.features+f]; v != v {
				before[t+1]++
				break
			}
		}
	}
	return before
}

// targets returns the first step with a target, counted from the start of a window, and how many steps have one.
func (w *Windows) targets() (from, steps int) {
	if w.c.Horizon == 0 {
		return w.c.Ahead, w.c.Steps
	}
	return w.c.Steps - 1 + w.c.Ahead, w.c.Horizon
}

// Len returns the number of windows, without those that SkipGaps left out.
func (w *Windows) Len() int { return w.ends[len(w.ends)-1] }

// Skipped returns how many windows SkipGaps left out.
func (w *Windows) Skipped() int { return w.skipped }

// At returns the series that window i is in, counted from 0, and the first step of the window in that series. It panics
// with a [*tensor.UsageError] if there is no window i.
func (w *Windows) At(i int) (series, first int) {
	if i < 0 || i >= w.Len() {
		panic(&tensor.UsageError{Where: "dataset.Windows.At", What: fmt.Sprintf("window %d of %d", i, w.Len())})
	}
	series = sort.SearchInts(w.ends, i+1)
	if w.c.SkipGaps {
		return series, w.firsts[i]
	}
	if series > 0 {
		i -= w.ends[series-1]
	}
	return series, i * w.c.Stride
}

// Gather implements [Source].
func (w *Windows) Gather(rows []int, into *Batch) error {
	if err := checkRows(rows, w.Len(), "windows"); err != nil {
		return err
	}
	into.start(rows)
	c := &w.c
	n, width, targets := len(rows), len(c.Inputs), len(c.Targets)
	into.IDs, into.Labels, into.Lengths = nil, nil, nil
	into.X = shaped(into.X, c.Steps, n, width)
	if c.Horizon == 0 {
		into.Target = shaped(into.Target, c.Steps, n, targets)
	} else {
		into.Target = shaped(into.Target, n, c.Horizon*targets)
	}
	ahead, steps := w.targets()
	for b, r := range rows {
		series, first := w.At(r)
		from := w.series[series].Data()[first*w.features:]
		w.take(into.X.Data()[b*width:], n*width, from, c.Steps, c.Inputs)
		from = from[ahead*w.features:]
		if c.Horizon == 0 {
			w.take(into.Target.Data()[b*targets:], n*targets, from, steps, c.Targets)
		} else {
			w.take(into.Target.Data()[b*steps*targets:], targets, from, steps, c.Targets)
		}
	}
	return nil
}

// take copies columns of the first steps of a series to dst, where the steps are stride values apart.
func (w *Windows) take(dst []float32, stride int, from []float32, steps int, columns []int) {
	for t := range steps {
		step := from[t*w.features:]
		for k, f := range columns {
			dst[t*stride+k] = step[f]
		}
	}
}
