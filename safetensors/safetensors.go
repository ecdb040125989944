// Package safetensors saves weights to files of the safetensors format and loads them. PyTorch, JAX and others read and
// write the same format.
//
// [Save] writes the weights of a model under their names, and [Load] reads them into weights of the same names and shapes:
//
//	err := safetensors.Save("model.safetensors", params, nil)
//	...
//	_, err = safetensors.Load("model.safetensors", params)
//
// A view of an [autograd.Params] stands for a part of the model. Names in the file are without the prefix of the view:
// Save(path, params.In("rnn"), nil) writes weight_ih_l0 and not rnn.weight_ih_l0. That is the name in the state_dict of an
// nn.RNN in PyTorch, and the layouts of weights are the same, too.
//
// # A part of a model, or other names
//
// [Loading] loads files that hold more than the model, less, or the same under other names. Transfer learning takes all
// weights but those of the head, which is new:
//
//	report, err := safetensors.Loading{Except: []string{"head"}}.Load("model.safetensors", params)
//
// The [Report] lists which weights were set, which kept their values, and which tensors of the file were not used.
//
// Save has no such options. A model that travels both ways is easiest to make under the names of PyTorch's state_dict: an
// LSTM in params.In("encoder").In("lstm") has the weight encoder.lstm.weight_ih_l0, and load_state_dict(load_file(path))
// reads what Save wrote. For other names, read the file that Save wrote and write it under the new names, as the example of
// [Write] shows.
//
// # Tensors that are not weights
//
// [SaveTensors] and [LoadTensors] do the same for tensors of the caller's, such as the state of a recurrent layer.
//
// # Types
//
// [Save] writes F32. [Load] converts F32, F16 and BF16 exactly, and rounds F64 to the nearest float32.
//
// A [Tensor] of a [File] holds its numbers as bytes, of any type of the format. [Tensor.Float32] and [Tensor.Float64] read
// F64, F32, F16 and BF16, and [Tensor.Int64] reads I8 to I64, U8 to U64 and BOOL. A number too large for an int64, or a
// finite number too large for a float32, is an error. [From] makes a Tensor of Go's numbers, bit for bit, and [Round]
// rounds float32 to F16 or BF16, as PyTorch does. Numbers of other types (C64, F8, F6, F4) stay bytes.
//
// # The format
//
// A file consists of eight bytes with the length of the header, little-endian; of the header, a JSON object that maps
// the name of each tensor to {"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}, and __metadata__ to an object of strings
// that the writer chooses; and of the bytes of all tensors, little-endian and row-major, without gaps
// (https://github.com/huggingface/safetensors).
//
// [Read] is strict. Whatever a careless or hostile writer might produce (duplicate names, overlaps, gaps, sizes that
// overflow, too many or too few bytes) is an error, and the memory that Read allocates is at most three times the bytes that
// have arrived and 1 MiB, whatever sizes the header tells of. Files of torch.save, Keras, NumPy and ONNX are recognised, and the error says how
// to read or to convert them ([ErrNotSafetensors]).
package safetensors

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unroll-go/unroll/internal/bounded"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/tensor"
)

const (
	metadataName = "__metadata__"
	maxHeader    = 100_000_000 // bytes; the limit of the reference implementation
	maxTensors   = 4096        // tensors and entries of metadata together, so that memory stays in proportion to the text
	maxString    = 256 << 10   // bytes of a name or of a value of metadata, for the same reason
	maxDims      = 8
)

// DType is the type of a tensor's numbers, by its name in a header.
type DType string

// The types whose values can be read and written here. Tensors of the format's other types are carried as bytes.
const (
	F16  DType = "F16"
	BF16 DType = "BF16"
	F32  DType = "F32" // the type that Save writes
	F64  DType = "F64"
	I8   DType = "I8"
	I16  DType = "I16"
	I32  DType = "I32"
	I64  DType = "I64"
	U8   DType = "U8"
	U16  DType = "U16"
	U32  DType = "U32"
	U64  DType = "U64"
	Bool DType = "BOOL"
)

