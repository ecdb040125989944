package safetensors

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/atomicfile"
)

// Save writes the weights under p's prefix to a file, as F32; it is there whole or not at all. Names are without
// the prefix; a tied weight is there under each of its names, as PyTorch expects. The same values give the
// same bytes.
func Save(path string, p *autograd.Params, metadata map[string]string) error {
	f := &File{Metadata: metadata}
	for name, w := range p.Named() {
		f.Tensors = append(f.Tensors, From(name[len(p.Prefix()):], w.Value.Data(), w.Value.Shape()...))
	}
	if f.Tensors == nil {
		return fmt.Errorf("saving %s: there are no weights under the prefix %q", path, p.Prefix())
	}
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, f) })
}

// Load sets the weights under p's prefix to those in a file and returns its metadata. Names and shapes must
// be the same on both sides. Numbers may be F32, F16, BF16 or F64; [Tensor.Float32] converts them, as PyTorch's
// load_state_dict does, except that a finite F64 too large for a float32 is an error. If anything does not fit, or
// if the names of a tied weight have different values once converted, one error tells every mismatch. On any error
// no weight is changed. Values may be NaN or infinite, as whoever saved them had them.
func Load(path string, p *autograd.Params) (metadata map[string]string, err error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := Read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	values, err := f.match(p)
	if err != nil {
		return nil, fmt.Errorf("%s does not fit the weights: %w", path, err)
	}
	p.Update(func() {
		for w, v := range values {
			copy(w.Value.Data(), v)
		}
	})
	return f.Metadata, nil
}

// match returns what each weight under p's prefix is to be set to.
func (f *File) match(p *autograd.Params) (map[*autograd.Param][]float32, error) {
	var wrong []string
	values := map[*autograd.Param][]float32{}
	first := map[*autograd.Param]*Tensor{}
	in := map[string]*Tensor{}
	for i := range f.Tensors {
		in[f.Tensors[i].Name] = &f.Tensors[i]
	}
	for full, w := range p.Named() {
		name := full[len(p.Prefix()):]
		t := in[name]
		delete(in, name)
		switch {
		case t == nil:
			wrong = append(wrong, name+": missing in the file")
		case !slices.Equal(t.Shape, w.Value.Shape()):
			wrong = append(wrong, fmt.Sprintf("%s: shape %v in the file, want %v", name, t.Shape, w.Value.Shape()))
		default:
			v, err := t.Float32()
			if err != nil {
				wrong = append(wrong, err.Error())
			} else if first[w] == nil {
				values[w], first[w] = v, t
			} else if !slices.EqualFunc(values[w], v, sameBits) {
				wrong = append(wrong, fmt.Sprintf("%s: tied to %s, but their values in the file differ", name, first[w].Name))
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
