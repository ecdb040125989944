package safetensors

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
)

// bits returns the bits of values, so that NaN can be compared. All NaN have the same bits here.
func bits[T float32 | float64](values []T) (b []uint64) {
	for _, v := range values {
		if v != v {
			b = append(b, math.Float64bits(math.NaN()))
		} else {
			b = append(b, math.Float64bits(float64(v)))
		}
	}
	return b
}

// TestValuesOfPyTorch reads what PyTorch wrote (testdata/values.py), makes the same tensors and writes the same bytes.
func TestValuesOfPyTorch(t *testing.T) {
	want, err := os.ReadFile("testdata/values.safetensors")
	require.NoError(t, err)
	f, err := Read(bytes.NewReader(want))
	require.NoError(t, err)
	in := map[string]*Tensor{}
	for i := range f.Tensors {
		in[f.Tensors[i].Name] = &f.Tensors[i]
	}
	floats := func(name string) []float32 {
		v, err := in[name].Float32()
		require.NoError(t, err)
		return v
	}
	whole := func(name string) []int64 {
		v, err := in[name].Int64()
		require.NoError(t, err)
		return v
	}
	given := floats("f32")
	require.Len(t, given, 155)
	assert.Equal(t, []float32{0, float32(math.Copysign(0, -1)), 1, -1}, given[:4])
	assert.True(t, math.Signbit(float64(given[1])))
	third := float32(1) / 3
	assert.InDelta(t, third, floats("f16")[4], 0x1p-12)
	assert.InDelta(t, third, floats("bf16")[4], 0x1p-9)
	wide, err := in["f64"].Float64()
	require.NoError(t, err)
	for i, v := range wide {
		assert.Equal(t, bits([]float64{float64(given[i]) / 3}), bits([]float64{v}))
	}
	assert.Equal(t, bits(floats("f64.f32")), bits(floats("f64")), "PyTorch rounds alike")
	for _, name := range []string{"f16", "bf16", "f32"} {
		wide, err := in[name].Float64()
		require.NoError(t, err)
		assert.Equal(t, bits(floats(name)), bits(wide))
	}
	assert.Equal(t, []int64{math.MinInt8, -1, 0, 1, math.MaxInt8}, whole("i8"))
	assert.Equal(t, []int64{math.MinInt16, -1, 0, 1, math.MaxInt16}, whole("i16"))
	assert.Equal(t, []int64{math.MinInt32, -1, 0, 1, math.MaxInt32}, whole("i32"))
	assert.Equal(t, []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}, whole("i64"))
	assert.Equal(t, []int64{0, 1, 255}, whole("u8"))
	assert.Equal(t, []int64{1, 0, 1}, whole("bool"))
	assert.Equal(t, []float32{2.5}, floats("scalar"))
	assert.Empty(t, floats("empty"))

	// All bits of the extreme numbers are kept: of negative zero, the least and the largest subnormal number, the least and
	// the largest normal number, infinity, and NaN with a payload.
	patterns := map[string][]uint32{
		"f16.bits":  {0x80000000, 0xb3800000, 0x387fc000, 0x38800000, 0xc77fe000, 0x7f800000, 0xffc02000},
		"bf16.bits": {0x80000000, 0x80010000, 0x007f0000, 0x00800000, 0xff7f0000, 0x7f800000, 0xffc10000},
		"f32.bits":  {0x80000000, 0x80000001, 0x007fffff, 0x00800000, 0xff7fffff, 0x7f800000, 0xffc00001},
	}
	limits := map[string][]float32{}
	for name, want := range patterns {
		limits[name] = floats(name)
		for i, v := range limits[name] {
			assert.Equal(t, want[i], math.Float32bits(v), "%s, element %d", name, i)
		}
	}
	limits64, err := in["f64.bits"].Float64()
	require.NoError(t, err)
	for i, want := range []uint64{1 << 63, 1<<63 | 1, 1<<52 - 1, 1 << 52, 0xffefffffffffffff, 0x7ff << 52, 0xfff8000000000001} {
		assert.Equal(t, want, math.Float64bits(limits64[i]), "f64.bits, element %d", i)
	}

	n, numbers := len(given), slices.Clone(given)
	numbers[7] = 0 // NaN
	ours := File{Metadata: f.Metadata, Tensors: []Tensor{
		From("f32", given, n), Round("f16", F16, given, n), Round("bf16", BF16, numbers, n), From("f64", wide, n),
		From("f64.f32", floats("f64.f32"), n),
		Round("f16.bits", F16, limits["f16.bits"], 7), Round("bf16.bits", BF16, limits["bf16.bits"], 7),
		From("f32.bits", limits["f32.bits"], 7), From("f64.bits", limits64, 7),
		From("i8", []int8{math.MinInt8, -1, 0, 1, math.MaxInt8}, 5), From("u8", []uint8{0, 1, 255}, 3),
		From("i16", []int16{math.MinInt16, -1, 0, 1, math.MaxInt16}, 5), From("i32", []int32{math.MinInt32, -1, 0, 1, math.MaxInt32}, 5),
		From("i64", []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}, 5), From("bool", []bool{true, false, true}, 3),
		Round("scalar", F16, []float32{2.5}), Round("empty", BF16, nil, 3, 0),
	}}
	for _, made := range ours.Tensors {
		assert.True(t, slices.Equal(in[made.Name].Shape, made.Shape), made.Name)
		assert.Equal(t, in[made.Name].DType, made.DType, made.Name)
		assert.True(t, bytes.Equal(in[made.Name].Data, made.Data), made.Name)
	}
	var out bytes.Buffer
	require.NoError(t, Write(&out, &ours))
	assert.True(t, bytes.Equal(want, out.Bytes()))
}

