package npy

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
)

// values returns what testdata/files.py writes into an array of the given type.
func values(dtype safetensors.DType, count int) (floats []float64, ints []int64) {
	floats, ints = []float64{}, []int64{}
	for i := range count {
		switch {
		case strings.HasPrefix(string(dtype), "F"):
			floats = append(floats, 0.75*float64(i)-3)
		case strings.HasPrefix(string(dtype), "I"):
			ints = append(ints, int64(i)-3)
		case strings.HasPrefix(string(dtype), "U"):
			ints = append(ints, 7*int64(i))
		default:
			ints = append(ints, int64(1-min(1, i%3)))
		}
	}
	return floats, ints
}

func checkValues(t *testing.T, a *safetensors.Tensor) {
	t.Helper()
	floats, ints := values(a.DType, tensor.Size(a.Shape))
	if isFloat(a) {
		got, err := a.Float64()
		require.NoError(t, err)
		assert.Equal(t, floats, got, a.Name)
		return
	}
	got, err := a.Int64()
	require.NoError(t, err)
	assert.Equal(t, ints, got, a.Name)
}

// TestReadNumPy reads arrays of every type, in both orders of bytes and of dimensions.
func TestReadNumPy(t *testing.T) {
	for _, name := range []string{"types.npz", "packed.npz"} {
		f, err := Load("testdata/" + name)
		require.NoError(t, err)
		assert.Nil(t, f.Metadata)
		require.Len(t, f.Tensors, 12*4+5)
		shapes := map[string][]int{"scalar": {}, "vector": {100}, "nothing": {3, 0, 2}, "matrix": {5, 2}, "ones": {1, 2, 1, 3, 1, 2}}
		for i := range f.Tensors {
			a := &f.Tensors[i]
			dtype, shape := safetensors.F32, shapes[a.Name]
			if shape == nil {
				dtype, shape = kinds[i/4].dtype, []int{2, 3, 4}
				assert.True(t, strings.HasPrefix(a.Name, kinds[i/4].name), a.Name)
			}
			assert.Equal(t, dtype, a.DType, a.Name)
			assert.Equal(t, shape, a.Shape, a.Name)
			checkValues(t, a)
		}
	}
	for _, version := range []int{1, 2, 3} {
		f, err := Load(fmt.Sprintf("testdata/version%d.npy", version))
		require.NoError(t, err)
		require.Len(t, f.Tensors, 1)
		assert.Equal(t, []int{2, 3}, f.Tensors[0].Shape)
		assert.Empty(t, f.Tensors[0].Name)
		checkValues(t, &f.Tensors[0])
	}
}

