package dataset

import (
	"fmt"

	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// Text is a Source of windows over the tokens of a text, for models that predict the next token. Gather fills
// Batch.IDs and Batch.Labels, both [T,B]: the token of row b at step t is IDs[t*B+b], and the token that
// follows it in the text is Labels[t*B+b]. That is also the order of the rows of logits [T,B,C].
//
// [NewText] makes windows that stand by themselves, to be shuffled; [NewStreams] makes parallel streams for a
// model that keeps its state from batch to batch. The tokens are kept once.
type Text struct {
	ids           []int32
	steps, stride int
	rows, each    int // number of streams, and of labels in each stream
	n             int // number of windows
}

// NewText returns windows of so many steps, each of which starts stride tokens after the window before. Stride 0 is
// stride steps: every token is an input once. A window needs one token more than it has steps, for its last label; tokens
// at the end of the text that fill no window are left out. NewText borrows ids. It panics with a [*tensor.UsageError] if
// steps is not positive or stride is negative.
func NewText(ids []int32, steps, stride int) *Text {
	if steps < 1 || stride < 0 {
		panic(&tensor.UsageError{Where: "dataset.NewText",
			What: fmt.Sprintf("%d steps, stride %d, want at least 1 step and no negative stride", steps, stride)})
	}
	if stride == 0 {
		stride = steps
	}
	s := &Text{ids: ids, steps: steps, stride: stride, rows: 1, each: max(0, len(ids)-1)}
	if s.each >= steps {
		s.n = (s.each-steps)/stride + 1
	}
	return s
}

// NewStreams cuts the tokens into parallel streams of one length, one for each of the rows, and each stream into windows
// of so many steps, for truncated backpropagation through time. Take the windows in order, in batches of rows:
//
//	s := dataset.NewStreams(ids, rows, steps)
//	for batch := range dataset.Batches(s, rows) {
//
// Row b of each batch continues the text where row b of the batch before ended, so that the model can keep its state; the
// example named Training trains such a model. The first batch of an epoch begins with a state of zeros. The last batch has fewer
// steps if the length of a stream is not divisible by steps: ask [Batch.Rows] and [Batch.Steps]. Fewer than rows tokens at
// the end of the text are left out.
//
// Batches of another size may mix windows of different lengths. The shorter windows are padded then with token 0, their
// labels with loss.Ignore (-100), and Batch.Lengths is set. NewStreams borrows ids. It panics with a [*tensor.UsageError]
// if rows or steps is not positive.
func NewStreams(ids []int32, rows, steps int) *Text {
	if rows < 1 || steps < 1 {
		panic(&tensor.UsageError{Where: "dataset.NewStreams",
			What: fmt.Sprintf("%d rows of %d steps, want at least 1 of each", rows, steps)})
	}
	s := &Text{ids: ids, steps: steps, stride: steps, rows: rows, each: max(0, len(ids)-1) / rows}
	if s.each > 0 {
		s.n = ((s.each-1)/steps + 1) * rows
	}
	return s
}

// Len returns the number of windows.
func (s *Text) Len() int { return s.n }

// Length implements [Measured]: the number of steps of window i.
func (s *Text) Length(i int) int { return min(s.steps, s.each-i/s.rows*s.stride) }

// Gather implements [Source].
func (s *Text) Gather(rows []int, into *Batch) error {
	if err := checkRows(rows, s.n, "windows"); err != nil {
		return err
	}
	steps, shortest := 0, s.steps
	for _, r := range rows {
		steps, shortest = max(steps, s.Length(r)), min(shortest, s.Length(r))
	}
	into.start(rows)
	n := len(rows)
	into.X, into.Target = nil, nil
	into.IDs, into.Labels = sized(into.IDs, steps*n), sized(into.Labels, steps*n)
	for b, r := range rows {
		at, length := r%s.rows*s.each+r/s.rows*s.stride, s.Length(r)
		column(into.IDs, n, b, s.ids[at:at+length], 0)
		column(into.Labels, n, b, s.ids[at+1:at+1+length], label.Ignore)
	}
	if shortest >= steps { // all of one length, or no row
		into.Lengths = nil
		return nil
	}
	into.Lengths = into.Lengths[:0]
	for _, r := range rows {
		into.Lengths = append(into.Lengths, s.Length(r))
	}
	return nil
}
