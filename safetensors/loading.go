package safetensors

import (
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/tensor"
)

// Loading says which tensors of a file go to which weights, for files that hold more than the model, less, or
// the same under other names. The zero value is strict, as the function [Load] is. A shape that
// differs is always an error, unless Except names the weight.
//
// To load an encoder from the file of a whole model, give the prefix of the encoder's names in the file, and load into
// the view of the encoder's weights:
//
//	safetensors.Loading{Prefix: "model.encoder."}.Load(path, params.In("encoder"))
//
// To load all weights but those of the head, which has another shape in the new model, name the head:
//
//	safetensors.Loading{Except: []string{"head"}}.Load(path, params)
//
// If modules have other names in the file, say how to rename them:
//
//	safetensors.Loading{Rename: strings.NewReplacer("lstm.", "rnn.", "fc.", "head.").Replace}.Load(path, params)
type Loading struct {
	// Prefix, such as "model.encoder." with the dot at the end, selects the tensors of the file whose names begin with
	// it, and is removed from these names. The other tensors are not used. It is an error if no name begins with Prefix.
	Prefix string
	// Rename takes the name of a tensor in the file, without Prefix, and returns the name of the weight, without the
	// prefix of the view. A tensor for which it returns "" is not used. It is an error if two tensors get the same name,
	// or if a tensor gets a new name that neither belongs to a weight nor is under Except. Nil keeps all names.
	Rename func(name string) string
	// Except lists weights that keep their values. An entry is the name of a weight, without the prefix of the view, or
	// the name of a module: "head" stands for head.weight and head.bias. Tensors of the file that have such a
	// name, after Rename, are not used, whatever their shape. It is an error if an entry names no weight and no tensor.
	Except []string
	// Partial allows that the file has no tensor for some weights, which then keep their values, and that there is no
	// weight for some tensors, as load_state_dict(strict=False) of PyTorch does.
	Partial bool
}

// Report lists what [Loading.Load] did, sorted by name.
type Report struct {
	Metadata map[string]string // the metadata of the file
	Used     []string          // weights that were set, by their names without the prefix of the view
	Missing  []string          // weights that kept their values, because the file has no tensor for them or Except lists them
	Unused   []string          // tensors that went to no weight, by their full names in the file
}

// Load sets weights under p's prefix to tensors of a file. It converts numbers as the function [Load] does. If anything
// does not fit, one error tells up to 20 mismatches of each kind, and how many more there are; it is also an error if no tensor goes to a weight. On any error no weight
// is changed. A tied weight has several names, and is set if the file has a tensor for one that Except does not list.
func (l Loading) Load(path string, p *autograd.Params) (Report, error) {
	return l.load(path, weights(p), p.Update)
}

// Apply is [Loading.Load] for the content of a file that was read before, or that was converted from another format.
func (l Loading) Apply(f *File, p *autograd.Params) (Report, error) {
	return l.apply("the file", f, weights(p), p.Update)
}

// load sets tensors, which are given with their names. It writes into them within update.
func (l Loading) load(path string, tensors iter.Seq2[string, *tensor.Tensor], update func(write func())) (Report, error) {
	r, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer r.Close()
	f, err := readNamed(r, path)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, err)
	}
	return l.apply(path, f, tensors, update)
}

// apply sets tensors to those of f, which errors call by name.
func (l Loading) apply(name string, f *File, tensors iter.Seq2[string, *tensor.Tensor], update func(write func())) (Report, error) {
	m := matching{Loading: l, from: map[string]*Tensor{}, named: map[string]bool{}, values: map[*tensor.Tensor][]float32{}}
	if m.readNames(f) {
		m.match(tensors)
		m.checkRest()
	}
	if wrong := m.mismatches(); wrong != "" {
		return Report{}, fmt.Errorf("%s does not fit: %s", name, wrong)
	}
	update(func() {
		for to, v := range m.values {
			copy(to.Data(), v)
		}
	})
	m.report.Metadata = f.Metadata
	for _, names := range [][]string{m.report.Used, m.report.Missing, m.report.Unused} {
		slices.Sort(names)
	}
	return m.report, nil
}

// matching finds the tensor of a file for each weight.
type matching struct {
	Loading
	from   map[string]*Tensor           // tensors of the file by the names of weights, until match uses them
	named  map[string]bool              // the entries of Except that name a weight or a tensor
	values map[*tensor.Tensor][]float32 // what each weight is to be set to
	report Report

	wrong  []string // every mismatch, apart from
	absent []string // names of weights that the file should have, and
	alone  []string // names of tensors for which there is no weight
}

