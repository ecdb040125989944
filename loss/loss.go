// Package loss holds the functions that a model is trained to make small. A loss takes the model's output and
// the targets, and returns a node of one value, the mean over the rows or numbers that count,
// for [autograd.Node.Backward] to start from. Each loss is a struct whose fields are its options and whose zero value is
// the plain loss; its method Of computes it:
//
//	l := loss.CrossEntropy{}.Of(logits, batch.Labels)
//	err := l.Backward()
//
// For classes there is [CrossEntropy] (which [SparseSoftmaxCrossEntropy] computes, too, under TensorFlow's name); for classes that
// do not exclude each other [BCEWithLogits]; for numbers [MSE], [L1], [Huber] and [Quantile].
//
// # What counts
//
// Rows labelled [Ignore] and numbers whose target is NaN do not count: padding, or gaps in the data. The
// node carries the weight of the mean ([autograd.Node.SetWeight]): the number of rows that count or the sum of their weights.
// So the mean over a batch is exact however the batch is cut into shards, also of a sum of several losses, each times a factor:
//
//	l := autograd.Add(loss.CrossEntropy{}.Of(logits, b.Labels), autograd.Scale(loss.MSE{}.Of(y, b.Target), 0.3))
//
// If nothing counts, the loss is 0 and so is the gradient; a training step makes an error of a batch in which nothing counts.
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

// mean returns sum/count as a loss of x that carries the weight; if that is 0, nothing counts. dx are the derivatives of sum by x,
// nil if x wants no gradient.
func mean(where string, x *autograd.Node, sum float64, count int, weight float64, dx []float32) *autograd.Node {
	t := x.Tape()
	y := t.New(1)
	y.SetWeight(float32(weight))
	if y.Data()[0] = 0; weight == 0 {
		return y
	}
	y.Data()[0] = float32(sum / float64(count))
	if dx != nil {
		autograd.Record(t, meanOp{where, x, y, dx, float32(count)}, y)
	}
	return y
}

// gradBuffer returns memory for the derivatives of a loss by x, or nil if x wants no gradient.
func gradBuffer(t *autograd.Tape, x *autograd.Node) []float32 {
	if !t.Training() || !x.RequiresGrad() {
		return nil
	}
	return t.Scratch(len(x.Data()))
}

type meanOp struct {
	where string
	x, y  *autograd.Node
	dx    []float32
	count float32
}

func (o meanOp) String() string { return o.where }

func (o meanOp) Backward() {
	if d := o.y.Grad(); d != nil {
		kernel.AddScaled(o.x.AccumulateGrad(), d[0]/o.count, o.dx)
	}
}

// numbers is a loss of each element of x by its target. f returns the loss and its derivative by x, for a column of the last
// dimension. The shape of target is that of x; if wide, its last dimension may be 1, for all columns of x.
func numbers(where string, x *autograd.Node, target *tensor.Tensor, wide bool, f func(x, target float64, column int) (value, slope float64)) *autograd.Node {
	t := autograd.TapeOf(where, x)
	if target == nil {
		panic(&autograd.UsageError{Where: where, What: "the target is nil; the batch has none"})
	}
	shape, each := target.Shape(), 1 // elements of x for one of target
	columns := width(x.Shape())
	if n := len(shape); wide && n > 0 && n == len(x.Shape()) && shape[n-1] == 1 {
		shape, each = append(slices.Clone(shape[:n-1]), columns), columns
	}
	if !slices.Equal(x.Shape(), shape) {
		panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("target of shape %v", target.Shape()),
			Want: fmt.Sprintf("%v as the output", slices.Clone(x.Shape()))})
	}
	sum, count, dx := 0.0, 0, gradBuffer(t, x)
	for i, v := range x.Data() {
		want, slope := target.Data()[i/each], 0.0
		if want == want {
			var value float64
			value, slope = f(float64(v), float64(want), i%columns)
			sum += value
			count++
		}
		if dx != nil {
			dx[i] = float32(slope)
		}
	}
	return mean(where, x, sum, count, float64(count), dx)
}

// width returns the last dimension of a shape: the number of columns.
func width(shape []int) int {
	if len(shape) == 0 {
		return 1
	}
	return shape[len(shape)-1]
}