// dtypes are all types of the format, with their sizes in bits. The reference implementation (0.8.0) writes tensors of a
// later type in this list before tensors of an earlier one.
var dtypes = [...]struct {
	name DType
	bits int
}{
	{Bool, 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {U8, 8}, {I8, 8},
	{"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
	{I16, 16}, {U16, 16}, {F16, 16}, {BF16, 16},
	{I32, 32}, {U32, 32}, {F32, 32}, {"C64", 64}, {F64, 64}, {I64, 64}, {U64, 64},
}

// order returns the index of d in dtypes, or -1 if the type is unknown.
func (d DType) order() int {
	for i, known := range dtypes {
		if known.name == d {
			return i
		}
	}
	return -1
}

// Bits returns the size of a number in bits, or 0 if the type is unknown.
func (d DType) Bits() int {
	if i := d.order(); i >= 0 {
		return dtypes[i].bits
	}
	return 0
}

// size returns the number of bytes of a tensor. Ok is false if the number is not whole or does not fit an int.
func (d DType) size(shape []int) (n int, ok bool) {
	n, ok = tensor.TrySize(shape)
	bits := d.Bits()
	if !ok || n > math.MaxInt/bits || n*bits%8 != 0 {
		return 0, false
	}
	return n * bits / 8, true
}

// Tensor is one tensor of a file.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte // little-endian, row-major

	begin, end int // the data_offsets of a tensor that was read
}

// File is the content of a file.
type File struct {
	Metadata map[string]string // strings that the writer chose, or nil
	Tensors  []Tensor          // in the order of their data
}

// Read reads a file to its end. Whatever the format forbids is an error that says what is wrong. A file in one of the other
// formats that are in use for models is an error that wraps [ErrNotSafetensors]. A file may have at most 4096
// tensors and entries of metadata together, 8 dimensions in a tensor, 256 KiB in a string and 100 MB in the header.
func Read(r io.Reader) (*File, error) {
	return readNamed(r, "")
}

func read(r io.Reader) (*File, error) {
	length, err := bounded.Read(r, 8)
	if err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%d bytes, want at least the 8 of the header's length", len(length))
	} else if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length)
	if n > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, want at most %d", n, maxHeader)
	}
	text, err := bounded.Read(r, int(n))
	if err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("header cut short: %d bytes, want %d", len(text), n)
	} else if err != nil {
		return nil, err
	}
	metadata, tensors, err := parseHeader(text)
	if err != nil {
		return nil, err
	}
	size, err := layOut(tensors)
	if err != nil {
		return nil, err
	}
	data, err := bounded.Read(r, size)
	if err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("data cut short: %d bytes, but tensors end at %d", len(data), size)
	} else if err != nil {
		return nil, err
	}
	switch rest, err := io.ReadFull(r, make([]byte, 1)); {
	case rest > 0:
		return nil, fmt.Errorf("bytes after the tensors' end at %d", size)
	case err != io.EOF:
		return nil, err
	}
	for i := range tensors {
		t := &tensors[i]
		t.Data = data[t.begin:t.end:t.end]
	}
	return &File{metadata, tensors}, nil
}

// layOut sorts the tensors by the offsets of their data and returns the number of bytes of all data. It returns an error if
// a name is there twice, or if there is a gap or an overlap between two tensors.
func layOut(tensors []Tensor) (size int, err error) {
	slices.SortFunc(tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(tensors); i++ {
		if tensors[i].Name == tensors[i-1].Name {
			return 0, fmt.Errorf("tensor %s is there twice", quote.Text(tensors[i].Name))
		}
	}
	slices.SortStableFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	for _, t := range tensors {
		switch {
		case t.begin > size:
			return 0, fmt.Errorf("tensor %s: begins at %d, leaving a hole after %d", quote.Text(t.Name), t.begin, size)
		case t.begin < size:
			return 0, fmt.Errorf("tensor %s: begins at %d, within another that ends at %d", quote.Text(t.Name), t.begin, size)
		}
		size = t.end
	}
	return size, nil
}

// Write writes a file. It writes tensors in the order of the reference implementation, by type, larger types first, and
// then by name, so that equal content gives equal bytes. If the format does not allow the content (a name that is there
// twice or is not UTF-8, an unknown type, data that does not fit the shape), the error says so and nothing is written.
func Write(w io.Writer, f *File) error {
	tensors := slices.Clone(f.Tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.DType.order(), a.DType.order()), strings.Compare(a.Name, b.Name))
	})
	header, err := header(tensors, f.Metadata)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	parts := [][]byte{binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header}
	for _, t := range tensors {
		parts = append(parts, t.Data)
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

func validString(s string) bool { return len(s) <= maxString && utf8.ValidString(s) }

// header returns the JSON text, padded with spaces to a multiple of 8 bytes.
func header(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	text := []byte{'{'}
	if len(metadata) > 0 {
		for k, v := range metadata {
			if !validString(k) || !validString(v) {
				return nil, fmt.Errorf("metadata %s is not UTF-8 or over %d bytes", quote.Text(k), maxString)
			}
		}
		m, err := json.Marshal(metadata)
		if err != nil {
			return nil, err
		}
		text = append(append(text, `"`+metadataName+`":`...), m...)
	}
	if n := len(tensors) + len(metadata); n > maxTensors {
		return nil, fmt.Errorf("%d tensors and entries of metadata, want at most %d", n, maxTensors)
	}
	offset := 0
	names := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		size, ok := 0, t.DType.Bits() > 0
		if ok {
			size, ok = t.DType.size(t.Shape)
		}
		switch {
		case names[t.Name] || t.Name == metadataName || !validString(t.Name):
			return nil, fmt.Errorf("tensor %s: the name is taken, not UTF-8 or over %d bytes", quote.Text(t.Name), maxString)
		case !ok || size != len(t.Data) || len(t.Shape) > maxDims:
			return nil, fmt.Errorf("tensor %s: %d bytes for %s of shape %v", quote.Text(t.Name), len(t.Data), t.DType, t.Shape)
		}
		names[t.Name] = true
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		shape := strings.ReplaceAll(fmt.Sprint(t.Shape), " ", ",")
		text = fmt.Appendf(text, `%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, name, t.DType, shape, offset, offset+size)
		offset += size
	}
	text = append(text, '}')
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if len(text) > maxHeader {
		return nil, errors.New("the header is over 100 MB")
	}
	return text, nil
}
