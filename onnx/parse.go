package onnx

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
	"google.golang.org/protobuf/encoding/protowire"
)

func readModel(data []byte) (*Model, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	m := &Model{}
	var ir int64
	var version string
	var graph []byte
	err := fields(data, []protowire.Number{8, 14, 20, 25, 26}, func(f field) (err error) {
		switch f.number {
		case 1:
			ir, err = f.int()
		case 2:
			m.Producer, err = f.text()
		case 3:
			version, err = f.text()
		case 7:
			graph, err = f.message()
		case 8:
			var domain string
			var opset int64
			if domain, opset, err = readOpset(f); err == nil && (domain == "" || domain == "ai.onnx") {
				if m.Opset != 0 {
					return errors.New("two versions of the operators")
				}
				m.Opset = opset
			}
		case 14:
			var key, value string
			key, value, err = readEntry(f)
			if _, twice := m.Metadata[key]; twice && err == nil {
				return fmt.Errorf("the metadata have %s twice", quote.Text(key))
			}
			if m.Metadata == nil {
				m.Metadata = map[string]string{}
			}
			m.Metadata[key] = value
		}
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("not a model, or damaged: %w", err)
	case ir < minIR:
		return nil, fmt.Errorf("not a model, or too old: the version of the format is %d, want at least %d", ir, minIR)
	case graph == nil:
		return nil, errors.New("a model without a graph")
	}
	m.Producer = strings.TrimSpace(m.Producer + " " + version)
	return m, readGraph(graph, &m.Graph, nil, 1)
}

func readOpset(f field) (domain string, version int64, err error) {
	message, err := f.message()
	if err != nil {
		return "", 0, err
	}
	err = fields(message, nil, func(f field) (err error) {
		switch f.number {
		case 1:
			domain, err = f.text()
		case 2:
			version, err = f.int()
		}
		return err
	})
	return domain, version, err
}

// readEntry reads a pair of strings (StringStringEntryProto).
func readEntry(f field) (key, value string, err error) {
	message, err := f.message()
	if err != nil {
		return "", "", err
	}
	err = fields(message, nil, func(f field) (err error) {
		switch f.number {
		case 1:
			key, err = f.text()
		case 2:
			value, err = f.text()
		}
		return err
	})
	return key, value, err
}

// scope is the set of the names that the nodes of a graph may read.
type scope struct {
	names  map[string]bool
	around *scope // of the graph around this one
}

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.around {
		if s.names[name] {
			return true
		}
	}
	return false
}

// define adds a name, which must be new.
func (s *scope) define(name string) error {
	if s.names[name] {
		return fmt.Errorf("the name %s is there twice", quote.Text(name))
	}
	s.names[name] = true
	return nil
}

// readGraph reads a graph (GraphProto).
func readGraph(message []byte, g *Graph, around *scope, depth int) error {
	if depth > maxNested {
		return fmt.Errorf("more than %d graphs within each other", maxNested)
	}
	repeated := []protowire.Number{1, 5, 11, 12, 13, 14, 15, 16}
	counts := count(message, repeated...)
	g.Tensors = make([]safetensors.Tensor, 0, counts[5])
	g.Inputs, g.Outputs = make([]Port, 0, counts[11]), make([]Port, 0, counts[12])
	g.Nodes = make([]Node, 0, min(counts[1], len(message)/minNode))
	s := &scope{names: map[string]bool{}, around: around}
	err := fields(message, repeated, func(f field) (err error) {
		switch f.number {
		case 2:
			g.Name, err = f.text()
		case 5:
			var part []byte
			if part, err = f.message(); err != nil {
				return err
			}
			t, err := readTensor(part)
			if err != nil {
				return err
			}
			g.Tensors = append(g.Tensors, t)
			if t.Name == "" {
				return fmt.Errorf("tensor %d has no name", len(g.Tensors)-1)
			}
			return s.define(t.Name)
		case 11, 12:
			v, err := readPort(f)
			if f.number == 11 {
				g.Inputs = append(g.Inputs, v)
			} else {
				g.Outputs = append(g.Outputs, v)
			}
			return err
		case 15:
			return errors.New("it has a sparse tensor, want dense ones")
		}
		return err
	})
	if err != nil {
		return err
	}
	// An input may have the name of an initialiser, which is its default value.
	inputs := make(map[string]bool, len(g.Inputs))
	for _, v := range g.Inputs {
		if v.Name == "" || inputs[v.Name] {
			return fmt.Errorf("the name %s of an input is empty or there twice", quote.Text(v.Name))
		}
		inputs[v.Name], s.names[v.Name] = true, true
	}
	err = fields(message, repeated, func(f field) error {
		if f.number != 1 {
			return nil
		}
		part, err := f.message()
		if err == nil {
			g.Nodes = append(g.Nodes, Node{})
			err = readNode(part, &g.Nodes[len(g.Nodes)-1], s, depth)
		}
		if err != nil {
			return fmt.Errorf("node %d: %w", len(g.Nodes)-1, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range g.Outputs {
		if !s.has(v.Name) {
			return fmt.Errorf("output %s is computed by no node", quote.Text(v.Name))
		}
	}
	return nil
}

// readPort reads the name and the type of an input or output (ValueInfoProto).
func readPort(f field) (v Port, err error) {
	message, err := f.message()
	if err != nil {
		return v, err
	}
	// The type (TypeProto) of a tensor has the type of its numbers and its shape (TensorShapeProto).
	var kind int64
	inTensor := func(f field) (err error) {
		switch f.number {
		case 1:
			kind, err = f.int()
		case 2:
			var message []byte
			if message, err = f.message(); err == nil {
				v.Shape, err = readShape(message)
			}
		}
		return err
	}
	inType := func(f field) error {
		if f.number != 1 {
			return nil
		}
		message, err := f.message()
		if err != nil {
			return err
		}
		return fields(message, nil, inTensor)
	}
	err = fields(message, []protowire.Number{4}, func(f field) (err error) {
		switch f.number {
		case 1:
			v.Name, err = f.text()
		case 2:
			var message []byte
			if message, err = f.message(); err == nil {
				err = fields(message, nil, inType)
			}
		}
		return err
	})
	v.DType = dtype(kind)
	return v, err
}

// readShape reads the sizes of dimensions, -1 where a size is not known.
func readShape(message []byte) ([]int, error) {
	shape := make([]int, 0, min(count(message, 1)[1], maxDims))
	err := fields(message, []protowire.Number{1}, func(f field) error {
		if f.number != 1 {
			return nil
		}
		if len(shape) == maxDims {
			return fmt.Errorf("more than %d dimensions", maxDims)
		}
		part, err := f.message()
		if err != nil {
			return err
		}
		size := -1
		err = fields(part, nil, func(f field) error {
			if f.number != 1 {
				return nil
			}
			if f.bits > math.MaxInt {
				return fmt.Errorf("dimension %d is %d: negative or too large", len(shape), int64(f.bits))
			}
			size = int(f.bits)
			return f.is(protowire.VarintType)
		})
		shape = append(shape, size)
		return err
	})
	return shape, err
}
