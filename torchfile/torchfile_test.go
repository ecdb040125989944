package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
)

func load(t *testing.T, name string) *safetensors.File {
	t.Helper()
	f, err := Load("testdata/" + name + ".pt")
	require.NoError(t, err)
	return f
}

// readBytes is Read for a file in memory.
func readBytes(b []byte) (*safetensors.File, error) { return Read(bytes.NewReader(b), int64(len(b))) }

// The tensors of each file, in both formats, are those that PyTorch wrote with package safetensors.torch, bit for bit.
func TestGoldens(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.safetensors")
	require.NoError(t, err)
	require.Len(t, paths, 5)
	for _, path := range paths {
		r, err := os.Open(path)
		require.NoError(t, err)
		defer r.Close()
		want, err := safetensors.Read(r)
		require.NoError(t, err)
		name := strings.TrimSuffix(filepath.Base(path), ".safetensors")
		file, legacy := load(t, name), load(t, "legacy_"+name)
		assert.Equal(t, file.Metadata, legacy.Metadata)
		for _, tensors := range [][]safetensors.Tensor{file.Tensors, legacy.Tensors} {
			got := map[string]safetensors.Tensor{}
			for _, tensor := range tensors {
				got[tensor.Name] = tensor
			}
			assert.Len(t, got, len(want.Tensors), path)
			for _, w := range want.Tensors {
				g := got[w.Name]
				assert.Equal(t, w.DType, g.DType, w.Name)
				assert.Equal(t, w.Shape, g.Shape, w.Name)
				assert.True(t, bytes.Equal(w.Data, g.Data), w.Name)
			}
		}
	}
}

func TestMetadata(t *testing.T) {
	m := load(t, "checkpoint").Metadata
	assert.Equal(t, "3", m["epoch"])
	assert.Equal(t, "None", m["best"])
	assert.Equal(t, "18446744073709551615", m["seed"])
	assert.Equal(t, "-1099511627776", m["low"])
	assert.Equal(t, "0.25", m["optimizer.param_groups.0.lr"])
	assert.Equal(t, "0.999", m["optimizer.param_groups.0.betas.1"])
	assert.Equal(t, "False", m["optimizer.param_groups.0.amsgrad"])
	assert.Equal(t, "1", m["optimizer.param_groups.0.params.1"])
	m = load(t, "types").Metadata
	assert.Equal(t, map[string]string{"size.0": "2", "size.1": "3", "dtype": "torch.float32"}, m)
}

// Tied weights share memory, and views share the memory of their storage.
func TestViewsShareMemory(t *testing.T) {
	for _, name := range []string{"views", "legacy_views"} {
		of := map[string][]byte{}
		for _, tensor := range load(t, name).Tensors {
			of[tensor.Name] = tensor.Data
		}
		assert.Same(t, &of["tied.0"][0], &of["tied.1"][0])
		assert.Same(t, &of["tied.0"][8*4], &of["rows"][0])
		assert.Equal(t, len(of["rows"]), cap(of["rows"]))
	}
}

// The weights of PyTorch 1.13 are those that it printed.
func TestOldPyTorch(t *testing.T) {
	f := load(t, "torch113")
	require.Len(t, f.Tensors, 2)
	weight, err := f.Tensors[0].Float32()
	require.NoError(t, err)
	assert.InDeltaSlice(t, []float32{0.5406, 0.5869, -0.1657, 0.6496, -0.1549, 0.1427}, weight, 1e-4)
}

func TestApply(t *testing.T) {
	params := autograd.NewParams(1)
	rnn.NewLSTM(params.In("lstm"), rnn.LSTMConfig{Input: 2, Hidden: 2})
	layers.NewDense(params.In("head"), 2, 3)
	f := load(t, "state_dict")
	report, err := safetensors.Loading{}.Apply(f, params)
	require.NoError(t, err)
	assert.Len(t, report.Used, 6)
	want, err := f.Tensors[0].Float32()
	require.NoError(t, err)
	assert.Equal(t, "lstm.weight_ih_l0", f.Tensors[0].Name)
	assert.Equal(t, want, params.Get("lstm.weight_ih_l0").Value.Data())
}

// record is a record of a zip archive that is made for a test.
type record struct {
	name string
	data string
}

func archiveOf(method uint16, records ...record) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, r := range records {
		w, _ := z.CreateHeader(&zip.FileHeader{Name: r.name, Method: method})
		w.Write([]byte(r.data))
	}
	z.Close()
	return b.Bytes()
}

