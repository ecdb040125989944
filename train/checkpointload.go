package train

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
)

// Load brings back what [Checkpoint.Save] wrote. If the file is damaged, or if anything in it differs from the parts (a part,
// a weight or a state is missing on either side, a shape or setting differs, the optimizer is of another type), one
// error tells every difference. On any error no part is changed. A file of a newer version of the format is an error.
//
// Load takes memory in proportion to the bytes of the file, as SECURITY.md says, and runs no code of the file.
func (c Checkpoint) Load(path string) error {
	r, err := os.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	return c.load(r, path)
}

// load is Load from a file that is open.
func (c Checkpoint) load(r io.Reader, path string) error {
	f, err := readCheckpoint(r, path)
	if err != nil {
		return err
	}
	l := loading{file: f, tensors: map[string]*safetensors.Tensor{}, texts: maps.Clone(f.Metadata)}
	for i := range f.Tensors {
		l.tensors[f.Tensors[i].Name] = &f.Tensors[i]
	}
	delete(l.texts, versionKey)
	delete(l.texts, checksumKey)
	for _, name := range slices.Sorted(maps.Keys(c)) {
		l.part(name, c[name])
	}
	if wrong := l.differences(); wrong != "" {
		for _, undo := range l.undo {
			undo()
		}
		return fmt.Errorf("train: %s does not fit: %s", path, wrong)
	}
	for _, write := range l.writes {
		write()
	}
	return nil
}

