package autograd

import (
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
)

// Add returns a + b, element by element. The shapes of a and b broadcast by NumPy's rules: they are aligned at the last
// dimension, a missing dimension counts as 1, and an operand whose dimension is 1 is repeated along it. So a bias [N] is
// added to each row of [..., N], and [T,B,1] + [B,H] is [T,B,H]. The gradient of a repeated operand is the sum over its
// repetitions. A sum of losses keeps the weight of each ([Node.SetWeight]). Add panics with a [*ShapeError] that names both
// shapes if they do not broadcast.
func Add(a, b *Node) *Node {
	y := binary("autograd.Add", a, b, kernel.Plus, addGrad, addGrad)
	y.added("autograd.Add", a, b, 1)
	return y
}

// addGrad is the gradient of an operand that was added.
func addGrad(_ *Tape, d, dy, _, _ []float32, first bool) {
	if first {
		copy(d, dy)
	} else {
		kernel.Add(d, dy)
	}
}

// Sub returns a - b, element by element. Shapes broadcast as in [Add].
func Sub(a, b *Node) *Node {
	y := binary("autograd.Sub", a, b, kernel.Sub, addGrad, func(_ *Tape, d, dy, _, _ []float32, first bool) {
		if first {
			kernel.Scaled(d, -1, dy)
		} else {
			kernel.Sub(d, d, dy)
		}
	})
	y.added("autograd.Sub", a, b, -1)
	return y
}

// Mul returns a * b, element by element. Shapes broadcast as in [Add].
func Mul(a, b *Node) *Node {
	y := binary("autograd.Mul", a, b, kernel.Mul,
		func(_ *Tape, d, dy, _, b []float32, first bool) { mulGrad(d, dy, b, first) },
		func(_ *Tape, d, dy, a, _ []float32, first bool) { mulGrad(d, dy, a, first) })
	return y.product("autograd.Mul", a, b)
}

// mulGrad is the gradient of an operand that was multiplied by factor.
func mulGrad(d, dy, factor []float32, first bool) {
	if first {
		kernel.Mul(d, dy, factor)
	} else {
		kernel.AddMul(d, dy, factor)
	}
}

// Div returns a / b, element by element. Shapes broadcast as in [Add]. A quotient by zero is infinite or NaN; if the loss
// becomes infinite or NaN, Backward returns an error.
func Div(a, b *Node) *Node {
	y := binary("autograd.Div", a, b, kernel.Div,
		func(t *Tape, d, dy, _, b []float32, first bool) {
			t.addComputed(d, first, func(d []float32) { kernel.Div(d, dy, b) })
		},
		func(t *Tape, d, dy, a, b []float32, first bool) {
			t.addComputed(d, first, func(d []float32) { // -dy/b * a/b
				kernel.Div(d, dy, b)
				kernel.Mul(d, d, a)
				kernel.Div(d, d, b)
				kernel.Scale(d, -1)
			})
		})
	return y.quotient("autograd.Div", a, b)
}

// operandGrad computes the gradient d of an operand from dy, the gradient of y, and the operands a and b: it sets d if first is
// true, and adds to d otherwise. All have the same length.
type operandGrad func(t *Tape, d, dy, a, b []float32, first bool)

// addComputed sets d to what compute computes if first is true, and adds it to d otherwise.
func (t *Tape) addComputed(d []float32, first bool, compute func(d []float32)) {
	if first {
		compute(d)
		return
	}
	taken := t.taken
	room := t.Scratch(len(d))
	compute(room)
	kernel.Add(d, room)
	t.taken = taken
}

// binary is an element-wise operation of a and b. forward computes y, and gradA and gradB the gradients of a and b, each for
// stretches of the same length. The operation itself covers equal shapes, a b that is repeated over the leading dimensions of
// a, and two operands of one value, as losses are; for other shapes there is [broadcastOp].
func binary(where string, a, b *Node, forward func(y, a, b []float32), gradA, gradB operandGrad) *Node {
	t := TapeOf(where, a, b)
	o := binaryOp{t, where, a, b, nil, gradA, gradB}
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
	t            *Tape
	where        string
	a, b, y      *Node
	gradA, gradB operandGrad
}

func (o binaryOp) String() string { return o.where }

func (o binaryOp) each(f func(lo, hi int)) {
	n := len(o.b.data)
	for lo := 0; lo < len(o.a.data); lo += n {
		f(lo, lo+n)
	}
}

func (o binaryOp) Backward() {
	dy, a, b := o.y.grad, o.a.data, o.b.data
	switch {
	case dy == nil:
		return
	case o.y.origin == sumOfMeans: // y and its operands have one value each
		part := o.t.Scratch(1)
		if part[0] = dy[0] * o.t.scaleOf(o.a); o.a.requires {
			o.gradA(o.t, o.a.AccumulateGrad(), part, a, b, false)
		}
		if part[0] = dy[0] * o.t.scaleOf(o.b); o.b.requires {
			o.gradB(o.t, o.b.AccumulateGrad(), part, a, b, false)
		}
		return
	}
	if o.a.requires {
		da, first := o.a.ownGrad()
		o.each(func(lo, hi int) { o.gradA(o.t, da[lo:hi], dy[lo:hi], a[lo:hi], b, first) })
	}
	if o.b.requires {
		db, first := o.b.ownGrad()
		if len(a) == 0 && first {
			clear(db)
		}
		o.each(func(lo, hi int) { o.gradB(o.t, db, dy[lo:hi], a[lo:hi], b, first && lo == 0) })
	}
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
		dx, first := o.x.ownGrad()
		scaledGrad(dx, o.s, o.y.grad, first)
	}
}

// scaledGrad is the gradient of an operand that was multiplied by s.
func scaledGrad(d []float32, s float32, dy []float32, first bool) {
	if first {
		kernel.Scaled(d, s, dy)
	} else {
		kernel.AddScaled(d, s, dy)
	}
}
