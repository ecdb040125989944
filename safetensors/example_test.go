package safetensors_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
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

// Transfer learning: a model has been trained to tell 10 classes apart, and a new one reuses its encoder for 3 other
// classes. The new model loads all weights but those of its head. It freezes the encoder, so that only the head learns.
func Example_transferLearning() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "digits.safetensors")

	trained := autograd.NewParams(42)
	rnn.NewGRU(trained.In("encoder"), rnn.GRUConfig{Input: 28, Hidden: 64})
	layers.NewDense(trained.In("head"), 64, 10)
	if err := safetensors.Save(path, trained, nil); err != nil {
		panic(err)
	}

	params := autograd.NewParams(7)
	rnn.NewGRU(params.In("encoder"), rnn.GRUConfig{Input: 28, Hidden: 64})
	layers.NewDense(params.In("head"), 64, 3)
	report, err := safetensors.Loading{Except: []string{"head"}}.Load(path, params)
	if err != nil {
		panic(err)
	}
	for w := range params.In("encoder").All() {
		w.Frozen = true
	}
	fmt.Println("used:", report.Used)
	fmt.Println("missing:", report.Missing)
	fmt.Println("unused:", report.Unused)
	// Output:
	// used: [encoder.bias_hh_l0 encoder.bias_ih_l0 encoder.weight_hh_l0 encoder.weight_ih_l0]
	// missing: [head.bias head.weight]
	// unused: [head.bias head.weight]
}

// The encoder alone is loaded from the file of a whole model. There its names have a longer prefix, and one module has
// another name.
func ExampleLoading() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")

	trained := autograd.NewParams(42)
	layers.NewLayerNorm(trained.In("model").In("encoder").In("norm"), 4)
	layers.NewDense(trained.In("model").In("head"), 4, 2)
	if err := safetensors.Save(path, trained, nil); err != nil {
		panic(err)
	}

	params := autograd.NewParams(7)
	layers.NewLayerNorm(params.In("encoder").In("layer_norm"), 4)
	report, err := safetensors.Loading{
		Prefix: "model.encoder.",
		Rename: strings.NewReplacer("norm.", "layer_norm.").Replace,
	}.Load(path, params.In("encoder"))
	fmt.Println(report.Used, report.Missing, report.Unused, err)
	// Output: [layer_norm.bias layer_norm.weight] [] [model.head.bias model.head.weight] <nil>
}

// The weights of a model are written under the names of a module in PyTorch: Save writes a file under the names of the
// weights, and Write a copy of it under the new names. In Python, model.load_state_dict(load_file("torch.safetensors")) reads it.
func ExampleWrite() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")

	params := autograd.NewParams(42)
	rnn.NewGRU(params.In("rnn"), rnn.GRUConfig{Input: 28, Hidden: 64})
	layers.NewDense(params.In("head"), 64, 10)
	if err := safetensors.Save(path, params, nil); err != nil {
		panic(err)
	}

	saved, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer saved.Close()
	file, err := safetensors.Read(saved)
	if err != nil {
		panic(err)
	}
	rename := strings.NewReplacer("rnn.", "model.encoder.gru.", "head.", "model.fc.")
	for i := range file.Tensors {
		file.Tensors[i].Name = rename.Replace(file.Tensors[i].Name)
		fmt.Println(file.Tensors[i].Name)
	}
	renamed, err := os.Create(filepath.Join(dir, "torch.safetensors"))
	if err != nil {
		panic(err)
	}
	if err := errors.Join(safetensors.Write(renamed, file), renamed.Close()); err != nil {
		panic(err)
	}
	// Output:
	// model.fc.bias
	// model.fc.weight
	// model.encoder.gru.bias_hh_l0
	// model.encoder.gru.bias_ih_l0
	// model.encoder.gru.weight_hh_l0
	// model.encoder.gru.weight_ih_l0
}
