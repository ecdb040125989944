package dataset

import (
	"errors"
	"fmt"
	"math"

	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// Tensors is a Source of examples of one length that are in memory as float32, example by example (batch-first).
// Gather makes them time-major. The fields that are set are filled in a batch; N is the number of examples, T the
// number of steps.
//
//	            here            in a batch
//	X           [N,T,F]         [T,B,F]
//	            [N,F]           [B,F], no time axis
//	Target      [N,K]           [B,K], numbers of each example
//	            [N,T,K]         [T,B,K], numbers of each step
//	Labels      N classes       [B], one class an example
//	            N*T classes     [T,B], one class a step
//	Lengths     N numbers       [B], valid steps of each example, 1 to T
//
// Past the length of an example the labels of steps become loss.Ignore (-100) and the targets of steps become NaN:
// the losses count neither. Without X the source has nothing but labels or targets, as a part of [Join].
//
// The memory is borrowed, and several Tensors may share it. Sizes that do not fit together are an error of Gather.
type Tensors struct {
	X       *tensor.Tensor
	Target  *tensor.Tensor
	Labels  []int32
	Lengths []int
}

// Len returns the number of examples. It follows from the first field that is set among X, Target, Lengths and Labels.
func (s *Tensors) Len() int {
	n, _ := s.size()
	return n
}

// Length implements [Measured]: the number of valid steps of example i.
func (s *Tensors) Length(i int) int {
	if i < len(s.Lengths) {
		return s.Lengths[i]
	}
	_, steps := s.size()
	return steps
}

// size returns the numbers of examples and steps. It does not look at whether the fields fit together.
func (s *Tensors) size() (n, steps int) {
	var shape []int
	switch {
	case s.X != nil:
		shape = s.X.Shape()
	case s.Target != nil:
		shape = s.Target.Shape()
	case len(s.Lengths) > 0:
		return len(s.Lengths), max(1, len(s.Labels)/len(s.Lengths))
	default:
		return len(s.Labels), 1
	}
	switch len(shape) {
	case 0:
		return 0, 1
	case 3:
		return shape[0], shape[1]
	default:
		return shape[0], 1
	}
}

// check returns an error if the fields do not fit together. It does not look at the values of Lengths.
func (s *Tensors) check() error {
	if s.X == nil && s.Target == nil && s.Labels == nil {
		return errors.New("dataset: Tensors has no X, Target or Labels, want at least one of them")
	}
	n, steps := s.size()
	if s.X != nil {
		if x := s.X.Shape(); len(x) != 2 && len(x) != 3 {
			return fmt.Errorf("dataset: X has shape %v, want [N,T,F] or [N,F]", x)
		}
	}
	if s.Target != nil {
		y := s.Target.Shape()
		perExample := len(y) == 2 && y[0] == n
		perStep := len(y) == 3 && y[0] == n && y[1] == steps
		switch {
		case perExample:
		case s.X == nil && !perStep:
			return fmt.Errorf("dataset: Target has shape %v, want [N,K] or [N,T,K]", y)
		case s.X != nil && len(s.X.Shape()) == 2:
			return fmt.Errorf("dataset: Target has shape %v, want [%d,K] as X has %v", y, n, s.X.Shape())
		case !perStep:
			return fmt.Errorf("dataset: Target has shape %v, want [%d,K] or [%d,%d,K] as X has %v", y, n, n, steps, s.X.Shape())
		}
	}
	if l := len(s.Labels); s.Labels != nil && l != n && l != n*steps {
		return fmt.Errorf("dataset: %d labels, want %d, one an example, or %d, one a step", l, n, n*steps)
	}
	if l := len(s.Lengths); s.Lengths != nil && l != n {
		return fmt.Errorf("dataset: %d lengths, want %d, one an example", l, n)
	}
	return nil
}

// Gather implements [Source].
func (s *Tensors) Gather(rows []int, into *Batch) error {
	if err := s.check(); err != nil {
		return err
	}
	n, steps := s.size()
	if err := checkRows(rows, n, "examples"); err != nil {
		return err
	}
	if s.Lengths != nil {
		for _, r := range rows {
			if l := s.Lengths[r]; l < 1 || l > steps {
				return fmt.Errorf("dataset: length of example %d is %d, want 1 to %d", r, l, steps)
			}
		}
	}
	into.start(rows)
	into.IDs = nil
	if s.Lengths == nil {
		into.Lengths = nil
	} else {
		into.Lengths = into.Lengths[:0]
		for _, r := range rows {
			into.Lengths = append(into.Lengths, s.Lengths[r])
		}
	}
	into.X = batchOf(into.X, s.X, rows)
	into.Target = batchOf(into.Target, s.Target, rows)
	if s.Target != nil && len(s.Target.Shape()) == 3 {
		fillPadding(into.Target.Data(), into.Lengths, s.Target.Dim(2), float32(math.NaN()))
	}
	switch {
	case s.Labels == nil:
		into.Labels = nil
	case len(s.Labels) == n:
		into.Labels = sized(into.Labels, len(rows))
		timeMajor(into.Labels, s.Labels, rows, 1, 1)
	default:
		into.Labels = sized(into.Labels, steps*len(rows))
		timeMajor(into.Labels, s.Labels, rows, steps, 1)
		fillPadding(into.Labels, into.Lengths, 1, label.Ignore)
	}
	return nil
}

// batchOf fills t with the rows of from: [N,T,F] becomes [T,B,F], and [N,F] becomes [B,F]. It returns nil if from is nil.
func batchOf(t, from *tensor.Tensor, rows []int) *tensor.Tensor {
	if from == nil {
		return nil
	}
	shape := from.Shape()
	if len(shape) == 2 {
		t = shaped(t, len(rows), shape[1])
		timeMajor(t.Data(), from.Data(), rows, 1, shape[1])
		return t
	}
	t = shaped(t, shape[1], len(rows), shape[2])
	timeMajor(t.Data(), from.Data(), rows, shape[1], shape[2])
	return t
}

// fillPadding sets the elements of dst, [T,len(lengths),width], to value that are past the length of their row.
func fillPadding[E any](dst []E, lengths []int, width int, value E) {
	for b, length := range lengths {
		for at := (length*len(lengths) + b) * width; at < len(dst); at += len(lengths) * width {
			for k := range width {
				dst[at+k] = value
			}
		}
	}
}
