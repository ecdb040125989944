package torchfile

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"unicode/utf8"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
)

const (
	maxDims   = 8
	maxNested = 32 // dicts, lists and tuples within each other
)

// storageTypes are the types of storages, with the types of their numbers.
var storageTypes = map[global]safetensors.DType{
	"torch.DoubleStorage": safetensors.F64, "torch.FloatStorage": safetensors.F32, "torch.HalfStorage": safetensors.F16,
	"torch.BFloat16Storage": safetensors.BF16, "torch.LongStorage": safetensors.I64, "torch.IntStorage": safetensors.I32,
	"torch.ShortStorage": safetensors.I16, "torch.CharStorage": safetensors.I8, "torch.ByteStorage": safetensors.U8,
	"torch.BoolStorage": safetensors.Bool, "torch.ComplexFloatStorage": "C64",
}

// untyped is the type of a storage whose tensors have types of their own, as _rebuild_tensor_v3 gives them.
const untyped global = "torch.storage.UntypedStorage"

// dtypes are the types of tensors.
var dtypes = map[global]safetensors.DType{
	"torch.float64": safetensors.F64, "torch.float32": safetensors.F32, "torch.float16": safetensors.F16, "torch.bfloat16": safetensors.BF16,
	"torch.int64": safetensors.I64, "torch.int32": safetensors.I32, "torch.int16": safetensors.I16, "torch.int8": safetensors.I8,
	"torch.uint64": safetensors.U64, "torch.uint32": safetensors.U32, "torch.uint16": safetensors.U16, "torch.uint8": safetensors.U8,
	"torch.bool": safetensors.Bool, "torch.complex64": "C64", "torch.float8_e4m3fn": "F8_E4M3", "torch.float8_e5m2": "F8_E5M2",
}

// storage is an array of numbers in a record of the file.
type storage struct {
	dtype safetensors.DType // "": untyped, with elements of one byte
	key   string            // the name of the record below data/
	size  int               // elements
}

// unit returns the bytes of an element.
func (s *storage) unit() int {
	if s.dtype == "" {
		return 1
	}
	return s.dtype.Bits() / 8
}

// newStorage returns the storage of a persistent id: ("storage", type, key, device, elements), and in a legacy file None, because it is no view of another.
func newStorage(id any) (*storage, error) {
	t, _ := id.(tuple)
	if len(t) != 5 && !(len(t) == 6 && t[5] == nil) || t[0] != "storage" {
		return nil, fmt.Errorf("a persistent id that is %s and no storage is refused", kind(id))
	}
	g, ok1 := t[1].(global)
	key, ok2 := t[2].(string)
	size, ok3 := whole(t[4])
	if !ok1 || !ok2 || !ok3 || storageTypes[g] == "" && g != untyped {
		return nil, fmt.Errorf("a storage of %s, its record %s and its elements %s are refused", kind(t[1]), kind(t[2]), kind(t[4]))
	}
	return &storage{storageTypes[g], key, size}, nil
}

// whole returns a value as an int, if it is a whole number that is not negative and fits.
func whole(v any) (int, bool) {
	n, ok := v.(*big.Int)
	if !ok || !n.IsInt64() || n.Sign() < 0 || int64(int(n.Int64())) != n.Int64() {
		return 0, false
	}
	return int(n.Int64()), true
}

// view is a tensor: a view of a storage.
type view struct {
	*storage
	dtype          safetensors.DType
	offset         int // of the first element
	shape, strides []int
}

// newView returns the tensor of (storage, offset, shape, strides, ...). Dtype is "" if the storage has the type.
func newView(args tuple, dtype safetensors.DType) (*view, error) {
	s, ok1 := args[0].(*storage)
	offset, ok2 := whole(args[1])
	shape, ok3 := wholes(args[2])
	strides, ok4 := wholes(args[3])
	if !ok1 || !ok2 || !ok3 || !ok4 || len(shape) != len(strides) || len(shape) > maxDims || (s.dtype == "") != (dtype != "") {
		return nil, fmt.Errorf("a tensor of %s, offset, shape and strides, want a storage, a whole number and two tuples of at most %d of them",
			kind(args[0]), maxDims)
	}
	if dtype == "" {
		dtype = s.dtype
	}
	return &view{s, dtype, offset, shape, strides}, nil
}

func wholes(v any) ([]int, bool) {
	t, ok := v.(tuple)
	if !ok || len(t) > maxDims {
		return nil, false
	}
	all := make([]int, len(t))
	for i := range t {
		if all[i], ok = whole(t[i]); !ok {
			return nil, false
		}
	}
	return all, true
}

