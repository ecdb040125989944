package rnn

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Cell is a recurrence of your own: a step from an input and the state before to an output and the state after. S is
// whatever the state is made of: a node, a struct of nodes.
//
// The simple recurrence h' = tanh(x·U + h·W + b), say, composed of operations of package autograd:
//
//	type simple struct{ u, w, b *autograd.Param } // [in,H], [H,H], [H]
//
//	func (c simple) Step(x, h *autograd.Node) (y, next *autograd.Node) {
//		t := x.Tape()
//		sums := autograd.Add(autograd.MatMul(x, t.Param(c.u)), autograd.MatMul(h, t.Param(c.w)))
//		next = autograd.Tanh(autograd.Add(sums, t.Param(c.b)))
//		return next, next
//	}
type Cell[S any] interface {
	Step(x *autograd.Node, s S) (y *autograd.Node, next S)
}

// Unroll takes a cell through a sequence, by full backpropagation through time: x [T,B,...] gives y [T,B,...], the outputs of
// all steps, and the state after the last one. A step gets x's part [B,...], and all its outputs have one shape. The state
// before the first step, s, is for the cell to understand.
//
// To cut gradients, as [Options].Truncate does, take the windows one by one, each on a new run of the tape, and
// hand the state on as plain numbers: copied from its nodes, and put on the tape again by [autograd.Tape.Input].
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
				Want: fmt.Sprintf("%v, that of the first", slices.Clone(y.Shape()[1:]))})
		}
		n := len(out.Data())
		copy(y.Data()[i*n:], out.Data())
		if out.RequiresGrad() {
			autograd.Record(t, outputOp{out, y, i * n}, y)
		}
	}
	return y, s
}

// outputOp is the output of a step, whose place in y begins at from.
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
