package onnx

import (
	"errors"
	"fmt"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/safetensors"
)

// dense returns the layer of a weight [out, in] or, transposed, [in, out], and of a bias [out] or nil.
func (r reader) dense(w *array, transposed bool, bias *array) (*Layer, error) {
	out, in := w.shape[0], w.shape[1]
	values := func() []float32 { return w.values }
	if transposed {
		out, in = in, out
		values = func() []float32 {
			turned := make([]float32, len(w.values))
			kernel.Transpose(turned, w.values, in, out, false)
			return turned
		}
	}
	if out < 1 || in < 1 {
		return nil, fmt.Errorf("its weight has shape %v", w.shape)
	}
	l := &Layer{Config: layers.DenseConfig{In: in, Out: out, NoBias: bias == nil}}
	l.Weights = append(l.Weights, r.weight(fmt.Sprint("dense", transposed, " ", w.name), "weight", values, out, in))
	return l, r.addBias(l, bias, out)
}

// addBias adds a bias [out] to the weights, if there is one.
func (r reader) addBias(l *Layer, bias *array, out int) error {
	if bias == nil {
		return nil
	}
	if len(bias.values) != out {
		return fmt.Errorf("its bias has %d elements, want %d", len(bias.values), out)
	}
	l.Weights = append(l.Weights, r.weight("bias "+bias.name, "bias", func() []float32 { return bias.values }, out))
	return nil
}

// gemm reads alpha*A*B + beta*C, if B is a constant and A is not.
func (r reader) gemm() (*Layer, error) {
	if !r.variable(0) || r.variable(1) {
		return nil, nil
	}
	if err := r.allow("alpha", "beta", "transA", "transB"); err != nil {
		return nil, err
	}
	if r.int("transA", 0) != 0 || r.float("alpha", 1) != 1 || r.float("beta", 1) != 1 {
		return nil, fmt.Errorf("transA is %d, alpha %v, beta %v, want 0, 1 and 1", r.int("transA", 0), r.float("alpha", 1), r.float("beta", 1))
	}
	w, err := r.array(1, "B", 2)
	if err != nil {
		return nil, err
	}
	if w == nil {
		return nil, errors.New("it has no B")
	}
	bias, err := r.bias(2)
	if err != nil {
		return nil, err
	}
	return r.dense(w, r.int("transB", 0) == 0, bias)
}

// bias returns a constant [n], or [1,n] and the like.
func (r reader) bias(i int) (*array, error) {
	name := r.input(i)
	if name == "" {
		return nil, nil
	}
	if r.variable(i) {
		return nil, r.notConstant(i, "its bias")
	}
	values, shape, err := r.float32s(name)
	if err == nil && (len(shape) == 0 || shape[len(shape)-1] != len(values)) {
		err = fmt.Errorf("its bias has shape %v, want one dimension", shape)
	}
	return &array{name, values, shape}, err
}

// matMul reads A*B, if B is a constant matrix and A is no constant. The Add of a bias is part of the layer if nothing else reads
// the product.
func (r reader) matMul() (*Layer, error) {
	if !r.variable(0) || r.variable(1) || len(r.Outputs) != 1 {
		return nil, nil
	}
	t, err := r.get(r.input(1))
	if err != nil {
		return nil, err
	}
	if len(t.Shape) != 2 {
		return nil, nil // no layer, but a product with a batch of matrices
	}
	w, err := r.array(1, "B", 2)
	if err != nil {
		return nil, err
	}
	out := w.shape[1]
	bias := r.added(out, func(shape []int) bool { return shape[len(shape)-1] == out })
	return r.dense(w, true, bias)
}

// added returns the constant of n elements that is added to the only output, or nil. Between the node and the Add there may be others that
// change the shape alone, but nothing else may read the values. fits checks the shape of the constant.
func (r reader) added(n int, fits func(shape []int) bool) *array {
	name := r.Outputs[0]
	for range 4 { // more than any exporter writes
		next := r.reads[name]
		if name == "" || r.uses[name] != 1 || next == nil || next.Domain != "" || len(next.Outputs) != 1 {
			return nil
		}
		if next.Op == "Add" && len(next.Inputs) == 2 {
			other := 0
			if next.Inputs[0] == name {
				other = 1
			}
			if !r.known[next.Inputs[other]] {
				return nil
			}
			values, shape, err := r.float32s(next.Inputs[other])
			if err != nil || len(values) != n || len(shape) == 0 || !fits(shape) {
				return nil
			}
			return &array{next.Inputs[other], values, shape}
		}
		if next.Op != "Reshape" && next.Op != "Squeeze" || next.Inputs[0] != name {
			return nil
		}
		name = next.Outputs[0]
	}
	return nil
}

