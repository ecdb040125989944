// Package metrics measures how well a model does, over any number of batches: accuracy ([TopK]), which classes it takes for
// which ([ConfusionMatrix]), how far off its numbers are ([Regression]), how well it foresees tokens ([Perplexity]), and
// weighted means of anything else ([Mean]).
//
// A metric is a small struct whose zero value is ready. Add takes in one batch, as plain slices, and allocates
// nothing; Value tells the result over all that was added, NaN if that is nothing; Reset starts anew.
// Sums are kept, not averages of batches, so that the cut into batches does not matter:
//
//	var accuracy metrics.TopK
//	for ... {
//		accuracy.Add(logits, labels)
//	}
//	fmt.Println(accuracy.Value())
//
// A metric belongs to one goroutine. Where several evaluate shards of a batch, each has a metric
// of its own, and Merge adds them up.
package metrics

import (
	"fmt"

	"github.com/unroll-go/unroll/internal/label"
)

// Ignore is the label of a row that does not count, such as padding: the ignore_index of PyTorch's losses.
const Ignore = label.Ignore

// TopK is the share of rows whose label is among the K classes of the largest logits: accuracy for
// K = 1. It follows TensorFlow's in_top_k: a label ranks by the number of logits that are strictly larger than
// its own, so that of classes which tie across the boundary all are in.
//
// Wrong are, whatever K: a label that is not a class (negative or at least C, but for [Ignore]), one whose
// own logit is not finite, and any label in a row with a NaN. Infinite logits of other classes compare as
// numbers: -Inf masks a class. (TensorFlow counts those rows as wrong, too.)
type TopK struct {
	K int // 0 means 1; more than there are classes is all of them

	right, rows int
}

// Add takes in logits [B,C], row-major, with a label for each of the B rows; C is
// len(logits)/len(labels). Rows with the label [Ignore] are passed over. It panics if the logits
// are not a whole number of classes a row, at least one, or if K is negative.
func (m *TopK) Add(logits []float32, labels []int32) {
	k := m.k()
	if len(labels) == 0 && len(logits) == 0 {
		return
	}
	if len(labels) == 0 || len(logits) == 0 || len(logits)%len(labels) != 0 {
		panic(fmt.Errorf("metrics.TopK: %d logits for %d labels, want the same number of classes, at least 1, for each",
			len(logits), len(labels)))
	}
	classes := len(logits) / len(labels)
	for b, label := range labels {
		if label == Ignore {
			continue
		}
		m.rows++
		if inTop(k, logits[b*classes:][:classes], label) {
			m.right++
		}
	}
}

func inTop(k int, row []float32, label int32) bool {
	if label < 0 || int(label) >= len(row) {
		return false
	}
	own := row[label]
	if own-own != 0 { // infinite or NaN
		return false
	}
	larger := 0
	for _, v := range row {
		if v != v {
			return false
		}
		if v > own {
			larger++
		}
	}
	return larger < k
}

// Value returns the share of right rows, from 0 to 1, or NaN if none was counted.
func (m *TopK) Value() float64 { return float64(m.right) / float64(m.rows) }

// Count returns the number of rows counted: those added but for the ignored ones.
func (m *TopK) Count() int { return m.rows }

// Reset forgets all rows and keeps K.
func (m *TopK) Reset() { m.right, m.rows = 0, 0 }

// Merge adds what o has counted, as if its rows had been added to m. It panics if o
// counts for another K.
func (m *TopK) Merge(o TopK) {
	if m.k() != o.k() {
		panic(fmt.Errorf("metrics.TopK: merged with one of K %d, want %d", o.k(), m.k()))
	}
	m.right += o.right
	m.rows += o.rows
}

func (m *TopK) k() int {
	if m.K < 0 {
		panic(fmt.Errorf("metrics.TopK: K is %d, want at least 1, or 0 for 1", m.K))
	}
	return max(1, m.K)
}
