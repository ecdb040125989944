package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
)

// Layer is a node with weights, as a layer of this library has them.
type Layer struct {
	Node *Node
	// Config says how to make the layer: an [rnn.ElmanConfig], [rnn.LSTMConfig] or [rnn.GRUConfig] of one layer, a
	// [layers.DenseConfig], a [layers.Conv1DConfig], or the [Norm] or [Table] of this package.
	Config any
	// Reverse is set for a recurrent node that reads each sequence from its end and has no other direction. There is no such
	// layer here: reverse the steps of its input and of its output.
	Reverse bool
	// Weights have the names, layouts and order of gates of the layers here, which are PyTorch's: "weight_ih_l0", "weight".
	// Their numbers are F32. Layers that share a weight share its memory: do not change it.
	Weights []safetensors.Tensor
}

// Norm is the Config of a LayerNormalization, a [layers.LayerNorm] here.
type Norm struct {
	Features int
	Eps      float64
}

// Table is the Config of a Gather from a matrix of weights, a [layers.Embedding] here.
type Table struct{ Vocabulary, Features int }

// Layers returns all nodes that have weights, in their order. A weight may also be computed from initialisers, by the nodes by which
// exporters transpose, cut and join weights. The error for a node that no layer here can compute names the node and
// the reason; [Graph.Layer] reads the others.
//
// Recognised are RNN, LSTM and GRU, Gemm, MatMul and Conv (with the Add of a bias, if that follows), LayerNormalization, and Gather
// from a matrix of numbers. The initial states of recurrent nodes are not weights. Graphs within nodes, as those of If and Loop, are
// not searched.
func (g *Graph) Layers() ([]*Layer, error) {
	c := g.constants()
	var all []*Layer
	for i := range g.Nodes {
		l, err := c.layer(&g.Nodes[i])
		if err != nil {
			return nil, err
		}
		if l != nil {
			all = append(all, l)
		}
	}
	return all, nil
}

// Layer returns the layer of one node: the first whose name, or whose first output, is name.
func (g *Graph) Layer(name string) (*Layer, error) {
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Name != name && (len(n.Outputs) == 0 || n.Outputs[0] != name) {
			continue
		}
		l, err := g.constants().layer(n)
		if err == nil && l == nil {
			err = fmt.Errorf("onnx: node %s is a %s without weights that a layer here has", quote.Text(name), quote.Name(n.Op))
		}
		return l, err
	}
	return nil, fmt.Errorf("onnx: no node has the name %s", quote.Text(name))
}

// Set sets weights under p's prefix, all those of one layer: to the weights of found or, for a recurrent layer of several
// layers, to those of several nodes, the lowest first. Names and shapes must be the same on both sides. On any
// error no weight is changed.
//
// Make the layer by the Config of found, which tells what shapes do not: the activation of an RNN, whether a GRU resets before the
// product, the Eps of a normalisation.
func Set(p *autograd.Params, found ...*Layer) error {
	f := &safetensors.File{}
	for k, l := range found {
		for _, t := range l.Weights {
			if before, after, recurrent := strings.Cut(t.Name, "_l0"); recurrent {
				t.Name = before + "_l" + strconv.Itoa(k) + after
			} else if k > 0 {
				return errors.New("onnx.Set: several nodes are given, want one for a layer that is not recurrent")
			}
			f.Tensors = append(f.Tensors, t)
		}
	}
	if _, err := (safetensors.Loading{}).Apply(f, p); err != nil {
		return fmt.Errorf("onnx.Set: %w", err)
	}
	return nil
}

// reader reads the weights of one node.
type reader struct {
	*constants
	*Node
}

// layer returns the layer of a node, or nil if the node has no weights.
func (c *constants) layer(n *Node) (l *Layer, err error) {
	r := reader{c, n}
	if n.Domain == "" {
		switch n.Op {
		case "RNN", "LSTM", "GRU":
			l, err = r.recurrent()
		case "Gemm":
			l, err = r.gemm()
		case "MatMul":
			l, err = r.matMul()
		case "Conv":
			l, err = r.conv()
		case "LayerNormalization":
			l, err = r.layerNorm()
		case "Gather":
			l, err = r.table()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("onnx: %s %s: %w", n.Op, quote.Text(r.title()), err)
	}
	if l != nil {
		l.Node = n
	}
	return l, nil
}

// title returns the name of a node or, if it has none, of its first output.
func (n *Node) title() string {
	if n.Name == "" && len(n.Outputs) > 0 {
		return n.Outputs[0]
	}
	return n.Name
}

func (r reader) input(i int) string {
	if i < len(r.Inputs) {
		return r.Inputs[i]
	}
	return ""
}

// array is a constant: its name, its numbers and its shape.
type array struct {
	name   string
	values []float32
	shape  []int
}

// array returns input i, nil if it is left out. Its shape must have rank dimensions.
func (r reader) array(i int, what string, rank int) (*array, error) {
	name := r.input(i)
	if name == "" {
		return nil, nil
	}
	if r.variable(i) {
		return nil, r.notConstant(i, what)
	}
	values, shape, err := r.float32s(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != rank {
		return nil, fmt.Errorf("%s has shape %v, want %d dimensions", what, shape, rank)
	}
	return &array{name, values, shape}, nil
}

// variable reports whether input i is no constant.
func (r reader) variable(i int) bool { return !r.known[r.input(i)] }

// notConstant returns the error for input i, which should be a constant.
func (r reader) notConstant(i int, what string) error {
	by := "an input of the graph"
	if n := r.nodes[r.input(i)]; n != nil {
		by = "computed by " + quote.Name(n.Op)
	}
	return fmt.Errorf("%s, %s, is %s, want an initialiser", what, quote.Text(r.input(i)), by)
}

// allow returns an error for an attribute that is not among names.
func (r reader) allow(names ...string) error {
	for _, a := range r.Attributes {
		if !slices.Contains(names, a.Name) {
			return fmt.Errorf("attribute %s is not known", quote.Text(a.Name))
		}
	}
	return nil
}

func (n *Node) int(name string, otherwise int64) int64 {
	if a := n.Attribute(name); a != nil {
		return a.Int
	}
	return otherwise
}

func (n *Node) float(name string, otherwise float32) float32 {
	if a := n.Attribute(name); a != nil {
		return a.Float
	}
	return otherwise
}
