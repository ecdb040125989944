package metrics

import (
	"fmt"

	"github.com/unroll-go/unroll/tensor"
)

// TopK is the share of rows whose label is among the K classes with the largest logits: the accuracy for K = 1. It follows
// TensorFlow's in_top_k: a label is among them if fewer than K logits are strictly larger than its own. Where several
// classes tie for the last of the K places, all of them are therefore in; [TopK.Tied] counts the rows to which that
// applies.
//
// A row is wrong, whatever K, if its label is not a class (negative or at least C, but for [Ignore]), if the logit of its
// label is not finite, or if any logit of the row is NaN. Infinite logits of other classes compare as numbers: -Inf masks
// a class. (TensorFlow counts rows with an infinite logit as wrong.)
type TopK struct {
	K int // 0 means 1. A K of at least C makes every label right, apart from the wrong rows above

	right, tied, rows int
}

// Add counts the rows of logits [B,C], row-major, with one label for each row; C is len(logits)/len(labels). Rows with the
// label [Ignore] do not count. Add panics with a [*tensor.ShapeError] if C is not a whole number of at least 1, and with a
// [*tensor.UsageError] if K is negative.
func (m *TopK) Add(logits []float32, labels []int32) {
	k := m.k()
	if len(labels) == 0 && len(logits) == 0 {
		return
	}
	if len(labels) == 0 || len(logits) == 0 || len(logits)%len(labels) != 0 {
		panic(&tensor.ShapeError{Where: "metrics.TopK", Got: fmt.Sprintf("%d logits for %d labels", len(logits), len(labels)),
			Want: "the same number of classes, at least 1, for each"})
	}
	classes := len(logits) / len(labels)
	for b, label := range labels {
		if label == Ignore {
			continue
		}
		m.rows++
		larger, equal, ok := rank(logits[b*classes:][:classes], label)
		if !ok || larger >= k {
			continue
		}
		m.right++
		if larger+equal > k {
			m.tied++
		}
	}
}

// rank returns how many logits of a row are larger than the logit of its label, and how many are equal to it (itself
// included). ok is false if the row is wrong whatever K.
func rank(row []float32, label int32) (larger, equal int, ok bool) {
	if label < 0 || int(label) >= len(row) {
		return 0, 0, false
	}
	own := row[label]
	if own-own != 0 { // infinite or NaN
		return 0, 0, false
	}
	for _, v := range row {
		switch {
		case v != v:
			return 0, 0, false
		case v > own:
			larger++
		case v == own:
			equal++
		}
	}
	return larger, equal, true
}

// Value returns the share of right rows, from 0 to 1, or NaN if no row was counted.
func (m *TopK) Value() float64 { return float64(m.right) / float64(m.rows) }

// Count returns the number of rows counted, right or wrong, without the ignored rows.
func (m *TopK) Count() int { return m.rows }

// Tied returns how many of the right rows owe it to a tie: with the tied classes in another order, the label would not be
// among the first K. A model that gives all classes the same logit has a Value of 1, and all its rows are tied.
func (m *TopK) Tied() int { return m.tied }

// Reset forgets all rows and keeps K.
func (m *TopK) Reset() { *m = TopK{K: m.K} }

// Merge adds the counts of o, as if its rows had been added to m. It panics with a [*tensor.UsageError] if o has another K.
func (m *TopK) Merge(o TopK) {
	if m.k() != o.k() {
		panic(&tensor.UsageError{Where: "metrics.TopK", What: fmt.Sprintf("merged with a metric of K %d, want %d", o.k(), m.k())})
	}
	m.right += o.right
	m.tied += o.tied
	m.rows += o.rows
}

// k returns K, or 1 for 0.
func (m *TopK) k() int {
	if m.K < 0 {
		panic(&tensor.UsageError{Where: "metrics.TopK", What: fmt.Sprintf("K is %d, want at least 1, or 0 for 1", m.K)})
	}
	return max(1, m.K)
}
