package onnx

import (
	"fmt"
	"io"
	"math"

	"github.com/unroll-go/unroll/internal/bounded"
	"github.com/unroll-go/unroll/safetensors"
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
