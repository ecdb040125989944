package metrics

import (
	"fmt"
	"math"
)

// Regression measures how far predicted numbers are from the true ones. Numbers whose target is NaN, such as padding or
// what was not measured, are passed over.
type Regression struct {
	n                 int
	absolute, squared sum     // of the errors
	mean, spread      float64 // of the targets; the sum of the squares of their distances from the mean
}

// Add takes in predictions and targets. It panics if their numbers differ.
func (m *Regression) Add(predicted, targets []float32) {
	if len(predicted) != len(targets) {
		panic(fmt.Errorf("metrics.Regression: %d predictions for %d targets", len(predicted), len(targets)))
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

// Count returns the number of targets.
func (m *Regression) Count() int { return m.n }

// MSE returns the mean squared error, NaN if nothing was added.
func (m *Regression) MSE() float64 { return m.squared.value() / float64(m.n) }

// RMSE returns the root of [Regression.MSE], in the unit of the targets.
func (m *Regression) RMSE() float64 { return math.Sqrt(m.MSE()) }

// MAE returns the mean absolute error, NaN if nothing was added.
func (m *Regression) MAE() float64 { return m.absolute.value() / float64(m.n) }

// R2 returns the coefficient of determination, 1 - squared error/variance of the targets: 1 for perfect predictions, 0 for
// those that are no better than the targets' mean, and less for worse ones. Where all targets are the same it is 1 if all
// predictions are right and 0 otherwise, as in scikit-learn; of fewer than two targets it is NaN.
func (m *Regression) R2() float64 {
	switch errors := m.squared.value(); {
	case m.n < 2:
		return math.NaN()
	case m.spread > 0:
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

// Merge adds what o has taken in, as if its numbers had been added to m (Chan, Golub & LeVeque 1979, "Updating formulae and a
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
