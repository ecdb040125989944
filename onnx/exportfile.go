package onnx

import (
	"errors"
	"io"
	"slices"

	"github.com/unroll-go/unroll/internal/atomicfile"
)

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