// TestUnsignedNumbers does the same for a file that NumPy wrote.
func TestUnsignedNumbers(t *testing.T) {
	u64 := From("u64", []uint64{0, 1, math.MaxInt64, 1 << 63, math.MaxUint64 - 1, math.MaxUint64}, 3, 2)
	tensors := []Tensor{u64, From("u32", []uint32{0, 1, math.MaxUint32}, 3), From("u16", []uint16{0, 1, math.MaxUint16}, 3)}
	want, err := os.ReadFile("testdata/unsigned.safetensors")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, Write(&out, &File{Tensors: tensors}))
	assert.Equal(t, want, out.Bytes())
	f, err := Read(bytes.NewReader(want))
	require.NoError(t, err)
	_, err = f.Tensors[0].Int64()
	assert.EqualError(t, err, "u64: element 3 is 9223372036854775808, too large for an int64")
	fits := From("u64", []uint64{0, math.MaxInt64}, 2)
	for _, c := range []struct {
		tensor *Tensor
		want   []int64
	}{{&fits, []int64{0, math.MaxInt64}}, {&f.Tensors[1], []int64{0, 1, math.MaxUint32}}, {&f.Tensors[2], []int64{0, 1, math.MaxUint16}}} {
		v, err := c.tensor.Int64()
		require.NoError(t, err)
		assert.Equal(t, c.want, v)
	}
}

