package torchfile_test

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/torchfile"
)

// A checkpoint of PyTorch holds a model, its optimizer and the number of the epoch. The weights of the model are set in a layer of the same names.
func Example() {
	file, err := torchfile.Load("testdata/checkpoint.pt")
	if err != nil {
		panic(err)
	}
	for _, t := range file.Tensors[:3] {
		fmt.Println(t.Name, t.DType, t.Shape)
	}
	fmt.Println("epoch", file.Metadata["epoch"])

	params := autograd.NewParams(1)
	layers.NewDense(params, 2, 3)
	report, err := safetensors.Loading{Prefix: "model."}.Apply(file, params)
	fmt.Println(report.Used, err)
	// Output:
	// model.weight F32 [3 2]
	// model.bias F32 [3]
	// optimizer.state.0.step F32 []
	// epoch 3
	// [bias weight] <nil>
}
