// Package loss holds what a model is trained to make small. A loss takes the model's output and
// what was wanted, and returns a node of one value, the mean over the rows that
// count, for [autograd.Node.Backward] to start from:
//
//	l := loss.SparseSoftmaxCrossEntropy(logits, batch.Labels)
//	err := l.Backward()
//
// The node carries how many rows it is the mean of ([autograd.Node.Weight]), so that the mean over a
// batch is exact however the batch is cut into shards. Rows labelled [Ignore] do not count; if none counts, the
// loss is 0 and so is the gradient.
package loss

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Ignore is the label of a row that does not count, PyTorch's default ignore_index.
const Ignore = -100

// SparseSoftmaxCrossEntropy returns the mean over the rows of logits, shape [..., C], of
//
//	-log(softmax(logits)[label])
//
// (TensorFlow's sparse_softmax_cross_entropy_with_logits, averaged; PyTorch's cross_entropy). labels has one
// class a row; rows labelled [Ignore] do not count; it is borrowed until Backward has run. The loss is stable
// for logits of any size: the largest of a row is subtracted first.
//
// A label outside 0 to C-1 fails the run ([autograd.Tape.Fail]). It panics with a [*autograd.ShapeError] if there is
// not one label a row.
func SparseSoftmaxCrossEntropy(logits *autograd.Node, labels []int32) *autograd.Node {
	const where = "loss.SparseSoftmaxCrossEntropy"
	t := autograd.TapeOf(where, logits)
	shape, x := logits.Shape(), logits.Data()
	classes := 0
	if len(shape) > 0 {
		classes = shape[len(shape)-1]
	}
	if classes == 0 || len(x) != classes*len(labels) {
		panic(&autograd.ShapeError{Where: where,
			Got: fmt.Sprintf("%d labels for logits of shape %v", len(labels), append([]int(nil), shape...)), Want: "one label a row of at least one class"})
	}
	y := t.New(1)
	p := t.Scratch(len(x))
	sum, count := 0.0, 0
	for i, label := range labels {
		if label == Ignore {
			continue
		}
		if label < 0 || int(label) >= classes {
			t.Fail(fmt.Errorf("%s: label %d in row %d, want 0 to %d, or %d to ignore the row", where, label, i, classes-1, Ignore))
			continue
		}
		row := i * classes
		sum += float64(kernel.SoftmaxCrossEntropy(p[row:][:classes], x[row:][:classes], int(label)))
		count++
	}
	y.Data()[0] = float32(sum / float64(max(count, 1)))
	y.SetWeight(float32(count))
	if count > 0 && logits.RequiresGrad() {
		autograd.Record(t, softmaxOp{logits, y, p, labels, float32(count)}, y)
	}
	return y
}

type softmaxOp struct {
	logits, loss *autograd.Node
	p            []float32 // softmax of the rows that count
	labels       []int32
	count        float32
}

func (o softmaxOp) String() string { return "loss.SparseSoftmaxCrossEntropy" }

// Backward adds (softmax - onehot) / count.
func (o softmaxOp) Backward() {
	d := o.loss.Grad()
	if d == nil {
		return
	}
	scale := d[0] / o.count
	dx := o.logits.AccumulateGrad()
	classes := len(dx) / len(o.labels)
	for i, label := range o.labels {
		if label == Ignore {
			continue
		}
		row := dx[i*classes:][:classes]
		kernel.AddScaled(row, scale, o.p[i*classes:][:classes])
		row[label] -= scale
	}
}
