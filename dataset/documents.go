package dataset

import (
	"fmt"
	"io"
	"iter"
	"math"
	"slices"

	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// Document is one sequence of a stream, such as a text or a recording, which is read piece by piece, so that it may be
// larger than memory, or never end. [Documents] makes documents of examples in memory, and [BytesDocument], [TextDocument] and
// [FramesDocument] read them from an io.Reader. A document of one's own is a type with this method, or a [DocumentFunc]. If
// it is an [io.Closer], [Streams] closes it after its end, after an error, or when the program takes no more windows.
type Document interface {
	// Next returns the next steps, at least one and at most n, or an error: [io.EOF] after the last step. The memory of
	// the steps is borrowed until the next call.
	Next(n int) (Steps, error)
}

// DocumentFunc is a [Document] whose method Next is the function.
type DocumentFunc func(n int) (Steps, error)

// Next implements [Document].
func (f DocumentFunc) Next(n int) (Steps, error) { return f(n) }

// Steps are consecutive steps of a [Document], which the windows of a stream hold as a [Batch] does. Fields that a document
// does not have are nil; all documents of a stream have the same fields with the same F and K.
type Steps struct {
	N      int       // number of steps
	X      []float32 // inputs, [N,F]
	IDs    []int32   // tokens, [N]
	Labels []int32   // the class of each step, [N]; loss.Ignore (-100) where there is none
	Target []float32 // numbers to predict at each step, [N,K]; NaN where there is none
}

// widths are the numbers of values that the fields of Steps have for each step.
type widths struct{ x, ids, labels, target int }

// widths returns the numbers of values for each step, or an error if they do not fit the number of steps.
func (s *Steps) widths() (widths, error) {
	all := widths{len(s.X), len(s.IDs), len(s.Labels), len(s.Target)}
	c := widths{all.x / s.N, all.ids / s.N, all.labels / s.N, all.target / s.N}
	if (widths{c.x * s.N, c.ids * s.N, c.labels * s.N, c.target * s.N}) != all || c.ids > 1 || c.labels > 1 || c == (widths{}) {
		return c, fmt.Errorf("%d steps have %v values, want as many for each step, at most one token and one label, and at least one field", s.N, all)
	}
	return c, nil
}

func (c widths) String() string {
	return fmt.Sprintf("X of %d, IDs of %d, Labels of %d and Target of %d", c.x, c.ids, c.labels, c.target)
}

// Documents returns each example of the batches as a document, in their order: [Batches] gives documents as they are in the
// source, [Shuffled] in an order for each epoch.
//
//	dataset.Documents(dataset.Shuffled(source, 100, seed, epoch))
//
// A label or target of a whole example, as [Sequences.Labels] holds, is at the last step of the document; the steps before
// have none. The examples of [Sequences] are read where they are; of another source, each is gathered when its document begins.
func Documents(batches iter.Seq[Rows]) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		var free []*example
		for rows := range batches {
			for _, i := range rows.Index {
				if len(free) == 0 {
					free = append(free, &example{free: &free})
				}
				e := free[len(free)-1]
				free = free[:len(free)-1]
				if !yield(e, e.open(rows.Source, i)) {
					return
				}
			}
		}
	}
}

// example is a document in memory: an example of a source.
type example struct {
	all      Steps
	width    widths
	ends     bool // Labels has one label, that of the last step
	endsWith bool // Target has the numbers of the last step alone
	at       int  // number of steps that were returned

	batch  Batch // memory of an example that was gathered
	row    [1]int
	labels []int32 // memory of steps without a label, and without a target
	target []float32
	free   *[]*example
	closed bool
}

// open begins the document of example i of a source.
func (e *example) open(s Source, i int) error {
	e.at, e.closed = 0, false
	for part, ok := s.(Rows); ok; part, ok = s.(Rows) {
		if err := checkRows([]int{i}, part.Len(), "rows"); err != nil {
			return err
		}
		s, i = part.Source, part.Index[i]
	}
	if all, ok := s.(*Sequences); ok {
		return e.borrow(all, i)
	}
	return e.gather(s, i)
}