func TestLoadConverts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	load := func(view *autograd.Params, tensors ...Tensor) error {
		var b bytes.Buffer
		require.NoError(t, Write(&b, &File{Tensors: tensors}))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
		_, err := Load(path, view)
		return err
	}
	halves := []float32{1, -2.5, 0x1p-24, 65504, float32(math.Inf(1)), float32(math.NaN())}
	bias := From("bias", []float64{1 + 0x1p-24, 1 + 3*0x1p-24, math.Inf(-1)}, 3)
	_, view := model(1)
	// The tensors of a tied weight may have different types if their values are the same.
	require.NoError(t, load(view, Round("weight", F16, halves, 2, 3), From("tied", halves, 2, 3), bias))
	assert.Equal(t, bits(halves), bits(view.Get("weight").Value.Data()))
	assert.Equal(t, []float32{1, 1 + 0x1p-22, float32(math.Inf(-1))}, view.Get("bias").Value.Data())
	require.NoError(t, Save(path, view, nil))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := Read(bytes.NewReader(b))
	require.NoError(t, err)
	for _, saved := range f.Tensors {
		assert.Equal(t, F32, saved.DType, saved.Name)
	}

	// The same bytes have other values in another type.
	weight := Round("weight", BF16, []float32{1, 2, 3, 4, 5, 6}, 2, 3)
	tied := Tensor{Name: "tied", DType: F16, Shape: weight.Shape, Data: weight.Data}
	version := view.Version()
	err = load(view, weight, tied, From("bias", []float64{0, -1e39, 0}, 3))
	assert.EqualError(t, err, path+" does not fit: bias: element 1 is -1e+39, too large for a float32; "+
		"tied: tied to weight, but their values in the file differ")
	assert.Equal(t, version, view.Version())
	assert.Equal(t, bits(halves), bits(view.Get("weight").Value.Data()))
	require.NoError(t, load(view, weight, From("tied", []float64{1, 2, 3, 4, 5, 6}, 2, 3), From("bias", make([]float32, 3), 3)))
	assert.Equal(t, []float32{1, 2, 3, 4, 5, 6}, view.Get("weight").Value.Data())
}

// TestEveryPattern converts each number of 16 bits to float32 and back.
func TestEveryPattern(t *testing.T) {
	for pattern := range 1 << 16 {
		h := uint16(pattern)
		if v := fromFloat16(h); v != v {
			assert.True(t, h&0x7c00 == 0x7c00 && h&0x3ff != 0, "%#x", h)
			assert.Equal(t, h|0x200, float16(v), "%#x stays NaN", h)
		} else if float16(v) != h {
			t.Fatalf("F16 %#x became %v and %#x", h, v, float16(v))
		}
		if v := fromBFloat16(h); v != v {
			assert.Equal(t, h|0x40, bfloat16(v), "%#x stays NaN", h)
		} else if bfloat16(v) != h {
			t.Fatalf("BF16 %#x became %v and %#x", h, v, bfloat16(v))
		}
		// The definition: 1.fraction (or 0.fraction if subnormal) times a power of two.
		if exponent, fraction := int(h>>10&31), float64(h&0x3ff)/1024; exponent < 31 {
			want := math.Ldexp(1+fraction, exponent-15)
			if exponent == 0 {
				want = math.Ldexp(fraction, -14)
			}
			if h>>15 == 1 {
				want = -want
			}
			if float64(fromFloat16(h)) != want {
				t.Fatalf("F16 %#x is %v, want %v", h, fromFloat16(h), want)
			}
		}
	}
}

// TestNearest tests that a float32 is rounded to the nearer of the two numbers around it, and to the even one in a tie.
func TestNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []struct {
		name  string
		round func(float32) uint16
		value func(uint16) float32
		inf   uint16
	}{{"F16", float16, fromFloat16, 0x7c00}, {"BF16", bfloat16, fromBFloat16, 0x7f80}} {
		value := func(h uint16) float64 { // infinity stands where the next number would be
			if h == kind.inf {
				return 2*float64(kind.value(h-1)) - float64(kind.value(h-2))
			}
			return float64(kind.value(h))
		}
		check := func(v float32) {
			h := kind.round(v)
			require.Equal(t, h|0x8000, kind.round(-v), "%s of -%v", kind.name, v)
			off := math.Abs(value(h) - float64(v))
			for _, other := range []int{int(h) - 1, int(h) + 1} {
				if other < 0 || other > int(kind.inf) {
					continue
				}
				d := math.Abs(value(uint16(other)) - float64(v))
				if h == kind.inf && float64(v) >= value(h) {
					continue
				}
				if d < off || d == off && h&1 == 1 {
					t.Fatalf("%s of %v is %v, but %v is nearer or even", kind.name, v, kind.value(h), kind.value(uint16(other)))
				}
			}
		}
		for h := range kind.inf {
			low, high := value(h), value(h+1)
			check(float32(low))
			if middle := float32((low + high) / 2); middle != 0 && float64(middle) == (low+high)/2 {
				check(middle)
				check(math.Nextafter32(middle, 0))
				check(math.Nextafter32(middle, float32(math.MaxFloat32)))
			}
		}
		for range 100_000 {
			if v := math.Float32frombits(r.Uint32() &^ (1 << 31)); v-v == 0 {
				check(v)
			}
		}
	}
}

