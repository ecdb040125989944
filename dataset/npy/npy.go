// Package npy reads and writes the files of NumPy: .npy, which is one array, and .npz, a zip archive of arrays with names.
// They are the shortest way from Python to here, with data and with weights:
//
//	np.savez("data.npz", x=x, y=y)        # in Python
//
//	f, err := npy.Load("data.npz")        // in Go
//	source, err := npy.Examples(f, "x", "y", "")
//
// # Data
//
// [Examples] makes a [dataset.Tensors] of the arrays x, [N,T,F] or [N,F], and y. Sequences of different lengths go into one array
// that is padded, with their lengths beside it:
//
//	lengths = [len(s) for s in sequences]
//	x = np.zeros((len(sequences), max(lengths), features), np.float32)
//	for i, s in enumerate(sequences):
//	    x[i, :len(s)] = s
//	np.savez("data.npz", x=x, y=y, lengths=lengths)
//
// # Weights
//
// A file is a [safetensors.File] when it has been read. Its arrays go into weights of the same names and shapes:
//
//	report, err := safetensors.Loading{}.Apply(f, params)
//
// Prefix, Rename, Except and Partial of [safetensors.Loading] select and rename. The script keras_to_npz.py beside this package writes
// the weights of a Keras model in the names and layouts of the layers here, and tells how the layouts of Keras differ. In the other direction, np.load reads what
// [Save] wrote:
//
//	weights = np.load("model.npz")
//	model.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights})
//
// # The format
//
// A .npy begins with the six bytes \x93NUMPY, two of the version, and two or four with the length of the header. The header is a
// dictionary of Python's, {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, in which descr is the order of bytes (<
// little-endian, > big-endian, | neither), the kind of the numbers and their size in bytes. The numbers follow without gaps
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
//
// [Read] takes versions 1, 2 and 3; float16, float32, float64, int8 to int64, uint8 to uint64 and bool; both orders of bytes and both
// orders of dimensions. What it returns is little-endian and row-major. Arrays of objects are pickles, that is programs,
// and are refused, as are complex numbers, texts, dates and records.
package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/unroll-go/unroll/internal/atomicfile"
	"github.com/unroll-go/unroll/internal/bounded"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
)

const (
	magic     = "\x93NUMPY"
	maxHeader = 10_000 // bytes; NumPy's own limit
	maxDims   = 64     // NumPy's own limit
	alignment = 64     // of the numbers in a file that is written
	growth    = 21     // digits that NumPy leaves room for, so that an array can grow along its first dimension
)

// kinds are the types of numbers, with their names in a descr.
var kinds = [...]struct {
	name  string
	dtype safetensors.DType
}{
	{"b1", safetensors.Bool},
	{"i1", safetensors.I8}, {"i2", safetensors.I16}, {"i4", safetensors.I32}, {"i8", safetensors.I64},
	{"u1", safetensors.U8}, {"u2", safetensors.U16}, {"u4", safetensors.U32}, {"u8", safetensors.U64},
	{"f2", safetensors.F16}, {"f4", safetensors.F32}, {"f8", safetensors.F64},
}

// Load reads a file as [Read] does.
func Load(path string) (*safetensors.File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := Read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Read reads a .npz or a .npy to its end; the file's first bytes tell which it is. The arrays of a .npz have their names,
// in the order of the archive; the tensor of a .npy has the name "". Whatever the format forbids is an error that says what is wrong. An archive over
// 32 MiB that unpacks to more than 200 times its size is refused.
func Read(r io.Reader) (*safetensors.File, error) {
	data, err := bounded.Read(r, math.MaxInt32)
	switch {
	case err == nil:
		return nil, fmt.Errorf("npy: a file of %d bytes or more, want less", math.MaxInt32)
	case err != io.ErrUnexpectedEOF:
		return nil, err
	}
	f := &safetensors.File{}
	if bytes.HasPrefix(data, []byte("PK")) {
		f.Tensors, err = readArchive(data)
	} else {
		f.Tensors = make([]safetensors.Tensor, 1)
		f.Tensors[0], err = parse(data)
	}
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	return f, nil
}

// Save writes the tensors to a file, as a .npz or, if the path ends in .npy, as a .npy, for which there must be one tensor.
// The file is written whole or not at all.
func Save(path string, f *safetensors.File) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		if !strings.HasSuffix(path, ".npy") {
			return WriteArchive(w, f)
		}
		if len(f.Tensors) != 1 {
			return fmt.Errorf("npy: %d tensors for a .npy, want one; a .npz holds several", len(f.Tensors))
		}
		return Write(w, f.Tensors[0])
	})
}

