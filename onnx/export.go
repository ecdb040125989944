package onnx

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
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
