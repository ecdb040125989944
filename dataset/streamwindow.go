package dataset

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/internal/label"
)

// window is a Source of the steps of one window of [Streams], an example for each stream. Its arrays are time-major, as in
// a batch. It does not change while it is valid.
type window struct {
	number  int // n, counted from 0
	index   []int
	widths  *widths // of the documents
	steps   int     // number of steps, T
	seen    int     // number of first steps that were in the window before
	overlap int     // number of last steps that are in the next window, too
	begin   int     // the last step at which a document begins; negative: none does
	x       []float32
	ids     []int32
	labels  []int32
	target  []float32
	begins  []bool
	lengths []int // number of steps of each row
	err     error // what Gather returns
}

// follow makes w the window of number n: it copies the steps that the window before repeats, without labels.
func (w *window) follow(before *window, n int) {
	rows, c := len(w.lengths), w.widths
	gone := before.steps - before.overlap
	w.number, w.steps, w.seen, w.begin = n, before.overlap, before.overlap, before.begin-gone
	w.x = append(w.x[:0], before.x[gone*rows*c.x:]...)
	w.ids = append(w.ids[:0], before.ids[gone*rows*c.ids:]...)
	w.begins = append(w.begins[:0], before.begins[gone*rows:]...)
	w.labels = extend(w.labels[:0], w.steps*rows*c.labels, label.Ignore)
	w.target = extend(w.target[:0], w.steps*rows*c.target, float32(math.NaN()))
	for b, length := range before.lengths {
		w.lengths[b] = max(0, length-gone)
		w.index[b] = n*rows + b
	}
}

// grow makes the window so many steps long, if it is shorter, by steps of padding.
func (w *window) grow(steps int) {
	if steps <= w.steps {
		return
	}
	w.steps = steps
	n, c := steps*len(w.lengths), w.widths
	w.x = extend(w.x, n*c.x, 0)
	w.ids = extend(w.ids, n*c.ids, 0)
	w.labels = extend(w.labels, n*c.labels, label.Ignore)
	w.target = extend(w.target, n*c.target, float32(math.NaN()))
	w.begins = extend(w.begins, n, false)
}

// add appends steps to row b. The first unlabelled of them have no label.
func (w *window) add(b int, s *Steps, begins bool, unlabelled int) {
	rows, from := len(w.lengths), w.lengths[b]
	w.lengths[b] += s.N
	w.grow(w.lengths[b])
	at, c := from*rows+b, w.widths
	if begins {
		w.begins[at] = true
		w.begin = max(w.begin, from)
	}
	scatter(w.x, s.X, at, rows, c.x)
	scatter(w.ids, s.IDs, at, rows, c.ids)
	if skip := min(max(unlabelled, 0), s.N); skip < s.N {
		at += skip * rows
		scatter(w.labels, s.Labels[skip*c.labels:], at, rows, c.labels)
		scatter(w.target, s.Target[skip*c.target:], at, rows, c.target)
	}
}

// scatter writes the steps of src, [N,width], into a column of dst, [T,columns,width], from element at of its first two
// dimensions on.
func scatter[E any](dst, src []E, at, columns, width int) {
	if width == 1 {
		for _, v := range src {
			dst[at] = v
			at += columns
		}
		return
	}
	for ; len(src) > 0; src = src[width:] {
		copy(dst[at*width:][:width], src)
		at += columns
	}
}

// finish takes away the labels that no gradient reaches, and finds out what the next window repeats.
func (w *window) finish(s Streams) {
	w.overlap = min(max(s.K2-s.K1, 0), w.steps)
	if s.K2 == 0 {
		return
	}
	cut := max(0, w.steps-s.K2) * len(w.lengths)
	for i := range w.labels[:cut*w.widths.labels] {
		w.labels[i] = label.Ignore
	}
	for i := range w.target[:cut*w.widths.target] {
		w.target[i] = float32(math.NaN())
	}
}

// Len implements [Source]: the number of examples of this window and of all windows before.
func (w *window) Len() int { return (w.number + 1) * len(w.lengths) }

// Gather implements [Source].
func (w *window) Gather(rows []int, into *Batch) error {
	if w.err != nil {
		return w.err
	}
	all := len(w.lengths)
	first, shortest, run := w.number*all, w.steps, len(rows)
	for i, r := range rows {
		if r < first || r >= first+all {
			return fmt.Errorf("dataset: row %d of a window with the rows %d to %d, want a window that is valid: until the second one after it is made",
				r, first, first+all-1)
		}
		shortest = min(shortest, w.lengths[r-first])
		if r != rows[0]+i {
			run = 1 // the rows are not consecutive
		}
	}
	into.start(rows)
	rows = into.Index
	x, ids, labels, target, c := into.X, into.IDs, into.Labels, into.Target, w.widths
	into.X, into.IDs, into.Labels, into.Target, into.Lengths = nil, nil, nil, nil, into.Lengths[:0]
	if c.x > 0 {
		into.X = shaped(x, w.steps, len(rows), c.x)
		selectRows(into.X.Data(), w.x, rows, run, first, all, c.x)
	}
	if c.ids > 0 {
		into.IDs = sized(ids, w.steps*len(rows))
		selectRows(into.IDs, w.ids, rows, run, first, all, 1)
	}
	if c.labels > 0 {
		into.Labels = sized(labels, w.steps*len(rows))
		selectRows(into.Labels, w.labels, rows, run, first, all, 1)
	}
	if c.target > 0 {
		into.Target = shaped(target, w.steps, len(rows), c.target)
		selectRows(into.Target.Data(), w.target, rows, run, first, all, c.target)
	}
	if w.begin >= 0 {
		into.begins = extend(into.begins[:0], w.steps*len(rows), false)
		selectRows(into.begins, w.begins, rows, run, first, all, 1)
		into.Begins = into.begins
	}
	into.Overlap = w.overlap
	if shortest == w.steps {
		into.Lengths = nil
		return nil
	}
	for _, r := range rows {
		into.Lengths = append(into.Lengths, w.lengths[r-first])
	}
	return nil
}

// selectRows fills dst, [T,len(rows),width], with some of the rows of src, [T,all,width], whose numbers count from first.
// The rows follow each other in src in runs of so many.
func selectRows[E any](dst, src []E, rows []int, run, first, all, width int) {
	for step := 0; len(dst) > 0; step += all {
		for i := 0; i < len(rows); i += run {
			from := src[(step+rows[i]-first)*width:]
			dst = dst[copy(dst[:run*width], from):]
		}
	}
}
