package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
)

// Sqrt returns the square root of x, element by element: NaN for negative numbers. The derivative 1/(2*sqrt(x)) grows without
// bound towards 0. Where the gradient of the result is 0, the gradient of x is 0, also at x = 0.
func Sqrt(x *Node) *Node {
	return unary("autograd.Sqrt", x, kernel.Sqrt, func(d, dy, _, y []float32) { kernel.SqrtGrad(d, dy, y) })
}

// Square returns x*x, element by element.
func Square(x *Node) *Node {
	return unary("autograd.Square", x, func(y, x []float32) { kernel.Mul(y, x, x) }, func(d, dy, x, _ []float32) {
		kernel.Mul(d, dy, x)
		kernel.Scale(d, 2)
	})
}

// Pow returns x^p, element by element, by the rules of [math.Pow]: NaN for a negative x and a p that is no whole number. The
// gradient of p is not computed; x^p of a p on the tape is Exp(Mul(p, Log(x))) for positive x.
func Pow(x *Node, p float64) *Node {
	const where = "autograd.Pow"
	t := TapeOf(where, x)
	y := t.New(x.shape...)
	kernel.Pow(y.data, x.data, p)
	if x.requires {
		Record(t, powOp{x, y, p}, y)
	}
	return y.nonlinear(where, x)
}

type powOp struct {
	x, y *Node
	p    float64
}

func (o powOp) String() string { return "autograd.Pow" }

func (o powOp) Backward() {
	if o.y.grad != nil {
		dx, first := o.x.ownGrad()
		o.y.tape.addComputed(dx, first, func(d []float32) { kernel.PowGrad(d, o.y.grad, o.x.data, o.p) })
	}
}

// Abs returns the absolute value of x, element by element. The derivative at 0 is taken as 0.
func Abs(x *Node) *Node {
	return unary("autograd.Abs", x, kernel.Abs, func(d, dy, x, _ []float32) { kernel.AbsGrad(d, dy, x) })
}

// Clamp returns x with each element below lo replaced by lo and each above hi by hi. The gradient passes where lo <= x <= hi,
// as in PyTorch. An infinite lo or hi leaves that side open. Clamp panics with a [*UsageError] if not lo <= hi.
func Clamp(x *Node, lo, hi float32) *Node {
	const where = "autograd.Clamp"
	if !(lo <= hi) {
		panic(&UsageError{Where: where, What: fmt.Sprintf("limits %v and %v, want lo <= hi", lo, hi)})
	}
	t := TapeOf(where, x)
	y := t.New(x.shape...)
	kernel.Limit(y.data, x.data, lo, hi)
	if x.requires {
		Record(t, clampOp{x, y, lo, hi}, y)
	}
	return y.nonlinear(where, x)
}

type clampOp struct {
	x, y   *Node
	lo, hi float32
}

func (o clampOp) String() string { return "autograd.Clamp" }

func (o clampOp) Backward() {
	if o.y.grad != nil {
		dx, first := o.x.ownGrad()
		o.y.tape.addComputed(dx, first, func(d []float32) { kernel.LimitGrad(d, o.y.grad, o.x.data, o.lo, o.hi) })
	}
}

// Maximum returns the larger of a and b, element by element, or NaN if one of them is NaN. Shapes broadcast as in [Add]. Where
// a and b are equal, each gets half of the gradient, as in PyTorch.
func Maximum(a, b *Node) *Node {
	y := binary("autograd.Maximum", a, b, kernel.Maximum, gradWhereLarger, gradWhereSmaller)
	return y.extreme("autograd.Maximum", a, b)
}

// Minimum returns the smaller of a and b, element by element, as [Maximum] does the larger.
func Minimum(a, b *Node) *Node {
	y := binary("autograd.Minimum", a, b, kernel.Minimum, gradWhereSmaller, gradWhereLarger)
	return y.extreme("autograd.Minimum", a, b)
}

// gradWhereLarger passes the gradient on where a > b, and half of it where they are equal.
func gradWhereLarger(_ *Tape, d, dy, a, b []float32, first bool) {
	if first {
		clear(d)
	}
	kernel.AddWhereLarger(d, dy, a, b)
}

// gradWhereSmaller is gradWhereLarger of b and a.
func gradWhereSmaller(t *Tape, d, dy, a, b []float32, first bool) {
	gradWhereLarger(t, d, dy, b, a, first)
}

// extreme notes that n was computed by the nonlinear operation where from a and b, and returns n.
func (n *Node) extreme(where string, a, b *Node) *Node {
	return n.nonlinear(where, a).nonlinear(where, b)
}

// Where returns element i of a if condition i is true, and element i of b otherwise. a and b have the same shape, or one
// of them has one value, which is repeated. condition has an element for each element of the result and is borrowed until
// Backward has run. An element that is not taken may be NaN or infinite, and its gradient is 0. Where panics with a
// [*ShapeError] for other shapes.
func Where(condition []bool, a, b *Node) *Node {
	const where = "autograd.Where"
	t := TapeOf(where, a, b)
	shape := a.shape
	if len(a.data) == 1 {
		shape = b.shape
	}
	o := whereOp{condition, a, b, t.New(shape...)}
	if len(b.data) != 1 && !slices.Equal(b.shape, shape) || len(condition) != len(o.y.data) {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("a condition of %d elements and shapes %v and %v", len(condition), slices.Clone(a.shape), slices.Clone(b.shape)),
			Want: "one shape, or one value, and an element of the condition for each of the result"})
	}
	for i, first := range condition {
		from := b.data
		if first {
			from = a.data
		}
		o.y.data[i] = from[i%len(from)]
	}
	if a.requires || b.requires {
		Record(t, o, o.y)
	}
	return o.y.extreme(where, a, b)
}

type whereOp struct {
	condition []bool
	a, b, y   *Node
}

func (o whereOp) String() string { return "autograd.Where" }

func (o whereOp) Backward() {
	if o.y.grad == nil {
		return
	}
	for _, side := range [2]struct {
		x     *Node
		taken bool
	}{{o.a, true}, {o.b, false}} {
		if !side.x.requires {
			continue
		}
		dx := side.x.AccumulateGrad()
		for i, dy := range o.y.grad {
			if o.condition[i] == side.taken {
				dx[i%len(dx)] += dy
			}
		}
	}
}
