package train

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/atomicfile"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
)

// Checkpoint names the parts of a training. [Checkpoint.Save] writes all of them into one file, and [Checkpoint.Load] brings
// them all back, in a program that has made the same parts:
//
//	parts := train.Checkpoint{"model": params, "optim": adam, "step": step, "history": history, "plateau": plateau}
//	err := parts.Save("checkpoint.safetensors")
//	...
//	err := parts.Load("checkpoint.safetensors")
//
// A [Loop] saves by itself when a checkpoint is due. A part is one of
//
//   - *[autograd.Params]: the values of the weights under its prefix, and which of them are frozen;
//   - [optim.Optimizer], also [optim.Groups] and *[optim.EMA]: its state, and the settings in its exported fields, such as LR;
//   - *[Step]: the number of its runs, on which the masks of dropout depend. Its seed and its Shards must be those of the file;
//   - *[EarlyStopping]: its fields, and the best weights if it keeps them;
//   - *[History]: its rows. The columns must be those of the file;
//   - a type with the method Tensors() map[string]*tensor.Tensor, such as *rnn.State, or such a map itself, or a
//     *[tensor.Tensor]: the numbers. The shapes must be those of the file;
//   - [Settings]: nothing is loaded, but the settings must be those of the file;
//   - a pointer to anything else that [encoding.BinaryMarshaler] (such as *rand.PCG) or package json can write and read: an
//     *optim.Plateau, a *string, a *float64, a struct whose exported fields are its state.
//
// # The file
//
// The file is a safetensors file. A weight of the part "model" has the name of the weight with "model." before it, so
// safetensors.Loading{Prefix: "model."} loads the weights alone, and PyTorch can read them. Tensors of an optimizer have the
// names of [optim.Optimizer.State] after "optim."; those of the members of Groups, after "optim.0.", "optim.1." and so on. A
// history is one tensor of float64. All else is text in the metadata, under the name of the part. The metadata also hold the
// version of this format and a checksum (CRC-32C) of the whole file.
type Checkpoint map[string]any

// Settings are the settings of a training that must not differ when it goes on: for instance the sizes of the model, the
// size of a batch and the seed. See [Checkpoint].
type Settings map[string]string

// The metadata of a checkpoint besides the parts.
const (
	versionKey    = "unroll.checkpoint"
	checksumKey   = "unroll.checksum"
	formatVersion = "1"
)

// Save writes all parts to a file, whole or not at all. It copies them between two updates of the weights, so that another
// goroutine may train meanwhile with the optimizers of package optim; other parts, and an [optim.EMA], must not change
// during Save. Save panics with a [*autograd.UsageError] if a part is of no kind that [Checkpoint] lists.
func (c Checkpoint) Save(path string) error {
	f, err := c.snapshot()
	if err != nil {
		return fmt.Errorf("train: saving %s: %w", path, err)
	}
	return writeCheckpoint(f, path)
}

// snapshot returns a file with copies of all parts.
func (c Checkpoint) snapshot() (*safetensors.File, error) {
	f := &safetensors.File{Metadata: map[string]string{versionKey: formatVersion}}
	var sets []*autograd.Params
	for _, part := range c {
		if p, ok := part.(*autograd.Params); ok {
			sets = append(sets, p)
		}
	}
	var wrong []error
	autograd.Read(func() {
		for _, name := range slices.Sorted(maps.Keys(c)) {
			if err := save(f, name, c[name]); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
			}
		}
	}, sets...)
	return f, errors.Join(wrong...)
}

// writeCheckpoint adds the checksum to f and writes it to each path.
func writeCheckpoint(f *safetensors.File, paths ...string) error {
	sum, err := checksum(f)
	if err != nil {
		return err
	}
	f.Metadata[checksumKey] = sum
	for _, path := range paths {
		if err := atomicfile.Write(path, func(w io.Writer) error { return safetensors.Write(w, f) }); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// checksum returns the CRC-32C of the file that safetensors.Write makes of f, which has no checksum yet.
func checksum(f *safetensors.File) (string, error) {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	err := safetensors.Write(h, f)
	return fmt.Sprintf("%08x", h.Sum32()), err
}

// save adds a copy of a part to a file.
func save(f *safetensors.File, name string, part any) error {
	if name == "" || strings.HasPrefix(name, "unroll.") {
		panic(&autograd.UsageError{Where: "train.Checkpoint", What: fmt.Sprintf("a part is named %q, which is reserved", name)})
	}
	add := func(tensor string, values []float32, shape ...int) {
		f.Tensors = append(f.Tensors, safetensors.From(tensor, values, shape...))
	}
	switch part := part.(type) {
	case optim.Groups:
		for i, member := range part {
			if err := save(f, fmt.Sprintf("%s.%d", name, i), member); err != nil {
				return err
			}
		}
	case optim.Optimizer:
		for tensor, values := range part.State() {
			add(name+"."+tensor, values, len(values))
		}
	case *History:
		var all []float64
		for _, row := range part.rows {
			all = append(all, row...)
		}
		f.Tensors = append(f.Tensors, safetensors.From(name, all, len(part.rows), len(part.columns)))
	default:
		for tensor, v := range tensorsOf(name, part) {
			add(tensor, v.Data(), v.Shape()...)
		}
	}
	text, err := textOf(name, part)
	if text != "" {
		f.Metadata[name] = text
	}
	return err
}

// tensorsOf returns the tensors of a part, apart from those of an optimizer or a history, under their names in a file.
func tensorsOf(name string, part any) map[string]*tensor.Tensor {
	all := map[string]*tensor.Tensor{}
	switch part := part.(type) {
	case *autograd.Params:
		for p := range part.All() {
			all[name+"."+p.Name[len(part.Prefix()):]] = p.Value
		}
		return all
	case *EarlyStopping:
		if part.Weights == nil {
			return nil
		}
		return tensorsOf(name, part.Weights)
	case *tensor.Tensor:
		all[name] = part
	case map[string]*tensor.Tensor:
		for key, v := range part {
			all[name+"."+key] = v
		}
	case interface {
		Tensors() map[string]*tensor.Tensor
	}:
		for key, v := range part.Tensors() {
			all[name+"."+key] = v
		}
	}
	for key, v := range all {
		if w := v.Weight(); w != "" {
			panic(&autograd.UsageError{Where: "train.Checkpoint", What: fmt.Sprintf(
				"the tensor %s is the weight %s, want its Params as a part", key, w)})
		}
	}
	return all
}
