package tensor_test

import (
	"fmt"

	"github.com/unroll-go/unroll/tensor"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"
)

// Two sequences of three steps with one feature, time-major.
func ExampleTensor() {
	x := tensor.New(3, 2, 1)
	for t := range x.Dim(0) {
		for b := range x.Dim(1) {
			x.Data()[t*x.Dim(1)+b] = float32(10*b + t)
		}
	}
	fmt.Println(x, x.Data())
	// Output: tensor[3 2 1] [0 10 1 11 2 12]
}

// The product of two tensors by gonum's BLAS, in their own memory.
func ExampleTensor_General() {
	a := tensor.Of([]float32{1, 2, 3, 4}, 2, 2)
	x := tensor.Of([]float32{1, 10}, 2, 1)
	y := tensor.New(2, 1)
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, a.General(), x.General(), 0, y.General())
	fmt.Println(y.Data())
	// Output: [21 43]
}

// A product in float64, rounded to float32 at the end.
func ExampleFromMatrix() {
	a := tensor.Of([]float32{1, 2, 3, 4}, 2, 2).Dense()
	var product mat.Dense
	product.Mul(a, a.T())
	fmt.Println(tensor.FromMatrix(&product).Data())
	// Output: [5 11 11 25]
}