func (m *matching) fail(format string, args ...any) {
	m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
}

// mismatches returns what does not fit, sorted, at most 20 of each kind, or "".
func (m *matching) mismatches() string {
	for _, names := range [][]string{m.wrong, m.absent, m.alone} {
		slices.Sort(names)
	}
	var wrong []string
	if m.wrong != nil {
		wrong = append(wrong, quote.List(m.wrong, "; "))
	}
	if m.absent != nil {
		wrong = append(wrong, "missing in the file: "+quote.List(m.absent, ", "))
	}
	if m.alone != nil {
		wrong = append(wrong, "in the file alone: "+quote.List(m.alone, ", "))
	}
	return strings.Join(wrong, "; ")
}

// excepted reports whether Except lists a name or a module around it.
func (m *matching) excepted(name string) bool {
	found := false
	for _, e := range m.Except {
		if name == e || strings.HasPrefix(name, strings.TrimSuffix(e, ".")+".") {
			m.named[e], found = true, true
		}
	}
	return found
}

// readNames fills from with the tensors that Prefix, Rename and Except select, and Unused with the others. It returns false
// if the file has names, but none with the prefix.
func (m *matching) readNames(f *File) (selected bool) {
	selected = m.Prefix == "" || len(f.Tensors) == 0
	for i := range f.Tensors {
		t := &f.Tensors[i]
		name, wanted := strings.CutPrefix(t.Name, m.Prefix)
		selected = selected || wanted
		if wanted && m.Rename != nil {
			name = m.Rename(name)
			wanted = name != ""
		}
		if !wanted || m.excepted(name) {
			m.report.Unused = append(m.report.Unused, t.Name)
		} else if other := m.from[name]; other != nil {
			m.fail("%s: Rename returns this name for both %s and %s of the file", quote.Name(name),
				quote.Name(min(t.Name, other.Name)), quote.Name(max(t.Name, other.Name)))
		} else {
			m.from[name] = t
		}
	}
	if !selected {
		names := make([]string, 0, 3)
		for _, t := range f.Tensors[:min(len(f.Tensors), cap(names))] {
			names = append(names, quote.Name(t.Name))
		}
		m.fail("no name in the file begins with %q; its first names are %s", m.Prefix, strings.Join(names, ", "))
	}
	return selected
}

// match finds the tensor for each weight. It fills values, Used and Missing.
func (m *matching) match(tensors iter.Seq2[string, *tensor.Tensor]) {
	first := map[*tensor.Tensor]*Tensor{} // the tensor from which values has the numbers of a weight
	missing := map[string]*tensor.Tensor{}
	for name, to := range tensors {
		t := m.from[name]
		delete(m.from, name)
		if t == nil {
			missing[name] = to
			continue
		}
		m.report.Used = append(m.report.Used, name)
		as := name
		if t.Name != name {
			as = fmt.Sprintf("%s (%s in the file)", name, quote.Name(t.Name))
		}
		if !slices.Equal(t.Shape, to.Shape()) {
			m.fail("%s: shape %v in the file, want %v", as, t.Shape, to.Shape())
			continue
		}
		v, err := t.Float32()
		if err != nil {
			m.fail("%v", err)
		} else if first[to] == nil {
			m.values[to], first[to] = v, t
		} else if !slices.EqualFunc(m.values[to], v, sameBits) {
			m.fail("%s: tied to %s, but their values in the file differ", as, quote.Name(first[to].Name))
		}
	}
	for name, to := range missing {
		mayMiss := m.excepted(name) || m.Partial
		if first[to] != nil {
			continue // a tied weight, whose other name the file has
		}
		m.report.Missing = append(m.report.Missing, name)
		if !mayMiss {
			m.absent = append(m.absent, name)
		}
	}
}

// checkRest checks the tensors for which there is no weight, and the entries of Except.
func (m *matching) checkRest() {
	for name, t := range m.from {
		switch {
		case t.Name[len(m.Prefix):] != name:
			m.fail("%s: no weight has this name, which Rename returns for %s of the file", quote.Name(name), quote.Name(t.Name))
		case m.Partial:
			m.report.Unused = append(m.report.Unused, t.Name)
		default:
			m.alone = append(m.alone, quote.Name(t.Name))
		}
	}
	for _, e := range m.Except {
		if !m.named[e] {
			m.fail("Except has %q, which names no weight and no tensor of the file", e)
		}
	}
	if m.report.Used == nil && m.mismatches() == "" {
		m.fail("no tensor of the file goes to a weight")
	}
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
