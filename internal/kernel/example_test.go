package kernel_test

import (
	"fmt"

	"github.com/unroll-go/unroll/internal/kernel"
)

// One step of a recurrent layer of two units, h' = tanh(x·Wxᵀ + h·Whᵀ + bias), for one row of three inputs. The
// weights are stored by units, so that their transposes are packed, one below the other.
func ExampleAffine() {
	wx := []float32{1, 0, 2 /**/, 0, 1, 0}
	wh := []float32{0, 1 /**/, 1, 0}
	var w kernel.Matrix
	w.Reset(3+2, 2)
	w.SetRowsT(0, 3, wx, 3)
	w.SetRowsT(3, 2, wh, 2)

	x, h, bias := []float32{1, 2, 3}, []float32{10, 20}, []float32{-26.5, -12}
	sums, next := kernel.Alloc(2), kernel.Alloc(2)
	kernel.Affine(sums, 2, 1, bias, kernel.Block{Data: x, Stride: 3, Cols: 3}, kernel.Block{Data: h, Stride: 2, Cols: 2}, &w)
	kernel.Tanh(next, sums)
	fmt.Println(sums, next)
	// Output: [0.5 0] [0.46211717 0]
}