// Write writes a tensor as a .npy, without its name, byte for byte as np.save does. A type that NumPy does not have, such as BF16, is an
// error, and so is data that does not fit the shape.
func Write(w io.Writer, t safetensors.Tensor) error {
	header, err := header(&t)
	if err != nil {
		return fmt.Errorf("npy: tensor %s: %w", quote.Text(t.Name), err)
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	_, err = w.Write(t.Data)
	return err
}

// header returns the bytes of a .npy before the numbers.
func header(t *safetensors.Tensor) ([]byte, error) {
	kind := ""
	for _, k := range kinds {
		if k.dtype == t.DType {
			kind = k.name
		}
	}
	if kind == "" {
		return nil, fmt.Errorf("NumPy has no type for %s", quote.Name(string(t.DType)))
	}
	size, ok := size(t.Shape, t.DType)
	if !ok || size != len(t.Data) || len(t.Shape) > maxDims {
		return nil, fmt.Errorf("%d bytes for %s of shape %v", len(t.Data), t.DType, t.Shape)
	}
	order, room := "<", 0
	if t.DType.Bits() == 8 {
		order = "|"
	}
	shape := strings.NewReplacer("[", "(", "]", ")", " ", ", ").Replace(fmt.Sprint(t.Shape))
	if len(t.Shape) == 1 {
		shape = strings.Replace(shape, ")", ",)", 1) // a tuple of one
	}
	if len(t.Shape) > 0 {
		room = growth - len(strconv.Itoa(t.Shape[0]))
	}
	text := fmt.Sprintf("{'descr': '%s%s', 'fortran_order': False, 'shape': %s, }%*s", order, kind, shape, room, "")
	before := len(magic) + 4
	padding := alignment - (before+len(text)+1)%alignment // NumPy adds a whole block to a header that needs none
	text += strings.Repeat(" ", padding) + "\n"
	return append(binary.LittleEndian.AppendUint16([]byte(magic+"\x01\x00"), uint16(len(text))), text...), nil
}

// size returns the number of bytes of an array. Ok is false if it does not fit an int.
func size(shape []int, dtype safetensors.DType) (bytes int, ok bool) {
	n, ok := tensor.TrySize(shape)
	each := dtype.Bits() / 8
	if !ok || n > math.MaxInt/each {
		return 0, false
	}
	return n * each, true
}

// parse reads a .npy. The result shares the memory of data, whose order of bytes it changes, unless the array is in Fortran's order.
func parse(data []byte) (t safetensors.Tensor, err error) {
	if len(data) == 0 {
		return t, errors.New("the file is empty")
	}
	if !bytes.HasPrefix(data, []byte(magic)[:min(len(magic), len(data))]) {
		return t, fmt.Errorf("not a file of NumPy: it begins with %s", quote.Text(data[:min(len(data), len(magic))]))
	}
	const cut = "cut short: %d bytes, the header alone has %s"
	if len(data) < 8 {
		return t, fmt.Errorf(cut, len(data), "more")
	}
	version, begin, length := data[6], 10, uint32(0)
	switch {
	case version == 0 || version > 3 || data[7] != 0:
		return t, fmt.Errorf("version %d.%d of the format, want 1.0, 2.0 or 3.0", version, data[7])
	case version > 1:
		begin = 12
	}
	if len(data) < begin {
		return t, fmt.Errorf(cut, len(data), "more")
	}
	if version == 1 {
		length = uint32(binary.LittleEndian.Uint16(data[8:]))
	} else {
		length = binary.LittleEndian.Uint32(data[8:])
	}
	switch {
	case length > maxHeader:
		return t, fmt.Errorf("header of %d bytes, want at most %d", length, maxHeader)
	case int(length) > len(data)-begin:
		return t, fmt.Errorf(cut, len(data), strconv.Itoa(begin+int(length)))
	}
	p := &parser{text: data[begin : begin+int(length)]}
	if err := p.header(); err != nil {
		return t, fmt.Errorf("header, byte %d: %w", p.at, err)
	}
	dtype, swap, err := typeOf(p.descr)
	if err != nil {
		return t, err
	}
	want, ok := size(p.shape, dtype)
	if !ok {
		return t, fmt.Errorf("%s of shape %v has more bytes than an int can tell, or a negative dimension", dtype, p.shape)
	}
	numbers := data[begin+int(length):]
	if len(numbers) != want {
		return t, fmt.Errorf("%d bytes after the header, but %s of shape %v has %d", len(numbers), dtype, p.shape, want)
	}
	each := dtype.Bits() / 8
	if swap {
		for i := 0; i < len(numbers); i += each {
			slices.Reverse(numbers[i : i+each])
		}
	}
	if p.fortran {
		numbers = rowMajor(numbers, p.shape, each)
	}
	return safetensors.Tensor{DType: dtype, Shape: p.shape, Data: numbers}, nil
}

// typeOf returns the type that a descr tells of, and whether its bytes are big-endian.
func typeOf(descr string) (dtype safetensors.DType, swap bool, err error) {
	if descr == "" {
		return "", false, errors.New("the descr is empty")
	}
	order, kind := descr[0], descr[1:]
	for _, k := range kinds {
		if k.name == kind && (order == '<' || order == '>' || order == '|' && k.dtype.Bits() == 8) {
			return k.dtype, order == '>', nil
		}
	}
	found := "of an unknown type"
	if kind != "" && strings.IndexByte("<>|=", order) >= 0 {
		switch kind[0] {
		case 'O':
			return "", false, fmt.Errorf("an array of Python objects (%s), which is a pickle, that is a program; "+
				"write sequences of different lengths padded, with an array of their lengths", quote.Text(descr))
		case 'c':
			found = "of complex numbers"
		case 'U', 'S', 'a':
			found = "of texts"
		case 'M', 'm':
			found = "of dates or times"
		case 'V':
			found = "of raw bytes"
		}
	}
	return "", false, fmt.Errorf("an array %s (%s), want float16 to float64, int8 to int64, uint8 to uint64 or bool", found, quote.Text(descr))
}

// rowMajor returns the numbers of an array whose first dimension is contiguous in the order in which the last one is.
func rowMajor(numbers []byte, shape []int, each int) []byte {
	var sizes, strides []int // of the dimensions that matter; the others would cost time for each number
	stride := each
	for _, n := range shape {
		if n != 1 {
			sizes, strides = append(sizes, n), append(strides, stride)
		}
		stride *= n
	}
	if len(sizes) < 2 {
		return numbers
	}
	ordered := make([]byte, len(numbers))
	place := make([]int, len(sizes)) // of the next number in ordered
	from := 0
	for to := 0; to < len(ordered); to += each {
		copy(ordered[to:to+each], numbers[from:from+each])
		for d := len(sizes) - 1; d >= 0; d-- {
			place[d]++
			from += strides[d]
			if place[d] < sizes[d] {
				break
			}
			from -= place[d] * strides[d]
			place[d] = 0
		}
	}
	return ordered
}
