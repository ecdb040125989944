package loss

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// MSE is the mean squared error, the mean of (x-target)^2 over all elements: PyTorch's mse_loss.
type MSE struct{}

// Of returns the loss of x for a target of the same shape. Elements whose target is NaN do not count. Of panics with a
// [*autograd.ShapeError] if the shapes differ, and with a [*autograd.UsageError] if target is nil.
func (MSE) Of(x *autograd.Node, target *tensor.Tensor) *autograd.Node {
	return numbers("loss.MSE", x, target, false, func(x, target float64, _ int) (value, grad float64) {
		d := x - target
		return d * d, 2 * d
	})
}

// L1 is the mean absolute error, the mean of |x-target| over all elements: PyTorch's l1_loss. Its derivative where x
// equals target is taken as 0.
type L1 struct{}

// Of returns the loss of x for a target of the same shape. Elements whose target is NaN do not count. Of panics as
// [MSE.Of] does.
func (L1) Of(x *autograd.Node, target *tensor.Tensor) *autograd.Node {
	return numbers("loss.L1", x, target, false, func(x, target float64, _ int) (value, grad float64) {
		d := x - target
		return math.Abs(d), sign(d)
	})
}

// sign returns 1, -1, 0 or, for NaN, NaN.
func sign(d float64) float64 {
	switch {
	case d > 0:
		return 1
	case d < 0:
		return -1
	}
	return d // 0 or NaN
}

// Quantile is the mean of the pinball loss over all elements. Its minimum is a quantile of the targets (Koenker &
// Bassett 1978, "Regression quantiles"). For d = target-x and the quantile q of the element's column, the loss of an
// element is
//
//	q*d        where d >= 0
//	(q-1)*d    elsewhere
//
// Its derivative where x equals target is taken as 0.
type Quantile struct {
	// Quantiles holds the quantiles that the columns of x predict, each above 0 and below 1: one for each column, or
	// one for all columns. Empty means 0.5, the median.
	Quantiles []float32
}

// Of returns the loss of x [..., K]. target has the shape of x; if x predicts several quantiles of one number, target
// may instead be [..., 1]. Elements whose target is NaN do not count. Of panics as [MSE.Of] does, with a
// [*autograd.ShapeError] if there are neither one nor K Quantiles, and with a [*autograd.UsageError] if a quantile is
// out of range.
func (o Quantile) Of(x *autograd.Node, target *tensor.Tensor) *autograd.Node {
	const where = "loss.Quantile"
	columns := width(x.Shape())
	if n := len(o.Quantiles); n > 1 && n != columns {
		panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("%d Quantiles", n),
			Want: fmt.Sprintf("one, or one for each column of shape %v", append([]int(nil), x.Shape()...))})
	}
	for i, q := range o.Quantiles {
		if !(q > 0 && q < 1) {
			panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("Quantiles[%d] is %v, want more than 0 and less than 1", i, q)})
		}
	}
	return numbers(where, x, target, true, func(x, target float64, column int) (value, grad float64) {
		q := 0.5
		if len(o.Quantiles) > 0 {
			q = float64(o.Quantiles[column%len(o.Quantiles)])
		}
		d := target - x
		if d < 0 {
			return (q - 1) * d, 1 - q
		}
		return q * d, -q * sign(d)
	})
}

// Huber is the mean, over all elements, of a loss that is quadratic where x is within Delta of the target and linear
// elsewhere, so that outliers have less influence than in [MSE] (Huber 1964, "Robust estimation of a location
// parameter"): PyTorch's huber_loss. For d = x-target, the loss of an element is
//
//	d^2/2                    where |d| <= Delta
//	Delta*(|d| - Delta/2)    elsewhere
type Huber struct {
	Delta float32 // above 0; 0 means 1
}

// Of returns the loss of x for a target of the same shape. Elements whose target is NaN do not count. Of panics as
// [MSE.Of] does, and with a [*autograd.UsageError] if Delta is out of range.
func (o Huber) Of(x *autograd.Node, target *tensor.Tensor) *autograd.Node {
	const where = "loss.Huber"
	if !(o.Delta >= 0 && o.Delta <= math.MaxFloat32) {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("Delta is %v, want it finite and more than 0, or 0 for 1", o.Delta)})
	}
	delta := float64(o.Delta)
	if delta == 0 {
		delta = 1
	}
	return numbers(where, x, target, false, func(x, target float64, _ int) (value, grad float64) {
		d := x - target
		if math.Abs(d) <= delta {
			return d * d / 2, d
		}
		return delta * (math.Abs(d) - delta/2), math.Copysign(delta, d)
	})
}

// BCEWithLogits is the mean, over all elements, of the binary cross-entropy of sigmoid(x), for classes that do not
// exclude each other: each column answers one yes-or-no question. It is PyTorch's binary_cross_entropy_with_logits. For
// a target from 0 (no) to 1 (yes) and the column's weight w, the loss of an element is
//
//	-(w*target*log(sigmoid(x)) + (1-target)*log(1-sigmoid(x)))
//
// It is computed directly from x, so x of any finite size is safe.
type BCEWithLogits struct {
	// PosWeight holds the weight w of yes for each column, finite and at least 0; nil means that all are 1.
	PosWeight []float32
}

// Of returns the loss of x for targets of the same shape. Elements whose target is NaN do not count; a target outside 0
// to 1 is an error of the run ([autograd.Tape.Fail]). Of panics with a [*autograd.ShapeError] if the shapes differ or
// if there is not one PosWeight for each column, and with a [*autograd.UsageError] if target is nil or a weight is out
// of range.
func (o BCEWithLogits) Of(x *autograd.Node, target *tensor.Tensor) *autograd.Node {
	const where = "loss.BCEWithLogits"
	t, shape := autograd.TapeOf(where, x), x.Shape()
	if o.PosWeight != nil && (len(shape) == 0 || len(o.PosWeight) != shape[len(shape)-1]) {
		panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("%d PosWeight", len(o.PosWeight)),
			Want: fmt.Sprintf("one for each column of shape %v", append([]int(nil), shape...))})
	}
	for c, w := range o.PosWeight {
		if !(w >= 0 && w <= math.MaxFloat32) {
			panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("PosWeight[%d] is %v, want it finite and at least 0", c, w)})
		}
	}
	if target == nil {
		panic(&autograd.UsageError{Where: where, What: "the target is nil; the batch has none"})
	}
	for i, v := range target.Data() {
		if columns := width(target.Shape()); v < 0 || v > 1 {
			t.Fail(&autograd.DataError{Text: fmt.Sprintf("%s: target %v in column %d, want 0 to 1, or NaN to ignore it", where, v, i%columns),
				Row: i / columns, Rows: len(target.Data()) / columns})
		}
	}
	return numbers(where, x, target, false, func(x, target float64, column int) (value, grad float64) {
		yes := target
		if o.PosWeight != nil {
			yes *= float64(o.PosWeight[column])
		}
		no := 1 - target
		rest := math.Exp(-math.Abs(x))
		both := math.Log1p(rest) // -log sigmoid(x) = both + max(-x, 0)
		value = (yes+no)*both + yes*max(-x, 0) + no*max(x, 0)
		sigmoid := 1 / (1 + rest)
		if x < 0 {
			sigmoid = rest / (1 + rest)
		}
		return value, no*sigmoid - yes*(1-sigmoid)
	})
}
