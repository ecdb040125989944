package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
)

// operators compute constants from constants. An input that is left out is nil.
var operators = map[string]func(n *Node, in []*safetensors.Tensor) (*result, error){
	"Constant": constantValue,
	"Identity": func(n *Node, in []*safetensors.Tensor) (*result, error) {
		return view(in, func(t *safetensors.Tensor) ([]int, error) { return t.Shape, nil })
	},
	"Reshape":   reshape,
	"Squeeze":   squeeze,
	"Unsqueeze": unsqueeze,
	"Transpose": transpose,
	"Concat":    concat,
	"Slice":     slice,
}

var errInputs = errors.New("its inputs or attributes are not those of the operator")

func constantValue(n *Node, _ []*safetensors.Tensor) (*result, error) {
	if a := n.Attribute("value"); a != nil && a.Tensor != nil {
		return &result{Tensor: *a.Tensor}, nil
	}
	for _, a := range n.Attributes {
		switch a.Name {
		case "value_int":
			return &result{Tensor: safetensors.From("", []int64{a.Int})}, nil
		case "value_ints":
			return &result{Tensor: safetensors.From("", a.Ints, len(a.Ints))}, nil
		case "value_float":
			return &result{Tensor: safetensors.From("", []float32{a.Float})}, nil
		case "value_floats":
			return &result{Tensor: safetensors.From("", a.Floats, len(a.Floats))}, nil
		}
	}
	return nil, errInputs
}

// view gives the data of the first input a shape of as many elements.
func view(in []*safetensors.Tensor, shape func(*safetensors.Tensor) ([]int, error)) (*result, error) {
	if len(in) == 0 || in[0] == nil {
		return nil, errInputs
	}
	to, err := shape(in[0])
	if err != nil {
		return nil, err
	}
	was, _ := tensor.TrySize(in[0].Shape)
	if n, ok := tensor.TrySize(to); !ok || n != was || len(to) > maxDims {
		return nil, fmt.Errorf("shape %v cannot become %v", in[0].Shape, to)
	}
	return &result{Tensor: safetensors.Tensor{DType: in[0].DType, Shape: to, Data: in[0].Data}}, nil
}

// ints returns whole numbers of input i or, in early opsets, of an attribute; nil: there are none. There may be one for each
// dimension.
func ints(n *Node, in []*safetensors.Tensor, i int, name string) (narrow []int, err error) {
	var wide []int64
	if a := n.Attribute(name); a != nil {
		wide = a.Ints
	} else if i < len(in) && in[i] != nil {
		if size, _ := tensor.TrySize(in[i].Shape); size > maxDims {
			return nil, errInputs
		}
		if wide, err = in[i].Int64(); err != nil {
			return nil, err
		}
	} else {
		return nil, nil
	}
	if len(wide) > maxDims {
		return nil, errInputs
	}
	narrow = make([]int, len(wide))
	for j, v := range wide {
		narrow[j] = int(max(math.MinInt32, min(v, math.MaxInt32))) // an end of a slice may be the greatest int64
	}
	return narrow, nil
}

func reshape(n *Node, in []*safetensors.Tensor) (*result, error) {
	return view(in, func(t *safetensors.Tensor) ([]int, error) {
		shape, err := ints(n, in, 1, "shape")
		if err != nil {
			return nil, err
		}
		if shape == nil {
			return nil, errInputs
		}
		zeros := n.Attribute("allowzero") != nil && n.Attribute("allowzero").Int != 0
		open, known := -1, 1
		for i, d := range shape {
			if d == 0 && !zeros && i < len(t.Shape) {
				shape[i] = t.Shape[i]
			}
			if d == -1 && open < 0 {
				open, shape[i] = i, 1
			}
		}
		if open >= 0 {
			var ok bool
			if known, ok = tensor.TrySize(shape); ok && known > 0 {
				size, _ := tensor.TrySize(t.Shape)
				shape[open] = size / known
			}
		}
		return shape, nil
	})
}

// axes returns a set of dimensions out of rank, of which negative ones count from the end.
func axes(which []int, rank int) (set [maxDims]bool, err error) {
	for _, a := range which {
		if a < 0 {
			a += rank
		}
		if a < 0 || a >= rank || rank > maxDims || set[a] {
			return set, errInputs
		}
		set[a] = true
	}
	return set, nil
}

func squeeze(n *Node, in []*safetensors.Tensor) (*result, error) {
	return view(in, func(t *safetensors.Tensor) ([]int, error) {
		which, err := ints(n, in, 1, "axes")
		if err != nil {
			return nil, err
		}
		set, err := axes(which, len(t.Shape))
		shape := []int{}
		for i, d := range t.Shape {
			if !(set[i] || which == nil && d == 1) {
				shape = append(shape, d)
			}
		}
		return shape, err
	})
}

func unsqueeze(n *Node, in []*safetensors.Tensor) (*result, error) {
	return view(in, func(t *safetensors.Tensor) ([]int, error) {
		which, err := ints(n, in, 1, "axes")
		if err != nil {
			return nil, err
		}
		set, err := axes(which, len(t.Shape)+len(which))
		if err != nil {
			return nil, err
		}
		shape, rest := make([]int, len(t.Shape)+len(which)), t.Shape
		for i := range shape {
			if set[i] {
				shape[i] = 1
			} else {
				shape[i], rest = rest[0], rest[1:]
			}
		}
		return shape, nil
	})
}

