package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/atomicfile"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
)

// The sizes of an input that a run decides.
const (
	Time  = -1 // the number of steps
	Batch = -2 // the number of rows

	otherSize = -3 // of the time after a convolution, for example
)

const (
	opset     = 17 // the first with LayerNormalization
	irVersion = 8  // the format of that opset
)

// The types of values (TensorProto.DataType).
const (
	typeFloat = 1
	typeInt32 = 6
	typeInt64 = 7
)

// Export is a model on its way into a file. Its methods are called as the layers of the model are, and record operators of ONNX:
//
//	var e onnx.Export
//	x := e.Input("x", onnx.Time, onnx.Batch, 28)
//	h := e.LSTM(x, params.In("rnn"), config, onnx.Options{}).Last
//	e.Output("logits", e.Forward(head, h))
//	err := e.Save("model.onnx")
//
// The zero Export is empty and ready. The first thing that ONNX cannot say, or that does not fit, is the error of [Export.Write]
// and [Export.Save]; what is called after it does nothing. The weights are those that the layers have when they are
// exported, and a model always runs as in inference.
//
// The file has ONNX' operators of opset 17 alone. What no output depends on is left out.
type Export struct {
	Metadata map[string]string // strings for the file

	err             error
	taken           map[string]bool // names of values
	inputs, outputs []Value
	constants       map[string]message // tensors by name
	nodes           []exportNode
}

// exportNode is a node with the names that it reads and makes.
type exportNode struct {
	inputs, outputs []string
	message         message
}

// Value is an input of an [Export], or what an operator computes.
type Value struct {
	of    *Export
	name  string
	kind  int64
	shape []int
}

// State is the state of a recurrent layer, as of an [rnn.Carry]: H [Layers*Dirs, B, Hidden], and C of an LSTM. The zero State is
// zeros.
type State struct{ H, C Value }

// Options are the settings of a recurrent layer, as those of [rnn.Options].
type Options struct {
	Start   State
	Lengths Value // of [Export.Lengths]; the zero Value: all rows have all steps
}

// Run is what a recurrent layer computes: all outputs, as Forward of package rnn returns them, [T,B,Out]; the last outputs, as Last does,
// [B,Out]; and the state after the last step.
type Run struct {
	Y, Last Value
	End     State
}

func (e *Export) fail(format string, args ...any) Value {
	if e.err == nil {
		e.err = fmt.Errorf("onnx.Export: "+format, args...)
	}
	return Value{}
}

// ok reports whether no error has occurred and the values are of e.
func (e *Export) ok(values ...Value) bool {
	for _, v := range values {
		if v.of != e {
			e.fail("a value is the zero Value or one of another Export")
		}
	}
	return e.err == nil
}