// borrow begins the document of a sequence, without a copy of it.
func (e *example) borrow(s *Sequences, i int) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := s.checkExamples([]int{i}); err != nil {
		return err
	}
	e.all, e.endsWith = Steps{N: s.Length(i)}, s.Target != nil
	if s.X != nil {
		e.all.X = s.X[i].Data()
	}
	if s.IDs != nil {
		e.all.IDs = s.IDs[i]
	}
	if s.Labels != nil {
		e.all.Labels = s.Labels[i : i+1]
	} else if s.StepLabels != nil {
		e.all.Labels = s.StepLabels[i]
	}
	if s.Target != nil {
		e.all.Target = s.Target.Data()[i*s.Target.Dim(1):][:s.Target.Dim(1)]
	} else if s.StepTargets != nil {
		e.all.Target = s.StepTargets[i].Data()
	}
	return e.measure()
}

// gather begins the document of an example of any other source.
func (e *example) gather(s Source, i int) error {
	b := &e.batch
	e.row[0] = i
	b.start(e.row[:]) // for a source of the user's own
	if err := s.Gather(e.row[:], b); err != nil {
		return err
	}
	if len(b.Parts) > 0 {
		return fmt.Errorf("dataset: example %d is one of dataset.Join, want a source without parts", i)
	}
	rows, steps := b.size()
	if rows != 1 || b.Lengths != nil && (b.Lengths[0] < 0 || b.Lengths[0] > steps) {
		return fmt.Errorf("dataset: example %d is gathered as %d rows of %d steps with Lengths %v, want one row and a length of 0 to the steps",
			i, rows, steps, b.Lengths)
	}
	e.all = Steps{N: steps, X: dataOf(b.X), IDs: b.IDs, Labels: b.Labels, Target: dataOf(b.Target)}
	e.endsWith = b.Target != nil && len(b.Target.Shape()) < 3
	if err := e.measure(); err != nil {
		return fmt.Errorf("dataset: example %d: %w", i, err)
	}
	if b.Lengths != nil {
		e.all.N = b.Lengths[0]
	}
	return nil
}

// measure finds the numbers of values that each step has.
func (e *example) measure() (err error) {
	e.ends = len(e.all.Labels) == 1
	if e.all.N == 0 {
		return nil
	}
	each := e.all
	if e.ends {
		each.Labels = nil
	}
	if e.endsWith {
		each.Target = nil
	}
	e.width, err = each.widths()
	return err
}

// Next implements [Document].
func (e *example) Next(n int) (Steps, error) {
	lo, hi := e.at, e.at+min(n, e.all.N-e.at)
	if lo >= hi {
		return Steps{}, io.EOF
	}
	e.at = hi
	next, last := Steps{N: hi - lo}, hi == e.all.N
	if e.all.X != nil {
		next.X = e.all.X[lo*e.width.x : hi*e.width.x]
	}
	if e.all.IDs != nil {
		next.IDs = e.all.IDs[lo:hi]
	}
	switch {
	case e.ends:
		e.labels = atEnd(e.labels, next.N, last, e.all.Labels, label.Ignore)
		next.Labels = e.labels
	case e.all.Labels != nil:
		next.Labels = e.all.Labels[lo:hi]
	}
	switch {
	case e.endsWith:
		e.target = atEnd(e.target, next.N, last, e.all.Target, float32(math.NaN()))
		next.Target = e.target
	case e.all.Target != nil:
		next.Target = e.all.Target[lo*e.width.target : hi*e.width.target]
	}
	return next, nil
}

// atEnd returns n steps of none, in the memory of s. If the last of them is the last of the document, it has values.
func atEnd[E any](s []E, n int, last bool, values []E, none E) []E {
	s = extend(s[:0], n*len(values), none)
	if last {
		copy(s[len(s)-len(values):], values)
	}
	return s
}

// Close implements [io.Closer]: the memory is free for another document.
func (e *example) Close() error {
	if !e.closed {
		e.closed = true
		*e.free = append(*e.free, e)
	}
	return nil
}

// extend appends none to s until it has n elements.
func extend[E any](s []E, n int, none E) []E {
	s = slices.Grow(s, max(0, n-len(s)))
	for len(s) < n {
		s = append(s, none)
	}
	return s
}

// dataOf returns the numbers of t, nil if t is nil.
func dataOf(t *tensor.Tensor) []float32 {
	if t == nil {
		return nil
	}
	return t.Data()
}
