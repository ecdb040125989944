package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
)

// functions are the activations of package autograd that are one operator of ONNX.
var functions = []struct {
	f          func(*autograd.Node) *autograd.Node
	op         string
	attributes []message
}{
	{autograd.Tanh, "Tanh", nil},
	{autograd.Sigmoid, "Sigmoid", nil},
	{autograd.ReLU, "Relu", nil},
	{autograd.Exp, "Exp", nil},
	{autograd.Log, "Log", nil},
	{autograd.Sqrt, "Sqrt", nil},
	{autograd.Abs, "Abs", nil},
	{autograd.Softmax, "Softmax", []message{intAttribute("axis", -1)}},
	{autograd.LogSoftmax, "LogSoftmax", []message{intAttribute("axis", -1)}},
}

// function adds an activation. It knows one by the address of its code.
func (e *Export) function(f func(*autograd.Node) *autograd.Node, x Value) Value {
	code := func(f func(*autograd.Node) *autograd.Node) uintptr { return reflect.ValueOf(f).Pointer() }
	if f == nil {
		return e.fail("a nil function")
	}
	for _, known := range functions {
		if code(f) == code(known.f) {
			return e.node(known.op, x.name+"."+strings.ToLower(known.op), x.shape, []string{x.name}, known.attributes...)
		}
	}
	if code(f) == code(autograd.GELU) { // x/2 * (1 + erf(x/sqrt(2)))
		half, one := e.floats("half", []float32{0.5}), e.floats("one", []float32{1})
		scaled := e.node("Mul", x.name+".scaled", x.shape, []string{x.name, e.floats("sqrt_half", []float32{float32(math.Sqrt(0.5))})})
		erf := e.node("Erf", x.name+".erf", x.shape, []string{scaled.name})
		plus := e.node("Add", x.name+".cdf", x.shape, []string{erf.name, one})
		product := e.node("Mul", x.name+".product", x.shape, []string{x.name, plus.name})
		return e.node("Mul", x.name+".gelu", x.shape, []string{product.name, half})
	}
	return e.fail("a function that is not Tanh, Sigmoid, ReLU, GELU, Exp, Log, Sqrt, Abs, Softmax or LogSoftmax of package autograd")
}

// Add adds two values of the same shape, such as those of a residual connection.
func (e *Export) Add(a, b Value) Value {
	if !e.ok(a, b) {
		return Value{}
	}
	if !slices.Equal(a.shape, b.shape) || a.kind != typeFloat {
		return e.fail("Add of shapes %v and %v, want the same", a.shape, b.shape)
	}
	return e.node("Add", a.name+".sum", a.shape, []string{a.name, b.name})
}

// Concat joins values along their last dimension, that of the features. The other dimensions are the same.
func (e *Export) Concat(values ...Value) Value {
	if !e.ok(values...) {
		return Value{}
	}
	if len(values) == 0 {
		return e.fail("Concat of nothing")
	}
	shape := slices.Clone(values[0].shape)
	last := len(shape) - 1
	var names []string
	for i, v := range values {
		if last < 0 || len(v.shape) != last+1 || !slices.Equal(v.shape[:last], shape[:last]) || v.shape[last] < 1 || v.kind != typeFloat {
			return e.fail("Concat of shapes %v and %v, want the same but for the last dimension", shape, v.shape)
		}
		if i > 0 {
			shape[last] += v.shape[last]
		}
		names = append(names, v.name)
	}
	return e.node("Concat", names[0]+".joined", shape, names, intAttribute("axis", -1))
}

