package train

import (
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/atomicfile"
	"github.com/unroll-go/unroll/internal/quote"
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

// paramsText is what a file holds of an [autograd.Params] besides the values.
type paramsText struct {
	Frozen []string // names of the frozen weights, without the prefix of the view
}

// stepText is what a file holds of a [Step].
type stepText struct {
	Runs   uint64
	Seed   uint64
	Shards int
}

// textOf returns the text of a part in the metadata, or "" if its tensors are all that there is.
func textOf(name string, part any) (string, error) {
	switch part := part.(type) {
	case *autograd.Params:
		text := paramsText{Frozen: []string{}}
		for p := range part.All() {
			if p.Frozen {
				text.Frozen = append(text.Frozen, p.Name[len(part.Prefix()):])
			}
		}
		return encode(text)
	case optim.Groups:
		return kindOf(part) + " {}", nil // each member has its own settings
	case optim.Optimizer:
		settings, err := encode(part)
		return kindOf(part) + " " + settings, err
	case *Step:
		return encode(stepText{part.Runs, part.params.Seed(), part.Shards})
	case *History:
		return encode(part.columns)
	case Settings:
		return encode(part)
	case *tensor.Tensor, map[string]*tensor.Tensor, interface {
		Tensors() map[string]*tensor.Tensor
	}:
		return "", nil
	}
	to := pointer(name, part)
	text, err := encodeValue(part)
	if err == nil {
		err = decodeValue(text, reflect.New(to.Type()).Interface()) // better now than when the training is to continue
	}
	return text, err
}

// kindOf names the type of an optimizer and, of Groups, the number of the members.
func kindOf(part optim.Optimizer) string {
	if groups, ok := part.(optim.Groups); ok {
		return fmt.Sprintf("%T[%d]", groups, len(groups))
	}
	return fmt.Sprintf("%T", part)
}

func encodeValue(part any) (string, error) {
	if part, ok := part.(binaryValue); ok {
		data, err := part.MarshalBinary()
		return base64.StdEncoding.EncodeToString(data), err
	}
	return encode(part)
}

func decodeValue(text string, to any) error {
	if to, ok := to.(binaryValue); ok {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return err
		}
		return to.UnmarshalBinary(data)
	}
	return decode(text, to)
}

// binaryValue is a part that is kept as bytes.
type binaryValue interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// pointer returns the value to which a part points.
func pointer(name string, part any) reflect.Value {
	v := reflect.ValueOf(part)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(&autograd.UsageError{Where: "train.Checkpoint", What: fmt.Sprintf("the part %s is a %T, want a pointer to it", name, part)})
	}
	return v.Elem()
}

func encode(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

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
