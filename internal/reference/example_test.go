package reference_test

import (
	"fmt"

	"github.com/unroll-go/unroll/internal/reference"
)

// One unit without input that multiplies its state by w = 0.2, from 0.9: after n steps it holds
// 0.9 wⁿ, whose derivative with respect to w is 0.9 n wⁿ⁻¹. Truncated to the last step, it is 0.9 wⁿ⁻¹.
func ExampleGradient() {
	w := []complex128{0.2}
	net := reference.RNN{Cell: reference.ElmanReLU, Hidden: 1, Layers: 1, Weights: reference.Weights{
		"weight_ih_l0": {0}, "weight_hh_l0": w, "bias_ih_l0": {0}, "bias_hh_l0": {0},
	}}
	for n := 1; n <= 3; n++ {
		state := func() complex128 {
			_, end := net.Forward(make([]complex128, n), 1, reference.State{H: []complex128{0.9}})
			return end.H[0]
		}
		net.Truncate = 0
		full := reference.Gradient(state, w)
		net.Truncate = 1
		fmt.Printf("%d steps: %.3f full, %.3f truncated\n", n, full, reference.Gradient(state, w))
	}
	// Output:
	// 1 steps: [0.900] full, [0.900] truncated
	// 2 steps: [0.360] full, [0.180] truncated
	// 3 steps: [0.108] full, [0.036] truncated
}
