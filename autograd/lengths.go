package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/internal/length"
)

// The operations of this file work on sequences of different lengths. They neither read the padding after a sequence nor
// give it a gradient, so the padding may hold any values, NaN too.

// MaskedSoftmax returns the softmax along the last dimension over the first lengths[b] elements of each row of x, and 0
// for the elements after them. A row of length 0 is all zeros. x is [..., B, T]. lengths holds a number from 0 to T for
// each of the B rows and applies at all indices of the leading dimensions: x may be the scores [B,T] of one query for
// each sequence, or [U,B,T] of U queries. With x [..., T, T] and lengths 1 to T the mask is causal. nil lengths mean
// that all are T. lengths is borrowed until Backward has run.
//
// For a mask of another form, add 0 where an element is valid and -Inf where it is not to x, and call [Softmax]; each
// row must then have at least one valid element.
//
// MaskedSoftmax panics with a [*ShapeError] if x has no dimension or if the lengths do not fit x.
func MaskedSoftmax(x *Node, lengths []int) *Node {
	const where = "autograd.MaskedSoftmax"
	if lengths == nil {
		return Softmax(x)
	}
	t := TapeOf(where, x)
	if len(x.shape) == 0 {
		panic(&ShapeError{Where: where, Got: "a scalar", Want: "at least one dimension"})
	}
	last, rows := len(x.shape)-1, 1
	if last > 0 {
		rows = x.shape[last-1]
	}
	length.Check(where, lengths, rows, x.shape[last])
	o := maskedSoftmaxOp{x, t.New(x.shape...), lengths, x.shape[last]}
	o.each(func(from, valid, to int) {
		kernel.Softmax(o.y.data[from:valid], x.data[from:valid])
		clear(o.y.data[valid:to])
	})
	if x.requires {
		Record(t, o, o.y)
	}
	return o.y.nonlinear(where, x)
}

type maskedSoftmaxOp struct {
	x, y    *Node
	lengths []int
	n       int // elements of a row
}

func (o maskedSoftmaxOp) String() string { return "autograd.MaskedSoftmax" }

// each calls f for each row with the places where the row begins, where its valid elements end and where it ends.
func (o maskedSoftmaxOp) each(f func(from, valid, to int)) {
	row := 0
	for from := 0; from < len(o.x.data); from += o.n {
		f(from, from+o.lengths[row], from+o.n)
		row = (row + 1) % len(o.lengths)
	}
}

func (o maskedSoftmaxOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx := o.x.AccumulateGrad()
	o.each(func(from, valid, _ int) {
		kernel.SoftmaxGrad(dx[from:valid], o.y.grad[from:valid], o.y.data[from:valid])
	})
}

// MeanSteps returns the mean over the valid steps of each sequence: x [T,B,...] gives [B,...], whose row b is the mean of
// the steps 0 to lengths[b]-1 of row b, added in float32 and in order. A row of length 0 gives zeros. nil lengths mean that
// all are T. lengths is borrowed until Backward has run. MeanSteps panics with a [*ShapeError] if x has fewer than two
// dimensions or if the lengths do not fit x.
func MeanSteps(x *Node, lengths []int) *Node {
	const where = "autograd.MeanSteps"
	t := TapeOf(where, x)
	checkSteps(where, x, lengths)
	o := meanStepsOp{x, t.New(x.shape[1:]...), lengths}
	y := o.y.data
	clear(y)
	if lengths == nil {
		kernel.AddColumns(y, x.data, len(y), x.shape[0])
		kernel.Scale(y, 1/float32(max(1, x.shape[0])))
	} else {
		eachStep(x, lengths, func(at, row, width, _ int) { kernel.Add(y[row:row+width], x.data[at:at+width]) })
		for row, n := range lengths {
			width := len(y) / len(lengths)
			kernel.Scale(y[row*width:][:width], 1/float32(max(1, n)))
		}
	}
	if x.requires {
		Record(t, o, o.y)
	}
	return o.y.moved(where, x)
}

// checkSteps panics if x is not [T,B,...] or if lengths do not fit it.
func checkSteps(where string, x *Node, lengths []int) {
	if len(x.shape) < 2 {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("shape %v", slices.Clone(x.shape)), Want: "[T, B, ...]"})
	}
	length.Check(where, lengths, x.shape[1], x.shape[0])
}

// eachStep calls f for each valid step of each row of x [T,B,...], step by step. at and row are the indices in x and in a
// [B,...] at which the width elements of the row begin, and n is the number of valid steps of the row. If lengths is nil,
// the whole batch counts as one row.
func eachStep(x *Node, lengths []int, f func(at, row, width, n int)) {
	steps := x.shape[0]
	for step := range steps {
		size := len(x.data) / steps
		if lengths == nil {
			f(step*size, 0, size, steps)
		}
		for row, n := range lengths {
			if width := size / len(lengths); step < n {
				f(step*size+row*width, row*width, width, n)
			}
		}
	}
}

type meanStepsOp struct {
	x, y    *Node
	lengths []int
}

func (o meanStepsOp) String() string { return "autograd.MeanSteps" }

func (o meanStepsOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx := o.x.AccumulateGrad()
	eachStep(o.x, o.lengths, func(at, row, width, n int) {
		kernel.AddScaled(dx[at:at+width], 1/float32(n), o.y.grad[row:row+width])
	})
}

// MaskSteps returns a copy of x [T,B,...] in which the steps from lengths[b] on are zeros in each row b. Use it before
// an operation that reads the padding, such as a matrix product, if the padding may be NaN or would change the result.
// nil lengths mean that all are T; MaskSteps then returns x itself. lengths is borrowed until Backward has run.
// MaskSteps panics as [MeanSteps] does.
func MaskSteps(x *Node, lengths []int) *Node {
	const where = "autograd.MaskSteps"
	t := TapeOf(where, x)
	checkSteps(where, x, lengths)
	if lengths == nil {
		return x
	}
	o := maskStepsOp{x, t.New(x.shape...), lengths}
	clear(o.y.data)
	eachStep(x, lengths, func(at, _, width, _ int) { copy(o.y.data[at:at+width], x.data[at:]) })
	if x.requires {
		Record(t, o, o.y)
	}
	return o.y.moved(where, x)
}

type maskStepsOp struct {
	x, y    *Node
	lengths []int
}

func (o maskStepsOp) String() string { return "autograd.MaskSteps" }

func (o maskStepsOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx := o.x.AccumulateGrad()
	eachStep(o.x, o.lengths, func(at, _, width, _ int) { kernel.Add(dx[at:at+width], o.y.grad[at:at+width]) })
}
