package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// Add returns a + b, element by element. The shapes of a and b broadcast by NumPy's rules: they are aligned at the last
// dimension, a missing dimension counts as 1, and an operand whose dimension is 1 is repeated along it. So a bias [N] is
// added to each row of [..., N], and [T,B,1] + [B,H] is [T,B,H]. The gradient of a repeated operand is the sum over its
// repetitions. A sum of losses keeps the weight of each ([Node.SetWeight]). Add panics with a [*ShapeError] that names both
// shapes if they do not broadcast.
func Add(a, b *Node) *Node {
	y := binary("autograd.Add", a, b, kernel.Plus,
		func(o binaryOp, part, b, dy, da, db []float32) {
			if da != nil {
				kernel.Add(da, dy)
			}
			if db != nil {
				kernel.Add(db, dy)
			}
		})
	y.added("autograd.Add", a, b, 1)
	return y
}

// Sub returns a - b, element by element. Shapes broadcast as in [Add].
func Sub(a, b *Node) *Node {
	y := binary("autograd.Sub", a, b, kernel.Sub,
		func(o binaryOp, part, b, dy, da, db []float32) {
			if da != nil {
				kernel.Add(da, dy)
			}
			if db != nil {
				kernel.Sub(db, db, dy)
			}
		})
	y.added("autograd.Sub", a, b, -1)
	return y
}

// Mul returns a * b, element by element. Shapes broadcast as in [Add].
func Mul(a, b *Node) *Node {
	y := binary("autograd.Mul", a, b, kernel.Mul,
		func(o binaryOp, part, b, dy, da, db []float32) {
			if da != nil {
				kernel.AddMul(da, dy, b)
			}
			if db != nil {
				kernel.AddMul(db, dy, part)
			}
		})
	return y.product("autograd.Mul", a, b)
}

// Div returns a / b, element by element. Shapes broadcast as in [Add]. A quotient by zero is infinite or NaN; if the loss
// becomes infinite or NaN, Backward returns an error.
func Div(a, b *Node) *Node {
	y := binary("autograd.Div", a, b, kernel.Div,
		func(o binaryOp, part, b, dy, da, db []float32) {
			d := o.t.Scratch(len(b))
			kernel.Div(d, dy, b)
			if da != nil {
				kernel.Add(da, d)
			}
			if db != nil { // -dy/b * a/b
				kernel.Mul(d, d, part)
				kernel.Div(d, d, b)
				kernel.Sub(db, db, d)
			}
		})
	return y.quotient("autograd.Div", a, b)
}

// binary is an element-wise operation of a and b. forward computes y, and grad adds to da and db, nil where they are not
// wanted, each for stretches of the same length. The operation itself covers equal shapes, a b that is repeated over the
// leading dimensions of a, and two operands of one value, as losses are; for other shapes there is [broadcastOp].
func binary(where string, a, b *Node, forward func(y, a, b []float32), grad func(o binaryOp, a, b, dy, da, db []float32)) *Node {
	t := TapeOf(where, a, b)
	o := binaryOp{t, where, a, b, nil, grad}
	switch lead := len(a.shape) - len(b.shape); {
	case lead >= 0 && slices.Equal(a.shape[lead:], b.shape):
		o.y = t.New(a.shape...)
	case len(a.data) == 1 && len(b.data) == 1:
		o.y, _ = broadcastShape(where, t, a, b)
	default:
		return broadcast(o, forward)
	}
	o.each(func(lo, hi int) { forward(o.y.data[lo:hi], a.data[lo:hi], b.data) })
	if a.requires || b.requires {
		Record(t, o, o.y)
	}
	return o.y
}

type binaryOp struct {
	t       *Tape
	where   string
	a, b, y *Node
	grad    func(o binaryOp, a, b, dy, da, db []float32)
}

func (o binaryOp) String() string { return o.where }

func (o binaryOp) each(f func(lo, hi int)) {
	n := len(o.b.data)
	for lo := 0; lo < len(o.a.data); lo += n {
		f(lo, lo+n)
	}
}

