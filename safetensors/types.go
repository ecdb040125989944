package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/tensor"
)

// Number is a Go type that has a counterpart among the types of the format.
type Number interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | bool
}

// typeOf returns the type of the format for a slice of a Number.
func typeOf(values any) DType {
	switch values.(type) {
	case []float32:
		return F32
	case []float64:
		return F64
	case []int8:
		return I8
	case []int16:
		return I16
	case []int32:
		return I32
	case []int64:
		return I64
	case []uint8:
		return U8
	case []uint16:
		return U16
	case []uint32:
		return U32
	case []uint64:
		return U64
	}
	return Bool
}

// From returns a tensor of the given values, of the type that corresponds to theirs: F32 for float32, I64 for int64, BOOL
// for bool. It panics with a [*tensor.ShapeError] if values does not have as many elements as shape.
func From[T Number](name string, values []T, shape ...int) Tensor {
	mustFit(name, len(values), shape)
	data, _ := binary.Append(nil, binary.LittleEndian, values) // no error for these types
	return Tensor{Name: name, DType: typeOf(values), Shape: slices.Clone(shape), Data: data}
}

// Round returns a tensor of the given values, rounded to F16 or BF16: to the nearest number, ties to even, as PyTorch
// rounds. A value that is too large becomes infinite. A NaN becomes a quiet NaN of the same sign, with the upper bits of its
// payload. Round panics with a [*tensor.ShapeError] if values does not have as many elements as shape, and with a
// [*tensor.UsageError] for other types.
func Round(name string, to DType, values []float32, shape ...int) Tensor {
	mustFit(name, len(values), shape)
	round := bfloat16
	switch to {
	case F16:
		round = float16
	case BF16:
	default:
		panic(&tensor.UsageError{Where: "safetensors.Round", What: fmt.Sprintf("type is %s, want F16 or BF16", to)})
	}
	t := Tensor{Name: name, DType: to, Shape: slices.Clone(shape), Data: make([]byte, 0, 2*len(values))}
	for _, v := range values {
		t.Data = binary.LittleEndian.AppendUint16(t.Data, round(v))
	}
	return t
}

func mustFit(name string, values int, shape []int) {
	if n := tensor.Size(shape); n != values {
		panic(&tensor.ShapeError{Where: name, Got: fmt.Sprintf("%d values", values),
			Want: fmt.Sprintf("%d for shape %v", n, shape)})
	}
}

// decoded returns the numbers of a tensor whose type corresponds to T.
func decoded[T Number](t *Tensor) []T {
	values := make([]T, len(t.Data)/(t.DType.Bits()/8))
	binary.Decode(t.Data, binary.LittleEndian, values) // no error: values has the length of the data
	return values
}

func converted[T, F int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | float32 | float64](from []F) []T {
	to := make([]T, len(from))
	for i, v := range from {
		to[i] = T(v)
	}
	return to
}

// Float32 returns the values of a tensor. F32, F16 and BF16 are converted exactly, with all bits of a NaN; F64 is rounded
// to the nearest float32, ties to even. Other types are an error that names the tensor. A finite F64 too large for a
// float32, for which PyTorch would return an infinity, is an error that tells the index of the element.
func (t *Tensor) Float32() ([]float32, error) {
	switch t.DType {
	case F32:
		return decoded[float32](t), nil
	case F16, BF16:
		widen := fromFloat16
		if t.DType == BF16 {
			widen = fromBFloat16
		}
		values := make([]float32, len(t.Data)/2)
		for i := range values {
			values[i] = widen(binary.LittleEndian.Uint16(t.Data[2*i:]))
		}
		return values, nil
	case F64:
		wide := decoded[float64](t)
		values := converted[float32](wide)
		for i, v := range values {
			if math.IsInf(float64(v), 0) && !math.IsInf(wide[i], 0) {
				return nil, t.fail("element %d is %v, too large for a float32", i, wide[i])
			}
		}
		return values, nil
	}
	return nil, t.fail("its numbers are %s, want F32, F16, BF16 or F64", t.DType)
}

// Float64 returns the values of a tensor of F64, F32, F16 or BF16, exactly; NaN stays NaN. Other types are an error that
// names the tensor.
func (t *Tensor) Float64() ([]float64, error) {
	if t.DType == F64 {
		return decoded[float64](t), nil
	}
	narrow, err := t.Float32()
	return converted[float64](narrow), err
}

// Int64 returns the values of a tensor of whole numbers (I8 to I64, U8 to U64) or of BOOL, as 0 and 1. Other types are an
// error that names the tensor. A U64 too large for an int64, or a BOOL other than 0 and 1, is an error that tells the
// index of the element.
func (t *Tensor) Int64() ([]int64, error) {
	switch t.DType {
	case I8:
		return converted[int64](decoded[int8](t)), nil
	case I16:
		return converted[int64](decoded[int16](t)), nil
	case I32:
		return converted[int64](decoded[int32](t)), nil
	case I64:
		return decoded[int64](t), nil
	case U8:
		return converted[int64](t.Data), nil
	case U16:
		return converted[int64](decoded[uint16](t)), nil
	case U32:
		return converted[int64](decoded[uint32](t)), nil
	case U64:
		values := decoded[int64](t)
		for i, v := range values {
			if v < 0 {
				return nil, t.fail("element %d is %d, too large for an int64", i, uint64(v))
			}
		}
		return values, nil
	case Bool:
		for i, v := range t.Data {
			if v > 1 {
				return nil, t.fail("element %d is %d, want 0 or 1 for BOOL", i, v)
			}
		}
		return converted[int64](t.Data), nil
	}
	return nil, t.fail("its numbers are %s, want I8 to I64, U8 to U64 or BOOL", t.DType)
}

// fail returns an error that names the tensor.
func (t *Tensor) fail(format string, args ...any) error {
	return fmt.Errorf("%s: %s", quote.Name(t.Name), fmt.Sprintf(format, args...))
}

// fromFloat16 returns the value of an IEEE 754 binary16: 1 bit of sign, 5 bits of exponent, 10 bits of fraction.
func fromFloat16(h uint16) float32 {
	sign, exponent, fraction := uint32(h&0x8000)<<16, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0: // a subnormal number: fraction * 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f: // infinite or NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// float16 rounds to binary16, ties to even.
func float16(v float32) uint16 {
	bits := math.Float32bits(v)
	sign, size := uint16(bits>>16&0x8000), bits&^(1<<31)
	switch {
	case size > 0xff<<23: // NaN; the upper bits of the fraction are its payload
		return sign | 0x7e00 | uint16(size>>13&0x3ff)
	case size >= 143<<23: // at least 2^16: infinite
		return sign | 0x7c00
	case size < 113<<23: // less than 2^-14: a multiple of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(size))*0x1p24))
	}
	size -= 112 << 23                                 // the exponent's bias is 15 instead of 127
	return sign | uint16((size+0xfff+size>>13&1)>>13) // may carry into the exponent, up to infinity
}

// fromBFloat16 returns the value of a bfloat16: the upper half of a float32.
func fromBFloat16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// bfloat16 rounds to bfloat16, ties to even.
func bfloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