// TestWriteNumPysBytes: what NumPy wrote little-endian and row-major, Write writes again, byte for byte.
func TestWriteNumPysBytes(t *testing.T) {
	archive, err := zip.OpenReader("testdata/types.npz")
	require.NoError(t, err)
	defer archive.Close()
	same := 0
	for _, entry := range archive.File {
		if strings.Contains(entry.Name, ">") || strings.HasSuffix(entry.Name, "/F.npy") || entry.Name == "matrix.npy" || entry.Name == "ones.npy" {
			continue
		}
		r, err := entry.Open()
		require.NoError(t, err)
		want, err := io.ReadAll(r)
		require.NoError(t, err)
		f, err := Read(bytes.NewReader(want))
		require.NoError(t, err)
		var got bytes.Buffer
		require.NoError(t, Write(&got, f.Tensors[0]))
		assert.Equal(t, string(want), got.String(), entry.Name)
		same++
	}
	assert.Equal(t, 12+3, same)
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	want, err := Load("testdata/types.npz")
	require.NoError(t, err)
	path := filepath.Join(dir, "a.npz")
	require.NoError(t, Save(path, want))
	got, err := Load(path)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	var again bytes.Buffer
	require.NoError(t, WriteArchive(&again, got))
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, first, again.Bytes())

	path = filepath.Join(dir, "a.npy")
	one := safetensors.From("w", []int16{1, -2}, 2, 1)
	require.NoError(t, Save(path, &safetensors.File{Tensors: []safetensors.Tensor{one}}))
	got, err = Load(path)
	require.NoError(t, err)
	one.Name = ""
	assert.Equal(t, []safetensors.Tensor{one}, got.Tensors)

	assert.EqualError(t, Save(path, want), "writing "+path+": npy: 53 tensors for a .npy, want one; a .npz holds several")
	got, err = Load(path)
	require.NoError(t, err, "it was left as it was")
	assert.Equal(t, []safetensors.Tensor{one}, got.Tensors)

	for want, tensors := range map[string][]safetensors.Tensor{
		`npy: tensor "b": NumPy has no type for BF16`:                  {safetensors.Round("b", safetensors.BF16, []float32{1}, 1)},
		`npy: tensor "": 2 bytes for F32 of shape [3]`:                 {{DType: safetensors.F32, Shape: []int{3}, Data: []byte{1, 2}}},
		`npy: tensor "": 0 bytes for F32 of shape [-1]`:                {{DType: safetensors.F32, Shape: []int{-1}}},
		`npy: tensor "a": the name is taken, not UTF-8 or too long`:    {safetensors.From("a", []int8{}, 0), safetensors.From("a", []int8{}, 0)},
		`npy: tensor "\xff": the name is taken, not UTF-8 or too long`: {safetensors.From("\xff", []int8{}, 0)},
	} {
		assert.EqualError(t, WriteArchive(io.Discard, &safetensors.File{Tensors: tensors}), want)
	}
	assert.ErrorIs(t, Write(broken{}, one), io.ErrClosedPipe)
	assert.ErrorIs(t, WriteArchive(broken{}, &safetensors.File{Tensors: []safetensors.Tensor{one}}), io.ErrClosedPipe)
	_, err = Load(filepath.Join(dir, "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestRefused(t *testing.T) {
	const want = ", want float16 to float64, int8 to int64, uint8 to uint64 or bool"
	for name, want := range map[string]string{
		"object": `an array of Python objects ("|O"), which is a pickle, that is a program; write sequences of different lengths padded, ` +
			`with an array of their lengths`,
		"record":  `header, byte 10: an array of records, want one of numbers; write its fields as arrays`,
		"text":    `an array of texts ("<U2")` + want,
		"complex": `an array of complex numbers ("<c8")` + want,
		"date":    `an array of dates or times ("<M8[D]")` + want,
	} {
		path := "testdata/refused_" + name + ".npy"
		_, err := Load(path)
		assert.EqualError(t, err, path+": npy: "+want)
	}
}

// file returns a .npy of version 1.
func file(header, numbers string) []byte {
	data := binary.LittleEndian.AppendUint16([]byte(magic+"\x01\x00"), uint16(len(header)))
	return append(append(data, header...), numbers...)
}

func TestHostileHeaders(t *testing.T) {
	shape := func(s string) string { return "{'descr': '<f4', 'fortran_order': False, 'shape': " + s + ", }\n" }
	const unknown = ", want float16 to float64, int8 to int64, uint8 to uint64 or bool"
	descr := func(s string) []byte {
		return file("{'descr': '"+s+"', 'fortran_order': False, 'shape': (), }", "1234")
	}
	type hostile struct {
		data []byte
		want string
	}
	cases := []hostile{
		{nil, "the file is empty"},
		{[]byte("<html>no"), `not a file of NumPy: it begins with "<html>"`},
		{[]byte(magic + "\x00\x00\x00\x00"), "version 0.0 of the format, want 1.0, 2.0 or 3.0"},
		{[]byte(magic + "\x01\x01\x00\x00"), "version 1.1 of the format, want 1.0, 2.0 or 3.0"},
		{[]byte(magic + "\x02\x00\xff\xff\xff\xff"), "header of 4294967295 bytes, want at most 10000"},
		{file(shape("(-1,)"), ""), "header, byte 51: found '-' in the shape, want whole numbers that are not negative"},
		{file(shape("(1.5,)"), ""), `header, byte 52: found '.', want ')'`},
		{file(shape("("+strings.Repeat("1,", 65)+")"), "1234"), "header, byte 179: more than 64 dimensions"},
		{file(shape("(1,)"), "12345"), "5 bytes after the header, but F32 of shape [1] has 4"},
		{file(shape("(1,)")+"x", "1234"), "header, byte 58: found 'x' after the dictionary"},
		{file("{'descr': '<f4', }", ""), "header, byte 18: one of descr, fortran_order and shape is missing"},
		{file("{'descr': '<f4', 'descr': '<f4'}", ""), `header, byte 24: "descr" twice`},
		{file("{'descr': '<f4', 'order': 1}", ""), `header, byte 25: unknown key "order"`},
		{file("{'fortran_order': 1}", ""), "header, byte 18: want True or False"},
		{file("{'descr': __import__('os').system('true')}", ""), `header, byte 10: found '_', want '\''`},
		{file(`{'descr': '\x3c'}`, ""), `header, byte 11: an escape sequence in "\\x3c"`},
		{file("{'descr", ""), "header, byte 2: it ends within a text"},
		{file("\x00", ""), `header, byte 0: found '\x00', want '{'`},
		{descr(""), "the descr is empty"},
		{descr("|f4"), `an array of an unknown type ("|f4")` + unknown},
		{descr("<f3"), `an array of an unknown type ("<f3")` + unknown},
		{descr("<S4"), `an array of texts ("<S4")` + unknown},
		{descr("|V4"), `an array of raw bytes ("|V4")` + unknown},
		{descr("\x1b[2J" + strings.Repeat("A", 5000)), `an array of an unknown type ("\x1b[2J` + strings.Repeat("A", 96) + `"...)` + unknown},
	}
	if strconv.IntSize == 64 {
		cases = append(cases, []hostile{
			{file(shape("(1000000000, 4)"), "12"), "2 bytes after the header, but F32 of shape [1000000000 4] has 16000000000"},
			{file(shape("(9223372036854775807,)"), ""), "F32 of shape [9223372036854775807] has more bytes than an int can tell, or a negative dimension"},
			{file(shape("(4294967296, 4294967296)"), ""), "F32 of shape [4294967296 4294967296] has more bytes than an int can tell, or a negative dimension"},
			{file(shape("(9223372036854775808,)"), ""), "header, byte 69: a dimension over 9223372036854775807"},
		}...)
	}
	for _, c := range cases {
		_, err := Read(bytes.NewReader(c.data))
		assert.EqualError(t, err, "npy: "+c.want)
	}
	f, err := Read(bytes.NewReader(file("{\"shape\":(1L ,2L),'fortran_order':True,'descr':'>i2'}", "\x00\x01\x02\x00")))
	require.NoError(t, err, "Python 2, other quotes, other order")
	assert.Equal(t, safetensors.From("", []int16{1, 512}, 1, 2), f.Tensors[0])
	_, err = Read(broken{})
	assert.Equal(t, io.ErrClosedPipe, err)
}

func (broken) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestCutFiles: a file that ends early is an error, wherever it ends.
func TestCutFiles(t *testing.T) {
	for _, name := range []string{"version1.npy", "version2.npy", "version3.npy", "sequences.npz"} {
		whole, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err)
		for n := range whole {
			_, err := Read(bytes.NewReader(whole[:n]))
			assert.ErrorContains(t, err, "npy: ", "%s, %d bytes", name, n)
		}
	}
}

