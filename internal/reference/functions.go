package reference

import (
	"fmt"
	"math"
	"math/cmplx"

	"github.com/unroll-go/unroll/internal/label"
)

// Ignore is the label of a row that does not count.
const Ignore = label.Ignore

// Dense returns x Wᵀ + b, a row of x at a time:
//
//	y[n][o] = b[o] + sum over i of w[o][i] x[n][i]
//
// for x [N,in], w [out,in], b [out] and y [N,out]; the sizes follow from the lengths.
func Dense(x, w, b []complex128) []complex128 {
	out := len(b)
	in := len(w) / out
	rows := len(x) / in
	mustHave("Dense: w", len(w), out*in)
	mustHave("Dense: x", len(x), rows*in)
	y := make([]complex128, rows*out)
	for n := range rows {
		for o := range out {
			y[n*out+o] = b[o] + Dot(w[o*in:][:in], x[n*in:][:in])
		}
	}
	return y
}

// SparseSoftmaxCrossEntropy returns the mean over the rows that count of
//
//	-log softmax(logits[n])[labels[n]] = log(sum over j of exp(logits[n][j])) - logits[n][labels[n]]
//
// and their number, for logits [N,classes] and labels [N]. Rows of label [Ignore] do not
// count; if none does, the mean is 0. The largest logit of a row is taken out of the exponentials,
// so logits may be of any size.
func SparseSoftmaxCrossEntropy(logits []complex128, labels []int32) (mean complex128, count int) {
	classes := len(logits) / len(labels)
	mustHave("SparseSoftmaxCrossEntropy: logits", len(logits), len(labels)*classes)
	for n, label := range labels {
		if label == Ignore {
			continue
		}
		row := logits[n*classes:][:classes]
		if label < 0 || int(label) >= classes {
			panic(fmt.Sprintf("reference: label %d of row %d, want 0 to %d or %d", label, n, classes-1, Ignore))
		}
		largest := row[0]
		for _, z := range row {
			if real(z) > real(largest) {
				largest = z
			}
		}
		var sum complex128
		for _, z := range row {
			sum += cmplx.Exp(z - largest)
		}
		mean += cmplx.Log(sum) + largest - row[label]
		count++
	}
	if count == 0 {
		return 0, 0
	}
	return mean / complex(float64(count), 0), count
}

// tanh is cmplx.Tanh, which is NaN from 355 on: it divides cosh(2x) by itself. From 300 on, both the
// distance to 1 and the derivative are below 1e-260.
func tanh(z complex128) complex128 {
	if math.Abs(real(z)) > 300 {
		return complex(math.Copysign(1, real(z)), 0)
	}
	return cmplx.Tanh(z)
}

// sigmoid is right on both sides: where the exponential overflows, its inverse is 0.
func sigmoid(z complex128) complex128 { return 1 / (1 + cmplx.Exp(-z)) }

func relu(z complex128) complex128 {
	if real(z) > 0 {
		return z
	}
	return 0
}