// readCheckpoint reads a file and checks its version and checksum.
func readCheckpoint(r io.Reader, path string) (*safetensors.File, error) {
	f, err := safetensors.Read(r)
	if errors.As(err, new(*fs.PathError)) { // the system cannot read the file
		return nil, fmt.Errorf("train: %w", err)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	version, known := f.Metadata[versionKey]
	if !known {
		return nil, fmt.Errorf("train: %s is no checkpoint, but a file of weights: load it by package safetensors", path)
	}
	if version != formatVersion {
		return nil, fmt.Errorf("train: %s has version %s of the format, want %s: a newer version of this library wrote it", path, quote.Text(version), formatVersion)
	}
	want := f.Metadata[checksumKey]
	delete(f.Metadata, checksumKey)
	if sum, err := checksum(f); err != nil || sum != want {
		return nil, fmt.Errorf("%w: %s: its checksum is %s, but its content has %q", ErrDamaged, path, quote.Text(want), sum)
	}
	return f, nil
}

// ErrDamaged is wrapped by the error of a [Checkpoint.Load] from a file that was cut short or changed since it was written.
var ErrDamaged = errors.New("train: damaged checkpoint")

// loading compares the parts of a Checkpoint with a file.
type loading struct {
	file    *safetensors.File
	tensors map[string]*safetensors.Tensor // that no part has asked for yet
	texts   map[string]string              // that no part has asked for yet

	writes  []func() // bring the content of the file into the parts
	undo    []func() // bring the settings of optimizers back
	wrong   []string // every difference, apart from
	missing []string // names of which the file has no tensor or text
}

func (l *loading) fail(format string, args ...any) {
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// part compares a part with the file and prepares to load it.
func (l *loading) part(name string, part any) {
	switch part := part.(type) {
	case optim.Optimizer:
		l.optimizer(name, part)
	case *autograd.Params:
		var text paramsText
		l.decode(name, &text)
		l.weights(name, part)
		l.writes = append(l.writes, func() {
			for p := range part.All() {
				p.Frozen = slices.Contains(text.Frozen, p.Name[len(part.Prefix()):])
			}
		})
	case *Step:
		var text stepText
		if l.decode(name, &text) {
			if seed := part.params.Seed(); text.Seed != seed {
				l.fail("%s: the seed of the weights is %d in the file, want %d", name, text.Seed, seed)
			}
			if text.Shards != part.Shards {
				l.fail("%s: Shards is %d in the file, want %d", name, text.Shards, part.Shards)
			}
			l.writes = append(l.writes, func() { part.Runs = text.Runs })
		}
	case *EarlyStopping:
		l.value(name, part)
		if part.Weights != nil {
			l.weights(name, part.Weights)
		}
	case *History:
		l.history(name, part)
	case Settings:
		var there Settings
		if l.decode(name, &there) {
			l.settings(name, there, part)
		}
	case *tensor.Tensor, map[string]*tensor.Tensor, interface {
		Tensors() map[string]*tensor.Tensor
	}:
		l.writes = append(l.writes, l.allTensors(name, part)...)
	default:
		l.value(name, part)
	}
}

// text returns the text of a part.
func (l *loading) text(name string) (text string, ok bool) {
	text, ok = l.texts[name]
	if !ok {
		l.missing = append(l.missing, name)
	}
	delete(l.texts, name)
	return text, ok
}

// decode decodes the text of a part, as JSON, and reports whether it could.
func (l *loading) decode(name string, to any) bool {
	text, ok := l.text(name)
	if !ok {
		return false
	}
	err := decode(text, to)
	if err != nil {
		l.fail("%s: %v", name, quote.Error(err))
	}
	return err == nil
}

// decode is json.Unmarshal, but a field that to lacks is an error.
func decode(text string, to any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

// tensor returns the tensor of a name, which has the given type and shape; a dimension that is -1 may have any size. It
// returns nil if the file has no such tensor.
func (l *loading) tensor(name string, dtype safetensors.DType, shape ...int) *safetensors.Tensor {
	t := l.tensors[name]
	delete(l.tensors, name)
	switch {
	case t == nil:
		l.missing = append(l.missing, name)
		return nil
	case t.DType != dtype:
		l.fail("%s: type %s in the file, want %s", name, t.DType, dtype)
		return nil
	case !slices.EqualFunc(t.Shape, shape, func(got, want int) bool { return got == want || want < 0 }):
		l.fail("%s: shape %v in the file, want %v", name, t.Shape, shape)
		return nil
	}
	return t
}

// floats prepares to write a tensor of float32 into to.
func (l *loading) floats(name string, to []float32, shape ...int) (write func()) {
	t := l.tensor(name, safetensors.F32, shape...)
	return func() { binary.Decode(t.Data, binary.LittleEndian, to) } // no error: the sizes agree
}

// allTensors prepares to write the tensors of a part.
func (l *loading) allTensors(name string, part any) (writes []func()) {
	all := tensorsOf(name, part)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		writes = append(writes, l.floats(key, all[key].Data(), all[key].Shape()...))
	}
	return writes
}

// weights prepares to write the weights under p's prefix.
func (l *loading) weights(name string, p *autograd.Params) {
	writes := l.allTensors(name, p)
	l.writes = append(l.writes, func() {
		p.Update(func() {
			for _, write := range writes {
				write()
			}
		})
	})
}

func (l *loading) optimizer(name string, part optim.Optimizer) {
	text, ok := l.text(name)
	there, settings, _ := strings.Cut(text, " ")
	here := kindOf(part)
	if !ok || there != here {
		if ok {
			l.fail("%s: the file has the state of %s, want %s", name, quote.Name(there), here)
		}
		of := func(key string) bool { return strings.HasPrefix(key, name+".") }
		maps.DeleteFunc(l.tensors, func(key string, _ *safetensors.Tensor) bool { return of(key) }) // nothing more to tell of it
		maps.DeleteFunc(l.texts, func(key, _ string) bool { return of(key) })
		return
	}
	if groups, ok := part.(optim.Groups); ok {
		for i, member := range groups {
			l.part(fmt.Sprintf("%s.%d", name, i), member)
		}
		return
	}
	for range part.State() { // makes the averages that the present settings need: those of the file may need fewer
		break
	}
	if v := reflect.ValueOf(part); v.Kind() == reflect.Pointer {
		before, err := encode(part)
		if err == nil {
			err = decode(settings, reflect.New(v.Type().Elem()).Interface())
		}
		if err != nil {
			l.fail("%s: its settings: %v", name, quote.Error(err))
			return
		}
		json.Unmarshal([]byte(settings), part) // which has just gone well
		l.undo = append(l.undo, func() { json.Unmarshal([]byte(before), part) })
	}
	for key, values := range part.State() {
		l.writes = append(l.writes, l.floats(name+"."+key, values, len(values)))
	}
}

func (l *loading) history(name string, part *History) {
	var columns []string
	if !l.decode(name, &columns) {
		delete(l.tensors, name)
		return
	}
	if !slices.Equal(columns, part.columns) {
		l.fail("%s: its columns are %s in the file, want %s", name, quote.Names(columns), quote.Names(part.columns))
	}
	t := l.tensor(name, safetensors.F64, -1, len(part.columns))
	l.writes = append(l.writes, func() {
		values, _ := t.Float64() // no error for this type
		part.rows = nil
		for row := range slices.Chunk(values, len(part.columns)) {
			part.rows = append(part.rows, row)
		}
	})
}

func (l *loading) settings(name string, there, here Settings) {
	for _, key := range slices.Sorted(maps.Keys(here)) {
		if value, ok := there[key]; !ok {
			l.missing = append(l.missing, name+"."+key)
		} else if value != here[key] {
			l.fail("%s: %s is %s in the file, want %s", name, key, quote.Text(value), quote.Text(here[key]))
		}
		delete(there, key)
	}
	for key, value := range there {
		l.texts[name+"."+key] = value // in the file alone
	}
}

// value prepares to change the value to which part points. Fields that are not in the text stay as they are.
func (l *loading) value(name string, part any) {
	to := pointer(name, part)
	text, ok := l.text(name)
	if !ok {
		return
	}
	trial := reflect.New(to.Type()).Interface()
	if err := decodeValue(text, trial); err != nil {
		l.fail("%s: %v", name, quote.Error(err))
		return
	}
	l.writes = append(l.writes, func() {
		if to.Kind() == reflect.Map {
			to.SetZero() // otherwise the old keys stay
		}
		decodeValue(text, part) // which has just gone well
	})
}

// differences returns all that does not fit, or "". It tells at most 20 things of each kind.
func (l *loading) differences() string {
	alone := slices.Collect(maps.Keys(l.tensors))
	for name := range l.texts {
		if l.tensors[name] == nil { // a history is both
			alone = append(alone, name)
		}
	}
	for i, name := range alone {
		alone[i] = quote.Name(name)
	}
	slices.Sort(l.missing)
	slices.Sort(alone)
	var wrong []string
	for _, list := range []struct {
		title     string
		items     []string
		separator string
	}{{"", l.wrong, "; "}, {"missing in the file: ", l.missing, ", "}, {"in the file alone: ", alone, ", "}} {
		if len(list.items) > 0 {
			wrong = append(wrong, list.title+quote.List(list.items, list.separator))
		}
	}
	return strings.Join(wrong, "; ")
}