func transpose(n *Node, in []*safetensors.Tensor) (*result, error) {
	if len(in) != 1 || in[0] == nil {
		return nil, errInputs
	}
	rank := len(in[0].Shape)
	perm, err := ints(n, nil, 0, "perm")
	if err != nil {
		return nil, err
	}
	if perm == nil {
		for i := range rank {
			perm = append(perm, rank-1-i)
		}
	}
	if sorted := slices.Sorted(slices.Values(perm)); len(perm) != rank || rank > 0 && (sorted[0] != 0 || sorted[rank-1] != rank-1) ||
		len(slices.Compact(sorted)) != rank {
		return nil, errInputs
	}
	return transposed(in[0], perm), nil
}

// transposed returns a tensor whose dimension i is dimension perm[i] of t.
func transposed(t *safetensors.Tensor, perm []int) *result {
	r := &result{Tensor: safetensors.Tensor{DType: t.DType, Shape: make([]int, len(perm))}}
	strides := make([]int, len(perm)) // bytes from one element of the result to the next along each of its dimensions
	size := t.DType.Bits() / 8
	for i, p := range perm {
		r.Shape[i] = t.Shape[p]
		strides[i] = size
		for _, d := range t.Shape[p+1:] {
			strides[i] *= d
		}
	}
	r.fill = func(data []byte) { gather(data, t.Data, r.Shape, strides, size) }
	return r
}

// gather writes the elements of from that begin at the multiples of strides, in the order of shape, and returns the rest of to.
func gather(to, from []byte, shape, strides []int, size int) []byte {
	if len(shape) == 0 {
		copy(to, from[:size])
		return to[size:]
	}
	for i := 0; i < shape[0] && len(to) > 0; i++ {
		to = gather(to, from[i*strides[0]:], shape[1:], strides[1:], size)
	}
	return to
}

// blocks returns the numbers of elements before and behind a dimension: a tensor is outer blocks of shape[axis]*inner elements.
func blocks(shape []int, axis int) (outer, inner int) {
	outer, inner = 1, 1
	for _, d := range shape[:axis] {
		outer *= d
	}
	for _, d := range shape[axis+1:] {
		inner *= d
	}
	return outer, inner
}

func concat(n *Node, in []*safetensors.Tensor) (*result, error) {
	a := n.Attribute("axis")
	if a == nil || len(in) == 0 || slices.Contains(in, nil) {
		return nil, errInputs
	}
	axis := int(max(-maxDims, min(a.Int, maxDims)))
	if axis < 0 {
		axis += len(in[0].Shape)
	}
	if axis < 0 || axis >= len(in[0].Shape) {
		return nil, errInputs
	}
	shape := slices.Clone(in[0].Shape)
	shape[axis] = 0
	for _, t := range in {
		if t.DType != in[0].DType || len(t.Shape) != len(shape) || shape[axis] > math.MaxInt-t.Shape[axis] {
			return nil, errInputs
		}
		shape[axis] += t.Shape[axis]
		for i, d := range t.Shape {
			if i != axis && d != shape[i] {
				return nil, fmt.Errorf("shapes %v and %v cannot be joined", in[0].Shape, t.Shape)
			}
		}
	}
	if size, ok := tensor.TrySize(shape); !ok || size > math.MaxInt/8 {
		return nil, errInputs
	}
	return &result{Tensor: safetensors.Tensor{DType: in[0].DType, Shape: shape}, fill: func(data []byte) {
		outer, _ := blocks(shape, axis)
		for o := range outer {
			for _, t := range in {
				block := len(t.Data) / outer
				data = data[copy(data, t.Data[o*block:][:block]):]
			}
		}
	}}, nil
}

// slice cuts along dimensions, by steps of 1.
func slice(n *Node, in []*safetensors.Tensor) (*result, error) {
	if len(in) == 0 || in[0] == nil {
		return nil, errInputs
	}
	var lists [4][]int // starts, ends, axes, steps
	for i, name := range [4]string{"starts", "ends", "axes", "steps"} {
		var err error
		if lists[i], err = ints(n, in, i+1, name); err != nil {
			return nil, err
		}
	}
	starts, ends, which, steps := lists[0], lists[1], lists[2], lists[3]
	if which == nil {
		for i := range starts {
			which = append(which, i)
		}
	}
	t := in[0]
	if _, err := axes(which, len(t.Shape)); err != nil || len(starts) != len(which) || len(ends) != len(which) || steps != nil && len(steps) != len(which) {
		return nil, errInputs
	}
	shape, strides, first := slices.Clone(t.Shape), make([]int, len(t.Shape)), 0
	size := t.DType.Bits() / 8
	for i := range strides {
		_, inner := blocks(t.Shape, i)
		strides[i] = size * inner
	}
	for i, a := range which {
		if steps != nil && steps[i] != 1 {
			return nil, fmt.Errorf("a step is %d, want 1", steps[i])
		}
		if a < 0 {
			a += len(t.Shape)
		}
		within := func(v int) int {
			if v < 0 {
				v += t.Shape[a]
			}
			return max(0, min(v, t.Shape[a]))
		}
		from := within(starts[i])
		shape[a] = max(0, within(ends[i])-from)
		if shape[a] > 0 {
			first += from * strides[a]
		}
	}
	return &result{Tensor: safetensors.Tensor{DType: t.DType, Shape: shape}, fill: func(data []byte) {
		gather(data, t.Data[first:], shape, strides, size)
	}}, nil
}
