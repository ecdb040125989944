package metrics_test

import (
	"fmt"

	"github.com/unroll-go/unroll/metrics"
)

func ExampleTopK() {
	logits := []float32{
		1.2, -0.3, 2.8, 5.2,
		0.1, 0.0, 0.0, 0.0,
		0.0, 0.5, 0.3, 0.3,
	}
	labels := []int32{0, 1, 3}

	best := metrics.TopK{}
	best.Add(logits, labels)
	fmt.Printf("top 1: %.2f of %d rows\n", best.Value(), best.Count())

	two := metrics.TopK{K: 2}
	two.Add(logits, labels)
	fmt.Printf("top 2: %.2f\n", two.Value())
	// Output:
	// top 1: 0.00 of 3 rows
	// top 2: 0.67
}

// Two workers each count a shard of the rows.
func ExampleTopK_Merge() {
	var all, a, b metrics.TopK
	a.Add([]float32{1, 2, 2, 1}, []int32{1, 0})
	b.Add([]float32{1, 2}, []int32{0})
	all.Merge(a)
	all.Merge(b)
	fmt.Printf("%.2f of %d rows\n", all.Value(), all.Count())
	// Output: 0.67 of 3 rows
}

// Batches of 150 and 50 rows: the mean over rows, not over batches.
func ExampleMean() {
	var loss metrics.Mean
	loss.Add(2, 150)
	loss.Add(4, 50)
	fmt.Println(loss.Value(), loss.Weight())
	// Output: 2.5 200
}
