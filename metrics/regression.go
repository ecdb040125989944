package metrics

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/tensor"
)

// Regression measures how far predicted numbers are from their targets. Numbers whose target is NaN, such as padding or a
// value that was not measured, do not count. A prediction that is NaN for a target that is a number makes every result NaN.
type Regression struct {
	n                 int     // targets
	absolute, squared sum     // of the absolute and of the squared errors
	mean              float64 // of the targets
	spread            float64 // sum of the squared distances of the targets from their mean
}

// Add adds predictions with their targets. It panics with a [*tensor.ShapeError] if there are not as many of both.
func (m *Regression) Add(predicted, targets []float32) {
	if len(predicted) != len(targets) {
		panic(&tensor.ShapeError{Where: "metrics.Regression", Got: fmt.Sprintf("%d predictions", len(predicted)),
			Want: fmt.Sprintf("one for each of %d targets", len(targets))})
	}
	for i, target := range targets {
		if target != target {
			continue
		}
		t := float64(target)
		d := float64(predicted[i]) - t
		m.absolute.add(math.Abs(d))
		m.squared.add(float64(d * d))
		// Welford 1962, "Note on a method for calculating corrected sums of squares and products".
		m.n++
		from := t - m.mean
		m.mean += from / float64(m.n)
		m.spread += float64(from * (t - m.mean))
	}
}

// Count returns the number of targets that counted.
func (m *Regression) Count() int { return m.n }

// MSE returns the mean squared error, or NaN if no target counted.
func (m *Regression) MSE() float64 { return m.squared.value() / float64(m.n) }

// RMSE returns the square root of [Regression.MSE], in the unit of the targets.
func (m *Regression) RMSE() float64 { return math.Sqrt(m.MSE()) }

// MAE returns the mean absolute error, in the unit of the targets, or NaN if no target counted.
func (m *Regression) MAE() float64 { return m.absolute.value() / float64(m.n) }

// R2 returns the coefficient of determination, 1 - MSE/variance of the targets: 1 for perfect predictions, 0 for
// predictions that are no better than the mean of the targets, and less for worse ones. Where all targets are the same
// number it is 1 if all predictions are right and 0 otherwise, as in scikit-learn. For fewer than two targets, and for an
// infinite target, it is NaN.
func (m *Regression) R2() float64 {
	errors := m.squared.value()
	switch {
	case m.n < 2:
		return math.NaN()
	case m.spread != 0:
		return 1 - errors/m.spread
	case errors == 0:
		return 1
	case errors > 0:
		return 0
	}
	return math.NaN()
}

// Reset forgets all numbers.
func (m *Regression) Reset() { *m = Regression{} }

// Merge adds the sums of o, as if its numbers had been added to m (Chan, Golub & LeVeque 1979, "Updating formulae and a
// pairwise algorithm for computing sample variances").
func (m *Regression) Merge(o Regression) {
	if o.n == 0 {
		return
	}
	m.absolute.merge(o.absolute)
	m.squared.merge(o.squared)
	n := float64(m.n + o.n)
	d := o.mean - m.mean
	m.spread += o.spread + float64(float64(d*d)*(float64(m.n)*float64(o.n)/n))
	m.mean += float64(d * (float64(o.n) / n))
	m.n += o.n
}
