package loss

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// MSE returns the mean over all elements of (x-target)^2, PyTorch's mse_loss. Elements whose target is NaN do not count. It
// panics with a [*autograd.ShapeError] if the shapes differ.
func MSE(x *autograd.Node, target *tensor.Tensor) *autograd.Node {
	return numbers("loss.MSE", x, target, func(x, target float64, _ int) (value, slope float64) {
		d := x - target
		return d * d, 2 * d
	})
}

// Huber is the mean over all elements of a loss that is square near the target and linear beyond Delta from it,
// so that outliers pull less (Huber 1964, "Robust estimation of a location parameter"); PyTorch's huber_loss. For d = x-target,
//
//	d^2/2                    where |d| <= Delta
//	Delta*(|d| - Delta/2)    elsewhere
type Huber struct {
	Delta float32 // more than 0; 0 means 1
}

// Of returns the loss. Elements whose target is NaN do not count. It panics with a [*autograd.ShapeError] if the
// shapes differ, and with a [*autograd.UsageError] if Delta is out of range.
func (o Huber) Of(x *autograd.Node, target *tensor.Tensor) *autograd.Node {
	const where = "loss.Huber"
	if !(o.Delta >= 0 && o.Delta <= math.MaxFloat32) {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("Delta is %v, want it finite and more than 0, or 0 for 1", o.Delta)})
	}
	delta := float64(o.Delta)
	if delta == 0 {
		delta = 1
	}
	return numbers(where, x, target, func(x, target float64, _ int) (value, slope float64) {
		d := x - target
		if math.Abs(d) <= delta {
			return d * d / 2, d
		}
		return delta * (math.Abs(d) - delta/2), math.Copysign(delta, d)
	})
}

// BCEWithLogits is the mean over all elements of the binary cross-entropy of sigmoid(x), for yes-or-no questions, each
// column of the last dimension one; PyTorch's binary_cross_entropy_with_logits. For a target from 0 to 1 and the
// column's weight w,
//
//	-(w*target*log(sigmoid(x)) + (1-target)*log(1-sigmoid(x)))
//
// computed so that it is stable for x of any size.
type BCEWithLogits struct {
	// PosWeight is a weight of yes for each column, finite and at least 0; nil means 1 each.
	PosWeight []float32
}

// Of returns the loss of x for targets of the same shape. Elements whose target is NaN do not count; a target outside 0
// to 1 fails the run ([autograd.Tape.Fail]). It panics with a [*autograd.ShapeError] if the shapes differ or there is not one
// PosWeight a column, and with a [*autograd.UsageError] if one is out of range.
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
	for i, v := range target.Data() {
		if v < 0 || v > 1 {
			t.Fail(fmt.Errorf("%s: target %v at element %d of shape %v, want 0 to 1, or NaN to ignore it", where, v, i, target.Shape()))
		}
	}
	return numbers(where, x, target, func(x, target float64, column int) (value, slope float64) {
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
