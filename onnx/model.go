package onnx

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/unroll-go/unroll/internal/bounded"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	maxFile   = math.MaxInt32 // bytes; the limit of protocol buffers
	maxNested = 16            // graphs within graphs
	minIR     = 3             // the first version of files that are in use
	minNode   = 5             // bytes of a node, which has an operator
)

// Model is the content of a file.
type Model struct {
	Producer string            // the program that wrote the file, such as "pytorch 2.15.0", or ""
	Opset    int64             // the version of ONNX' own operators; 0: the file does not say
	Metadata map[string]string // strings that the writer chose, or nil
	Graph
}

// Graph is a computation: nodes in an order in which each has its inputs, and the tensors that they read beside the inputs.
type Graph struct {
	Name            string
	Inputs, Outputs []Port
	Tensors         []safetensors.Tensor // the initialisers: weights and other constants, in the order of the file
	Nodes           []Node
}

// Port is an input or an output of a graph.
type Port struct {
	Name  string
	DType safetensors.DType // "": the file does not say, or package safetensors does not have it
	Shape []int             // -1: any size, as usually of the batch and of time; nil: the file does not say
}

// Node is an operation, such as a layer.
type Node struct {
	Name            string // as the writer chose it, or ""
	Op              string // the operator, such as "LSTM"
	Domain          string // "": ONNX' own operators
	Inputs, Outputs []string
	Attributes      []Attribute
}

// Attribute is a setting of a node. Only the field that belongs to its type is set; a setting of a type that is not here, such as a
// sparse tensor, has its name alone.
type Attribute struct {
	Name    string
	Int     int64
	Float   float32
	Text    string
	Ints    []int64
	Floats  []float32
	Texts   []string
	Tensor  *safetensors.Tensor
	Graph   *Graph // of a node If, Loop or Scan
	numbers uint64 // a set of the fields that the file has
}

// The fields of an attribute (AttributeProto).
const (
	attributeFloat  = 2
	attributeInt    = 3
	attributeText   = 4
	attributeTensor = 5
	attributeGraph  = 6
	attributeFloats = 7
	attributeInts   = 8
	attributeTexts  = 9
)

// Attribute returns the setting of the given name, or nil if the node does not have it.
func (n *Node) Attribute(name string) *Attribute {
	for i := range n.Attributes {
		if n.Attributes[i].Name == name {
			return &n.Attributes[i]
		}
	}
	return nil
}

// Tensor returns the initialiser of the given name, or nil if there is none.
func (g *Graph) Tensor(name string) *safetensors.Tensor {
	for i := range g.Tensors {
		if g.Tensors[i].Name == name {
			return &g.Tensors[i]
		}
	}
	return nil
}

// File returns the metadata and the initialisers as the content of a safetensors file, for [safetensors.Loading.Apply] and
// [safetensors.Write]. It shares the memory of the numbers.
func (m *Model) File() *safetensors.File {
	return &safetensors.File{Metadata: m.Metadata, Tensors: m.Tensors}
}

// Read reads a file to its end. What the format forbids is an error that says what is wrong. The tensors share the memory of the
// file's bytes wherever their numbers lie there as they are.
func Read(r io.Reader) (*Model, error) {
	data, err := bounded.Read(r, maxFile)
	switch {
	case err == nil:
		return nil, fmt.Errorf("onnx: a file of %d bytes or more, want less", maxFile)
	case err != io.ErrUnexpectedEOF:
		return nil, err
	}
	m, err := readModel(data)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return m, nil
}

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

// readNode reads a node (NodeProto).
func readNode(message []byte, n *Node, s *scope, depth int) error {
	repeated := []protowire.Number{1, 2, 5, 9, 10}
	counts := count(message, repeated...)
	n.Inputs, n.Outputs = make([]string, 0, counts[1]), make([]string, 0, counts[2])
	n.Attributes = make([]Attribute, 0, counts[5])
	var attributes map[string]bool
	err := fields(message, repeated, func(f field) (err error) {
		var name string
		switch f.number {
		case 1:
			name, err = f.text()
			n.Inputs = append(n.Inputs, name)
		case 2:
			name, err = f.text()
			n.Outputs = append(n.Outputs, name)
		case 3:
			n.Name, err = f.text()
		case 4:
			n.Op, err = f.text()
		case 7:
			n.Domain, err = f.text()
		case 5:
			var part []byte
			if part, err = f.message(); err != nil {
				return err
			}
			n.Attributes = append(n.Attributes, Attribute{})
			a := &n.Attributes[len(n.Attributes)-1]
			if err = readAttribute(part, a, s, depth); err != nil {
				return fmt.Errorf("attribute %s: %w", quote.Text(a.Name), err)
			}
			if attributes == nil {
				attributes = map[string]bool{}
			}
			if attributes[a.Name] {
				return fmt.Errorf("attribute %s twice", quote.Text(a.Name))
			}
			attributes[a.Name] = true
		}
		return err
	})
	if n.Domain == "ai.onnx" {
		n.Domain = ""
	}
	fail := func(err error) error { return fmt.Errorf("%s %s: %w", quote.Name(n.Op), quote.Text(n.Name), err) }
	if err != nil {
		return fail(err)
	}
	if n.Op == "" {
		return fail(errors.New("it has no operator"))
	}
	for _, name := range n.Inputs {
		if name != "" && !s.has(name) {
			return fail(fmt.Errorf("input %s is computed by no node before it", quote.Text(name)))
		}
	}
	for _, name := range n.Outputs {
		if name != "" {
			if err := s.define(name); err != nil {
				return fail(err)
			}
		}
	}
	return nil
}

// readAttribute reads an attribute (AttributeProto).
func readAttribute(message []byte, a *Attribute, s *scope, depth int) error {
	repeated := []protowire.Number{attributeFloats, attributeInts, attributeTexts, 10, 11, 15, 23}
	a.Texts = make([]string, 0, count(message, repeated...)[attributeTexts])
	var ints, floats []uint64
	err := fields(message, repeated, func(f field) (err error) {
		if f.number < 64 {
			a.numbers |= 1 << f.number
		}
		var part []byte
		switch f.number {
		case 1:
			a.Name, err = f.text()
		case attributeFloat:
			a.Float, err = f.float()
		case attributeInt:
			a.Int, err = f.int()
		case attributeText:
			part, err = f.message() // any bytes
			a.Text = string(part)
		case attributeTexts:
			part, err = f.message()
			a.Texts = append(a.Texts, string(part))
		case attributeFloats:
			floats, err = f.numbers(floats, protowire.Fixed32Type)
		case attributeInts:
			ints, err = f.numbers(ints, protowire.VarintType)
		case attributeTensor:
			if part, err = f.message(); err == nil {
				var t safetensors.Tensor
				t, err = readTensor(part)
				a.Tensor = &t
			}
		case attributeGraph:
			if part, err = f.message(); err == nil {
				a.Graph = &Graph{}
				err = readGraph(part, a.Graph, s, depth+1)
			}
		}
		return err
	})
	a.Ints, a.Floats = make([]int64, len(ints)), make([]float32, len(floats))
	for i, v := range ints {
		a.Ints[i] = int64(v)
	}
	for i, v := range floats {
		a.Floats[i] = math.Float32frombits(uint32(v))
	}
	return err
}
