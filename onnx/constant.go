package onnx

import (
	"errors"
	"fmt"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
)

// constants finds the constants of a graph: its initialisers, and what nodes compute from them. Exporters transpose, cut and join
// weights by nodes.
type constants struct {
	tensors map[string]*safetensors.Tensor // initialisers, and results once they are computed
	nodes   map[string]*Node               // by the names of their outputs
	known   map[string]bool                // the names of initialisers and of results that can be computed
	reads   map[string]*Node               // the last node that reads each name
	uses    map[string]int                 // how often each name is read; an output of the graph counts as read
	budget  int                            // bytes that results may yet take, so that a small file cannot double its constants many times

	// Nodes may share a weight. It is converted once, so that many nodes cannot take its memory many times.
	numbers map[string][]float32
	weights map[string]safetensors.Tensor
}

// resultsPerByte bounds the bytes of all results by those of the initialisers. Weights are cut, joined and transposed a few times.
const resultsPerByte = 8

func (g *Graph) constants() *constants {
	c := &constants{map[string]*safetensors.Tensor{}, map[string]*Node{}, map[string]bool{"": true}, map[string]*Node{}, map[string]int{}, 1 << 16,
		map[string][]float32{}, map[string]safetensors.Tensor{}}
	for i := range g.Tensors {
		t := &g.Tensors[i]
		c.tensors[t.Name], c.known[t.Name] = t, true
		c.budget += resultsPerByte * len(t.Data)
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		known := n.Domain == "" && operators[n.Op] != nil && len(n.Outputs) == 1
		for _, name := range n.Inputs {
			known = known && c.known[name]
			c.uses[name]++
			c.reads[name] = n
		}
		for _, name := range n.Outputs {
			if name != "" {
				c.nodes[name], c.known[name] = n, known
			}
		}
		if a := n.Attribute("value"); a != nil && a.Tensor != nil {
			c.budget += resultsPerByte * len(a.Tensor.Data)
		}
	}
	for _, v := range g.Outputs {
		c.uses[v.Name]++
	}
	return c
}

// get returns the constant of a name that is known.
func (c *constants) get(name string) (*safetensors.Tensor, error) {
	if name == "" {
		return nil, errors.New("a weight is left out")
	}
	// The names to compute, each above those that depend on it. The nodes of a file have no circles, but they may be too many for
	// recursion.
	todo := []string{name}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		if c.tensors[name] != nil {
			todo = todo[:len(todo)-1]
			continue
		}
		n := c.nodes[name]
		inputs := make([]*safetensors.Tensor, len(n.Inputs))
		ready := true
		for i, input := range n.Inputs {
			inputs[i] = c.tensors[input]
			if input != "" && inputs[i] == nil {
				todo, ready = append(todo, input), false
			}
		}
		if !ready {
			continue
		}
		t, err := operators[n.Op](n, inputs)
		if err == nil {
			if c.budget -= t.size(); c.budget < 0 {
				err = errors.New("the constants that nodes compute are too large for the file")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", n.Op, quote.Text(n.Name), err)
		}
		c.tensors[name] = t.make()
	}
	return c.tensors[name], nil
}

// float32s returns the numbers of a constant that is known, and its shape.
func (c *constants) float32s(name string) (values []float32, shape []int, err error) {
	t, err := c.get(name)
	if err != nil {
		return nil, nil, err
	}
	values, ok := c.numbers[name]
	if !ok {
		if values, err = t.Float32(); err != nil {
			return nil, nil, err
		}
		c.numbers[name] = values
	}
	return values, t.Shape, nil
}

// weight returns a weight that is made of a constant in the way that key tells.
func (c *constants) weight(key, name string, values func() []float32, shape ...int) safetensors.Tensor {
	t, ok := c.weights[key]
	if !ok {
		t = safetensors.From(name, values(), shape...)
		c.weights[key] = t
	}
	return t
}

// result is a constant before it is computed. Its shape is known, so that its size can be checked.
type result struct {
	safetensors.Tensor              // without data, if fill is not nil
	fill               func([]byte) // writes the data
}

func (r *result) size() int {
	if r.fill == nil {
		return 0
	}
	return tensor.Size(r.Shape) * r.DType.Bits() / 8
}

func (r *result) make() *safetensors.Tensor {
	if r.fill != nil {
		r.Data = make([]byte, r.size())
		r.fill(r.Data)
	}
	return &r.Tensor
}