func (r reader) layerNorm() (*Layer, error) {
	if err := r.allow("axis", "epsilon", "stash_type"); err != nil {
		return nil, err
	}
	scale, err := r.array(1, "Scale", 1)
	if err != nil {
		return nil, err
	}
	if scale == nil || len(scale.values) == 0 {
		return nil, errors.New("it has no Scale")
	}
	bias, err := r.array(2, "B", 1)
	if err != nil {
		return nil, err
	}
	features := len(scale.values)
	l := &Layer{Config: Norm{features, float64(r.float("epsilon", 1e-5))}}
	l.Weights = append(l.Weights, r.weight("scale "+scale.name, "weight", func() []float32 { return scale.values }, features))
	if bias == nil {
		zeros := func() []float32 { return make([]float32, features) }
		l.Weights = append(l.Weights, r.weight(fmt.Sprint("zeros", features), "bias", zeros, features))
	}
	return l, r.addBias(l, bias, features)
}

// table reads a Gather from the rows of a constant matrix of floating-point numbers.
func (r reader) table() (*Layer, error) {
	if r.variable(0) || !r.variable(1) || r.int("axis", 0) != 0 {
		return nil, nil
	}
	if _, err := r.get(r.input(0)); err != nil {
		return nil, err
	}
	values, shape, err := r.float32s(r.input(0))
	if err != nil || len(shape) != 2 || len(values) == 0 {
		return nil, nil // no layer, but a choice among whole numbers, such as dimensions
	}
	w := r.weight("table "+r.input(0), "weight", func() []float32 { return values }, shape...)
	return &Layer{Config: Table{shape[0], shape[1]}, Weights: []safetensors.Tensor{w}}, nil
}

// conv reads a convolution over one dimension, also one that is written as a convolution over a picture of height 1.
func (r reader) conv() (*Layer, error) {
	if err := r.allow("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"); err != nil {
		return nil, err
	}
	if len(r.Outputs) != 1 {
		return nil, errors.New("it has several outputs")
	}
	if r.input(1) == "" {
		return nil, errors.New("it has no weights")
	}
	if r.variable(1) {
		return nil, r.notConstant(1, "W")
	}
	values, shape, err := r.float32s(r.input(1))
	if err != nil {
		return nil, err
	}
	space := len(shape) - 2 // dimensions of space; time is number axis of them
	axis := space - 1
	if space == 2 && shape[3] == 1 {
		axis = 0
	}
	if space != 1 && (space != 2 || shape[3-axis] != 1) || len(values) == 0 {
		return nil, fmt.Errorf("its weight has shape %v, want a convolution over one dimension", shape)
	}
	at := func(name string, i, otherwise, n int) (int, error) {
		a := r.Attribute(name)
		switch {
		case a == nil:
			return otherwise, nil
		case len(a.Ints) != n || a.Ints[i] < int64(otherwise) || a.Ints[i] > 1<<30:
			return 0, fmt.Errorf("%s is %v", name, a.Ints[:min(len(a.Ints), maxDims)])
		}
		return int(a.Ints[i]), nil
	}
	c := layers.Conv1DConfig{Out: shape[0], Width: shape[2+axis]}
	group := r.int("group", 1)
	if group < 1 || int64(c.Out)%group != 0 {
		return nil, fmt.Errorf("group is %d for %d channels", group, c.Out)
	}
	c.Groups = int(group)
	c.In = shape[1] * c.Groups
	for _, n := range []struct {
		to                  *int
		name                string
		i, otherwise, count int
	}{
		{&c.Stride, "strides", axis, 1, space}, {&c.Dilation, "dilations", axis, 1, space},
		{&c.PadLeft, "pads", axis, 0, 2 * space}, {&c.PadRight, "pads", space + axis, 0, 2 * space},
	} {
		if *n.to, err = at(n.name, n.i, n.otherwise, n.count); err != nil {
			return nil, err
		}
	}
	if a := r.Attribute("auto_pad"); a != nil && a.Text != "NOTSET" && a.Text != "VALID" {
		if a.Text != "SAME_UPPER" && a.Text != "SAME_LOWER" || c.Stride != 1 {
			return nil, fmt.Errorf("auto_pad is %s with a stride of %d, want pads", quote.Text(a.Text), c.Stride)
		}
		total := c.Dilation * (c.Width - 1)
		c.PadLeft, c.PadRight = total/2, total-total/2
		if a.Text == "SAME_LOWER" {
			c.PadLeft, c.PadRight = c.PadRight, c.PadLeft
		}
	}
	for i := range space {
		if i != axis {
			for _, p := range []int{i, space + i} {
				if pad, err := at("pads", p, 0, 2*space); pad != 0 || err != nil {
					return nil, errors.New("it pads the dimension of size 1")
				}
			}
		}
	}
	l := &Layer{Weights: []safetensors.Tensor{r.weight("conv "+r.input(1), "weight", func() []float32 { return values }, c.Out, shape[1], c.Width)}}
	bias, err := r.array(2, "B", 1)
	if err != nil {
		return nil, err
	}
	if bias == nil {
		bias = r.added(c.Out, func(shape []int) bool { return shape[len(shape)-1] == 1 })
	}
	c.NoBias = bias == nil
	l.Config = c
	return l, r.addBias(l, bias, c.Out)
}
