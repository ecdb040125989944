package dataset

import (
	"fmt"

	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// Sequences is a Source of examples of different lengths. Either X or IDs holds their inputs; of the others, those
// that are set are filled in a batch. Gather pads to the longest of the batch, at the end, and fills
// Batch.Lengths. ([Buckets] makes batches of examples that are about as long as each other.)
//
//	            here                       in a batch
//	X           N tensors [T_i,F]          [T,B,F], padded with zeros
//	IDs         N slices of T_i tokens     T*B, padded with Pad
//	Labels      N classes                  B
//	StepLabels  N slices of T_i classes    T*B as Labels, padded with loss.Ignore (-100)
//	Target      [N,K]                      [B,K]
//
// The memory is borrowed. Sizes that do not fit together and sequences without a step are an error of Gather
// that names the example.
type Sequences struct {
	X          []*tensor.Tensor
	IDs        [][]int32
	Pad        int32 // token past the end of a sequence
	Labels     []int32
	StepLabels [][]int32
	Target     *tensor.Tensor
}

// Len returns the number of examples.
func (s *Sequences) Len() int { return max(len(s.X), len(s.IDs)) }

// Length returns the number of steps of example i.
func (s *Sequences) Length(i int) int {
	if s.IDs != nil {
		return len(s.IDs[i])
	}
	return s.X[i].Dim(0)
}

// check returns what does not fit together, of the set and of the examples at rows.
func (s *Sequences) check(rows []int) error {
	n := s.Len()
	switch {
	case (s.X == nil) == (s.IDs == nil):
		return fmt.Errorf("dataset: Sequences has %d of X and %d of IDs, want one of the two", len(s.X), len(s.IDs))
	case s.Labels != nil && s.StepLabels != nil:
		return fmt.Errorf("dataset: Sequences has both Labels and StepLabels, want one of the two")
	case s.Labels != nil && len(s.Labels) != n:
		return fmt.Errorf("dataset: %d labels, want %d, one an example", len(s.Labels), n)
	case s.StepLabels != nil && len(s.StepLabels) != n:
		return fmt.Errorf("dataset: step labels of %d examples, want %d", len(s.StepLabels), n)
	}
	if s.Target != nil {
		if y := s.Target.Shape(); len(y) != 2 || y[0] != n {
			return fmt.Errorf("dataset: Target has shape %v, want [%d,K]", y, n)
		}
	}
	if err := checkRows(rows, n, "sequences"); err != nil {
		return err
	}
	for _, r := range rows {
		if s.X != nil {
			x := s.X[r].Shape()
			if len(x) != 2 {
				return fmt.Errorf("dataset: sequence %d has shape %v, want [T,F]", r, x)
			}
			if first := s.X[0].Shape(); len(first) != 2 || x[1] != first[1] {
				return fmt.Errorf("dataset: sequence %d has shape %v, want [T,F] with the F of sequence 0, %v", r, x, first)
			}
		}
		length := s.Length(r)
		if length == 0 {
			return fmt.Errorf("dataset: sequence %d has no steps, want at least one", r)
		}
		if s.StepLabels != nil && len(s.StepLabels[r]) != length {
			return fmt.Errorf("dataset: sequence %d has %d labels, want %d, one a step", r, len(s.StepLabels[r]), length)
		}
	}
	return nil
}

// Gather implements [Source].
func (s *Sequences) Gather(rows []int, into *Batch) error {
	if err := s.check(rows); err != nil {
		return err
	}
	into.number(rows)
	n, steps := len(rows), 0
	into.Lengths = into.Lengths[:0]
	for _, r := range rows {
		into.Lengths = append(into.Lengths, s.Length(r))
		steps = max(steps, s.Length(r))
	}
	if s.IDs != nil {
		into.X, into.IDs = nil, sized(into.IDs, steps*n)
		for b, r := range rows {
			column(into.IDs, n, b, s.IDs[r], s.Pad)
		}
	} else {
		into.IDs = nil
		s.gatherX(rows, steps, into)
	}
	switch {
	case s.Labels != nil:
		into.Labels = sized(into.Labels, n)
		timeMajor(into.Labels, s.Labels, rows, 1, 1)
	case s.StepLabels != nil:
		into.Labels = sized(into.Labels, steps*n)
		for b, r := range rows {
			column(into.Labels, n, b, s.StepLabels[r], label.Ignore)
		}
	default:
		into.Labels = nil
	}
	if s.Target == nil {
		into.Target = nil
		return nil
	}
	into.Target = shaped(into.Target, n, s.Target.Dim(1))
	timeMajor(into.Target.Data(), s.Target.Data(), rows, 1, s.Target.Dim(1))
	return nil
}

func (s *Sequences) gatherX(rows []int, steps int, into *Batch) {
	features := 0
	if len(rows) > 0 {
		features = s.X[rows[0]].Dim(1)
	}
	into.X = shaped(into.X, steps, len(rows), features)
	dst := into.X.Data()
	for t := range steps {
		for _, r := range rows {
			if t < s.X[r].Dim(0) {
				copy(dst[:features], s.X[r].Data()[t*features:])
			} else {
				clear(dst[:features])
			}
			dst = dst[features:]
		}
	}
}
