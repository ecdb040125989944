// Package loss holds what a model is trained to make small. A loss takes the model's output and
// what was wanted, and returns a node of one value, the mean over what
// counts, for [autograd.Node.Backward] to start from:
//
//	l := loss.SparseSoftmaxCrossEntropy(logits, batch.Labels)
//	err := l.Backward()
//
// For classes there are [SparseSoftmaxCrossEntropy] and, with class weights and smoothing, [CrossEntropy]; for classes that
// do not exclude each other [BCEWithLogits]; for numbers [MSE] and [Huber]. Options are the fields of a struct
// whose zero value is the plain loss, and whose method Of computes it.
//
// # What counts
//
// Rows labelled [Ignore] and numbers whose target is NaN do not count: padding, say, or what nobody has measured. The
// node carries what it is the mean of ([autograd.Node.Weight]), a number of rows or the sum of their weights, so that
// the mean over a batch is exact however the batch is cut into shards. If nothing counts, the loss is 0 and so is the
// gradient.
package loss

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// Ignore is the label of a row that does not count, PyTorch's default ignore_index.
const Ignore = label.Ignore

// mean returns sum/weight as a loss of x that counts weight times; slopes are the derivatives of sum, nil if nobody
// wants them.
func mean(where string, x *autograd.Node, sum, weight float64, slopes []float32) *autograd.Node {
	t := x.Tape()
	y := t.New(1)
	y.SetWeight(float32(weight))
	if y.Data()[0] = 0; weight == 0 {
		return y
	}
	y.Data()[0] = float32(sum / weight)
	if slopes != nil {
		autograd.Record(t, meanOp{where, x, y, slopes, float32(weight)}, y)
	}
	return y
}

// slopesOf returns memory for the derivatives of a loss by x, or nil if nobody wants them.
func slopesOf(t *autograd.Tape, x *autograd.Node) []float32 {
	if !t.Training() || !x.RequiresGrad() {
		return nil
	}
	return t.Scratch(len(x.Data()))
}

type meanOp struct {
	where  string
	x, y   *autograd.Node
	slopes []float32
	weight float32
}

func (o meanOp) String() string { return o.where }

func (o meanOp) Backward() {
	if d := o.y.Grad(); d != nil {
		kernel.AddScaled(o.x.AccumulateGrad(), d[0]/o.weight, o.slopes)
	}
}

// numbers is a loss of each element of x by its target. f returns the loss and its derivative, for
// a column of the last dimension.
func numbers(where string, x *autograd.Node, target *tensor.Tensor, f func(x, target float64, column int) (value, slope float64)) *autograd.Node {
	t := autograd.TapeOf(where, x)
	if !slices.Equal(x.Shape(), target.Shape()) {
		panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("target of shape %v", target.Shape()),
			Want: fmt.Sprintf("%v as the output", slices.Clone(x.Shape()))})
	}
	sum, count, columns, slopes := 0.0, 0, 1, slopesOf(t, x)
	if s := x.Shape(); len(s) > 0 {
		columns = s[len(s)-1]
	}
	for i, want := range target.Data() {
		slope := 0.0
		if want == want {
			var value float64
			value, slope = f(float64(x.Data()[i]), float64(want), i%columns)
			sum += value
			count++
		}
		if slopes != nil {
			slopes[i] = float32(slope)
		}
	}
	return mean(where, x, sum, float64(count), slopes)
}