// pack returns an archive whose files are packed.
func pack(t testing.TB, names []string, content []byte) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		f, err := w.Create(name)
		require.NoError(t, err)
		_, err = f.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestHostileArchives(t *testing.T) {
	var array bytes.Buffer
	require.NoError(t, Write(&array, safetensors.From("", []float32{1, 2, 3}, 3)))
	good := pack(t, []string{"a.npy"}, array.Bytes())
	f, err := Read(bytes.NewReader(good))
	require.NoError(t, err)
	assert.Equal(t, []safetensors.Tensor{safetensors.From("a", []float32{1, 2, 3}, 3)}, f.Tensors)

	fails := func(want string, data []byte) {
		t.Helper()
		_, err := Read(bytes.NewReader(data))
		require.ErrorContains(t, err, "npy: ")
		assert.ErrorContains(t, err, want)
	}
	fails(`array "a" is there twice`, pack(t, []string{"a.npy", "a.npy"}, array.Bytes()))
	fails(`"data.pkl" in the archive is no array: its name does not end in .npy`, pack(t, []string{"data.pkl"}, array.Bytes()))
	fails(`array "\x1b[2J": the file is empty`, pack(t, []string{"\x1b[2J.npy"}, nil))
	bomb := make([]byte, 33<<20)
	packed := pack(t, []string{"a.npy"}, bomb)
	require.Less(t, len(packed), 64<<10)
	fails(fmt.Sprintf("an archive of %d bytes that unpacks to over %d; write it with np.savez, which does not pack", len(packed), 32<<20), packed)

	// One packed content for two files of the directory.
	twice := pack(t, []string{"a.npy", "b.npy"}, bytes.Repeat([]byte("0123456789abcdef\x00\xff"), 60)[:1000])
	second := bytes.LastIndex(twice, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(twice[second+20:], uint32(len(twice)))
	fails("the files of the archive have more bytes than it has", twice)

	// Sizes that lie, and a bit that has flipped.
	at := bytes.LastIndex(good, []byte("PK\x01\x02"))
	for _, size := range []int{-1, 1, 100} {
		lie := bytes.Clone(good)
		binary.LittleEndian.PutUint32(lie[at+24:], uint32(array.Len()+size))
		fails(`array "a": `, lie)
	}
	wrong := bytes.Clone(good)
	wrong[at+16]++ // the checksum
	fails(`array "a": zip: checksum error`, wrong)
}

func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// tables returns packed blocks of no bytes, whose tables of codes take as much memory as they can for their size.
func tables(blocks int) []byte {
	var data []byte
	at := 0
	put := func(value uint64, bits int) { // the lowest bit first
		for i := range bits {
			if at%8 == 0 {
				data = append(data, 0)
			}
			data[at/8] |= byte(value>>i&1) << (at % 8)
			at++
		}
	}
	for b := range blocks {
		put(uint64((b+1)/blocks), 1) // the last block
		put(2, 2)                    // a block with tables of its own
		put(263-257, 5)              // codes for bytes and the end
		put(0, 5)                    // one for distances
		put(19-4, 4)
		lengths := map[int]uint64{10: 1, 1: 4, 2: 4, 11: 4, 12: 4, 13: 4, 14: 4, 15: 4, 3: 4} // of the codes for the lengths of codes
		for _, l := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
			put(lengths[l], 3)
		}
		code := func(length int) {
			if length == 10 {
				put(0, 1)
				return
			}
			place := slices.Index([]int{1, 2, 3, 11, 12, 13, 14, 15}, length)
			put(uint64(bits.Reverse8(uint8(8+place))>>4), 4)
		}
		for _, l := range []int{1, 2, 11, 12, 13, 14, 15, 15} {
			code(l)
		}
		for range 263 - 8 {
			code(10)
		}
		code(1)
		// Symbol 256 is number 248 of the codes of ten bits, which begin at 1100000000.
		put(uint64(bits.Reverse16(0b1100000000+248)>>6), 10)
	}
	return data
}

