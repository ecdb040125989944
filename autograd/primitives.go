package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
)

// Add returns a + b, element by element. The sum of a loss and something without a weight ([Node.Weight]), or
// of two losses of the same weight, has that weight. It panics with a [*ShapeError] if their shapes differ.
func Add(a, b *Node) *Node {
	t, y := binary("autograd.Add", a, b)
	switch {
	case a.weight != a.weight || a.weight == b.weight:
		y.weight = b.weight
	case b.weight != b.weight:
		y.weight = a.weight
	}
	copy(y.data, a.data)
	kernel.Add(y.data, b.data)
	if a.requires || b.requires {
		Record(t, addOp{a, b, y}, y)
	}
	return y
}

type addOp struct{ a, b, y *Node }

func (o addOp) Backward() {
	if o.y.grad == nil {
		return
	}
	if o.a.requires {
		kernel.Add(o.a.AccumulateGrad(), o.y.grad)
	}
	if o.b.requires {
		kernel.Add(o.b.AccumulateGrad(), o.y.grad)
	}
}

// Mul returns a * b, element by element. It panics with a [*ShapeError] if their shapes differ.
func Mul(a, b *Node) *Node {
	t, y := binary("autograd.Mul", a, b)
	clear(y.data)
	kernel.AddMul(y.data, a.data, b.data)
	if a.requires || b.requires {
		Record(t, mulOp{a, b, y}, y)
	}
	return y
}

type mulOp struct{ a, b, y *Node }

func (o mulOp) Backward() {
	if o.y.grad == nil {
		return
	}
	if o.a.requires {
		kernel.AddMul(o.a.AccumulateGrad(), o.y.grad, o.b.data)
	}
	if o.b.requires {
		kernel.AddMul(o.b.AccumulateGrad(), o.y.grad, o.a.data)
	}
}

// Sum returns the sum of all elements of x, shape [1], added in float64.
func Sum(x *Node) *Node {
	t := TapeOf("autograd.Sum", x)
	y := t.New(1)
	y.data[0] = float32(kernel.Sum(x.data))
	if x.requires {
		Record(t, sumOp{x, y}, y)
	}
	return y
}

type sumOp struct{ x, y *Node }

func (o sumOp) Backward() {
	if o.y.grad == nil {
		return
	}
	d := o.y.grad[0]
	for i := range o.x.AccumulateGrad() {
		o.x.grad[i] += d
	}
}

// binary checks the operands of an element-wise operation and makes its output.
func binary(where string, a, b *Node) (*Tape, *Node) {
	t := TapeOf(where, a, b)
	if !slices.Equal(a.shape, b.shape) {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("shape %v", slices.Clone(b.shape)),
			Want: fmt.Sprintf("%v as the first operand", slices.Clone(a.shape))})
	}
	return t, t.New(a.shape...)
}
