package safetensors

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/atomicfile"
	"github.com/unroll-go/unroll/tensor"
)

// Save writes the weights under p's prefix to a file, as F32; it is there whole or not at all. Names are without
// the prefix; a tied weight is there under each of its names, as PyTorch expects. The same values give the
// same bytes.
func Save(path string, p *autograd.Params, metadata map[string]string) error {
	return save(path, weights(p), metadata, fmt.Sprintf("there are no weights under the prefix %q", p.Prefix()))
}

// SaveTensors is [Save] for tensors, such as those of a recurrent layer's state.
func SaveTensors(path string, tensors map[string]*tensor.Tensor, metadata map[string]string) error {
	return save(path, maps.All(tensors), metadata, "there are no tensors")
}

func save(path string, tensors iter.Seq2[string, *tensor.Tensor], metadata map[string]string, none string) error {
	f := &File{Metadata: metadata}
	for name, v := range tensors {
		f.Tensors = append(f.Tensors, From(name, v.Data(), v.Shape()...))
	}
	if f.Tensors == nil {
		return fmt.Errorf("saving %s: %s", path, none)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, f) })
}

// Load sets the weights under p's prefix to those in a file and returns its metadata. Names and shapes must
// be the same on both sides. Numbers may be F32, F16, BF16 or F64; [Tensor.Float32] converts them, as PyTorch's
// load_state_dict does, except that a finite F64 too large for a float32 is an error. If anything does not fit, or
// if the names of a tied weight have different values once converted, one error tells every mismatch. On any error
// no weight is changed. Values may be NaN or infinite, as whoever saved them had them.
func Load(path string, p *autograd.Params) (metadata map[string]string, err error) {
	return load(path, weights(p), p.Update)
}

// LoadTensors is [Load] for tensors of the caller's, such as those of a recurrent layer's state: it sets each to the
// tensor of its name in the file. The value of a weight is refused with a *tensor.UsageError as the error,
// because layers would go on with the copies that they made of the weight before.
func LoadTensors(path string, tensors map[string]*tensor.Tensor) (metadata map[string]string, err error) {
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		if w := tensors[name].Weight(); w != "" {
			return nil, &tensor.UsageError{Where: "safetensors.LoadTensors", What: fmt.Sprintf(
				"the tensor for %q is the weight %s, whose values change through its Params alone; use safetensors.Load", name, w)}
		}
	}
	return load(path, maps.All(tensors), func(write func()) { write() })
}

func load(path string, tensors iter.Seq2[string, *tensor.Tensor], update func(write func())) (map[string]string, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := Read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	values, err := f.match(tensors)
	if err != nil {
		return nil, fmt.Errorf("%s does not fit: %w", path, err)
	}
	update(func() {
		for to, v := range values {
			copy(to.Data(), v)
		}
	})
	return f.Metadata, nil
}

// weights are those under p's prefix, by their names without it.
func weights(p *autograd.Params) iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for name, w := range p.Named() {
			if !yield(name[len(p.Prefix()):], w.Value) {
				return
			}
		}
	}
}

// match returns what each tensor is to be set to.
func (f *File) match(tensors iter.Seq2[string, *tensor.Tensor]) (map[*tensor.Tensor][]float32, error) {
	var wrong []string
	values := map[*tensor.Tensor][]float32{}
	first := map[*tensor.Tensor]*Tensor{}
	in := map[string]*Tensor{}
	for i := range f.Tensors {
		in[f.Tensors[i].Name] = &f.Tensors[i]
	}
	for name, to := range tensors {
		t := in[name]
		delete(in, name)
		switch {
		case t == nil:
			wrong = append(wrong, name+": missing in the file")
		case !slices.Equal(t.Shape, to.Shape()):
			wrong = append(wrong, fmt.Sprintf("%s: shape %v in the file, want %v", name, t.Shape, to.Shape()))
		default:
			v, err := t.Float32()
			if err != nil {
				wrong = append(wrong, err.Error())
			} else if first[to] == nil {
				values[to], first[to] = v, t
			} else if !slices.EqualFunc(values[to], v, sameBits) {
				wrong = append(wrong, fmt.Sprintf("%s: tied to %s, but their values in the file differ", name, first[to].Name))
			}
		}
	}
	for name := range in {
		wrong = append(wrong, fmt.Sprintf("%.100s: in the file alone", name))
	}
	if wrong != nil {
		slices.Sort(wrong)
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	return values, nil
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
