package safetensors_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/safetensors"
)

func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")

	params := autograd.NewParams(42)
	layers.NewDense(params.In("head"), 3, 2)
	if err := safetensors.Save(path, params, map[string]string{"epoch": "5"}); err != nil {
		panic(err)
	}

	other := autograd.NewParams(7)
	head := layers.NewDense(other.In("head"), 3, 2)
	metadata, err := safetensors.Load(path, other)
	fmt.Println(metadata["epoch"], head.Weight.Name, head.Weight.Value.Shape(), err)
	// Output: 5 head.weight [2 3] <nil>
}
