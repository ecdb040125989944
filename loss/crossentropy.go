package loss

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// SparseSoftmaxCrossEntropy returns the cross-entropy of softmax(logits) and the labels: the mean, over the rows of
// logits [..., C], of
//
//	-log(softmax(logits)[label])
//
// It is the mean of TensorFlow's sparse_softmax_cross_entropy_with_logits, and PyTorch's cross_entropy. labels has one
// class for each row; rows labelled [Ignore] do not count. The largest logit of a row is subtracted before the
// exponential, so logits of any finite size are safe.
//
// A label outside 0 to C-1 is an error of the run ([autograd.Tape.Fail]). SparseSoftmaxCrossEntropy panics with a
// [*autograd.ShapeError] if there is not one label for each row.
func SparseSoftmaxCrossEntropy(logits *autograd.Node, labels []int32) *autograd.Node {
	return CrossEntropy{}.of("loss.SparseSoftmaxCrossEntropy", logits, labels)
}

// CrossEntropy is [SparseSoftmaxCrossEntropy] with options: PyTorch's cross_entropy with weight and label_smoothing.
// With p = softmax(logits), s = Smoothing and class weights w, the loss of a row with label y and C classes is
//
//	-(1-s)*w[y]*log p[y] - s/C * sum over c of w[c]*log p[c]
//
// (Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", section 7). The mean is the sum of
// the losses of the rows divided by the sum of w[y] over the rows.
type CrossEntropy struct {
	// ClassWeights holds one weight for each class, finite and at least 0; nil means that all are 1. Only the ratios of
	// the weights change the loss, because the mean divides by the sum of the weights of the rows; the weights may be
	// of any size. If the sum of ClassWeights is below 2^-64 or above 2^64, the weight of the loss
	// ([autograd.Node.SetWeight]) is multiplied by a power of two so that float32 can hold it.
	ClassWeights []float32
	// Smoothing is the part of the target, from 0 to 1, that is spread evenly over all classes.
	Smoothing float32
}

// Of returns the loss of logits [..., C] for one label for each row. Rows labelled [Ignore] do not count. A label
// outside 0 to C-1 is an error of the run ([autograd.Tape.Fail]). Of panics with a [*autograd.ShapeError] if there is
// not one label for each row or not one weight for each class, and with a [*autograd.UsageError] if an option is out of
// range.
func (o CrossEntropy) Of(logits *autograd.Node, labels []int32) *autograd.Node {
	return o.of("loss.CrossEntropy", logits, labels)
}

func (o CrossEntropy) of(where string, logits *autograd.Node, labels []int32) *autograd.Node {
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
	all := o.check(where, classes) // sum of the class weights
	rows, weight := o.count(t, where, labels, classes)
	if weight == 0 {
		return mean(where, logits, nil, 0, 0, 0, nil)
	}
	// Weights are divided by their mean over the rows, so that float32 can hold the gradients for weights of any size.
	scale := float64(rows) / weight
	even := float64(o.Smoothing) / float64(classes) * scale
	dlogits := gradBuffer(t, logits)
	p := dlogits
	if p == nil {
		p = t.Scratch(len(x))
	}
	sum := 0.0
	for i, label := range labels {
		row, from := p[i*classes:][:classes], x[i*classes:][:classes]
		if label < 0 || int(label) >= classes {
			clear(row)
			continue
		}
		w := scale
		if o.ClassWeights != nil {
			w *= float64(o.ClassWeights[label])
		}
		lost := float64(kernel.SoftmaxCrossEntropy(row, from, int(label))) // -log p of the label
		own := float64(1-o.Smoothing) * w
		if own > 0 { // log p may be -Inf where the weight is 0
			sum += own * lost
		}
		if even == 0 {
			if w != 1 {
				kernel.Scale(row, float32(w))
			}
			row[label] -= float32(w)
			continue
		}
		for c, v := range from {
			share := even
			if o.ClassWeights != nil {
				share *= float64(o.ClassWeights[c])
			}
			if share > 0 {
				sum += share * (lost + (float64(from[label]) - float64(v))) // -log p of c
			}
			grad := float64(row[c])*(own+even*all) - share
			if c == int(label) {
				grad -= own
			}
			row[c] = float32(grad)
		}
	}
	if _, exponent := math.Frexp(all); exponent < -64 || exponent > 64 {
		weight = math.Ldexp(weight, -exponent) // the same factor in all shards; float32 can then hold the weight
	}
	return mean(where, logits, nil, sum, rows, weight, dlogits)
}

// count returns the number of rows that are not ignored and the sum of the weights of their classes. A label out of
// range is an error of the run.
func (o CrossEntropy) count(t *autograd.Tape, where string, labels []int32, classes int) (rows int, weight float64) {
	for i, label := range labels {
		switch {
		case label == Ignore:
		case label < 0 || int(label) >= classes:
			t.Fail(&autograd.DataError{Text: fmt.Sprintf("%s: label %d, want 0 to %d, or %d to ignore the row", where, label, classes-1, Ignore),
				Row: i, Rows: len(labels)})
		case o.ClassWeights == nil:
			rows, weight = rows+1, weight+1
		default:
			rows, weight = rows+1, weight+float64(o.ClassWeights[label])
		}
	}
	return rows, weight
}

// check panics if an option is out of range, and returns the sum of the class weights.
func (o CrossEntropy) check(where string, classes int) (all float64) {
	if !(o.Smoothing >= 0 && o.Smoothing <= 1) {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("Smoothing is %v, want 0 to 1", o.Smoothing)})
	}
	if o.ClassWeights == nil {
		return float64(classes)
	}
	if len(o.ClassWeights) != classes {
		panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("%d ClassWeights", len(o.ClassWeights)), Want: fmt.Sprintf("one for each of %d classes", classes)})
	}
	for c, w := range o.ClassWeights {
		if !(w >= 0 && w <= math.MaxFloat32) {
			panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("ClassWeights[%d] is %v, want it finite and at least 0", c, w)})
		}
		all += float64(w)
	}
	return all
}
