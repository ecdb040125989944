package autograd_test

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
)

func ExampleParams_Summary() {
	params := autograd.NewParams(1)
	params.In("head").New("weight", autograd.GlorotUniform, 10, 150)
	params.In("head").New("bias", autograd.Zeros, 10).Frozen = true
	fmt.Print(params.In("head").Summary())
	// Output:
	// name     shape  count  bytes
	//   head.weight  [10 150]   1500   6000
	//     head.bias      [10]     10     40  frozen
	//     2 weights             1510   6040
}
