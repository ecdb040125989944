package torchfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/safetensors"
)

// The opcodes of the first three pickles of a legacy file.
const (
	magic      = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
	version    = "\x80\x02M\xe9\x03."
	properties = "}X\x0d\x00\x00\x00little_endian\x88s."
)

// legacyOf returns a legacy file: the opcodes of its content and of the list of its storages, without STOP, and the storages.
func legacyOf(content, keys, storages string) []byte {
	return []byte(magic + version + properties + content + "." + keys + "." + storages)
}

// stored returns a storage of a legacy file: so many elements, and the bytes.
func stored(elements uint64, content string) string {
	return string(binary.LittleEndian.AppendUint64(nil, elements)) + content
}

// The files of PyTorch 1.13 have the same weights in both formats: one state_dict was saved twice.
func TestOldLegacy(t *testing.T) {
	var files [2]*safetensors.File
	for i, name := range []string{"legacy", "model"} {
		var err error
		files[i], err = Load("../safetensors/testdata/formats/" + name + ".pt")
		require.NoError(t, err)
	}
	assert.Len(t, files[0].Tensors, 2)
	assert.Equal(t, files[1], files[0])
}

func TestHostileLegacy(t *testing.T) {
	w := "}" + text("w") + tensorOf("0", 6, 0, numbers(2, 3), numbers(3, 1)) + "s"
	two := "](" + tensorOf("0", 6, 0, numbers(6), numbers(1)) + tensorOf("0", 5, 0, numbers(5), numbers(1)) + "e"
	key, six := "]"+text("0")+"a", strings.Repeat("\x00\x00\x80\x3f", 6)
	f, err := readBytes(legacyOf(w, key, stored(6, six)))
	require.NoError(t, err)
	assert.Equal(t, []byte(six), f.Tensors[0].Data)
	good := string(legacyOf(w, key, stored(6, six)))
	for _, c := range []struct {
		file []byte
		want string
	}{
		{[]byte("\x80\x02}."), "a pickle of Python, but not one that torch.save wrote"},
		{[]byte("\x80\x02M\xe9\x03."), "not one that torch.save wrote"},
		{[]byte(magic + "\x80\x02M\xea\x03."), "pickle 3 at byte"},
		{[]byte(strings.Replace(good, version, "\x80\x02M\xea\x03.", 1)), "a version of the format before PyTorch 1.6 that is not 1001"},
		{[]byte(strings.Replace(good, "little_endian\x88", "little_endian\x89", 1)), "the byte order is not little"},
		{[]byte(strings.Replace(good, properties, "N.", 1)), "the byte order is not little, or not told"},
		{[]byte(strings.Replace(good, properties, "cos\nsystem\n("+text("rm -rf /")+"tR.", 1)), "pickle 3 at byte 21: byte 0 of the pickle: the file wants os.system of Python"},
		{legacyOf("cposix\nsystem\n("+text("rm -rf /")+"tR", key, ""), "posix.system of Python, which is refused"},
		{legacyOf("("+text("module")+"c__main__\nModel\n", "", ""), "__main__.Model of Python, which is refused"},
		{legacyOf(w, "cos\nsystem\n", ""), "os.system"},
		{legacyOf(w, "}", ""), "the keys of the storages are a dict, want a list"},
		{legacyOf(w, "]", ""), "the file has no record data/0 with its numbers"},
		{legacyOf(w, "]", stored(6, six)), "32 bytes after the last storage"},
		{legacyOf(w, "]"+text("1")+"a", stored(6, six)), "storage 1, a text, is in the list of storages twice or of no tensor"},
		{legacyOf(w, "]Na", stored(6, six)), "None, is in the list"},
		{legacyOf(w, "]("+text("0")+text("0")+"e", stored(6, six)+stored(6, six)), "storage 0, a text, is in the list of storages twice"},
		{legacyOf(w, key, stored(6, six)+"x"), "1 bytes after the last storage"},
		{legacyOf(w, key, stored(6, six[1:])), "storage 0 of 6 elements is not in the 31 bytes that are left"},
		{legacyOf(w, key, stored(7, six)), "storage 0 of 6 elements is not in"},
		{legacyOf(w, key, stored(math.MaxUint64, six)), "storage 0 of 6 elements is not in"},
		{legacyOf("]"+tensorOf("0", math.MaxInt, 0, numbers(6), numbers(1))+"a", key, stored(math.MaxInt, six)), "is not in the 32 bytes"},
		{legacyOf(two, key, stored(6, six)), "storage 0 has two types or sizes"},
		{legacyOf("]"+tensorOf("0", 6, 1, numbers(6), numbers(1))+"a", key, stored(6, six)), "go beyond the 6 elements"},
		{legacyOf("]"+strings.Replace(tensorOf("0", 6, 0, numbers(6), numbers(1)), "tQ", "("+text("1")+"K\x00K\x06ttQ", 1)+"a", key, stored(6, six)),
			"a persistent id that is a tuple and no storage is refused"},
	} {
		_, err := readBytes(c.file)
		assert.ErrorContains(t, err, c.want)
	}
}

// A legacy file that is cut is refused, wherever it is cut, and one that is damaged is read without harm: the format has no checksums.
func TestDamagedLegacy(t *testing.T) {
	good, err := os.ReadFile("testdata/legacy_checkpoint.pt")
	require.NoError(t, err)
	for cut := range good {
		_, err := readBytes(good[:cut])
		require.Error(t, err)
	}
	for at := range good {
		damaged := bytes.Clone(good)
		damaged[at] ^= 0xff
		readBytes(damaged)
	}
	assert.Less(t, allocated(func() { _, err = Read(bytes.NewReader(good), 1<<30) }), uint64(1<<20))
	assert.EqualError(t, err, "torchfile: its last byte, number 1073741823: EOF")
}

// Reading a legacy file takes no more memory than another.
func TestLegacyMemory(t *testing.T) {
	const n = 1 << 18
	for name, file := range map[string][]byte{
		"marks":  legacyOf(strings.Repeat("(", n), "]", ""),
		"dicts":  legacyOf(strings.Repeat("}", n), "]", ""),
		"keys":   legacyOf("}", "]("+strings.Repeat("N", n)+"e", ""),
		"stored": legacyOf("("+text("storage")+"ctorch\nFloatStorage\n"+text("0")+text("cpu")+number(0)+"tq\x00"+strings.Repeat("h\x00Q", n/3), "]", ""),
		"magic":  []byte("\x80\x02" + strings.Repeat("N\x85", n)),
	} {
		got := allocated(func() { readBytes(file) })
		assert.LessOrEqual(t, got, limit(len(file)), name)
		t.Logf("%s: %d times", name, got/uint64(len(file)))
	}
	large := legacyOf("]"+tensorOf("0", 8*n, 0, numbers(8*n), numbers(1))+"a", "]"+text("0")+"a", stored(8*n, strings.Repeat("x", 32*n)))
	var err error
	assert.LessOrEqual(t, allocated(func() { _, err = readBytes(large) }), uint64(2*32*n+1<<20))
	require.NoError(t, err)
}
