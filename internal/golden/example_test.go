package golden_test

import (
	"fmt"

	"github.com/unroll-go/unroll/internal/golden"
)

func ExampleLoad() {
	f, err := golden.Load("lstm_l2_start")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("x", f.Get("x").Shape)
	fmt.Println("y", f.Get("y").Shape)
	fmt.Println("grad.h0", f.Get("grad.h0").Shape)
	fmt.Printf("loss %.6f\n", f.Get("loss").Float32()[0])
	// Output:
	// x [7 3 5]
	// y [7 3 6]
	// grad.h0 [2 3 6]
	// loss 19.603113
}
