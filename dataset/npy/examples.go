package npy

import (
	"fmt"
	"math"
	"slices"

	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
)

// mostExact is the largest whole number up to which float32 has all.
const mostExact = 1 << 24

// Examples returns arrays of a file as a source: x, [N,T,F] or [N,F]; y, which is Labels if it has whole numbers, [N] or [N,T], and
// Target if it has floats, [N,K], [N,T,K], or [N], which becomes [N,1]; and lengths, [N], the valid steps of each
// sequence of x. An empty name leaves an array out. It is an error that names the array if there is none of a
// name, or if its numbers do not fit: a label that is no int32, or a whole number in x that float32 does not have exactly.
func Examples(f *safetensors.File, x, y, lengths string) (*dataset.Tensors, error) {
	s := &dataset.Tensors{}
	if x != "" {
		t, err := find(f, x)
		if err != nil {
			return nil, err
		}
		if s.X, err = floats(t); err != nil {
			return nil, err
		}
	}
	if y != "" {
		t, err := find(f, y)
		if err != nil {
			return nil, err
		}
		if isFloat(t) {
			if s.Target, err = floats(t); err != nil {
				return nil, err
			}
			if len(t.Shape) == 1 {
				s.Target = tensor.Of(s.Target.Data(), t.Shape[0], 1)
			}
		} else if s.Labels, err = whole[int32](t, math.MinInt32, math.MaxInt32); err != nil {
			return nil, err
		}
	}
	if lengths != "" {
		t, err := find(f, lengths)
		if err != nil {
			return nil, err
		}
		if s.Lengths, err = whole[int](t, 0, math.MaxInt32); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func find(f *safetensors.File, name string) (*safetensors.Tensor, error) {
	names := make([]string, len(f.Tensors))
	for i, t := range f.Tensors {
		names[i] = t.Name
	}
	i := slices.Index(names, name)
	if i < 0 {
		return nil, fmt.Errorf("npy: no array %s, only %s", quote.Text(name), quote.Texts(names))
	}
	return &f.Tensors[i], nil
}

func isFloat(t *safetensors.Tensor) bool {
	return t.DType == safetensors.F16 || t.DType == safetensors.BF16 || t.DType == safetensors.F32 || t.DType == safetensors.F64
}

// floats returns an array of numbers of any type as float32.
func floats(t *safetensors.Tensor) (*tensor.Tensor, error) {
	var values []float32
	var err error
	if isFloat(t) {
		if values, err = t.Float32(); err != nil {
			return nil, fmt.Errorf("npy: %w", err)
		}
	} else if values, err = whole[float32](t, -mostExact, mostExact); err != nil {
		return nil, err
	}
	return tensor.Of(values, t.Shape...), nil
}

// whole returns an array of whole numbers, all of which must be from low to high.
func whole[T float32 | int32 | int](t *safetensors.Tensor, low, high int64) ([]T, error) {
	from, err := t.Int64()
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	values := make([]T, len(from))
	for i, v := range from {
		if v < low || v > high {
			return nil, fmt.Errorf("npy: %s: element %d is %d, want %d to %d", quote.Name(t.Name), i, v, low, high)
		}
		values[i] = T(v)
	}
	return values, nil
}