// Forward adds a layer without a state: a [layers.Dense], [layers.LayerNorm], [layers.Embedding] (of [Export.Tokens]),
// [layers.Conv1D], [layers.MaxPool1D] or [layers.AvgPool1D] (of sequences without lengths), a [layers.Dropout], which does
// nothing, a [layers.Func] of an activation of package autograd (Tanh, Sigmoid, ReLU, GELU, Exp, Log, Sqrt, Abs, Softmax,
// LogSoftmax), or a [layers.Sequential] of such.
func (e *Export) Forward(layer any, x Value) Value {
	if !e.ok(x) {
		return Value{}
	}
	if _, tokens := layer.(*layers.Embedding); tokens != (x.kind == typeInt64) || x.kind == typeInt32 {
		return e.fail("%T reads %q: an embedding reads tokens, and other layers numbers", layer, x.name)
	}
	switch l := layer.(type) {
	case *layers.Embedding:
		w := l.Weight.Value
		return e.node("Gather", l.Weight.Name+".rows", append(slices.Clone(x.shape), w.Dim(1)),
			[]string{e.floats(l.Weight.Name, w.Data(), w.Shape()...), x.name}, intAttribute("axis", 0))
	case *layers.Dense:
		return e.dense(l, x)
	case *layers.LayerNorm:
		n := l.Weight.Value.Len()
		if !e.features(l.Weight.Name, x, n) {
			return Value{}
		}
		return e.node("LayerNormalization", l.Weight.Name+".normalised", x.shape,
			[]string{x.name, e.floats(l.Weight.Name, l.Weight.Value.Data(), n), e.floats(l.Bias.Name, l.Bias.Value.Data(), n)},
			intAttribute("axis", -1), floatAttribute("epsilon", float32(l.Eps)))
	case *layers.Conv1D:
		return e.conv(l, x)
	case layers.MaxPool1D:
		return e.pool("MaxPool", l.Width, l.Stride, x)
	case layers.AvgPool1D:
		return e.pool("AveragePool", l.Width, l.Stride, x)
	case layers.Dropout, *layers.Dropout:
		return x
	case layers.Func:
		return e.function(l, x)
	case func(*autograd.Node) *autograd.Node:
		return e.function(l, x)
	case layers.Sequential:
		for _, part := range l {
			if x = e.Forward(part, x); e.err != nil {
				return Value{}
			}
		}
		return x
	case *rnn.Elman, *rnn.LSTM, *rnn.GRU:
		return e.fail("%T is exported by the method %s, with the configuration that it was made with", l, strings.TrimPrefix(fmt.Sprintf("%T", l), "*rnn."))
	}
	return e.fail("ONNX has no operator for a %T, or this package does not know it", layer)
}

// features checks the last dimension of x.
func (e *Export) features(name string, x Value, n int) bool {
	if len(x.shape) == 0 || x.shape[len(x.shape)-1] != n {
		e.fail("%s reads %q of shape %v (Time is %d, Batch %d), want %d features", name, x.name, x.shape, Time, Batch, n)
		return false
	}
	return true
}

// dense adds x·Wᵀ + b. W is written transposed, because MatMul reads it so.
func (e *Export) dense(l *layers.Dense, x Value) Value {
	in, out := l.In(), l.Out()
	name := l.Weight.Name
	if !e.features(name, x, in) {
		return Value{}
	}
	w := e.constant(name+".transposed", typeFloat, func() (raw []byte) {
		for i := range in {
			for o := range out {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(l.Weight.Value.Data()[o*in+i]))
			}
		}
		return raw
	}, in, out)
	shape := append(slices.Clone(x.shape[:len(x.shape)-1]), out)
	y := e.node("MatMul", name+".product", shape, []string{x.name, w})
	if l.Bias != nil {
		y = e.node("Add", name+".sum", shape, []string{y.name, e.floats(l.Bias.Name, l.Bias.Value.Data(), out)})
	}
	return y
}

// overTime adds an operator over the last dimension of [B,C,T] for a sequence x [T,B,C].
func (e *Export) overTime(x Value, channels int, operator func(x Value, shape []int) Value) Value {
	y := operator(e.transpose(x, 1, 2, 0), []int{x.shape[1], channels, otherSize})
	return e.transpose(y, 2, 0, 1)
}

func (e *Export) conv(l *layers.Conv1D, x Value) Value {
	c, name := l.Config(), l.Weight.Name
	if len(x.shape) != 3 || !e.features(name, x, c.In) {
		return e.fail("%s reads %q of shape %v, want a sequence", name, x.name, x.shape)
	}
	inputs := []string{e.floats(name, l.Weight.Value.Data(), l.Weight.Value.Shape()...)}
	if l.Bias != nil {
		inputs = append(inputs, e.floats(l.Bias.Name, l.Bias.Value.Data(), c.Out))
	}
	return e.overTime(x, c.Out, func(x Value, shape []int) Value {
		pads := []int{c.PadLeft, c.PadRight}
		if c.Mirrored {
			x = e.node("Pad", name+".padded", shape, []string{x.name, e.ints(0, 0, c.PadLeft, 0, 0, c.PadRight)}, textAttribute("mode", "reflect"))
			pads = []int{0, 0}
		}
		return e.node("Conv", name+".convolved", shape, append([]string{x.name}, inputs...), intsAttribute("kernel_shape", c.Width),
			intsAttribute("strides", c.Stride), intsAttribute("dilations", c.Dilation), intsAttribute("pads", pads...), intAttribute("group", c.Groups))
	})
}

func (e *Export) pool(op string, width, stride int, x Value) Value {
	if stride == 0 {
		stride = width
	}
	if len(x.shape) != 3 || width < 1 || stride < 1 {
		return e.fail("%s of width %d and stride %d over %q of shape %v, want positive numbers and a sequence", op, width, stride, x.name, x.shape)
	}
	return e.overTime(x, x.shape[2], func(y Value, shape []int) Value {
		return e.node(op, x.name+".pooled", shape, []string{y.name}, intsAttribute("kernel_shape", width), intsAttribute("strides", stride))
	})
}