func TestTypeErrors(t *testing.T) {
	of := func(dtype DType, data ...byte) *Tensor { return &Tensor{Name: "a", DType: dtype, Data: data} }
	float := func(tensor *Tensor) error { _, err := tensor.Float32(); return err }
	wide := func(tensor *Tensor) error { _, err := tensor.Float64(); return err }
	whole := func(tensor *Tensor) error { _, err := tensor.Int64(); return err }
	long := &Tensor{Name: strings.Repeat("a", 1000), DType: I32}
	assert.EqualError(t, float(long), `"`+long.Name[:100]+`"...: its numbers are I32, want F32, F16, BF16 or F64`)
	large, huge := From("a", []float64{1, -1e39}, 2), From("a", []uint64{0, 1 << 63}, 2)
	for want, err := range map[string]error{
		"a: its numbers are I32, want F32, F16, BF16 or F64":          float(of(I32)),
		"a: its numbers are C64, want F32, F16, BF16 or F64":          wide(of("C64")),
		"a: its numbers are F32, want I8 to I64, U8 to U64 or BOOL":   whole(of(F32)),
		"a: element 1 is -1e+39, too large for a float32":             float(&large),
		"a: element 1 is 9223372036854775808, too large for an int64": whole(&huge),
		"a: element 1 is 2, want 0 or 1 for BOOL":                     whole(of(Bool, 1, 2)),
	} {
		assert.EqualError(t, err, want)
	}
	assert.PanicsWithError(t, "safetensors.Round: type is F32, want F16 or BF16", func() { Round("a", F32, nil, 0) })
	assert.PanicsWithError(t, "a: 1 values, want 2 for shape [2]", func() { Round("a", F16, make([]float32, 1), 2) })
	assert.PanicsWithError(t, "a: 1 values, want 2 for shape [2]", func() { From("a", []int8{1}, 2) })
}

func TestTensorsKeepTheirOwnShapeAndData(t *testing.T) {
	shape, values := []int{1, 2}, []float32{1, 2}
	whole, half := From("a", values, shape...), Round("b", F16, values, shape...)
	shape[0], values[0] = 7, 7
	for _, made := range []Tensor{whole, half} {
		assert.Equal(t, []int{1, 2}, made.Shape, made.Name)
		got, err := made.Float32()
		require.NoError(t, err)
		assert.Equal(t, []float32{1, 2}, got, made.Name)
	}
}

// A file with token ids and with weights of half precision.
func ExampleRound() {
	ids := From("ids", []int64{3, 1, 4}, 3)
	half := Round("half", F16, []float32{1, 0.1, 1e6}, 3)
	var b bytes.Buffer
	if err := Write(&b, &File{Tensors: []Tensor{ids, half}}); err != nil {
		fmt.Println(err)
	}
	f, err := Read(&b)
	fmt.Println(err)
	for i := range f.Tensors {
		t := &f.Tensors[i]
		if t.DType == I64 {
			fmt.Println(t.Int64())
		} else {
			fmt.Println(t.Float32())
		}
	}
	// Output:
	// <nil>
	// [3 1 4] <nil>
	// [1 0.099975586 +Inf] <nil>
}
