package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
	"google.golang.org/protobuf/encoding/protowire"
)

const maxDims = 8

// The fields of a tensor (TensorProto) that hold numbers.
const (
	floatData  = 4
	int32Data  = 5
	int64Data  = 7
	rawData    = 9
	doubleData = 10
	uint64Data = 11
)

// dataTypes are the types of numbers (TensorProto.DataType) by their numbers in a file, with the types of package safetensors,
// if that has them, and the field that holds the numbers if raw_data does not.
var dataTypes = [...]struct {
	name  string
	dtype safetensors.DType
	field protowire.Number
}{
	{name: "UNDEFINED"},
	{"FLOAT", safetensors.F32, floatData},
	{"UINT8", safetensors.U8, int32Data},
	{"INT8", safetensors.I8, int32Data},
	{"UINT16", safetensors.U16, int32Data},
	{"INT16", safetensors.I16, int32Data},
	{"INT32", safetensors.I32, int32Data},
	{"INT64", safetensors.I64, int64Data},
	{name: "STRING"},
	{"BOOL", safetensors.Bool, int32Data},
	{"FLOAT16", safetensors.F16, int32Data},
	{"DOUBLE", safetensors.F64, doubleData},
	{"UINT32", safetensors.U32, uint64Data},
	{"UINT64", safetensors.U64, uint64Data},
	{name: "COMPLEX64"},
	{name: "COMPLEX128"},
	{"BFLOAT16", safetensors.BF16, int32Data},
}

// dataType returns the name of a type in errors.
func dataType(n int64) string {
	if n >= 0 && n < int64(len(dataTypes)) {
		return dataTypes[n].name
	}
	return fmt.Sprintf("type %d", n)
}

// dtype returns the type of package safetensors, or "" if that has none.
func dtype(n int64) safetensors.DType {
	if n >= 0 && n < int64(len(dataTypes)) {
		return dataTypes[n].dtype
	}
	return ""
}

// readTensor reads a TensorProto. The tensor shares the memory of the message where the numbers lie there as they are in memory.
func readTensor(message []byte) (t safetensors.Tensor, err error) {
	err = parseTensor(message, &t)
	if err != nil {
		err = fmt.Errorf("tensor %s: %w", quote.Text(t.Name), err)
	}
	return t, err
}

func parseTensor(message []byte, t *safetensors.Tensor) error {
	var kind int64
	var shape, values []uint64
	var held protowire.Number // the field that holds the numbers
	var raw []byte
	// The name is read first, for errors.
	err := fields(message, []protowire.Number{1, floatData, int32Data, 6, int64Data, doubleData, uint64Data, 13, 16}, func(f field) (err error) {
		if f.number == 8 {
			t.Name, err = f.text()
		}
		return err
	})
	if err != nil {
		return err
	}
	counts := count(message, floatData, int32Data, int64Data, doubleData, uint64Data)
	err = fields(message, []protowire.Number{1, floatData, int32Data, 6, int64Data, doubleData, uint64Data, 13, 16}, func(f field) (err error) {
		switch f.number {
		case 1:
			if shape, err = f.numbers(shape, protowire.VarintType); len(shape) > maxDims {
				return fmt.Errorf("more than %d dimensions", maxDims)
			}
		case 2:
			kind, err = f.int()
		case 3:
			return errors.New("it is a segment of a tensor, want a whole one")
		case 6:
			return errors.New("its elements are strings, want numbers")
		case 13, 14:
			if f.number == 14 && f.bits == 0 {
				return nil
			}
			return errors.New("its numbers are in another file (external data); write the model with its numbers inside, by external_data=False " +
				"of torch.onnx.export or by onnx.save(onnx.load(path), path)")
		case floatData, int32Data, int64Data, doubleData, uint64Data, rawData:
			if held != 0 && held != f.number {
				return fmt.Errorf("its numbers are in field %d and in field %d", held, f.number)
			}
			held = f.number
			wire := protowire.VarintType
			switch f.number {
			case rawData:
				raw, err = f.message()
				return err
			case floatData:
				wire = protowire.Fixed32Type
			case doubleData:
				wire = protowire.Fixed64Type
			}
			if packed := f.kind == protowire.BytesType; packed && wire != protowire.VarintType && counts[f.number] == 1 {
				raw = f.bytes // packed numbers of a fixed size lie there as raw_data does
				return nil
			} else if !packed && values == nil {
				values = make([]uint64, 0, counts[f.number])
			}
			values, err = f.numbers(values, wire)
		}
		return err
	})
	if err != nil {
		return err
	}
	t.DType = dtype(kind)
	if t.DType == "" {
		return fmt.Errorf("its numbers are %s, want FLOAT, DOUBLE, FLOAT16, BFLOAT16, whole numbers or BOOL", dataType(kind))
	}
	t.Shape = make([]int, len(shape))
	for i, n := range shape {
		if n > math.MaxInt {
			return fmt.Errorf("dimension %d is %d: negative or too large", i, int64(n))
		}
		t.Shape[i] = int(n)
	}
	size, ok := tensor.TrySize(t.Shape)
	bytes := t.DType.Bits() / 8
	if !ok || size > math.MaxInt/bytes {
		return fmt.Errorf("shape %v is too large", t.Shape)
	}
	if held != 0 && held != rawData && held != dataTypes[kind].field {
		return fmt.Errorf("its numbers are %s in field %d, want field %d or raw_data", dataType(kind), held, dataTypes[kind].field)
	}
	if values == nil {
		t.Data = raw[:len(raw):len(raw)]
	} else {
		if t.Data, err = packed(values, t.DType); err != nil {
			return err
		}
	}
	if len(t.Data) != size*bytes {
		return fmt.Errorf("%d bytes of numbers, want %d for %s of shape %v", len(t.Data), size*bytes, dataType(kind), t.Shape)
	}
	if t.DType == safetensors.Bool {
		for i, v := range t.Data {
			if v > 1 {
				return fmt.Errorf("element %d is %d, want 0 or 1 for BOOL", i, v)
			}
		}
	}
	return nil
}

// packed returns the numbers of a field as little-endian bytes of a type. It returns an error for a number that the type does not hold.
func packed(values []uint64, dtype safetensors.DType) ([]byte, error) {
	size := dtype.Bits() / 8
	signed := dtype == safetensors.I8 || dtype == safetensors.I16 || dtype == safetensors.I32 || dtype == safetensors.I64
	data := make([]byte, 0, size*len(values))
	var bytes [8]byte
	for i, v := range values {
		unused := 64 - 8*size
		if signed && int64(v)<<unused>>unused != int64(v) || !signed && v<<unused>>unused != v {
			return nil, fmt.Errorf("element %d is %d, which %s does not hold", i, int64(v), dtype)
		}
		binary.LittleEndian.PutUint64(bytes[:], v)
		data = append(data, bytes[:size]...)
	}
	return data, nil
}
