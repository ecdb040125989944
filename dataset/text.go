package dataset

import (
	"fmt"

	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// Text is a Source of windows over the tokens of a text, which stand by themselves, for models that predict the next token.
// Gather fills Batch.IDs and Batch.Labels, both [T,B]: the token of row b at step t is IDs[t*B+b], and the token that
// follows it in the text is Labels[t*B+b]. That is also the order of the rows of logits [T,B,C]. The tokens are kept once.
//
// For a model that keeps its state from window to window, [Streams] makes windows of [NextTokens].
type Text struct {
	ids           []int32
	steps, stride int
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
	s := &Text{ids: ids, steps: steps, stride: stride}
	if labels := len(ids) - 1; labels >= steps {
		s.n = (labels-steps)/stride + 1
	}
	return s
}

// Len returns the number of windows.
func (s *Text) Len() int { return s.n }

// Length implements [Measured]: the number of steps of each window.
func (s *Text) Length(int) int { return s.steps }

// Gather implements [Source].
func (s *Text) Gather(rows []int, into *Batch) error {
	if err := checkRows(rows, s.n, "windows"); err != nil {
		return err
	}
	into.start(rows)
	n := len(rows)
	into.X, into.Target, into.Lengths = nil, nil, nil
	into.IDs, into.Labels = sized(into.IDs, s.steps*n), sized(into.Labels, s.steps*n)
	for b, r := range rows {
		window := s.ids[r*s.stride:][:s.steps+1]
		column(into.IDs, n, b, window, 0)
		column(into.Labels, n, b, window[1:], label.Ignore)
	}
	return nil
}

// NextTokens returns the texts as sequences in which each token predicts the next: the last token of a text is a label only.
// It borrows the texts. A text of fewer than two tokens has no step, which is an error of Gather.
func NextTokens(texts ...[]int32) *Sequences {
	s := &Sequences{IDs: make([][]int32, len(texts)), StepLabels: make([][]int32, len(texts))}
	for i, text := range texts {
		if last := len(text) - 1; last > 0 {
			s.IDs[i], s.StepLabels[i] = text[:last:last], text[1:]
		}
	}
	return s
}