// pickled returns a file with a pickle and one storage of 24 bytes.
func pickled(pickle string) []byte {
	return archiveOf(zip.Store, record{"a/data.pkl", pickle}, record{"a/data/0", strings.Repeat("\x00\x00\x80\x3f", 6)})
}

// text and number return the opcodes that push them.
func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func number(n int64) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

// tensorOf returns the opcodes that push a tensor of a storage of so many floats.
func tensorOf(key string, elements, offset int64, shape, strides string) string {
	id := "(" + text("storage") + "ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(elements) + "tQ"
	return "ctorch._utils\n_rebuild_tensor_v2\n(" + id + number(offset) + shape + strides + "\x89}tR"
}

// oneTensor returns a file with the tensor "w".
func oneTensor(key string, elements, offset int64, shape, strides string) []byte {
	return pickled("\x80\x02}" + text("w") + tensorOf(key, elements, offset, shape, strides) + "s.")
}

func numbers(all ...int64) string {
	s := "("
	for _, n := range all {
		s += number(n)
	}
	return s + "t"
}

func TestHostileTensors(t *testing.T) {
	f, err := readBytes(oneTensor("0", 6, 0, numbers(2, 3), numbers(3, 1)))
	require.NoError(t, err)
	assert.Equal(t, []int{2, 3}, f.Tensors[0].Shape)
	const huge, large = math.MaxInt, 1 << (strconv.IntSize - 2)
	beyond := "go beyond the 6 elements"
	for _, c := range []struct {
		file []byte
		want string
	}{
		{oneTensor("1", 6, 0, numbers(6), numbers(1)), "has no record data/1"},
		{oneTensor("../data.pkl", 6, 0, numbers(6), numbers(1)), "has no record data/../data.pkl"},
		{oneTensor("0", 7, 0, numbers(6), numbers(1)), "said to have 7 elements of 4 bytes, but the record has 24"},
		{oneTensor("0", huge, 0, numbers(6), numbers(1)), "the record has 24"},
		{oneTensor("0", -1, 0, numbers(6), numbers(1)), "refused"},
		{oneTensor("0", 6, 1, numbers(6), numbers(1)), beyond},
		{oneTensor("0", 6, huge, numbers(6), numbers(1)), beyond},
		{oneTensor("0", 6, huge, numbers(), numbers()), beyond},
		{oneTensor("0", 6, -1, numbers(6), numbers(1)), "want a storage, a whole number"},
		{oneTensor("0", 6, 0, numbers(2, 3), numbers(huge, 1)), beyond},
		{oneTensor("0", 6, 5, numbers(2, 2), numbers(5, 5)), beyond},
		{oneTensor("0", 6, 0, numbers(2, 3), numbers(-3, 1)), "want a storage, a whole number"},
		{oneTensor("0", 6, 0, numbers(2, 3), numbers(1)), "want a storage, a whole number"},
		{oneTensor("0", 6, 0, numbers(huge), numbers(0)), "too many elements"},
		{oneTensor("0", 6, 0, numbers(large, large), numbers(0, 0)), "too large"},
		{oneTensor("0", 6, 0, numbers(1<<30), numbers(0)), "too many elements"},
		{oneTensor("0", 6, 0, numbers(1<<30), numbers(1)), beyond},
		{oneTensor("0", 6, 0, numbers(1, 1, 1, 1, 1, 1, 1, 1, 1), numbers(1, 1, 1, 1, 1, 1, 1, 1, 1)), "at most 8"},
	} {
		_, err := readBytes(c.file)
		assert.ErrorContains(t, err, c.want)
	}
}

