package autograd

import (
	"fmt"

	"github.com/unroll-go/unroll/internal/kernel"
)

// Tanh returns tanh(x), element by element.
func Tanh(x *Node) *Node {
	return unary("autograd.Tanh", x, kernel.Tanh, func(d, dy, _, y []float32) { kernel.TanhGrad(d, dy, y) })
}

// Sigmoid returns 1/(1 + e^-x), element by element.
func Sigmoid(x *Node) *Node {
	return unary("autograd.Sigmoid", x, kernel.Sigmoid, func(d, dy, _, y []float32) { kernel.SigmoidGrad(d, dy, y) })
}

// ReLU returns max(x, 0), element by element. The derivative at 0 is taken as 0.
func ReLU(x *Node) *Node {
	return unary("autograd.ReLU", x, kernel.ReLU, func(d, dy, _, y []float32) { kernel.ReLUGrad(d, dy, y) })
}

// GELU returns x*P(X <= x) for X of the standard normal distribution, element by element (Hendrycks & Gimpel 2016,
// "Gaussian Error Linear Units", arXiv:1606.08415). It is the exact form, PyTorch's default, not the approximation by tanh.
func GELU(x *Node) *Node {
	return unary("autograd.GELU", x, kernel.GELU, func(d, dy, x, _ []float32) { kernel.GELUGrad(d, dy, x) })
}

// Exp returns e^x, element by element.
func Exp(x *Node) *Node {
	return unary("autograd.Exp", x, kernel.Exp, func(d, dy, _, y []float32) { kernel.Mul(d, dy, y) })
}

// Log returns the natural logarithm of x, element by element: -Inf for 0 and NaN for negative numbers.
func Log(x *Node) *Node {
	return unary("autograd.Log", x, kernel.Log, func(d, dy, x, _ []float32) { kernel.Div(d, dy, x) })
}

// unary is an operation on each element by itself. grad computes d, the gradient of x, from dy, the gradient of y.
func unary(where string, x *Node, forward func(y, x []float32), grad func(d, dy, x, y []float32)) *Node {
	t := TapeOf(where, x)
	y := t.New(x.shape...)
	forward(y.data, x.data)
	if x.requires {
		Record(t, unaryOp{where, x, y, grad}, y)
	}
	return y.nonlinear(where, x)
}

type unaryOp struct {
	where string
	x, y  *Node
	grad  func(d, dy, x, y []float32)
}

func (o unaryOp) String() string { return o.where }

func (o unaryOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx, first := o.x.ownGrad()
	o.y.tape.addComputed(dx, first, func(d []float32) { o.grad(d, o.y.grad, o.x.data, o.y.data) })
}

// Softmax returns e^x divided by the sum of e^x along the last dimension. The largest element of a row is subtracted first,
// so that no finite x overflows. Softmax panics with a [*ShapeError] if x has no dimension.
func Softmax(x *Node) *Node {
	return rowwise("autograd.Softmax", x, kernel.Softmax, kernel.SoftmaxGrad)
}

// LogSoftmax returns the logarithm of [Softmax] along the last dimension. It is computed directly from x, because small
// probabilities would round to 0 before the logarithm. It panics with a [*ShapeError] if x has no dimension.
func LogSoftmax(x *Node) *Node {
	return rowwise("autograd.LogSoftmax", x, kernel.LogSoftmax, kernel.LogSoftmaxGrad)
}

// rowwise is an operation on each row of x, along the last dimension, by itself. grad adds to the gradient of x.
func rowwise(where string, x *Node, forward func(y, x []float32), grad func(dx, dy, y []float32)) *Node {
	t := TapeOf(where, x)
	if len(x.shape) == 0 {
		panic(&ShapeError{Where: where, Got: "a scalar", Want: "at least one dimension"})
	}
	y, n := t.New(x.shape...), x.shape[len(x.shape)-1]
	for lo := 0; lo < len(x.data); lo += n {
		forward(y.data[lo:lo+n], x.data[lo:lo+n])
	}
	if x.requires {
		Record(t, rowOp{where, x, y, n, grad}, y)
	}
	return y.nonlinear(where, x)
}

type rowOp struct {
	where string
	x, y  *Node
	n     int
	grad  func(dx, dy, y []float32)
}

func (o rowOp) String() string { return o.where }

func (o rowOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx := o.x.AccumulateGrad()
	for lo := 0; lo < len(dx); lo += o.n {
		hi := lo + o.n
		o.grad(dx[lo:hi], o.y.grad[lo:hi], o.y.data[lo:hi])
	}
}

// Dropout sets each element to 0 with probability p and divides the others by 1-p, so that the expected value of each
// element stays the same (Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting"). On
// an inference tape it returns x. The random numbers are the tape's ([Tape.Rand]). Dropout panics with a [*UsageError] if p
// is not within [0, 1).
func Dropout(x *Node, p float32) *Node {
	const where = "autograd.Dropout"
	if !(p >= 0 && p < 1) {
		panic(&UsageError{Where: where, What: fmt.Sprintf("p is %v, want at least 0 and below 1", p)})
	}
	t := TapeOf(where, x)
	if !t.training || p == 0 {
		return x
	}
	y := t.New(x.shape...)
	mask := t.Scratch(len(x.data))
	t.DropoutMask(mask, p)
	kernel.Mul(y.data, x.data, mask)
	if x.requires {
		Record(t, dropoutOp{x, y, mask}, y)
	}
	return y.nonlinear(where, x)
}

type dropoutOp struct {
	x, y *Node
	mask []float32
}

func (o dropoutOp) String() string { return "autograd.Dropout" }

func (o dropoutOp) Backward() {
	if o.y.grad != nil {
		dx, first := o.x.ownGrad()
		mulGrad(dx, o.y.grad, o.mask, first)
	}
}

// DropoutMask sets each element of mask to 0 with probability p and to 1/(1-p) otherwise. It is for layers that apply
// dropout within an operation of their own, and counts as one call of [Tape.Rand].
func (t *Tape) DropoutMask(mask []float32, p float32) {
	kernel.Bernoulli(mask, t.Rand().Uint64(), 0, p, 0, 1/(1-p))
}
