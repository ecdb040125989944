package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// file returns the bytes of a file: the length of the header, the header and data bytes of data.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for i := range data {
		b = append(b, byte(i))
	}
	return b
}

// numbered returns n items with commas between them, each formatted with its index.
func numbered(format string, n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(items, ",")
}

func TestMalformed(t *testing.T) {
	a := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"a":{"dtype":%s,"shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
	}
	ok := `{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	length := func(n uint64) []byte { return append(binary.LittleEndian.AppendUint64(nil, n), "{}"...) }
	many := "{" + strings.Repeat(`"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`, maxTensors) + `"a":{}}`
	for _, c := range []struct {
		name string
		file []byte
		text string
	}{
		{"empty", nil, "0 bytes, want at least the 8 of the header's length"},
		{"under 8 bytes", []byte{2, 0, 0}, "3 bytes, want at least the 8 of the header's length"},
		{"header over the file", length(3), "header cut short: 2 bytes, want 3"},
		{"header over 100 MB", length(100_000_001), "header of 100000001 bytes, want at most 100000000"},
		{"header of 2^63", length(1 << 63), "header of 9223372036854775808 bytes, want at most 100000000"},
		{"header of 2^64-1", length(math.MaxUint64), "header of 18446744073709551615 bytes, want at most 100000000"},
		{"no header", file("", 0), `header, byte 0: it ends, want '{'`},
		{"not UTF-8", file("{\xff}", 0), "header is not UTF-8"},
		{"not UTF-8 in a name", file("{\"a\xc3\":"+ok+"}", 4), "header is not UTF-8"},
		{"half a surrogate pair in a name", file(`{"\ud800":`+ok+`}`, 4), "half of a surrogate pair"},
		{"half a surrogate pair and another escape", file(`{"\ud800\u0041":`+ok+`}`, 4), "half of a surrogate pair"},
		{"lower half first", file(`{"\udc00":`+ok+`}`, 4), "half of a surrogate pair"},
		{"unknown escape", file(`{"\x41":`+ok+`}`, 4), `unknown escape "\\x"`},
		{"broken escape", file(`{"\u00g1":`+ok+`}`, 4), `'g' in a \u escape, want a hexadecimal digit`},
		{"escape cut short", file(`{"\u00`, 0), "it ends within a string"},
		{"backslash at the end", file(`{"\`, 0), "it ends within a string"},
		{"string cut short", file(`{"abc`, 0), "it ends within a string"},
		{"control character in a name", file("{\"a\n\":"+ok+"}", 4), "control character 0x0a in a string"},
		{"not JSON", file("hello", 0), `header, byte 0: found 'h', want '{'`},
		{"null", file("null", 0), `found 'n', want '{'`},
		{"array", file("[]", 0), `found '[', want '{'`},
		{"number", file("7", 0), `found '7', want '{'`},
		{"text after the object", file("{} x", 0), `header, byte 3: found 'x' after the object`},
		{"a second object", file("{}{}", 0), `found '{' after the object`},
		{"number missing", file(`{"a":{"shape":[1,`, 0), `header, byte 17: it ends, want a whole number`},
		{"object cut short", file(`{"a":`+ok, 4), `it ends, want '}'`},
		{"comma at the end", file(`{"a":`+ok+`,}`, 4), `found '}', want '"'`},
		{"no comma", file(`{"a":`+ok+`"b":`+ok+`}`, 4), `found '"', want '}'`},
		{"no colon", file(`{"a"`+ok+`}`, 4), `found '{', want ':'`},
		{"nesting bomb", file(strings.Repeat(`{"a":`, 1_000_000), 0), `tensor "a": header, byte 10: unknown key "a"`},
		{"nesting bomb of arrays", file(`{"a":{"shape":`+strings.Repeat("[", 1_000_000), 0), `found '[', want a whole number`},
		{"duplicate tensors", file(`{"a":`+ok+`,"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `tensor "a" is there twice`},
		{"duplicates by escape", file(`{"a":`+ok+`,"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `tensor "a" is there twice`},
		{"duplicate dtype", file(`{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), `tensor "a": header, byte 28: dtype twice`},
		{"duplicate shape", file(`{"a":{"dtype":"F32","shape":[],"shape":[1],"data_offsets":[0,4]}}`, 4), "shape twice"},
		{"duplicate data_offsets", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]}}`, 4), "data_offsets twice"},
		{"unknown key", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`, 4), `tensor "a": header, byte 57: unknown key "x"`},
		{"missing dtype", file(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, 4), "dtype is missing"},
		{"missing shape", file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), "shape is missing"},
		{"missing data_offsets", file(`{"a":{"dtype":"F32","shape":[1]}}`, 4), "data_offsets are [], want two"},
		{"nothing in a tensor", file(`{"a":{}}`, 0), "dtype is missing"},
		{"tensor that is null", file(`{"a":null}`, 0), `found 'n', want '{'`},
		{"unknown dtype", file(a(`"F31"`, "[1]", "[0,4]"), 4), `tensor "a": header, byte 19: unknown dtype "F31"`},
		{"empty dtype", file(a(`""`, "[1]", "[0,4]"), 4), `unknown dtype ""`},
		{"dtype that is a number", file(a("32", "[1]", "[0,4]"), 4), `found '3', want '"'`},
		{"negative dimension", file(a(`"F32"`, "[-1]", "[0,4]"), 4), `found '-', want a whole number, not negative`},
		{"fractional dimension", file(a(`"F32"`, "[1.0]", "[0,4]"), 4), "a fraction or exponent, want a whole number"},
		{"dimension with an exponent", file(a(`"F32"`, "[1e0]", "[0,4]"), 4), "a fraction or exponent, want a whole number"},
		{"dimension that begins with 0", file(a(`"F32"`, "[01]", "[0,4]"), 4), "a number that begins with 0"},
		{"dimension that is a string", file(a(`"F32"`, `["1"]`, "[0,4]"), 4), `found '"', want a whole number`},
		{"dimension over 2^63", file(a(`"F32"`, "[9223372036854775808]", "[0,4]"), 4), fmt.Sprintf("a number over %d", math.MaxInt)},
		{"dimension over 2^64", file(a(`"F32"`, "[18446744073709551617]", "[0,4]"), 4), "a number over"},
		{"shape that is a number", file(a(`"F32"`, "1", "[0,4]"), 4), `found '1', want '['`},
		{"shape cut short", file(`{"a":{"shape":[1`, 0), `it ends, want ']'`},
		{"nine dimensions", file(a(`"F32"`, "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), "more than 8 numbers"},
		{"[2, 2^64-2]", file(a(`"F32"`, "[2,18446744073709551614]", "[0,4]"), 4), "a number over"},
		{"[2, 2^63-1]", file(a(`"F32"`, "[2,9223372036854775807]", "[0,4]"), 4), ""},
		{"[0, 2^64-1, 2]", file(a(`"F32"`, "[0,18446744073709551615,2]", "[0,0]"), 0), "a number over"},
		{"bytes overflow", file(a(`"F64"`, fmt.Sprintf("[%d]", math.MaxInt/4), "[0,8]"), 8), "is no whole number of bytes that fits an int"},
		{"half a byte", file(a(`"F4"`, "[3]", "[0,2]"), 2), "F4 of shape [3] is no whole number of bytes"},
		{"begin after end", file(a(`"F32"`, "[1]", "[4,0]"), 4), "data_offsets [4 0] end before they begin"},
		{"three offsets", file(a(`"F32"`, "[1]", "[0,4,8]"), 4), "more than 2 numbers"},
		{"one offset", file(a(`"F32"`, "[1]", "[0]"), 4), "data_offsets are [0], want two"},
		{"end after the buffer", file(a(`"F32"`, "[2]", "[0,8]"), 4), "data cut short: 4 bytes, but tensors end at 8"},
		{"last byte missing", file(a(`"F32"`, "[1]", "[0,4]"), 3), "data cut short: 3 bytes, but tensors end at 4"},
		{"too small for the shape", file(a(`"F32"`, "[2]", "[0,4]"), 4), `tensor "a": header, byte 53: data_offsets [0 4] hold 4 bytes, but F32 of shape [2] has 8`},
		{"too large for the dtype", file(a(`"F16"`, "[1]", "[0,4]"), 4), "data_offsets [0 4] hold 4 bytes, but F16 of shape [1] has 2"},
		{"overlap", file(`{"a":`+ok+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, 6), `tensor "b": begins at 2, within another that ends at 4`},
		{"same place", file(`{"a":`+ok+`,"b":`+ok+`}`, 4), `tensor "b": begins at 0, within another that ends at 4`},
		{"hole", file(`{"a":`+ok+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[5,9]}}`, 9), `tensor "b": begins at 5, leaving a hole after 4`},
		{"hole before the first", file(a(`"F32"`, "[1]", "[1,5]"), 5), `tensor "a": begins at 1, leaving a hole after 0`},
		{"trailing bytes", file(`{"a":`+ok+`}`, 5), "bytes after the tensors' end at 4"},
		{"trailing bytes after nothing", file("{}", 1), "bytes after the tensors' end at 0"},
		{"too many names", file(many, 0), "more than 4096 tensors"},
		{"too many entries of metadata", file(`{"__metadata__":{"a":"",`+numbered(`"%04d":""`, maxTensors)+"}}", 0),
			"more than 4096 tensors and entries of metadata"},
		{"too many of both", file(`{"__metadata__":{`+numbered(`"%04d":""`, maxTensors)+`},"a":`+ok+`}`, 4),
			"more than 4096 tensors and entries of metadata"},
		{"long name", file(`{"`+strings.Repeat("a", 1000)+`":{"dtype":"F31"}}`, 0), `tensor "` + strings.Repeat("a", 100) + `"...: header`},
		{"long key", file(`{"a":{"`+strings.Repeat("a", 1000)+`":1}}`, 0), `unknown key "` + strings.Repeat("a", 100) + `"`},
		{"long dtype", file(`{"a":{"dtype":"`+strings.Repeat("a", 1000)+`"}}`, 0), `unknown dtype "` + strings.Repeat("a", 100) + `"`},
		{"a name over 256 KiB", file(`{"`+strings.Repeat("a", maxString+1)+`":`+ok+`}`, 4), "a string over 262144 bytes"},
		{"a value over 256 KiB in escapes", file(`{"__metadata__":{"a":"`+strings.Repeat(`\u00e9`, maxString/2+1)+`"}}`, 0), "a string over 262144 bytes"},
		{"metadata that is null", file(`{"__metadata__":null}`, 0), `found 'n', want '{'`},
		{"metadata of numbers", file(`{"__metadata__":{"a":1}}`, 0), `found '1', want '"'`},
		{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, 0), "__metadata__ twice"},
		{"metadata key twice", file(`{"__metadata__":{"a":"1","a":"1"}}`, 0), `__metadata__ has "a" twice`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(c.file))
			require.Error(t, err)
			assert.ErrorContains(t, err, c.text)
			assert.True(t, strings.HasPrefix(err.Error(), "safetensors: "))
			assert.Less(t, len(err.Error()), 300)
		})
	}
}

func TestLegal(t *testing.T) {
	for _, c := range []struct {
		header string
		data   int
		names  []string
	}{
		{"{}", 0, nil},
		{" \t\n\r{ } \n", 0, nil},
		{` { "a" : { "dtype" : "F32" , "shape" : [ 1 , 1 ] , "data_offsets" : [ 0 , 4 ] } } `, 4, []string{"a"}},
		{`{"a":{"data_offsets":[0,4],"shape":[],"dtype":"F32"}}`, 4, []string{"a"}},
		{`{"a":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]}}`, 0, []string{"a"}},
		// Data that is not aligned, an empty tensor between two others, and another order than by name.
		{`{"b":{"dtype":"F32","shape":[1],"data_offsets":[3,7]},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"z":{"dtype":"F64","shape":[0],"data_offsets":[3,3]}}`, 7, []string{"a", "z", "b"}},
		{`{"":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},"../../etc/passwd":{"dtype":"I8","shape":[1],"data_offsets":[1,2]},"\u0000":{"dtype":"F4","shape":[2],"data_offsets":[2,3]}}`, 3, []string{"", "../../etc/passwd", "\x00"}},
		{`{"\ud83d\ude00\"\\\/\b\f\n\r\té":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}`, 8, []string{"😀\"\\/\b\f\n\r\té"}},
		{`{"__metadata__":{"format":"pt","":""},"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}`, 4, []string{"a"}},
	} {
		f, err := Read(bytes.NewReader(file(c.header, c.data)))
		require.NoError(t, err, c.header)
		var names []string
		at := 0
		for _, tensor := range f.Tensors {
			names = append(names, tensor.Name)
			for _, b := range tensor.Data {
				assert.Equal(t, byte(at), b, c.header)
				at++
			}
		}
		assert.Equal(t, c.names, names, c.header)
		assert.Equal(t, c.data, at)
		if strings.Contains(c.header, "format") {
			assert.Equal(t, map[string]string{"format": "pt", "": ""}, f.Metadata)
		}
	}
}

// allocated returns the bytes that f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestMemoryFollowsTheBytes(t *testing.T) {
	claims := func(header string) []byte { return file(header, 3) }
	entries := numbered(`"%04d":{"dtype":"U8","shape":[1,1,1,1,1,1,1,0],"data_offsets":[0,0]}`, maxTensors)
	long := strings.Repeat("a", 500_000)
	badTensor := `":{"dtype":"U8","shape":[0],"data_offsets":[0,1]}}`
	for name, b := range map[string][]byte{
		"header of 100 MB that is not there": append(binary.LittleEndian.AppendUint64(nil, maxHeader), "{}"...),
		"data of a terabyte":                 claims(`{"a":{"dtype":"U8","shape":[2000000000],"data_offsets":[0,2000000000]}}`),
		"header all there":                   claims(strings.Repeat(" ", 30<<20)),
		"data all there":                     file(fmt.Sprintf(`{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}`, 20<<20, 20<<20), 20<<20),
		"as many tensors as can be":          file("{"+entries+"}", 0),
		"metadata of long strings":           file(`{"__metadata__":{`+numbered(`"%d":"`+strings.Repeat("m", maxString)+`"`, 16)+"}}", 0),
		"metadata of long escapes":           file(`{"__metadata__":{`+numbered(`"%d":"`+strings.Repeat(`\u00e9`, maxString/2)+`"`, 5)+"}}", 0),
		"as much metadata as can be":         file(`{"__metadata__":{`+numbered(`"%d":""`, maxTensors)+"}}", 0),
		"more metadata than can be":          file(`{"__metadata__":{`+numbered(`"%d":""`, 300_000)+"}}", 0),
		"a long name in an error":            file(`{"`+long+badTensor, 1),
		"a long name with an escape":         file(`{"\n`+long+badTensor, 1),
		"a name of escapes":                  file(`{"`+strings.Repeat(`\u00e9`, 80_000)+badTensor, 1),
	} {
		got := allocated(func() { Read(bytes.NewReader(b)) })
		assert.LessOrEqual(t, got, uint64(3*len(b)+1<<20), name)
	}
	// 10^7 names are over 100 MB of header; the file is refused when eight bytes are read.
	endless := io.MultiReader(bytes.NewReader(binary.LittleEndian.AppendUint64(nil, 520_000_000)), failing{})
	_, err := Read(endless)
	assert.EqualError(t, err, "safetensors: header of 520000000 bytes, want at most 100000000")
}

// failing is a reader and writer that always fails.
type failing struct{}

var errDisk = errors.New("disk torn")

func (failing) Read([]byte) (int, error)  { return 0, errDisk }
func (failing) Write([]byte) (int, error) { return 0, errDisk }

func TestReaderAndWriterErrors(t *testing.T) {
	whole := file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4)
	for cut := range len(whole) + 1 {
		_, err := Read(io.MultiReader(bytes.NewReader(whole[:cut]), failing{}))
		assert.ErrorIs(t, err, errDisk, "after %d bytes", cut)
	}
	assert.ErrorIs(t, Write(failing{}, &File{}), errDisk)
}

func TestWriteRefuses(t *testing.T) {
	good := From("a", []float32{1}, 1)
	for _, c := range []struct {
		f    File
		text string
	}{
		{File{Tensors: []Tensor{good, good}}, `safetensors: tensor "a": the name is taken, not UTF-8 or over 262144 bytes`},
		{File{Tensors: []Tensor{From("__metadata__", []float32{1}, 1)}}, `safetensors: tensor "__metadata__": the name is taken, not UTF-8 or over 262144 bytes`},
		{File{Tensors: []Tensor{From("\xff", []float32{1}, 1)}}, `safetensors: tensor "\xff": the name is taken, not UTF-8 or over 262144 bytes`},
		{File{Tensors: []Tensor{{Name: "a", DType: "F31", Shape: []int{1}, Data: make([]byte, 4)}}}, `safetensors: tensor "a": 4 bytes for F31 of shape [1]`},
		{File{Tensors: []Tensor{{Name: "a", DType: "F32", Shape: []int{2}, Data: make([]byte, 4)}}}, `safetensors: tensor "a": 4 bytes for F32 of shape [2]`},
		{File{Tensors: []Tensor{{Name: "a", DType: "F32", Shape: []int{-1}}}}, `safetensors: tensor "a": 0 bytes for F32 of shape [-1]`},
		{File{Tensors: make([]Tensor, maxTensors+1)}, "safetensors: 4097 tensors and entries of metadata, want at most 4096"},
		{File{Metadata: map[string]string{"a": strings.Repeat("x", maxString+1)}}, `safetensors: metadata "a" is not UTF-8 or over 262144 bytes`},
		{File{Metadata: map[string]string{"\xff": ""}}, `safetensors: metadata "\xff" is not UTF-8 or over 262144 bytes`},
	} {
		var b bytes.Buffer
		assert.EqualError(t, Write(&b, &c.f), c.text)
		assert.Zero(t, b.Len())
	}
	assert.Panics(t, func() { From("a", []float32{1}, 2) })
}

// model returns a view with two weights, one of them under two names, and all weights: those and one outside the prefix.
func model(seed uint64) (all, view *autograd.Params) {
	all = autograd.NewParams(seed)
	all.New("other", autograd.Uniform(1), 2)
	view = all.In("m")
	w := view.New("weight", autograd.Uniform(1), 2, 3)
	view.New("bias", autograd.Uniform(1), 3)
	view.Tie("tied", w)
	view.New("tied", autograd.Zeros, 2, 3)
	return all, view
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	all, view := model(1)
	view.Update(func() {
		copy(view.Get("bias").Value.Data(), []float32{float32(math.NaN()), float32(math.Inf(-1)), math.SmallestNonzeroFloat32})
	})
	require.NoError(t, Save(path, view, map[string]string{"epoch": "3", "a": "<&>"}))
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Zero(t, binary.LittleEndian.Uint64(first)%8, "data is aligned")

	otherAll, other := model(2)
	before := append([]float32(nil), otherAll.Get("other").Value.Data()...)
	version := other.Version()
	metadata, err := Load(path, other)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"epoch": "3", "a": "<&>"}, metadata)
	assert.Equal(t, version+1, other.Version())
	assert.Equal(t, before, otherAll.Get("other").Value.Data())
	for w := range view.All() {
		for i, v := range w.Value.Data() {
			got := otherAll.Get(w.Name).Value.Data()[i]
			assert.Equal(t, math.Float32bits(v), math.Float32bits(got))
		}
	}
	require.NoError(t, Save(path, other, metadata))
	again, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, first, again)
	f, err := Read(bytes.NewReader(first))
	require.NoError(t, err)
	var names []string
	for _, tensor := range f.Tensors {
		names = append(names, tensor.Name)
	}
	assert.Equal(t, []string{"bias", "tied", "weight"}, names)
	_ = all
}

func TestLoadTellsAllMismatches(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	write := func(tensors ...Tensor) {
		var b bytes.Buffer
		require.NoError(t, Write(&b, &File{Tensors: tensors}))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	}
	_, view := model(1)
	var before []float32
	for w := range view.All() {
		before = append(before, w.Value.Data()...)
	}
	six := make([]float32, 6)
	for _, c := range []struct {
		tensors []Tensor
		text    string
	}{
		{[]Tensor{From("weight", six, 3, 2), From("tied", six, 6), From("extra", six, 6), From[float32]("more", nil, 0)},
			"tied: shape [6] in the file, want [2 3]; weight: shape [3 2] in the file, want [2 3]; missing in the file: bias; in the file alone: extra, more"},
		{[]Tensor{{Name: "weight", DType: "I32", Shape: []int{2, 3}, Data: make([]byte, 24)}, From("tied", six, 2, 3), From("bias", six[:3], 3)},
			"weight: its numbers are I32, want F32, F16, BF16 or F64"},
		{[]Tensor{From("weight", six, 2, 3), {Name: "tied", DType: "I32", Shape: []int{2, 3}, Data: make([]byte, 24)}, From("bias", six[:3], 3)},
			"tied: its numbers are I32, want F32, F16, BF16 or F64"},
		{[]Tensor{From("weight", six, 2, 3), From("tied", []float32{0, 0, 0, 0, 0, 1}, 2, 3), {Name: "bias", DType: "I16", Shape: []int{3}, Data: make([]byte, 6)}},
			"bias: its numbers are I16, want F32, F16, BF16 or F64; tied: tied to weight, but their values in the file differ"},
	} {
		write(c.tensors...)
		version := view.Version()
		_, err := Load(path, view)
		assert.EqualError(t, err, path+" does not fit: "+c.text)
		assert.Equal(t, version, view.Version())
		var after []float32
		for w := range view.All() {
			after = append(after, w.Value.Data()...)
		}
		assert.Equal(t, before, after)
	}
	require.NoError(t, os.WriteFile(path, []byte("short"), 0o600))
	_, err := Load(path, view)
	assert.EqualError(t, err, path+": safetensors: 5 bytes, want at least the 8 of the header's length")
	_, err = Load(path+".none", view)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestSaveRefusesAViewOfNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	all, _ := model(1)
	assert.EqualError(t, Save(path, all.In("n"), nil), "saving "+path+`: there are no weights under the prefix "n."`)
	assert.NoFileExists(t, path)
}

// A tensor of eight numbers for each type of the reference implementation.
func TestTypes(t *testing.T) {
	sizes := map[DType]int{"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
		"F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
		"F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}
	assert.Len(t, sizes, len(dtypes))
	for dtype, size := range sizes {
		b := file(fmt.Sprintf(`{"a":{"dtype":%q,"shape":[8],"data_offsets":[0,%d]}}`, dtype, size), size)
		f, err := Read(bytes.NewReader(b))
		require.NoError(t, err, dtype)
		assert.Equal(t, dtype, f.Tensors[0].DType)
	}
}

// TestPython reads what the safetensors package of Python wrote (testdata/golden.py).
func TestPython(t *testing.T) {
	b, err := os.ReadFile("testdata/golden.safetensors")
	require.NoError(t, err)
	f, err := Read(bytes.NewReader(b))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"format": "np", "note": "größer"}, f.Metadata)
	got := map[string][]float32{}
	for _, tensor := range f.Tensors {
		if tensor.DType == F32 {
			got[tensor.Name], err = tensor.Float32()
			require.NoError(t, err)
		}
	}
	assert.Equal(t, map[string][]float32{"weight_ih_l0": {0, 0.5, 1, 1.5, 2, 2.5}, "scalar": {7}, "empty": {}}, got)
	var types []string
	for _, tensor := range f.Tensors {
		types = append(types, string(tensor.DType))
	}
	assert.Equal(t, "U64 I64 F64 C64 F32 F32 F32 U32 I32 F16 U16 I16 I8 U8 BOOL", strings.Join(types, " "))
	// Both write the same bytes, except for the order of the metadata.
	f.Metadata = nil
	var ours bytes.Buffer
	require.NoError(t, Write(&ours, f))
	plain, err := os.ReadFile("testdata/plain.safetensors")
	require.NoError(t, err)
	assert.Equal(t, plain, ours.Bytes())
}

func FuzzRead(f *testing.F) {
	f.Add(file("{}", 0))
	f.Add(file(`{"__metadata__":{"a":"b"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0,2],"data_offsets":[4,4]}}`, 4))
	f.Add(file(`{"\ud83d\ude00\n":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}} `, 1))
	f.Add(file(`{"a":{"dtype":"F32","shape":[2,9223372036854775807],"data_offsets":[0,4]}}`, 4))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(file("{\"\\\x1b[2J", 0))
	f.Add(file(`{"\u001b[2J\u202e":{"dtype":"\u001b"}}`, 0))
	f.Add(file(`{"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}`, 3))                                     // a byte of 2
	f.Add(append(file(`{"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}`, 0), 0, 0, 0, 0, 0, 0, 0xf0, 0x47)) // 2^128
	f.Add(append(file(`{"a":{"dtype":"U64","shape":[1],"data_offsets":[0,8]}}`, 0), 0, 0, 0, 0, 0, 0, 0, 0x80))   // 2^63
	for _, name := range []string{"testdata/golden.safetensors", "testdata/plain.safetensors", "testdata/values.safetensors", "testdata/unsigned.safetensors"} {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b)
	}
	for _, b := range otherFormats(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var read *File
		var err error
		if got, most := allocated(func() { read, err = Read(bytes.NewReader(b)) }), uint64(3*len(b)+1<<20); got > most {
			t.Fatalf("%d bytes were allocated for %d", got, len(b))
		}
		if err != nil {
			isShort(t, err)
			return
		}
		for i := range read.Tensors {
			values := &read.Tensors[i]
			n, _ := tensor.TrySize(values.Shape)
			single, errSingle := values.Float32()
			double, errDouble := values.Float64()
			whole, errWhole := values.Int64()
			assert.True(t, errSingle != nil || len(single) == n)
			assert.True(t, errDouble != nil || len(double) == n)
			assert.True(t, errWhole != nil || len(whole) == n)
			assert.False(t, errDouble == nil && errWhole == nil)
			if dtype := values.DType; errSingle == nil && (dtype == F16 || dtype == BF16) && !slices.ContainsFunc(single, func(v float32) bool { return v != v }) {
				assert.Equal(t, values.Data, Round("", dtype, single, n).Data)
			}
		}
		var out bytes.Buffer
		require.NoError(t, Write(&out, read))
		again, err := Read(&out)
		require.NoError(t, err)
		assert.Equal(t, len(read.Metadata), len(again.Metadata))
		for k, v := range read.Metadata {
			assert.Equal(t, v, again.Metadata[k])
		}
		for _, f := range []*File{read, again} {
			for i := range f.Tensors { // the order and the places may differ
				f.Tensors[i].begin, f.Tensors[i].end = 0, 0
			}
		}
		assert.ElementsMatch(t, read.Tensors, again.Tensors)
	})
}

func TestTensorsComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.safetensors")
	h, c := tensor.Of([]float32{1, -2, float32(math.Inf(1)), 4}, 1, 2, 2), tensor.Of([]float32{5, 6}, 2)
	require.NoError(t, SaveTensors(path, map[string]*tensor.Tensor{"h": h, "c": c}, map[string]string{"step": "7"}))
	into := map[string]*tensor.Tensor{"h": tensor.New(1, 2, 2), "c": tensor.New(2)}
	metadata, err := LoadTensors(path, into)
	require.NoError(t, err)
	assert.Equal(t, "7", metadata["step"])
	assert.Equal(t, h, into["h"])
	assert.Equal(t, c, into["c"])

	into = map[string]*tensor.Tensor{"h": tensor.New(1, 2, 2), "c": tensor.New(3), "d": tensor.New(1)}
	_, err = LoadTensors(path, into)
	assert.EqualError(t, err, path+" does not fit: c: shape [2] in the file, want [3]; missing in the file: d")
	assert.Zero(t, into["h"].Data()[0], "nothing is changed")
	assert.ErrorContains(t, SaveTensors(path, nil, nil), "there are no tensors")
}
