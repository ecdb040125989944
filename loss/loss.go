// Package loss holds loss functions: the functions that training makes small. A loss takes the output of a model and the
// targets, and returns a node with one value, the mean over the rows or elements that count, from which
// [autograd.Node.Backward] starts. Each loss is a struct whose fields are its options; the zero value has no options set.
// Its method Of computes the loss:
//
//	l := loss.CrossEntropy{}.Of(logits, batch.Labels)
//	err := l.Backward()
//
// # Which loss
//
//   - [CrossEntropy]: one class for each row, given as a label. [SparseSoftmaxCrossEntropy] is the same without options,
//     under TensorFlow's name.
//   - [BCEWithLogits]: several classes that do not exclude each other, each a yes-or-no question.
//   - [MSE], [L1], [Huber]: numbers. MSE estimates the mean; L1 estimates the median, and outliers have less influence on
//     it; Huber is between the two.
//   - [Quantile]: numbers of which chosen quantiles are predicted, for example the borders of an interval.
//
// # What counts
//
// Rows labelled [Ignore] and elements whose target is NaN do not count: they are padding, or gaps in the data. The node
// carries the weight of the mean ([autograd.Node.SetWeight]): the number of rows or elements that count, or the sum of
// their class weights. With it package train computes the exact mean over a batch, for any number of shards. This also
// holds for a sum of several losses, each times a factor:
//
//	l := autograd.Add(loss.CrossEntropy{}.Of(logits, b.Labels), autograd.Scale(loss.MSE{}.Of(y, b.Target), 0.3))
//
// If nothing counts, the loss and the gradient are 0; train.Step.Run returns an error if nothing in the whole batch
// counts.
package loss

import (
	"fmt"
	"math"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// Ignore is the label of a row that does not count, PyTorch's default ignore_index.
const Ignore = label.Ignore

// mean returns sum/count, a loss of x that carries the weight. dx holds the derivatives of sum with respect to x; it is
// nil if x needs no gradient. target holds the targets if they are numbers. If weight is 0, nothing counts, and the loss is 0
// without a gradient.
func mean(where string, x *autograd.Node, target *tensor.Tensor, sum float64, count int, weight float64, dx []float32) *autograd.Node {
	t := x.Tape()
	y := t.New(1)
	y.SetWeight(float32(weight))
	if y.Data()[0] = 0; weight == 0 {
		return y
	}
	y.Data()[0] = float32(sum / float64(count))
	if dx != nil {
		autograd.Record(t, meanOp{where, x, y, target, dx, float32(count)}, y)
	}
	return y
}

// gradBuffer returns memory for the derivatives of a loss with respect to x, or nil if x needs no gradient.
func gradBuffer(t *autograd.Tape, x *autograd.Node) []float32 {
	if !t.Training() || !x.RequiresGrad() {
		return nil
	}
	return t.Scratch(len(x.Data()))
}

type meanOp struct {
	where  string
	x, y   *autograd.Node
	target *tensor.Tensor // nil if there are labels
	dx     []float32
	count  float32
}

func (o meanOp) String() string { return o.where }

func (o meanOp) Backward() {
	if d := o.y.Grad(); d != nil {
		kernel.AddScaled(o.x.AccumulateGrad(), d[0]/o.count, o.dx)
	}
}

// NotFinite implements [autograd.Checker]: it finds the first target that is infinite.
func (o meanOp) NotFinite() *autograd.DataError {
	if o.target == nil {
		return nil
	}
	for i, v := range o.target.Data() {
		if math.IsInf(float64(v), 0) {
			columns := width(o.target.Shape())
			return &autograd.DataError{Text: fmt.Sprintf("%v, column %d of the target of %s", v, i%columns, o.where),
				Row: i / columns, Rows: len(o.target.Data()) / columns}
		}
	}
	return nil
}

// numbers returns the mean loss of the elements of x whose target is not NaN. f returns the loss of one element and its
// derivative with respect to x, given the element's column, its index in the last dimension. target has the shape of x;
// if wide is set, its last dimension may be 1, and then serves all columns of x.
func numbers(where string, x *autograd.Node, target *tensor.Tensor, wide bool, f func(x, target float64, column int) (value, grad float64)) *autograd.Node {
	t := autograd.TapeOf(where, x)
	if target == nil {
		panic(&autograd.UsageError{Where: where, What: "the target is nil; the batch has none"})
	}
	shape, each := target.Shape(), 1 // each is the number of elements of x for one element of target
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
		want, grad := target.Data()[i/each], 0.0
		if want == want {
			var value float64
			value, grad = f(float64(v), float64(want), i%columns)
			sum += value
			count++
		}
		if dx != nil {
			dx[i] = float32(grad)
		}
	}
	return mean(where, x, target, sum, count, float64(count), dx)
}

// width returns the last dimension of a shape, the number of columns; it is 1 for a scalar.
func width(shape []int) int {
	if len(shape) == 0 {
		return 1
	}
	return shape[len(shape)-1]
}
