package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// Sum returns the sum of all elements of x, shape [1], added in float64.
func Sum(x *Node) *Node {
	t := TapeOf("autograd.Sum", x)
	return sumOf("autograd.Sum", t.New(1), x, extent{1, len(x.data), 1}, 1)
}

// Mean returns the mean of all elements of x, shape [1], added in float64. It panics with a [*ShapeError] if x has no
// elements.
func Mean(x *Node) *Node {
	const where = "autograd.Mean"
	t := TapeOf(where, x)
	x.filled(where)
	return sumOf(where, t.New(1), x, extent{1, len(x.data), 1}, 1/float64(len(x.data)))
}

// Max returns the largest element of x, shape [1], or NaN if an element is NaN. If several elements are the largest, the
// gradient goes to the first. Max panics with a [*ShapeError] if x has no elements.
func Max(x *Node) *Node {
	const where = "autograd.Max"
	t := TapeOf(where, x)
	x.filled(where)
	return maxOf(where, t.New(1), x, extent{1, len(x.data), 1})
}

// SumDim returns the sums of x along dimension dim, and removes that dimension: SumDim of [T,B,H] along 0 is [B,H]. It adds in
// float64 along the last dimension, and in float32 and in order along others. SumDim panics with a [*ShapeError] if x has no
// such dimension.
func SumDim(x *Node, dim int) *Node {
	const where = "autograd.SumDim"
	y, e := without(where, x, dim)
	return sumOf(where, y, x, e, 1)
}

// MeanDim returns the means of x along dimension dim, and removes that dimension. It adds and panics as [SumDim] does, and
// also panics with a [*ShapeError] if the dimension has no elements. [MeanSteps] is the mean over the valid steps.
func MeanDim(x *Node, dim int) *Node {
	const where = "autograd.MeanDim"
	y, e := without(where, x, dim)
	e.filled(where, x)
	return sumOf(where, y, x, e, 1/float64(e.n))
}

// MaxDim returns the largest elements of x along dimension dim, as [Max] defines them, and removes that dimension. It panics
// as [MeanDim] does.
func MaxDim(x *Node, dim int) *Node {
	const where = "autograd.MaxDim"
	y, e := without(where, x, dim)
	e.filled(where, x)
	return maxOf(where, y, x, e)
}

// extent describes one dimension of an array: n elements that are inner apart, repeated outer times.
type extent struct{ outer, n, inner int }

// along returns the extent of x's dimension dim.
func along(where string, x *Node, dim int) extent {
	if dim < 0 || dim >= len(x.shape) {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("dimension %d of shape %v", dim, slices.Clone(x.shape)), Want: "one of those, counted from 0"})
	}
	return extent{tensor.Size(x.shape[:dim]), x.shape[dim], tensor.Size(x.shape[dim+1:])}
}

// without returns a new node with x's shape but for dimension dim, and the extent of that dimension.
func without(where string, x *Node, dim int) (*Node, extent) {
	t := TapeOf(where, x)
	e := along(where, x, dim)
	var room [8]int
	return t.New(append(append(room[:0], x.shape[:dim]...), x.shape[dim+1:]...)...), e
}

func (x *Node) filled(where string) {
	if len(x.data) == 0 {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("shape %v", slices.Clone(x.shape)), Want: "at least one element"})
	}
}

func (e extent) filled(where string, x *Node) {
	if e.n == 0 {
		x.filled(where)
	}
}

// sumOf sets y to scale times the sums of x along e.
func sumOf(where string, y, x *Node, e extent, scale float64) *Node {
	if e.inner == 1 {
		for i := range y.data {
			y.data[i] = float32(kernel.Sum(x.data[i*e.n:][:e.n]) * scale)
		}
	} else {
		clear(y.data)
		for o := range e.outer {
			kernel.AddColumns(y.data[o*e.inner:][:e.inner], x.data[o*e.n*e.inner:], e.inner, e.n)
		}
		kernel.Scale(y.data, float32(scale))
	}
	if x.requires {
		Record(y.tape, sumOp{where, x, y, e, scale}, y)
	}
	return y.moved(where, x)
}

type sumOp struct {
	where string
	x, y  *Node
	e     extent
	scale float64
}

func (o sumOp) String() string { return o.where }

func (o sumOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx, first := o.x.ownGrad()
	dy, scale := o.y.grad, float32(o.scale)
	if o.e.inner == 1 {
		if first {
			clear(dx)
		}
		for i, d := range dy {
			kernel.AddConstant(dx[i*o.e.n:][:o.e.n], scale*d)
		}
		return
	}
	for i := range o.e.outer {
		d := dy[i*o.e.inner:][:o.e.inner]
		for k := range o.e.n {
			scaledGrad(dx[(i*o.e.n+k)*o.e.inner:][:o.e.inner], scale, d, first)
		}
	}
}

// maxOf sets y to the largest elements of x along e.
func maxOf(where string, y, x *Node, e extent) *Node {
	for o := range e.outer {
		kernel.MaxColumns(y.data[o*e.inner:][:e.inner], x.data[o*e.n*e.inner:], e.n)
	}
	if x.requires {
		Record(y.tape, maxOp{where, x, y, e}, y)
	}
	return y.nonlinear(where, x)
}

type maxOp struct {
	where string
	x, y  *Node
	e     extent
}

func (o maxOp) String() string { return o.where }

func (o maxOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx := o.x.AccumulateGrad()
	for i := range o.e.outer {
		lo, from := i*o.e.inner, i*o.e.n*o.e.inner
		kernel.MaxColumnsGrad(dx[from:], o.y.grad[lo:], o.x.data[from:], o.y.data[lo:][:o.e.inner], o.e.n)
	}
}