// TestMemory asserts what SECURITY.md promises.
func TestMemory(t *testing.T) {
	large := make([]byte, 8<<20)
	plain := file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1048576), }", string(large))
	huge := file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 104857600), }", "")
	for _, data := range [][]byte{plain, huge} {
		used := allocated(func() { Read(bytes.NewReader(data)) })
		assert.LessOrEqual(t, used, 3*len(data)+1<<20)
	}
	var stored bytes.Buffer
	require.NoError(t, WriteArchive(&stored, &safetensors.File{Tensors: []safetensors.Tensor{
		{Name: "a", DType: safetensors.F32, Shape: []int{2, 1 << 20}, Data: large}}}))
	var many []string
	for i := range 10_000 {
		many = append(many, fmt.Sprint(i, ".npy"))
	}
	tiny := pack(t, many, file("{'descr':'|i1','fortran_order':False,'shape':()}", "1"))
	packedTables := tables(10_000)
	content, err := io.ReadAll(flate.NewReader(bytes.NewReader(packedTables)))
	require.NoError(t, err)
	require.Empty(t, content)
	var blocks bytes.Buffer
	w := zip.NewWriter(&blocks)
	entry, err := w.CreateRaw(&zip.FileHeader{Name: "a.npy", Method: zip.Deflate, CompressedSize64: uint64(len(packedTables)), UncompressedSize64: 1})
	require.NoError(t, err)
	_, err = entry.Write(packedTables)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	used := allocated(func() { Read(bytes.NewReader(blocks.Bytes())) })
	t.Logf("tables: %d bytes: %d", blocks.Len(), used)
	assert.LessOrEqual(t, used, 1000*blocks.Len()+1<<20)
	for name, c := range map[string]struct {
		data     []byte
		unpacked int
	}{
		"stored": {stored.Bytes(), len(large)},
		"packed": {pack(t, []string{"a.npy"}, plain), len(plain)},
		"tiny":   {tiny, 10_000 * 60},
		"empty":  {pack(t, many, nil), 0},
	} {
		used := allocated(func() { Read(bytes.NewReader(c.data)) })
		t.Logf("%s: %d bytes, unpacked %d: %d", name, len(c.data), c.unpacked, used)
		assert.LessOrEqual(t, used, 16*len(c.data)+3*c.unpacked+1<<20, name)
	}
}