func (o binaryOp) Backward() {
	if o.y.grad == nil {
		return
	}
	var da, db []float32
	if o.b.requires {
		db = o.b.AccumulateGrad()
	}
	if o.a.requires {
		da = o.a.AccumulateGrad()
	}
	if o.y.origin == sumOfMeans { // y and its operands have one value each
		dy := o.t.Scratch(1)
		if dy[0] = o.y.grad[0] * o.t.scaleOf(o.a); da != nil {
			o.grad(o, o.a.data, o.b.data, dy, da, nil)
		}
		if dy[0] = o.y.grad[0] * o.t.scaleOf(o.b); db != nil {
			o.grad(o, o.a.data, o.b.data, dy, nil, db)
		}
		return
	}
	o.each(func(lo, hi int) {
		taken := o.t.taken
		part := da
		if da != nil {
			part = da[lo:hi]
		}
		o.grad(o, o.a.data[lo:hi], o.b.data, o.y.grad[lo:hi], part, db)
		o.t.taken = taken
	})
}

// Scale returns s*x.
func Scale(x *Node, s float32) *Node {
	t := TapeOf("autograd.Scale", x)
	y := t.New(x.shape...)
	kernel.Scaled(y.data, s, x.data)
	if x.requires {
		Record(t, scaleOp{x, y, s}, y)
	}
	return y.scaled(x, s)
}

type scaleOp struct {
	x, y *Node
	s    float32
}

func (o scaleOp) String() string { return "autograd.Scale" }

func (o scaleOp) Backward() {
	if o.y.grad != nil {
		kernel.AddScaled(o.x.AccumulateGrad(), o.s, o.y.grad)
	}
}

// MatMul returns the matrix product a·b: [..., K] times [K,N] is [..., N]. If b has more than two dimensions, a and b are
// batches of matrices with equal leading dimensions, and each matrix of a is multiplied with the matrix of b at the same
// place: [B,M,K] times [B,K,N] is [B,M,N]. MatMul panics with a [*ShapeError] for other shapes; it does not broadcast.
func MatMul(a, b *Node) *Node {
	const where = "autograd.MatMul"
	t := TapeOf(where, a, b)
	batch := len(b.shape) - 2 // dimensions
	if batch < 0 || len(a.shape) < max(1, batch) || batch > 0 && (len(a.shape) != len(b.shape) || !slices.Equal(a.shape[:batch], b.shape[:batch])) ||
		a.shape[len(a.shape)-1] != b.shape[batch] {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("shapes %v and %v", slices.Clone(a.shape), slices.Clone(b.shape)),
			Want: "[..., K] and [K,N], or [..., M,K] and [..., K,N] with the same dimensions before"})
	}
	o := matMulOp{t: t, a: a, b: b, k: b.shape[batch], n: b.shape[batch+1], rows: 1, batches: tensor.Size(b.shape[:batch])}
	for _, d := range a.shape[batch : len(a.shape)-1] {
		o.rows *= d
	}
	var room [8]int
	o.y = t.New(append(append(room[:0], a.shape[:len(a.shape)-1]...), o.n)...)
	if len(a.data) == 0 || len(b.data) == 0 {
		clear(o.y.data)
		return o.y
	}
	for i := range o.batches {
		kernel.Affine(o.y.data[i*o.rows*o.n:], o.n, o.rows, nil, kernel.Block{Data: a.data[i*o.rows*o.k:], Stride: o.k, Cols: o.k}, kernel.Block{},
			t.packed(b, i, o.k, o.n, false))
	}
	if a.requires || b.requires {
		Record(t, o, o.y)
	}
	return o.y.product(where, a, b)
}

type matMulOp struct {
	t                   *Tape
	a, b, y             *Node
	batches, rows, k, n int
}

func (o matMulOp) String() string { return "autograd.MatMul" }

// Backward adds dy·bᵀ to a's gradient and aᵀ·dy to b's.
func (o matMulOp) Backward() {
	if o.y.grad == nil {
		return
	}
	for i := range o.batches {
		dy := o.y.grad[i*o.rows*o.n:]
		if o.a.requires {
			kernel.Gemm(o.a.AccumulateGrad()[i*o.rows*o.k:], o.k, o.rows, kernel.Block{Data: dy, Stride: o.n, Cols: o.n}, o.t.packed(o.b, i, o.k, o.n, true))
		}
		if o.b.requires {
			kernel.GemmT(o.b.AccumulateGrad()[i*o.k*o.n:], o.n, o.k, o.n, o.rows, o.a.data[i*o.rows*o.k:], o.k, dy, o.n)
		}
	}
}
