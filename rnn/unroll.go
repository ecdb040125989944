package rnn

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Cell is a recurrence of your own. Step computes the output of one step and the state after it from the step's input and
// the state before it. S is the type of the state, such as a node or a struct of nodes.
//
// For example, the simple recurrence h' = tanh(x·U + h·W + b), composed of operations of package autograd:
//
//	type simple struct{ u, w, b *autograd.Param } // [in,H], [H,H], [H]
//
//	func (c simple) Step(x, h *autograd.Node) (y, next *autograd.Node) {
//		t := x.Tape()
//		next = autograd.Tanh(autograd.AddMatMul(autograd.AddMatMul(t.Param(c.b), x, t.Param(c.u)), h, t.Param(c.w)))
//		return next, next
//	}
type Cell[S any] interface {
	Step(x *autograd.Node, s S) (y *autograd.Node, next S)
}

// Unroll runs a cell over a sequence, with full backpropagation through time. From x [T,B,...] it computes y [T,B,...],
// the outputs of all steps, and the state after the last step. Each step reads its part of x, [B,...], and the outputs of all
// steps have the same shape. s is the state before the first step; it goes to the cell as it is.
//
// To cut gradients, as [Options].Truncate does, run the windows one by one, each on a new run of the tape, and hand
// the state on as plain numbers: copy them from the nodes, and put them on the tape again with [autograd.Tape.Input].
//
// It panics with a [*autograd.ShapeError] if x has no steps or an output has another shape than the first one, and
// with a [*autograd.UsageError] if x is nil, or the cell returns no output or one on another tape.
func Unroll[S any](c Cell[S], x *autograd.Node, s S) (y *autograd.Node, end S) {
	const where = "rnn.Unroll"
	t := autograd.TapeOf(where, x)
	shape := x.Shape()
	if len(shape) < 2 || shape[0] < 1 {
		panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("input has shape %v", slices.Clone(shape)),
			Want: "[T, B, ...] with at least one step"})
	}
	steps := shape[0]
	var room [8]int
	for i := range steps {
		var out *autograd.Node
		out, s = c.Step(autograd.Reshape(autograd.Slice(x, 0, i, i+1), shape[1:]...), s)
		if out == nil {
			panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("the cell returned no output at step %d", i)})
		}
		autograd.TapeOf(where, x, out)
		if y == nil {
			y = t.New(append(append(room[:0], steps), out.Shape()...)...)
		} else if !slices.Equal(out.Shape(), y.Shape()[1:]) {
			panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("the output of step %d has shape %v", i, slices.Clone(out.Shape())),
				Want: fmt.Sprintf("%v as at the first step", slices.Clone(y.Shape()[1:]))})
		}
		n := len(out.Data())
		copy(y.Data()[i*n:], out.Data())
		if out.RequiresGrad() {
			autograd.Record(t, outputOp{out, y, i * n}, y)
		}
	}
	return y, s
}

// outputOp copies the output of a step into y, from index from on.
type outputOp struct {
	out, y *autograd.Node
	from   int
}

func (o outputOp) String() string { return "rnn.Unroll" }

func (o outputOp) Backward() {
	if grad := o.y.Grad(); grad != nil {
		dOut := o.out.AccumulateGrad()
		kernel.Add(dOut, grad[o.from:][:len(dOut)])
	}
}