func TestExamples(t *testing.T) {
	f, err := Load("testdata/sequences.npz")
	require.NoError(t, err)
	s, err := Examples(f, "x", "steps", "lengths")
	require.NoError(t, err)
	var b dataset.Batch
	require.NoError(t, s.Gather([]int{1, 0}, &b))
	assert.Equal(t, []int{3, 2, 2}, b.X.Shape())
	assert.Equal(t, []float32{2, 2, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1}, b.X.Data())
	assert.Equal(t, []int{1, 3}, b.Lengths)
	assert.Equal(t, []int32{4, 1, -100, 2, -100, 3}, b.Labels)

	s, err = Examples(f, "steps", "target", "")
	require.NoError(t, err)
	assert.Equal(t, []float32{1, 2, 3, 4, 0, 0}, s.X.Data())
	assert.Equal(t, []int{2, 1}, s.Target.Shape())
	assert.Equal(t, []float32{0.5, 1.5}, s.Target.Data())
	s, err = Examples(f, "", "y", "")
	require.NoError(t, err)
	assert.Equal(t, &dataset.Tensors{Labels: []int32{1, 0}}, s)

	f.Tensors = append(f.Tensors, safetensors.From("large", []int64{1 << 40}, 1), safetensors.From("wide", []float64{1e300}, 1))
	for _, c := range []struct{ x, y, lengths, want string }{
		{"none", "", "", `npy: no array "none", only ["x" "y" "steps" "target" "lengths" "large" "wide"]`},
		{"", "none", "", `npy: no array "none", only ["x" "y" "steps" "target" "lengths" "large" "wide"]`},
		{"", "", "none", `npy: no array "none", only ["x" "y" "steps" "target" "lengths" "large" "wide"]`},
		{"large", "", "", "npy: large: element 0 is 1099511627776, want -16777216 to 16777216"},
		{"", "large", "", "npy: large: element 0 is 1099511627776, want -2147483648 to 2147483647"},
		{"wide", "", "", "npy: wide: element 0 is 1e+300, too large for a float32"},
		{"", "wide", "", "npy: wide: element 0 is 1e+300, too large for a float32"},
		{"", "", "target", "npy: target: its numbers are F64, want I8 to I64, U8 to U64 or BOOL"},
	} {
		_, err := Examples(f, c.x, c.y, c.lengths)
		assert.EqualError(t, err, c.want)
	}
}

