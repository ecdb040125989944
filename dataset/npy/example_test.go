package npy_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/dataset/npy"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/safetensors"
)

// Two sequences of 3 steps and of 1, padded by NumPy, become a batch.
func ExampleExamples() {
	f, err := npy.Load("testdata/sequences.npz")
	if err != nil {
		panic(err)
	}
	source, err := npy.Examples(f, "x", "y", "lengths")
	if err != nil {
		panic(err)
	}
	var batch dataset.Batch
	if err := source.Gather([]int{0, 1}, &batch); err != nil {
		panic(err)
	}
	fmt.Println(batch.X.Shape(), batch.Labels, batch.Lengths)
	// Output: [3 2 2] [1 0] [3 1]
}

// The weights of a model are written for NumPy, and read into another model.
func ExampleSave() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.npz")

	params := autograd.NewParams(1)
	layers.NewDense(params.In("head"), 3, 2)
	out := &safetensors.File{}
	for w := range params.All() {
		out.Tensors = append(out.Tensors, safetensors.From(w.Name, w.Value.Data(), w.Value.Shape()...))
	}
	if err := npy.Save(path, out); err != nil {
		panic(err)
	}

	other := autograd.NewParams(2)
	layers.NewDense(other.In("head"), 3, 2)
	in, err := npy.Load(path)
	if err != nil {
		panic(err)
	}
	report, err := safetensors.Loading{}.Apply(in, other)
	if err != nil {
		panic(err)
	}
	fmt.Println(report.Used)
	// Output: [head.bias head.weight]
}
