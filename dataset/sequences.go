package dataset

import (
	"errors"
	"fmt"
	"math"

	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// Sequences is a Source of examples of different lengths. Their inputs are either X or IDs. The other fields that
// are set are filled in a batch. Gather pads at the end, to the longest example of the batch, and fills
// Batch.Lengths. [Buckets] makes batches of examples of about the same length.
//
//	             here                       in a batch
//	X            N tensors [T_i,F]          [T,B,F], padded with zeros
//	IDs          N slices of T_i tokens     [T,B], padded with Pad
//	Labels       N classes                  [B]
//	StepLabels   N slices of T_i classes    [T,B] as Batch.Labels, padded with loss.Ignore (-100)
//	Target       [N,K]                      [B,K]
//	StepTargets  N tensors [T_i,K]          [T,B,K] as Batch.Target, padded with NaN
//
// The losses count neither loss.Ignore nor NaN. Without X and IDs the source has nothing but StepLabels or StepTargets,
// as a part of [Join].
//
// The memory is borrowed. Sizes that do not fit together and sequences without a step are an error of Gather
// that names the example.
type Sequences struct {
	X           []*tensor.Tensor
	IDs         [][]int32
	Pad         int32 // the token past the end of a sequence
	Labels      []int32
	StepLabels  [][]int32
	Target      *tensor.Tensor
	StepTargets []*tensor.Tensor
}

// Len returns the number of examples. It follows from the first field that is set among IDs, X, StepLabels and StepTargets.
func (s *Sequences) Len() int {
	switch {
	case s.IDs != nil:
		return len(s.IDs)
	case s.X != nil:
		return len(s.X)
	case s.StepLabels != nil:
		return len(s.StepLabels)
	default:
		return len(s.StepTargets)
	}
}

// Length implements [Measured]: the number of steps of example i.
func (s *Sequences) Length(i int) int {
	switch {
	case s.IDs != nil:
		return len(s.IDs[i])
	case s.X != nil:
		return stepsOf(s.X[i])
	case s.StepLabels != nil:
		return len(s.StepLabels[i])
	default:
		return stepsOf(s.StepTargets[i])
	}
}

// Parts cuts each sequence into n parts of the same length, so that [Streams] can read a few long sequences as many
// documents side by side. Fewer than n steps at the end of a sequence are left out. Parts borrows the memory. It panics with a
// [*tensor.UsageError] if n is not positive, if s has a label or a target for a whole sequence, or if a sequence's fields do
// not fit together.
func (s *Sequences) Parts(n int) *Sequences {
	wrong := func(what string) { panic(&tensor.UsageError{Where: "dataset.Sequences.Parts", What: what}) }
	if n < 1 {
		wrong(fmt.Sprintf("%d parts, want at least 1", n))
	}
	if s.Labels != nil || s.Target != nil {
		wrong("Labels or Target of whole sequences, which cannot be cut; want StepLabels or StepTargets")
	}
	if err := s.check(); err != nil {
		wrong(err.Error())
	}
	parts := &Sequences{Pad: s.Pad}
	for i := range s.Len() {
		each := s.Length(i) / n
		if each == 0 {
			continue
		}
		if err := s.checkExamples([]int{i}); err != nil {
			wrong(err.Error())
		}
		for lo := 0; lo < n*each; lo += each {
			hi := lo + each
			if s.X != nil {
				parts.X = append(parts.X, stepsFrom(s.X[i], lo, hi))
			}
			if s.IDs != nil {
				parts.IDs = append(parts.IDs, s.IDs[i][lo:hi:hi])
			}
			if s.StepLabels != nil {
				parts.StepLabels = append(parts.StepLabels, s.StepLabels[i][lo:hi:hi])
			}
			if s.StepTargets != nil {
				parts.StepTargets = append(parts.StepTargets, stepsFrom(s.StepTargets[i], lo, hi))
			}
		}
	}
	return parts
}

// stepsFrom returns the steps lo to hi-1 of x, [T,F], in its memory.
func stepsFrom(x *tensor.Tensor, lo, hi int) *tensor.Tensor {
	width := x.Dim(1)
	return tensor.Of(x.Data()[lo*width:hi*width], hi-lo, width)
}

// shapeOf returns the shape of x, nil if x is nil.
func shapeOf(x *tensor.Tensor) []int {
	if x == nil {
		return nil
	}
	return x.Shape()
}

// stepsOf returns the T of a tensor [T,F], and 0 for a tensor that has no dimensions.
func stepsOf(x *tensor.Tensor) int {
	if shape := shapeOf(x); len(shape) > 0 {
		return shape[0]
	}
	return 0
}

// check returns an error if the fields do not fit together. It looks at no example.
func (s *Sequences) check() error {
	n := s.Len()
	switch {
	case s.X != nil && s.IDs != nil:
		return fmt.Errorf("dataset: Sequences has %d of X and %d of IDs, want one of the two", len(s.X), len(s.IDs))
	case s.X == nil && s.IDs == nil && s.StepLabels == nil && s.StepTargets == nil:
		return errors.New("dataset: Sequences has no X, IDs, StepLabels or StepTargets, want at least one of them")
	case s.Labels != nil && s.StepLabels != nil:
		return errors.New("dataset: Sequences has both Labels and StepLabels, want one of the two")
	case s.Target != nil && s.StepTargets != nil:
		return errors.New("dataset: Sequences has both Target and StepTargets, want one of the two")
	case s.Labels != nil && len(s.Labels) != n:
		return fmt.Errorf("dataset: %d labels, want %d, one an example", len(s.Labels), n)
	case s.StepLabels != nil && len(s.StepLabels) != n:
		return fmt.Errorf("dataset: step labels of %d examples, want %d", len(s.StepLabels), n)
	case s.StepTargets != nil && len(s.StepTargets) != n:
		return fmt.Errorf("dataset: step targets of %d examples, want %d", len(s.StepTargets), n)
	}
	if s.Target != nil {
		if y := s.Target.Shape(); len(y) != 2 || y[0] != n {
			return fmt.Errorf("dataset: Target has shape %v, want [%d,K]", y, n)
		}
	}
	return nil
}

// checkExamples returns an error if there is no example at one of the rows, or if the example's fields do not fit together.
func (s *Sequences) checkExamples(rows []int) error {
	if err := checkRows(rows, s.Len(), "sequences"); err != nil {
		return err
	}
	for _, r := range rows {
		if err := checkWidth(s.X, r, "sequence", "[T,F] with the F of sequence 0"); err != nil {
			return err
		}
		if err := checkWidth(s.StepTargets, r, "step targets: sequence", "[T,K] with the K of sequence 0"); err != nil {
			return err
		}
		length := s.Length(r)
		if length == 0 {
			return fmt.Errorf("dataset: sequence %d has no steps, want at least one", r)
		}
		if s.StepLabels != nil && len(s.StepLabels[r]) != length {
			return fmt.Errorf("dataset: sequence %d has %d labels, want %d, one a step", r, len(s.StepLabels[r]), length)
		}
		if s.StepTargets != nil && s.StepTargets[r].Dim(0) != length {
			return fmt.Errorf("dataset: sequence %d has targets of %d steps, want %d", r, s.StepTargets[r].Dim(0), length)
		}
	}
	return nil
}

// checkWidth returns an error if tensor r has another number of dimensions than two, or another width than tensor 0.
func checkWidth(all []*tensor.Tensor, r int, what, want string) error {
	if all == nil {
		return nil
	}
	shape, first := shapeOf(all[r]), shapeOf(all[0])
	if len(shape) != 2 {
		return fmt.Errorf("dataset: %s %d has shape %v, want %s", what, r, shape, want[:len("[T,F]")])
	}
	if len(first) != 2 || shape[1] != first[1] {
		return fmt.Errorf("dataset: %s %d has shape %v, want %s, %v", what, r, shape, want, first)
	}
	return nil
}

// Gather implements [Source].
func (s *Sequences) Gather(rows []int, into *Batch) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := s.checkExamples(rows); err != nil {
		return err
	}
	into.start(rows)
	steps := 0
	into.Lengths = into.Lengths[:0]
	for _, r := range rows {
		into.Lengths = append(into.Lengths, s.Length(r))
		steps = max(steps, s.Length(r))
	}
	into.X = ragged(into.X, s.X, rows, steps, 0)
	into.IDs = columns(into.IDs, s.IDs, rows, steps, s.Pad)
	if s.Labels != nil {
		into.Labels = sized(into.Labels, len(rows))
		timeMajor(into.Labels, s.Labels, rows, 1, 1)
	} else {
		into.Labels = columns(into.Labels, s.StepLabels, rows, steps, label.Ignore)
	}
	if s.Target != nil {
		into.Target = batchOf(into.Target, s.Target, rows)
	} else {
		into.Target = ragged(into.Target, s.StepTargets, rows, steps, float32(math.NaN()))
	}
	return nil
}

// ragged fills t, [steps,B,F], with the sequences of from, [T_i,F], at rows, and with pad past their ends. It returns nil
// if from is nil.
func ragged(t *tensor.Tensor, from []*tensor.Tensor, rows []int, steps int, pad float32) *tensor.Tensor {
	if from == nil {
		return nil
	}
	width := 0
	if len(rows) > 0 {
		width = from[rows[0]].Dim(1)
	}
	t = shaped(t, steps, len(rows), width)
	dst := t.Data()
	for step := range steps {
		for _, r := range rows {
			if step < from[r].Dim(0) {
				copy(dst[:width], from[r].Data()[step*width:])
			} else {
				for k := range width {
					dst[k] = pad
				}
			}
			dst = dst[width:]
		}
	}
	return t
}

// columns fills dst, [steps,B], with the sequences of from at rows, and with pad past their ends. It returns nil if from
// is nil.
func columns(dst []int32, from [][]int32, rows []int, steps int, pad int32) []int32 {
	if from == nil {
		return nil
	}
	dst = sized(dst, steps*len(rows))
	for b, r := range rows {
		column(dst, len(rows), b, from[r], pad)
	}
	return dst
}
