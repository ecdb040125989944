package dataset

import (
	"fmt"
	"sort"

	"github.com/unroll-go/unroll/tensor"
)

// WindowConfig says which windows are taken from a series and what is to be predicted from each.
type WindowConfig struct {
	Steps  int // steps of a window
	Stride int // steps from one window's start to the next one's. 0: 1
	// Ahead is how many steps after an input its target is: 1 for the next step. 0, the same step, is for
	// targets that are no inputs.
	Ahead int
	// Horizon 0 is sequence to sequence: each step of a window has a target, Ahead steps later, and
	// Batch.Target is [Steps,B,K]. With n it is sequence to vector: the targets of a window are those of n steps, the first
	// of them Ahead steps after the window's last, and Batch.Target is [B,n*K], step by step.
	Horizon int
	Inputs  []int // columns of the series that are inputs. Empty: all
	Targets []int // columns that are to be predicted, K of them. Empty: all
}

// Windows is a Source of windows over one or several series of numbers. An example is a window; the series
// are kept once, however much their windows overlap. Gather fills Batch.X, [Steps,B,F], and
// Batch.Target.
//
// Windows are in the order of time, series by series, and end where a target would be past the end of its
// series: a series that is too short has none. No window reaches from one series into the next. [Split] cuts by time, but
// windows on both sides of the cut share steps; where that must not be, cut the series instead, with
// [tensor.Of] over parts of its memory.
type Windows struct {
	c        WindowConfig
	series   []*tensor.Tensor
	ends     []int // windows in the series up to and with each
	features int
}

// NewWindows returns the windows over series of shape [T,F], with the same F, which it borrows. It panics if
// Steps is not positive, another number is negative, a column is not in the series, a shape is another one,
// there is no series, or Ahead is 0 for a column that is an input too.
func NewWindows(c WindowConfig, series ...*tensor.Tensor) *Windows {
	if c.Stride == 0 {
		c.Stride = 1
	}
	wrong := func(format string, args ...any) {
		panic(fmt.Errorf("dataset.NewWindows: "+format, args...))
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
		shape := s.Shape()
		if len(shape) != 2 {
			wrong("series %d has shape %v, want [T,F]", i, shape)
		}
		if i == 0 {
			w.features = shape[1]
		}
		if shape[1] != w.features {
			wrong("series %d has %d columns, want %d as the first", i, shape[1], w.features)
		}
	}
	w.c.Inputs, w.c.Targets = w.columns("Inputs", c.Inputs), w.columns("Targets", c.Targets)
	input := make([]bool, w.features)
	for _, f := range w.c.Inputs {
		input[f] = true
	}
	for _, f := range w.c.Targets {
		if c.Ahead == 0 && input[f] {
			wrong("Ahead is 0, but column %d is both input and target", f)
		}
	}
	last := c.Steps + c.Ahead + max(c.Horizon, 1) - 1 // steps from a window's start to behind its last target
	total := 0
	for _, s := range series {
		if spare := s.Dim(0) - last; spare >= 0 {
			total += spare/c.Stride + 1
		}
		w.ends = append(w.ends, total)
	}
	return w
}

// columns returns the columns to take: all where none are named.
func (w *Windows) columns(field string, named []int) (columns []int) {
	for _, f := range named {
		if f < 0 || f >= w.features {
			panic(fmt.Errorf("dataset.NewWindows: %s has column %d, want 0 to %d", field, f, w.features-1))
		}
		columns = append(columns, f)
	}
	for f := range w.features {
		if len(named) == 0 {
			columns = append(columns, f)
		}
	}
	return columns
}

// Len returns the number of windows.
func (w *Windows) Len() int { return w.ends[len(w.ends)-1] }

// At returns where window i is: its series, and the step of it that is the window's first. It panics if there is no
// window i.
func (w *Windows) At(i int) (series, first int) {
	if i < 0 || i >= w.Len() {
		panic(fmt.Errorf("dataset.Windows.At: window %d of %d", i, w.Len()))
	}
	series = sort.SearchInts(w.ends, i+1)
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
	for b, r := range rows {
		series, first := w.At(r)
		from := w.series[series].Data()[first*w.features:]
		w.take(into.X.Data()[b*width:], n*width, from, c.Steps, c.Inputs)
		if c.Horizon == 0 {
			w.take(into.Target.Data()[b*targets:], n*targets, from[c.Ahead*w.features:], c.Steps, c.Targets)
		} else {
			w.take(into.Target.Data()[b*c.Horizon*targets:], targets,
				from[(c.Steps-1+c.Ahead)*w.features:], c.Horizon, c.Targets)
		}
	}
	return nil
}

// take copies columns of so many steps of a series to dst, stride apart.
func (w *Windows) take(dst []float32, stride int, from []float32, steps int, columns []int) {
	for t := range steps {
		step := from[t*w.features:]
		for k, f := range columns {
			dst[t*stride+k] = step[f]
		}
	}
}