func TestHostilePickles(t *testing.T) {
	for pickle, want := range map[string]string{
		"cos\nsystem\n(" + text("rm -rf /") + "tR.":    "the file wants os.system of Python, which is refused",
		"cposix\nsystem\n(" + text("rm -rf /") + "tR.": "posix.system",
		text("posix") + text("system") + "\x93.":       "posix.system",
		"c__main__\nModel\n.":                          "__main__.Model of Python, which is refused: only tensors, dicts, lists, numbers and texts are read; in PyTorch, save model.state_dict()",
		"cbuiltins\neval\n.":                           "builtins.eval",
		"c\x1b[2J\nx\n.":                               `"\x1b[2J.x"`,
		"ctorch\nFloatStorage\n)R.":                    "a call of torch.FloatStorage with these 0 arguments",
		"}(tR.":                                        "a call of a dict with a tuple is refused",
		"(ios\nsystem\n.":                              "opcode INST is refused",
		"ccollections\nOrderedDict\n)\x81.":            "opcode NEWOBJ is refused",
		"\xff.":                                        "opcode 0xff is refused",
		"\x80\x06}.":                                   "protocol 6, want 2 to 5",
		")}b.":                                         "BUILD of a tuple is refused",
		"]" + "q\x00h\x00a.":                           "more than 32 dicts",
		"}" + "q\x00" + text("a") + "h\x00s.":          "more than 32 dicts",
		strings.Repeat("]", 100000) + strings.Repeat("a", 99999) + ".": "more than 32 dicts",
		strings.Repeat("(", 100000) + ".":                              "ends at byte 100000 with 0 values",
		"r\xff\xff\xff\xff.":                                           "the stack has too few values",
		"}r\xff\xff\xff\xffj\xfe\xff\xff\xff.":                         "the memo has no entry 4294967294",
		"X\xff\xff\xff\xff.":                                           "cut short",
		"}}s.":                                                         "too few values",
		"}(}u.":                                                        "1 items cannot be added to a dict",
		"]NNs.":                                                        "2 items cannot be added to a list",
		"\x8a\x11" + strings.Repeat("x", 17) + ".":                     "an int of 17 bytes, want at most 16",
		"}NNs.":                  "a key of a dict is None",
		"}" + text("a") + "NsN.": "ends at byte",
		"}.}":                    "1 bytes after the pickle",
		"N.":                     "the file holds None, want a dict",
		"a.":                     "too few values",
		"u.":                     "there is no mark",
		"NQ.":                    "a persistent id that is None",
		"}(" + text("a") + "N" + text("a") + "Nu.": `the name "a" is there twice`,
		"}" + text("\xff") + "Ns.":                 "not UTF-8",
		"":                                         "cut short",
	} {
		_, err := readBytes(pickled(pickle))
		if assert.ErrorContains(t, err, want, "%q", pickle) {
			assert.Less(t, len(err.Error()), 1000)
		}
	}
	// Each list has the one before it twice: 2^30 names.
	pickle := "(]q\x00"
	for i := range 30 {
		pickle += fmt.Sprintf("](h%[1]ch%[1]ceq%[2]c", rune(i), rune(i+1))
	}
	_, err := readBytes(pickled(pickle + "t."))
	assert.ErrorContains(t, err, "too many for a file of this size")
}

