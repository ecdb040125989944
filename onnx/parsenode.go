package onnx

import (
	"errors"
	"fmt"
	"math"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
	"google.golang.org/protobuf/encoding/protowire"
)

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