// name takes a name that is not taken: base, or base with a number.
func (e *Export) name(base string) string {
	if e.taken == nil {
		e.taken = map[string]bool{"": true}
	}
	name := base
	for i := 2; e.taken[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	e.taken[name] = true
	return name
}

func (e *Export) input(name string, kind int64, shape []int) Value {
	if taken := e.name(name); taken != name && e.ok() {
		e.fail("the name %q of an input is empty or taken", name)
	}
	v := Value{e, name, kind, slices.Clone(shape)}
	e.inputs = append(e.inputs, v)
	return v
}

// Input adds an input of numbers. Sizes are positive, or [Time] or [Batch]: sequences are [Time, Batch, features], and the start state
// of a recurrent layer is [Layers*Dirs, Batch, Hidden].
func (e *Export) Input(name string, shape ...int) Value {
	for _, d := range shape {
		if d < 1 && d != Time && d != Batch {
			return e.fail("input %q has shape %v", name, shape)
		}
	}
	return e.input(name, typeFloat, shape)
}

// Tokens adds an input of tokens [Time, Batch], int64, for an embedding.
func (e *Export) Tokens(name string) Value { return e.input(name, typeInt64, []int{Time, Batch}) }

// Lengths adds an input with the number of steps of each row [Batch], int32, for recurrent layers.
//
// ONNX Runtime ends a row of length 0 with zeros, and not with its start as package rnn does.
func (e *Export) Lengths(name string) Value { return e.input(name, typeInt32, []int{Batch}) }

// Output makes a value an output of the model, under a name.
func (e *Export) Output(name string, v Value) {
	if !e.ok(v) {
		return
	}
	if e.taken[name] {
		e.fail("the name %q of an output is empty or taken", name)
		return
	}
	out := e.node("Identity", name, v.shape, []string{v.name})
	out.kind = v.kind
	e.outputs = append(e.outputs, out)
}

// node adds a node with one output.
func (e *Export) node(op, base string, shape []int, inputs []string, attributes ...message) Value {
	v := Value{e, e.name(base), typeFloat, shape}
	e.nodeOf(op, inputs, []string{v.name}, attributes...)
	return v
}

func (e *Export) nodeOf(op string, inputs, outputs []string, attributes ...message) {
	var m message
	for _, name := range inputs {
		m = m.text(1, name)
	}
	for _, name := range outputs {
		m = m.text(2, name)
	}
	m = m.text(3, outputs[0]).text(4, op)
	for _, a := range attributes {
		m = m.bytes(5, a...)
	}
	e.nodes = append(e.nodes, exportNode{inputs, outputs, m})
}

// The types of attributes (AttributeProto.AttributeType).
const (
	kindFloat = 1
	kindInt   = 2
	kindText  = 3
	kindInts  = 7
	kindTexts = 8
)

func floatAttribute(name string, v float32) message {
	return message{}.text(1, name).float(attributeFloat, v).int(20, kindFloat)
}

func intAttribute(name string, v int) message {
	return message{}.text(1, name).int(attributeInt, int64(v)).int(20, kindInt)
}

func textAttribute(name, v string) message {
	return message{}.text(1, name).text(attributeText, v).int(20, kindText)
}

func intsAttribute(name string, values ...int) message {
	m := message{}.text(1, name)
	for _, v := range values {
		m = m.int(attributeInts, int64(v))
	}
	return m.int(20, kindInts)
}

func textsAttribute(name string, values ...string) message {
	m := message{}.text(1, name)
	for _, v := range values {
		m = m.text(attributeTexts, v)
	}
	return m.int(20, kindTexts)
}

// constant adds a tensor, once for each name, and returns the name.
func (e *Export) constant(name string, kind int64, raw func() []byte, shape ...int) string {
	if e.constants == nil {
		e.constants = map[string]message{}
	}
	if e.constants[name] == nil {
		if taken := e.name(name); taken != name {
			e.fail("the name %q of a weight is that of an input or output", name)
		}
		m := message{}
		for _, d := range shape {
			m = m.int(1, int64(d))
		}
		e.constants[name] = m.int(2, kind).text(8, name).bytes(9, raw()...)
	}
	return name
}

func (e *Export) floats(name string, values []float32, shape ...int) string {
	return e.constant(name, typeFloat, func() []byte {
		raw, _ := binary.Append(nil, binary.LittleEndian, values) // no error for []float32
		return raw
	}, shape...)
}

// ints adds whole numbers, such as the shape that a node reads.
func (e *Export) ints(values ...int) string {
	name := "ints" + strings.NewReplacer("[", ".", " ", ".", "]", "").Replace(fmt.Sprint(values))
	return e.constant(name, typeInt64, func() (raw []byte) {
		for _, v := range values {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
		return raw
	}, len(values))
}

// transpose adds a Transpose.
func (e *Export) transpose(x Value, perm ...int) Value {
	shape := make([]int, len(perm))
	for i, p := range perm {
		shape[i] = x.shape[p]
	}
	return e.node("Transpose", x.name+".transposed", shape, []string{x.name}, intsAttribute("perm", perm...))
}

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

// recurrentLayer is a layer that is to be exported: what the three kinds differ in.
type recurrentLayer struct {
	op                    string
	fresh                 *autograd.Params // weights of the names and shapes that the configuration says
	input, hidden, layers int
	bidirectional         bool
	attributes            []message
}

// fresh makes a layer anew, to know its weights. It returns nil if the configuration cannot be.
func (e *Export) fresh(name string, newLayer func(p *autograd.Params)) *autograd.Params {
	p := autograd.NewParams(0)
	if err := autograd.Try(func() { newLayer(p) }); err != nil {
		e.fail("%s: %v", name, err)
		return nil
	}
	return p
}

// layerName returns the name of a layer, which is the prefix of its weights.
func layerName(p *autograd.Params, kind string) string {
	if name := strings.TrimSuffix(p.Prefix(), "."); name != "" {
		return name
	}
	return kind
}

// refuse fails for the first of some settings, names and values, that is set.
func (e *Export) refuse(name string, settings ...any) {
	for i := 0; i < len(settings); i += 2 {
		if v := settings[i+1]; !reflect.ValueOf(v).IsZero() {
			e.fail("%s has %s, which ONNX has no operator for", name, settings[i])
			return
		}
	}
}

// Elman adds the layer that was made with these weights and this configuration. Its dropouts do nothing. LayerNorm and
// Zoneout are an error.
func (e *Export) Elman(x Value, p *autograd.Params, c rnn.ElmanConfig, o Options) Run {
	name := layerName(p, "rnn.Elman")
	e.refuse(name, "LayerNorm", c.LayerNorm, "Zoneout", c.Zoneout)
	l := recurrentLayer{"RNN", e.fresh(name, func(p *autograd.Params) { rnn.NewElman(p, c) }), c.Input, c.Hidden, max(1, c.Layers), c.Bidirectional, nil}
	if c.ReLU {
		l.attributes = []message{textsAttribute("activations", slices.Repeat([]string{"Relu"}, l.directions())...)}
	}
	return e.recurrent(x, p, l, o)
}

// LSTM adds the layer that was made with these weights and this configuration. Its dropouts do nothing. Projection, LayerNorm, Zoneout and
// ZoneoutCell are an error.
func (e *Export) LSTM(x Value, p *autograd.Params, c rnn.LSTMConfig, o Options) Run {
	name := layerName(p, "rnn.LSTM")
	e.refuse(name, "Projection", c.Projection, "LayerNorm", c.LayerNorm, "Zoneout", c.Zoneout, "ZoneoutCell", c.ZoneoutCell)
	return e.recurrent(x, p, recurrentLayer{"LSTM", e.fresh(name, func(p *autograd.Params) { rnn.NewLSTM(p, c) }), c.Input, c.Hidden, max(1, c.Layers),
		c.Bidirectional, nil}, o)
}

// GRU adds the layer that was made with these weights and this configuration. Its dropouts do nothing. LayerNorm and Zoneout are
// an error.
func (e *Export) GRU(x Value, p *autograd.Params, c rnn.GRUConfig, o Options) Run {
	name := layerName(p, "rnn.GRU")
	e.refuse(name, "LayerNorm", c.LayerNorm, "Zoneout", c.Zoneout)
	after := 1
	if c.ResetBefore {
		after = 0
	}
	return e.recurrent(x, p, recurrentLayer{"GRU", e.fresh(name, func(p *autograd.Params) { rnn.NewGRU(p, c) }), c.Input, c.Hidden, max(1, c.Layers),
		c.Bidirectional, []message{intAttribute("linear_before_reset", after)}}, o)
}

func (l *recurrentLayer) directions() int {
	if l.bidirectional {
		return 2
	}
	return 1
}

// check checks the weights, the input and the options of a recurrent layer.
func (e *Export) check(name string, x Value, p *autograd.Params, l recurrentLayer, o Options) bool {
	if !e.ok(x) {
		return false
	}
	for want, w := range l.fresh.Named() {
		if have := p.Get(want); have == nil || !slices.Equal(have.Value.Shape(), w.Value.Shape()) {
			e.fail("%s: the configuration has a weight %s of shape %v, and the weights have none", name, want, w.Value.Shape())
			return false
		}
	}
	if len(x.shape) != 3 || x.kind != typeFloat || !e.features(name, x, l.input) {
		e.fail("%s reads %q of shape %v, want a sequence", name, x.name, x.shape)
		return false
	}
	start := func(what string, v Value) {
		if v.of != nil && e.ok(v) && !slices.Equal(v.shape, []int{l.layers * l.directions(), x.shape[1], l.hidden}) {
			e.fail("%s starts from %s of shape %v, want [%d, Batch, %d]", name, what, v.shape, l.layers*l.directions(), l.hidden)
		}
	}
	start("H", o.Start.H)
	start("C", o.Start.C)
	if o.Start.C.of != nil && l.op != "LSTM" || l.op == "LSTM" && (o.Start.H.of == nil) != (o.Start.C.of == nil) {
		e.fail("%s starts from the state of another kind of layer: its H or C is missing or not wanted", name)
	}
	if o.Lengths.of != nil && e.ok(o.Lengths) && o.Lengths.kind != typeInt32 {
		e.fail("%s: the lengths are %q, want a value of the method Lengths", name, o.Lengths.name)
	}
	return e.err == nil
}

// inverse returns the order that undoes another.
func inverse(order []int) []int {
	undone := make([]int, len(order))
	for k, o := range order {
		undone[o] = k
	}
	return undone
}

func (e *Export) recurrent(x Value, p *autograd.Params, l recurrentLayer, o Options) (r Run) {
	name := layerName(p, l.op)
	if e.err != nil || !e.check(name, x, p, l, o) {
		return Run{}
	}
	directions := l.directions()
	batch := x.shape[1]
	direction := "forward"
	if l.bidirectional {
		direction = "bidirectional"
	}
	attributes := append([]message{intAttribute("hidden_size", l.hidden), textAttribute("direction", direction)}, l.attributes...)
	part := func(state Value, k int) string { // of layer k
		if state.of == nil || l.layers == 1 {
			return state.name
		}
		return e.node("Slice", fmt.Sprintf("%s_l%d", state.name, k), nil, []string{state.name, e.ints(k * directions), e.ints((k + 1) * directions), e.ints(0)}).name
	}
	var ends [2][]string // H and C of each layer
	r.Y = x
	for k := range l.layers {
		suffix := fmt.Sprintf("_l%d", k)
		at := name + "." + l.op + suffix
		weights := e.recurrentWeights(p, l, suffix)
		inputs := append([]string{r.Y.name}, weights[:3]...)
		inputs = append(inputs, o.Lengths.name, part(o.Start.H, k))
		outputs := []string{e.name(at), e.name(at + ".end_h")}
		if l.op == "LSTM" {
			inputs = append(inputs, part(o.Start.C, k), weights[3])
			outputs = append(outputs, e.name(at+".end_c"))
			ends[1] = append(ends[1], outputs[2])
		}
		ends[0] = append(ends[0], outputs[1])
		for inputs[len(inputs)-1] == "" {
			inputs = inputs[:len(inputs)-1]
		}
		e.nodeOf(l.op, inputs, outputs, attributes...)
		// Y is [T,Dirs,B,Hidden].
		sequence := []int{x.shape[0], batch, directions * l.hidden}
		if directions == 1 {
			r.Y = e.node("Squeeze", at+".y", sequence, []string{outputs[0], e.ints(1)})
		} else {
			y := e.transpose(Value{e, outputs[0], typeFloat, []int{x.shape[0], 2, batch, l.hidden}}, 0, 2, 1, 3)
			r.Y = e.node("Reshape", at+".y", sequence, []string{y.name, e.ints(0, 0, 2*l.hidden)})
		}
	}
	end := func(which int, what string) Value {
		shape := []int{l.layers * directions, batch, l.hidden}
		if l.layers == 1 {
			return Value{e, ends[which][0], typeFloat, shape}
		}
		return e.node("Concat", name+"."+what, shape, ends[which], intAttribute("axis", 0))
	}
	top := Value{e, ends[0][l.layers-1], typeFloat, []int{directions, batch, l.hidden}}
	r.Last = e.node("Reshape", name+".last", []int{batch, directions * l.hidden}, []string{e.transpose(top, 1, 0, 2).name, e.ints(0, directions*l.hidden)})
	r.End.H = end(0, "end_h")
	if l.op == "LSTM" {
		r.End.C = end(1, "end_c")
	}
	return r
}

// recurrentWeights adds W, R, B and P of one layer, and returns their names, "" where there is none.
func (e *Export) recurrentWeights(p *autograd.Params, l recurrentLayer, suffix string) [4]string {
	order := inverse(gateOrders[l.op])
	name := layerName(p, l.op)
	stack := func(what string, order []int, weights ...string) string {
		var values []float32
		var shape []int
		for d := range l.directions() {
			for _, w := range weights {
				weight := p.Get(w + suffix + strings.Repeat("_reverse", d))
				if weight == nil {
					return ""
				}
				values = append(values, reordered(weight.Value.Data(), order)...)
				shape = weight.Value.Shape()
			}
		}
		shape = append([]int{l.directions(), len(weights) * shape[0]}, shape[1:]...)
		return e.floats(name+"."+what+suffix, values, shape...)
	}
	return [4]string{stack("W", order, "weight_ih"), stack("R", order, "weight_hh"), stack("B", order, "bias_ih", "bias_hh"),
		stack("P", inverse(peepholes), "weight_peephole")}
}

// Write writes the model.
func (e *Export) Write(w io.Writer) error {
	data, err := e.encode()
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// Save writes the model to a file, whole or not at all. A symbolic link is replaced, not followed; a folder, a named pipe, a socket or a
// device at path is an error.
func (e *Export) Save(path string) error {
	data, err := e.encode()
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func (e *Export) encode() ([]byte, error) {
	if e.err == nil && len(e.outputs) == 0 {
		e.fail("the model has no output")
	}
	if e.err != nil {
		return nil, e.err
	}
	// What the outputs depend on, found from the last node to the first.
	needed := map[string]bool{}
	for _, v := range e.outputs {
		needed[v.name] = true
	}
	kept := make([]bool, len(e.nodes))
	for i, n := range slices.Backward(e.nodes) {
		kept[i] = slices.ContainsFunc(n.outputs, func(name string) bool { return needed[name] })
		if kept[i] {
			for _, name := range n.inputs {
				needed[name] = true
			}
		}
	}
	graph := message{}
	for i, n := range e.nodes {
		if kept[i] {
			graph = graph.bytes(1, n.message...)
		}
	}
	graph = graph.text(2, "unroll")
	names := make([]string, 0, len(e.constants))
	for name := range e.constants {
		if needed[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	size := 0
	for _, name := range names {
		size += len(e.constants[name])
	}
	if size > maxFile-1<<20 {
		return nil, errors.New("onnx.Export: the weights are larger than a file of ONNX may be, 2 GB")
	}
	graph = slices.Grow(graph, size+16*len(names))
	for _, name := range names {
		graph = graph.bytes(5, e.constants[name]...)
	}
	for _, v := range e.inputs {
		graph = graph.bytes(11, v.info()...)
	}
	for _, v := range e.outputs {
		graph = graph.bytes(12, v.info()...)
	}
	model := message{}.int(1, irVersion).text(2, "unroll").bytes(7, graph...).bytes(8, message{}.int(2, opset)...)
	keys := make([]string, 0, len(e.Metadata))
	for key := range e.Metadata {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		model = model.bytes(14, message{}.text(1, key).text(2, e.Metadata[key])...)
	}
	return model, nil
}

// info returns the name, the type and the shape of an input or output (ValueInfoProto).
func (v Value) info() message {
	shape := message{}
	for _, d := range v.shape {
		dim := message{}
		switch d {
		case Time:
			dim = dim.text(2, "time")
		case Batch:
			dim = dim.text(2, "batch")
		case otherSize:
		default:
			dim = dim.int(1, int64(d))
		}
		shape = shape.bytes(1, dim...)
	}
	return message{}.text(1, v.name).bytes(2, message{}.bytes(1, message{}.int(1, v.kind).bytes(2, shape...)...)...)
}