func TestHostileArchives(t *testing.T) {
	good, err := os.ReadFile("testdata/checkpoint.pt")
	require.NoError(t, err)
	for cut := range good {
		_, err := readBytes(good[:cut])
		require.Error(t, err)
	}
	whole, err := readBytes(good)
	require.NoError(t, err)
	for at := range good { // damage is found, or is where nothing is read, such as in the time of a record
		damaged := bytes.Clone(good)
		damaged[at] ^= 0xff
		if got, err := readBytes(damaged); err == nil {
			require.Equal(t, whole, got, at)
		}
	}
	pickle := record{"a/data.pkl", "}."}
	bomb := archiveOf(zip.Deflate, record{"a/data.pkl", strings.Repeat("(", 10<<20)})
	assert.Less(t, allocated(func() { _, err = readBytes(bomb) }), uint64(1<<20))
	assert.ErrorContains(t, err, "it is compressed, which torch.save does not do")
	script, err := os.ReadFile("../safetensors/testdata/formats/script.pt")
	require.NoError(t, err)
	tensors, err := os.ReadFile("testdata/types.safetensors")
	require.NoError(t, err)
	for want, file := range map[string][]byte{
		`the byte order is "big", want little`:            archiveOf(zip.Store, pickle, record{"a/byteorder", "big"}),
		"has no record data.pkl in a folder":              archiveOf(zip.Store, record{"data.pkl", "}."}),
		`record "b/data/0" is not in the folder "a/"`:     archiveOf(zip.Store, pickle, record{"b/data/0", ""}),
		`record "a/data.pkl" is there twice`:              archiveOf(zip.Store, pickle, pickle),
		`record "a/byteorder": 17 bytes, want at most 16`: archiveOf(zip.Store, pickle, record{"a/byteorder", strings.Repeat("x", 17)}),
		"neither a zip archive nor a pickle":              []byte("hello"),
		"a program of torch.jit.save":                     script,
		"it looks like a safetensors file":                tensors,
		"checksum error":                                  bytes.Replace(oneTensor("0", 6, 0, numbers(6), numbers(1)), []byte("\x80\x3f"), []byte("\x80\x3e"), 1),
	} {
		_, err := readBytes(file)
		assert.ErrorContains(t, err, want)
	}
	_, err = Load(filepath.Join(t.TempDir(), "missing.pt"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A directory that lists the same bytes as many storages does not make the reader read them many times.
func TestOverlappingRecords(t *testing.T) {
	a := &archive{left: 100, storages: map[string][]byte{}}
	z, err := zip.NewReader(bytes.NewReader(pickled("}.")), int64(len(pickled("}."))))
	require.NoError(t, err)
	a.records = map[string]*zip.File{}
	for i := range 5 {
		a.records[fmt.Sprintf("data/%d", i)] = z.File[1]
		_, err = a.storage(fmt.Sprint(i))
		if i < 4 {
			require.NoError(t, err)
		}
	}
	assert.ErrorContains(t, err, "24 bytes, which the file does not have")
}

// allocated returns the bytes that f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// limit is the number of bytes that reading may allocate, as the package comment says.
func limit(size int) uint64 { return 512*uint64(size) + 4<<20 }

func TestMemory(t *testing.T) {
	const n = 1 << 19
	var many []record
	for i := range 20000 {
		many = append(many, record{fmt.Sprintf("a/%d", i), ""})
	}
	files := map[string][]byte{
		"marks":  pickled(strings.Repeat("(", n)),
		"dicts":  pickled(strings.Repeat("}", n)),
		"lists":  pickled(strings.Repeat("]", n)),
		"memo":   pickled("N" + strings.Repeat("\x94", n)),
		"tuples": pickled(strings.Repeat("N\x85", n/2)),
		"filled": pickled(strings.Repeat("]Na", n/3)),
		"pairs":  pickled(strings.Repeat("}NNs", n/4)),
		"ints":   pickled("](" + strings.Repeat("K\x01", n/2) + "e."),
		"nones":  pickled("](" + strings.Repeat("N", n) + "e."),
		"copies": pickled("]q\x00(" + strings.Repeat("N", 1000) + "e]" + strings.Repeat("h\x00a", 100000) + "."),
		"texts":  pickled("](" + number(math.MaxInt64) + "q\x00" + strings.Repeat("h\x00", n/2) + "e."),
		"views":  pickled("](" + tensorOf("0", 6, 0, numbers(2, 3), numbers(1, 2)) + "q\x00" + strings.Repeat("h\x00", n/2) + "e."),
		"empty":  archiveOf(zip.Store, append(many, record{"a/data.pkl", "}."})...),
	}
	for name, file := range files {
		got := allocated(func() { readBytes(file) })
		assert.LessOrEqual(t, got, limit(len(file)), name)
		t.Logf("%s: %d times", name, got/uint64(len(file)))
	}
	// A file of weights takes little more than twice its size.
	large := archiveOf(zip.Store, record{"a/data.pkl", "]" + tensorOf("0", 4*n, 0, numbers(4*n), numbers(1)) + "a."},
		record{"a/data/0", strings.Repeat("x", 16*n)})
	var file *safetensors.File
	var err error
	assert.LessOrEqual(t, allocated(func() { file, err = readBytes(large) }), uint64(2*16*n+1<<20))
	require.NoError(t, err)
	assert.Len(t, file.Tensors[0].Data, 16*n)
}

func FuzzRead(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.pt")
	require.NoError(f, err)
	for _, path := range paths {
		b, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(b, true)
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue // a legacy file
		}
		r, err := z.File[0].Open()
		require.NoError(f, err)
		var pickle bytes.Buffer
		_, err = pickle.ReadFrom(r)
		require.NoError(f, err)
		f.Add(pickle.Bytes(), false)
	}
	// Whole tells that the bytes are a file and not its pickle.
	f.Fuzz(func(t *testing.T, b []byte, whole bool) {
		if !whole {
			b = pickled(string(b))
		}
		var file *safetensors.File
		var err error
		if got := allocated(func() { file, err = readBytes(b) }); got > limit(len(b)) {
			t.Fatalf("%d bytes were allocated for %d", got, len(b))
		}
		if err != nil {
			return
		}
		for _, tensor := range file.Tensors {
			n := tensor.DType.Bits() / 8
			for _, size := range tensor.Shape {
				n *= size
			}
			require.Len(t, tensor.Data, n)
		}
	})
}
