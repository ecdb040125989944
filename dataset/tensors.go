package dataset

import (
	"fmt"

	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// Tensors is a Source of examples of one length that are in memory, example by example (batch-first). Gather
// makes them time-major. X is needed; of the others, those that are set are filled in a batch.
//
//	            here            in a batch
//	X           [N,T,F]         [T,B,F]
//	            [N,F]           [1,B,F], one step
//	Target      [N,K]           [B,K], an example
//	            [N,T,K]         [T,B,K], a step
//	Labels      N classes       B, a class an example
//	            N*T classes     T*B, a class a step, time-major
//	Lengths     N numbers       B, valid steps from 1 to T
//
// Labels of steps past an example's length become loss.Ignore (-100). The memory is borrowed, and may be shared by
// several Tensors. Sizes that do not fit together are an error of Gather.
type Tensors struct {
	X       *tensor.Tensor
	Target  *tensor.Tensor
	Labels  []int32
	Lengths []int
}

// Len returns the number of examples, that of X.
func (s *Tensors) Len() int {
	if s.X == nil || len(s.X.Shape()) == 0 {
		return 0
	}
	return s.X.Dim(0)
}

// Length implements [Measured].
func (s *Tensors) Length(i int) int {
	if s.Lengths != nil {
		return s.Lengths[i]
	}
	return s.steps()
}

func (s *Tensors) steps() int {
	if shape := s.X.Shape(); len(shape) == 3 {
		return shape[1]
	}
	return 1
}

// check returns what does not fit together. The lengths themselves are not looked at.
func (s *Tensors) check() error {
	if s.X == nil {
		return fmt.Errorf("dataset: Tensors has no X")
	}
	x := s.X.Shape()
	if len(x) != 2 && len(x) != 3 {
		return fmt.Errorf("dataset: X has shape %v, want [N,T,F] or [N,F]", x)
	}
	n, steps := x[0], s.steps()
	if s.Target != nil {
		y := s.Target.Shape()
		perExample := len(y) == 2 && y[0] == n
		perStep := len(y) == 3 && y[0] == n && y[1] == steps
		if !perExample && !perStep {
			return fmt.Errorf("dataset: Target has shape %v, want [%d,K] or [%d,%d,K] as X has %v", y, n, n, steps, x)
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
	if err := checkRows(rows, s.Len(), "examples"); err != nil {
		return err
	}
	steps := s.steps()
	if s.Lengths != nil {
		for _, r := range rows {
			if l := s.Lengths[r]; l < 1 || l > steps {
				return fmt.Errorf("dataset: length of example %d is %d, want 1 to %d", r, l, steps)
			}
		}
	}
	into.number(rows)
	into.X, into.IDs = batchOf(into.X, s.X, rows, steps), nil
	if s.Target == nil {
		into.Target = nil
	} else if y := s.Target.Shape(); len(y) == 3 {
		into.Target = batchOf(into.Target, s.Target, rows, steps)
	} else {
		into.Target = shaped(into.Target, len(rows), y[1])
		timeMajor(into.Target.Data(), s.Target.Data(), rows, 1, y[1])
	}
	s.gatherLabels(rows, steps, into)
	if s.Lengths == nil {
		into.Lengths = nil
		return nil
	}
	into.Lengths = into.Lengths[:0]
	for _, r := range rows {
		into.Lengths = append(into.Lengths, s.Lengths[r])
	}
	return nil
}

// batchOf fills t with the rows of from, [N,steps,F] or [N,F], as [steps,B,F].
func batchOf(t, from *tensor.Tensor, rows []int, steps int) *tensor.Tensor {
	shape := from.Shape()
	width := shape[len(shape)-1]
	t = shaped(t, steps, len(rows), width)
	timeMajor(t.Data(), from.Data(), rows, steps, width)
	return t
}

func (s *Tensors) gatherLabels(rows []int, steps int, into *Batch) {
	switch {
	case s.Labels == nil:
		into.Labels = nil
	case len(s.Labels) == s.Len():
		into.Labels = sized(into.Labels, len(rows))
		timeMajor(into.Labels, s.Labels, rows, 1, 1)
	default:
		into.Labels = sized(into.Labels, steps*len(rows))
		timeMajor(into.Labels, s.Labels, rows, steps, 1)
		if s.Lengths == nil {
			return
		}
		for b, r := range rows {
			for t := s.Lengths[r]; t < steps; t++ {
				into.Labels[t*len(rows)+b] = label.Ignore
			}
		}
	}
}