// read returns the numbers of the tensor, row-major. They share the memory of the storage if they lie there so.
func (v *view) read(a *archive) ([]byte, error) {
	data, err := a.storage(v.key)
	if err != nil {
		return nil, err
	}
	width, unit := v.dtype.Bits()/8, v.unit()
	if len(data)%unit != 0 || len(data)/unit != v.size {
		return nil, fmt.Errorf("its storage is said to have %d elements of %d bytes, but the record has %d bytes", v.size, unit, len(data))
	}
	count, ok := tensor.TrySize(v.shape)
	if !ok {
		return nil, fmt.Errorf("shape %v is too large", v.shape)
	}
	if count == 0 {
		return nil, nil
	}
	elements := len(data) / width
	last, contiguous, step := v.offset, true, 1
	for d := len(v.shape) - 1; d >= 0; d-- {
		n, stride := v.shape[d], v.strides[d]
		if n == 1 {
			continue
		}
		if stride > elements || stride > 0 && n-1 > elements/stride || last > elements {
			last = elements
			break
		}
		last += (n - 1) * stride
		contiguous = contiguous && stride == step
		step *= n
	}
	if last >= elements {
		return nil, fmt.Errorf("offset %d, shape %v and strides %v go beyond the %d elements of the storage", v.offset, v.shape, v.strides, elements)
	}
	if contiguous {
		return data[v.offset*width : (v.offset+count)*width : (v.offset+count)*width], nil
	}
	if int64(count) > a.copies/int64(width) {
		return nil, fmt.Errorf("a view of shape %v and strides %v has too many elements for a file of this size", v.shape, v.strides)
	}
	a.copies -= int64(count * width)
	return v.rearranged(data, count, width), nil
}

// rearranged returns a copy of the tensor's numbers, row-major.
func (v *view) rearranged(data []byte, count, width int) []byte {
	out := make([]byte, 0, count*width)
	index := make([]int, len(v.shape))
	at := v.offset
	for range count {
		out = append(out, data[at*width:(at+1)*width]...)
		for d := len(index) - 1; d >= 0; d-- {
			at += v.strides[d]
			if index[d]++; index[d] < v.shape[d] {
				break
			}
			at -= v.shape[d] * v.strides[d]
			index[d] = 0
		}
	}
	return out
}

// flattener makes a file of the value of a pickle.
type flattener struct {
	*archive
	file  *safetensors.File
	names map[string]bool
}

// perName is how many bytes of text an entry counts for, beside its name.
const perName = 512

func flatten(content any, a *archive) (*safetensors.File, error) {
	switch content.(type) {
	case *dict, *list, tuple:
	default:
		return nil, fmt.Errorf("the file holds %s, want a dict of tensors", kind(content))
	}
	f := &flattener{archive: a, file: &safetensors.File{}, names: map[string]bool{}}
	if err := f.add("", content, 0); err != nil {
		return nil, err
	}
	return f.file, nil
}

// add adds the value under a name.
func (f *flattener) add(name string, value any, depth int) error {
	if f.text -= int64(len(name)) + perName; f.text < 0 {
		return errors.New("the names in dicts within dicts are too many for a file of this size")
	}
	if depth > maxNested {
		return fmt.Errorf("%s: more than %d dicts, lists and tuples within each other", quote.Name(name), maxNested)
	}
	items := func(values []any) error {
		for i, v := range values {
			if err := f.add(join(name, strconv.Itoa(i)), v, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	switch v := value.(type) {
	case *list:
		return items(v.items)
	case tuple:
		return items(v)
	case *dict:
		for i := 0; i < len(v.items); i += 2 {
			var key string
			switch k := v.items[i].(type) {
			case string:
				key = k
			case *big.Int:
				key = k.String()
			default:
				return fmt.Errorf("%s: a key of a dict is %s, want a text or an int", quote.Name(name), kind(k))
			}
			if f.text < int64(len(key)) { // before the texts are joined
				return errors.New("the names in dicts within dicts are too many for a file of this size")
			}
			if err := f.add(join(name, key), v.items[i+1], depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if f.names[name] || !utf8.ValidString(name) {
		return fmt.Errorf("the name %s is there twice or not UTF-8", quote.Text(name))
	}
	f.names[name] = true
	if v, ok := value.(*view); ok {
		data, err := v.read(f.archive)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote.Text(name), err)
		}
		f.file.Tensors = append(f.file.Tensors, safetensors.Tensor{Name: name, DType: v.dtype, Shape: v.shape, Data: data})
		return nil
	}
	text, err := printed(value)
	if err != nil {
		return fmt.Errorf("%s: %w", quote.Name(name), err)
	}
	if f.file.Metadata == nil {
		f.file.Metadata = map[string]string{}
	}
	f.file.Metadata[name] = text
	return nil
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// printed returns the text of a value in the metadata.
func printed(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "None", nil
	case bool:
		if v {
			return "True", nil
		}
		return "False", nil
	case *big.Int:
		return v.String(), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case string:
		return v, nil
	case global:
		return string(v), nil
	}
	return "", fmt.Errorf("%s is refused", kind(value))
}
