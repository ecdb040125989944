package autograd_test

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// The gradient of sum((w*x)²) by the weight w.
func Example() {
	params := autograd.NewParams(42)
	w := params.New("w", autograd.Constant(3), 2)
	tape := autograd.NewTape(params, 1)

	y := autograd.Mul(tape.Param(w), tape.Input(tensor.Of([]float32{1, 2}, 2)))
	loss := autograd.Sum(autograd.Mul(y, y))
	if err := loss.Backward(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loss.Value(), tape.Grads().Of(w))
	// Output: 45 [6 24]
}

// square returns x², element by element: an operation of one's own.
func square(x *autograd.Node) *autograd.Node {
	tape := autograd.TapeOf("square", x)
	y := tape.New(x.Shape()...)
	for i, v := range x.Data() {
		y.Data()[i] = v * v
	}
	if x.RequiresGrad() {
		autograd.Record(tape, squareOp{x, y}, y)
	}
	return y
}

type squareOp struct{ x, y *autograd.Node }

// Backward adds 2x times the output's gradient to that of x.
func (o squareOp) Backward() {
	dy := o.y.Grad()
	if dy == nil {
		return // the loss does not depend on y
	}
	dx := o.x.AccumulateGrad()
	for i, v := range o.x.Data() {
		dx[i] += 2 * v * dy[i]
	}
}

// A user's own operation is a function that computes and a struct that goes backward.
func ExampleRecord() {
	tape := autograd.NewTape(autograd.NewParams(42), 1)
	x := tape.Leaf(tensor.Of([]float32{1, -2, 3}, 3))
	loss := autograd.Sum(square(x))
	if err := loss.Backward(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loss.Value(), x.Grad())
	// Output: 14 [2 -4 6]
}

// A server's handler outlives what does not fit together.
func ExampleTry() {
	params := autograd.NewParams(42)
	w := params.New("w", autograd.Constant(3), 2)
	tape := autograd.NewInference(params)
	for _, request := range [][]float32{{1, 2, 3}, {1, 2}} {
		tape.Reset()
		err := autograd.Try(func() {
			x := tape.Input(tensor.Of(request, len(request)))
			fmt.Println(autograd.Sum(autograd.Mul(tape.Param(w), x)).Value())
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// autograd.Mul: shapes [2] and [3], want dimensions that are equal or 1, counted from the last
	// 9
}

// A gate, composed: z*h + (1-z)*x.
func ExampleSigmoid() {
	tape := autograd.NewTape(autograd.NewParams(42), 1)
	x, h := tape.Leaf(tensor.Of([]float32{1, 2}, 2)), tape.Leaf(tensor.Of([]float32{3, -2}, 2))
	z := autograd.Sigmoid(tape.Leaf(tensor.Of([]float32{0, 0}, 2)))
	y := autograd.Add(x, autograd.Mul(z, autograd.Sub(h, x)))
	if err := autograd.Sum(y).Backward(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(y.Data(), x.Grad(), h.Grad())
	// Output: [2 0] [0.5 0.5] [0.5 0.5]
}

// Rows of a batch times a matrix, plus a bias that every row gets.
func ExampleMatMul() {
	tape := autograd.NewInference(autograd.NewParams(42))
	x := tape.Input(tensor.Of([]float32{1, 2, 3, 4}, 2, 2))
	w := tape.Input(tensor.Of([]float32{1, 0, 1, 0, 1, 1}, 2, 3))
	b := tape.Input(tensor.Of([]float32{10, 20, 30}, 3))
	fmt.Println(autograd.Add(autograd.MatMul(x, w), b).Data())
	// Output: [11 22 33 13 24 37]
}
