package metrics

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/tensor"
)

// Mean is a weighted mean, such as the mean loss of several batches, each weighted by its number of rows. The sums are
// compensated (Neumaier 1974, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen"), so that the order
// in which values are added and merged changes the last digit of the result at most.
type Mean struct{ values, weights sum }

// Add adds a value that counts weight times. A weight of 0 adds nothing, whatever the value, because the loss of a batch in
// which no row counts says nothing. A value that is NaN or infinite makes Value so, too. Add panics with a
// [*tensor.UsageError] if the weight is negative or not finite.
func (m *Mean) Add(value, weight float64) {
	if !(weight >= 0 && weight <= math.MaxFloat64) {
		panic(&tensor.UsageError{Where: "metrics.Mean", What: fmt.Sprintf("weight is %v, want a finite number of at least 0", weight)})
	}
	if weight == 0 {
		return
	}
	m.values.add(float64(value * weight)) // rounded here, so that no platform fuses it with an addition
	m.weights.add(weight)
}

// Value returns the weighted mean, or NaN if the sum of the weights is 0.
func (m *Mean) Value() float64 { return m.values.value() / m.weights.value() }

// Weight returns the sum of the weights.
func (m *Mean) Weight() float64 { return m.weights.value() }

// Reset forgets all values.
func (m *Mean) Reset() { *m = Mean{} }

// Merge adds the sums of o, as if its values had been added to m.
func (m *Mean) Merge(o Mean) {
	m.values.merge(o.values)
	m.weights.merge(o.weights)
}

// sum is a running sum, total, and the sum of its rounding errors, lost.
type sum struct{ total, lost float64 }

func (s *sum) add(x float64) {
	total := s.total + x
	if math.Abs(s.total) >= math.Abs(x) {
		s.lost += (s.total - total) + x
	} else {
		s.lost += (x - total) + s.total
	}
	s.total = total
}

func (s *sum) merge(o sum) {
	s.add(o.total)
	s.lost += o.lost
}

func (s *sum) value() float64 {
	if s.total-s.total != 0 { // infinite or NaN: lost may be another such value
		return s.total
	}
	return s.total + s.lost
}
