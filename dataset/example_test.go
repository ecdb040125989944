package dataset_test

import (
	"fmt"

	"github.com/unroll-go/unroll/dataset"
)

// stripes returns six pictures of 2x2 pixels: picture i has label i.
func stripes() *dataset.Images {
	return &dataset.Images{Height: 2, Width: 2,
		Pixels: []uint8{
			0, 255, 0, 0,
			51, 255, 0, 0,
			102, 255, 0, 0,
			153, 255, 0, 0,
			204, 255, 0, 0,
			255, 255, 0, 0,
		},
		Labels: []uint8{0, 1, 2, 3, 4, 5},
	}
}

// The first two examples are kept for validation; the others are cut into batches.
func Example() {
	valid, train := dataset.Split(stripes(), 2)
	fmt.Println(valid.Len(), train.Len())

	var b dataset.Batch
	for rows := range dataset.Batches(train, 3) {
		if err := rows.Source.Gather(rows.Index, &b); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(b.Labels)
		fmt.Println(b.X, b.X.Data())
	}
	// Output:
	// 2 4
	// [2 3 4]
	// tensor[2 3 2] [0.4 1 0.6 1 0.8 1 0 0 0 0 0 0]
	// [5]
	// tensor[2 1 2] [1 1 0 0]
}

// Each epoch has an order of its own, the same whenever it is run. Seven rows in batches of
// three are two batches, the larger one first.
func ExampleShuffled() {
	var s dataset.Source = &dataset.Images{Labels: make([]uint8, 7)}
	for epoch := range uint64(2) {
		for rows := range dataset.Shuffled(s, 3, 42, epoch) {
			fmt.Println(epoch, rows.Index)
		}
	}
	// Output:
	// 0 [2 3 4 1]
	// 0 [0 5 6]
	// 1 [6 0 5 4]
	// 1 [2 3 1]
}

func ExampleCut() {
	for i := range 3 {
		fmt.Println(dataset.Cut(8, 3, i))
	}
	// Output:
	// 0 3
	// 3 6
	// 6 8
}
