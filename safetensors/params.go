package safetensors

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/atomicfile"
	"github.com/unroll-go/unroll/tensor"
)

// Save writes the weights under p's prefix to a file, as F32. The file is written whole or not at all. A symbolic link is
// replaced, not followed; a folder, a named pipe, a socket or a device at path is an error. Names are
// without the prefix; a tied weight is written under each of its names, as load_state_dict of PyTorch expects. The same values give the
// same bytes. Save copies the weights between two updates ([autograd.Params.Update]), so it may be called while another
// goroutine trains.
func Save(path string, p *autograd.Params, metadata map[string]string) error {
	var f *File
	autograd.Read(func() { f = fileOf(weights(p), metadata) }, p)
	return save(path, f, fmt.Sprintf("there are no weights under the prefix %q", p.Prefix()))
}

// SaveTensors is [Save] for tensors with names of the caller's, such as the state of a recurrent layer.
func SaveTensors(path string, tensors map[string]*tensor.Tensor, metadata map[string]string) error {
	return save(path, fileOf(maps.All(tensors), metadata), "there are no tensors")
}

// fileOf returns a file with copies of the tensors.
func fileOf(tensors iter.Seq2[string, *tensor.Tensor], metadata map[string]string) *File {
	f := &File{Metadata: metadata}
	for name, v := range tensors {
		f.Tensors = append(f.Tensors, From(name, v.Data(), v.Shape()...))
	}
	return f
}

func save(path string, f *File, none string) error {
	if f.Tensors == nil {
		return fmt.Errorf("saving %s: %s", path, none)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, f) })
}

// Load sets the weights under p's prefix to those in a file and returns its metadata. Names and shapes must be the
// same on both sides, but one of the names of a tied weight is enough, as save_model of safetensors.torch writes it;
// [Loading] loads a part of a model, or names that differ. Numbers may be F32, F16, BF16 or F64; [Tensor.Float32]
// converts them, as load_state_dict of PyTorch does, except that a finite F64 too large for a float32 is an error. If
// anything does not fit, or if the names of a tied weight have different values once converted, one
// error tells the mismatches, as that of [Loading.Load] does. On any error no weight is changed. Values may be NaN or infinite: Load does not judge them.
func Load(path string, p *autograd.Params) (metadata map[string]string, err error) {
	report, err := Loading{}.Load(path, p)
	return report.Metadata, err
}

// LoadTensors is [Load] for tensors of the caller's, such as the state of a recurrent layer: it sets each tensor to the one
// of the same name in the file. It refuses the value of a weight ([tensor.Tensor.Weight]) and returns a
// [*tensor.UsageError], because layers would keep using the copies of the weight that they have packed before; weights are
// set by Load.
func LoadTensors(path string, tensors map[string]*tensor.Tensor) (metadata map[string]string, err error) {
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		if w := tensors[name].Weight(); w != "" {
			return nil, &tensor.UsageError{Where: "safetensors.LoadTensors", What: fmt.Sprintf(
				"the tensor for %q is the weight %s, whose values change through its Params alone; use safetensors.Load", name, w)}
		}
	}
	report, err := Loading{}.load(path, maps.All(tensors), func(write func()) { write() })
	return report.Metadata, err
}

// weights returns the weights under p's prefix with their names, without the prefix.
func weights(p *autograd.Params) iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for name, w := range p.Named() {
			if !yield(name[len(p.Prefix()):], w.Value) {
				return
			}
		}
	}
}