// real reads a file that others wrote, from the folder that a variable of the environment names.
func real(t *testing.T, variable, name string) *safetensors.File {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		t.Skipf("%s does not name the folder of %s", variable, name)
	}
	f, err := Load(filepath.Join(dir, name))
	require.NoError(t, err)
	return f
}

func TestNSNet2(t *testing.T) {
	f := real(t, "UNROLL_NSNET2", "golden.npz")
	require.Len(t, f.Tensors, 2)
	for i, name := range []string{"x", "y"} {
		assert.Equal(t, name, f.Tensors[i].Name)
		assert.Equal(t, []int{1, 100, 161}, f.Tensors[i].Shape)
	}
	mask, err := f.Tensors[1].Float32()
	require.NoError(t, err)
	for _, v := range mask {
		require.True(t, v >= 0 && v <= 1, "%v", v)
	}
}

// TestG2P loads the weights of a network into weights of other names.
func TestG2P(t *testing.T) {
	f := real(t, "UNROLL_G2P", "checkpoint20.npz")
	require.Len(t, f.Tensors, 12)
	p := autograd.NewParams(1)
	p.New("weight_ih_l0", autograd.Zeros, 768, 256)
	p.New("weight_hh_l0", autograd.Zeros, 768, 256)
	p.New("bias_ih_l0", autograd.Zeros, 768)
	bias := p.New("bias_hh_l0", autograd.Zeros, 768)
	report, err := safetensors.Loading{Prefix: "enc_", Rename: func(name string) string {
		if kind, end, _ := strings.Cut(name, "_"); kind == "w" {
			return "weight_" + end + "_l0"
		} else if kind == "b" {
			return "bias_" + end + "_l0"
		}
		return ""
	}}.Apply(f, p)
	require.NoError(t, err)
	assert.Len(t, report.Used, 4)
	want, err := find(f, "enc_b_hh")
	require.NoError(t, err)
	numbers, err := want.Float32()
	require.NoError(t, err)
	assert.Equal(t, numbers, bias.Value.Data())
}

// FuzzRead: no bytes make Read panic, and what it returns can be written and read again.
func FuzzRead(f *testing.F) {
	names, err := filepath.Glob("testdata/*.np[yz]")
	require.NoError(f, err)
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		if len(data) < 4000 {
			f.Add(data)
		}
	}
	f.Add(pack(f, []string{"a.npy"}, file("{'descr':'>f2','fortran_order':True,'shape':(2,1,2)}", "12345678")))
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := Read(bytes.NewReader(data))
		if err != nil {
			assert.Less(t, len(err.Error()), 2000)
			return
		}
		var b bytes.Buffer
		for _, a := range read.Tensors {
			b.Reset()
			require.NoError(t, Write(&b, a))
			again, err := Read(&b)
			require.NoError(t, err)
			again.Tensors[0].Name = a.Name
			assert.True(t, bytes.Equal(a.Data, again.Tensors[0].Data))
			assert.Equal(t, a.Shape, again.Tensors[0].Shape)
			assert.Equal(t, a.DType, again.Tensors[0].DType)
		}
	})
}
