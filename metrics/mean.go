package metrics

import (
	"fmt"
	"math"
)

// Mean is a weighted mean: that of the losses of batches, say, each weighted by its rows. The sums are
// compensated (Neumaier 1974, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen"), so
// that the order of what is added, and how it was merged, shows in the last digit at most.
type Mean struct{ values, weights sum }

// Add takes in a value that counts weight times. A weight of 0 adds nothing, whatever the value: a batch without
// a row to count has no loss. A value that is not finite is kept: it shows in Value. Add panics
// if the weight is negative or not finite.
func (m *Mean) Add(value, weight float64) {
	if !(weight >= 0 && weight <= math.MaxFloat64) {
		panic(fmt.Errorf("metrics.Mean: weight is %v, want a finite one of at least 0", weight))
	}
	if weight == 0 {
		return
	}
	m.values.add(float64(value * weight)) // rounded: never fused into one of the additions alone
	m.weights.add(weight)
}

// Value returns the weighted mean, or NaN if all weights together are 0.
func (m *Mean) Value() float64 { return m.values.value() / m.weights.value() }

// Weight returns the sum of the weights.
func (m *Mean) Weight() float64 { return m.weights.value() }

// Reset forgets all values.
func (m *Mean) Reset() { *m = Mean{} }

// Merge adds what o has taken in, as if its values had been added to m.
func (m *Mean) Merge(o Mean) {
	m.values.merge(o.values)
	m.weights.merge(o.weights)
}

// sum is a running sum and what its roundings have lost.
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
	if s.total-s.total != 0 { // infinite or NaN: then so is lost, but not always the same
		return s.total
	}
	return s.total + s.lost
}
