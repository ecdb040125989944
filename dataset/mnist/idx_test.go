package mnist

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// header returns the header of an IDX file of unsigned bytes.
func header(dims ...uint32) []byte {
	h := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		h = binary.BigEndian.AppendUint32(h, d)
	}
	return h
}

// encode is the inverse of ReadIDX.
func encode(x *IDX) []byte {
	var dims []uint32
	for _, d := range x.Shape {
		dims = append(dims, uint32(d))
	}
	return append(header(dims...), x.Data...)
}

// pack packs a file with gzip.
func pack(content []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	z.Write(content)
	z.Close()
	return b.Bytes()
}

// changed returns a copy of b in which the bytes from offset at on are replaced; a negative offset counts from the end.
func changed(b []byte, at int, to ...byte) []byte {
	b = bytes.Clone(b)
	if at < 0 {
		at += len(b)
	}
	copy(b[at:], to)
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// chunk is the number of bytes that ReadIDX reads at a time.
const chunk = 256 << 10

func TestReadIDX(t *testing.T) {
	for _, shape := range [][]int{{1}, {7}, {3, 5}, {2, 3, 4}, {2, 1, 3, 2}, {chunk}, {chunk + 1}, {3, chunk}} {
		want := &IDX{Shape: shape}
		n := 1
		for _, d := range shape {
			n *= d
		}
		for i := range n {
			want.Data = append(want.Data, byte(i^i>>8))
		}
		plain := encode(want)
		for name, r := range map[string]io.Reader{
			"plain":         bytes.NewReader(plain),
			"packed":        bytes.NewReader(pack(plain)),
			"byte by byte":  iotest.OneByteReader(bytes.NewReader(plain)),
			"end with data": iotest.DataErrReader(bytes.NewReader(pack(plain))),
		} {
			got, err := ReadIDX(r)
			require.NoError(t, err, "%v %s", shape, name)
			require.Equal(t, want.Shape, got.Shape, name)
			require.True(t, bytes.Equal(want.Data, got.Data), "%v %s", shape, name)
		}
		_, err := ReadIDX(bytes.NewReader(plain), shape...)
		assert.NoError(t, err)
	}
}

func TestReadIDXRefusals(t *testing.T) {
	good := append(header(2, 3), "abcdef"...)
	packed := pack(good)
	for _, c := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", nil, "idx: header cut short: 0 bytes, want 4"},
		{"magic number cut short", good[:3], "idx: header cut short: 3 bytes, want 4"},
		{"dimensions missing", good[:4], "idx: header cut short: 4 bytes, want 12"},
		{"dimensions cut short", good[:11], "idx: header cut short: 11 bytes, want 12"},
		{"magic number", changed(good, 1, 1), "idx: magic number 0x0001, want 0x0000 (or gzip's 0x1f8b)"},
		{"web page", []byte("<!DOCTYPE html>"), "idx: magic number 0x3c21, want 0x0000 (or gzip's 0x1f8b)"},
		{"type unknown", changed(good, 2, 0), "idx: unknown type byte 0x00, want 0x08 (unsigned bytes)"},
		{"type between the known", changed(good, 2, 10), "idx: unknown type byte 0x0a, want 0x08 (unsigned bytes)"},
		{"type float", changed(good, 2, 13), "idx: type byte 0x0d, another number type, want 0x08 (unsigned bytes)"},
		{"no dimensions", header(), "idx: 0 dimensions, want 1 to 4"},
		{"five dimensions", append(header(1, 1, 1, 1, 1), 0), "idx: 5 dimensions, want 1 to 4"},
		{"zero dimension", header(2, 0, 3), "idx: dimensions [2 0 3], want none of them zero"},
		{"zero dimension after an overflow", header(1<<31, 1<<31, 1<<31, 0),
			"idx: dimensions [2147483648 2147483648 2147483648 "},
		{"overflow of 64 bits", header(1<<31, 1<<31, 1<<31, 8),
			"idx: dimensions [2147483648 2147483648 2147483648 8] are more than "},
		{"overflow to zero", header(1<<31, 1<<31, 4), "idx: dimensions [2147483648 2147483648 4] are more than "},
		{"no data", header(2, 3), "idx: data cut short: 0 bytes, want 6"},
		{"data short by one", good[:len(good)-1], "idx: data cut short: 5 bytes, want 6"},
		{"data short after a piece", append(header(chunk+2), make([]byte, chunk+1)...),
			"idx: data cut short: 262145 bytes, want 262146"},
		{"trailing byte", append(good[:len(good):len(good)], 0), "idx: bytes after the 6 that the header tells of"},

		{"packed, data short by one", pack(good[:len(good)-1]), "idx: data cut short: 5 bytes, want 6"},
		{"packed, trailing byte", pack(append(good[:len(good):len(good)], 0)),
			"idx: bytes after the 6 that the header tells of"},
		{"packed twice", pack(packed), "idx: magic number 0x1f8b, want 0x0000 (or gzip's 0x1f8b)"},
		{"bomb", pack(append(good[:len(good):len(good)], make([]byte, 1<<24)...)),
			"idx: bytes after the 6 that the header tells of"},
		{"gzip header cut short", packed[:9], "gzip: truncated: unexpected EOF"},
		{"gzip begins only", packed[:2], "gzip: truncated: unexpected EOF"},
		{"gzip truncated in the content", packed[:20], "gzip: truncated: unexpected EOF"},
		{"gzip without its end", packed[:len(packed)-8], "gzip: truncated: unexpected EOF"},
		{"gzip short by one", packed[:len(packed)-1], "gzip: truncated: unexpected EOF"},
		{"gzip method", changed(packed, 2, 7), "gzip: damaged header: gzip: invalid header"},
		{"gzip content", changed(packed, 10, 0xff), "flate: corrupt input before offset 1"},
		{"gzip CRC", changed(packed, -8, ^packed[len(packed)-8]),
			"gzip: CRC or length at the end does not fit the content: gzip: invalid checksum"},
		{"gzip length", changed(packed, -4, 19),
			"gzip: CRC or length at the end does not fit the content: gzip: invalid checksum"},
		{"gzip of several members", join(pack(good[:8]), pack(good[8:])), "gzip: several members, want one"},
		{"gzip and an empty member", join(packed, pack(nil)), "gzip: several members, want one"},
		{"gzip and a byte", join(packed, []byte{0}), "gzip: bytes after the end"},
		{"gzip and text", join(packed, []byte("text")), "gzip: bytes after the end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadIDX(bytes.NewReader(c.content))
			require.ErrorContains(t, err, c.want)
			assert.Nil(t, got)
			_, err = ReadIDX(iotest.OneByteReader(bytes.NewReader(c.content)))
			assert.ErrorContains(t, err, c.want)
		})
	}
}

// For a stream that need not be packed, the error is another one if the stream is not gzip at all.
func TestGunzipWantsGzip(t *testing.T) {
	for content, want := range map[string]string{
		"":             `gzip: not gzip: begins with "", want "\x1f\x8b"`,
		"\x1f":         `gzip: not gzip: begins with "\x1f", want "\x1f\x8b"`,
		"<!DOCTYPE ht": `gzip: not gzip: begins with "<!", want "\x1f\x8b"`,
	} {
		_, err := gunzip(bufio.NewReader(strings.NewReader(content)))
		assert.EqualError(t, err, want)
	}
}

func TestReadIDXPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("disk on fire")
	good := append(header(2, 3), "abcdef"...)
	for _, content := range [][]byte{good, pack(good)} {
		for n := range content {
			_, err := ReadIDX(io.MultiReader(bytes.NewReader(content[:n]), iotest.ErrReader(broken)))
			require.ErrorIs(t, err, broken, "after %d bytes", n)
		}
		_, err := ReadIDX(io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken)))
		require.ErrorIs(t, err, broken, "at the end")
	}
}

func TestReadIDXWantedShape(t *testing.T) {
	// The data is missing, but the shape is refused before it is read.
	for _, content := range [][]byte{header(60001, 28, 28), pack(header(60001, 28, 28))} {
		_, err := ReadIDX(bytes.NewReader(content), 60000, 28, 28)
		assert.EqualError(t, err, "idx: shape [60001 28 28], want [60000 28 28]")
	}
	_, err := ReadIDX(bytes.NewReader(header(60000)), 60000, 28, 28)
	assert.EqualError(t, err, "idx: shape [60000], want [60000 28 28]")
}

func TestProduct(t *testing.T) {
	const int32s, int64s = math.MaxInt32, math.MaxInt64
	for _, c := range []struct {
		dims []uint32
		most uint64
		want uint64 // 0: refused
	}{
		{[]uint32{60000, 28, 28}, int32s, 47040000},
		{[]uint32{math.MaxInt32}, int32s, math.MaxInt32},
		{[]uint32{1, math.MaxInt32, 1}, int32s, math.MaxInt32},
		{[]uint32{math.MaxInt32 + 1}, int32s, 0},
		{[]uint32{math.MaxInt32 + 1}, int64s, math.MaxInt32 + 1},
		{[]uint32{1 << 16, 1 << 15}, int32s, 0},
		{[]uint32{1 << 16, 1 << 16}, int32s, 0},
		{[]uint32{1 << 16, 1 << 16}, int64s, 1 << 32},
		{[]uint32{math.MaxUint32, math.MaxUint32}, int64s, 0},
		{[]uint32{math.MaxUint32, 1 << 31}, int64s, math.MaxUint32 << 31},
		{[]uint32{1 << 31, 1 << 31, 2}, int64s, 0},
		{[]uint32{1 << 31, 1 << 31, 4}, int64s, 0},
		{[]uint32{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32}, int64s, 0},
		{[]uint32{0}, int64s, 0},
		{[]uint32{3, 0}, int64s, 0},
	} {
		got, err := product(c.dims, c.most)
		assert.Equal(t, c.want, got, "%d", c.dims)
		assert.Equal(t, c.want == 0, err != nil, "%d", c.dims)
	}
}

// An int of 32 bits cannot count 4 GB; with 64 bits, the data is cut short.
func TestReadIDXOfFourGigabytes(t *testing.T) {
	want := "idx: data cut short: 2 bytes, want 4294967295"
	if strconv.IntSize == 32 {
		want = "idx: dimensions [4294967295] are more than 2147483647 bytes"
	}
	content := append(header(math.MaxUint32), "ab"...)
	for _, content := range [][]byte{content, pack(content)} {
		spent := allocated(func() {
			_, err := ReadIDX(bytes.NewReader(content))
			require.EqualError(t, err, want)
		})
		assert.Less(t, spent, uint64(1<<20))
	}
}

// lawful is a reader that notes when more memory has been allocated, in all since start, freed or not,
// than twice the bytes that it gave and 1 MiB.
type lawful struct {
	r     io.Reader
	given uint64
	start uint64
	worst float64 // largest share of what is allowed
}

func (l *lawful) Read(p []byte) (int, error) {
	l.check()
	n, err := l.r.Read(p)
	l.given += uint64(n)
	return n, err
}

func (l *lawful) check() {
	l.worst = max(l.worst, float64(totalAlloc()-l.start)/float64(2*l.given+1<<20))
}

func totalAlloc() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func allocated(f func()) uint64 {
	before := totalAlloc()
	f()
	return totalAlloc() - before
}

func TestReadIDXMemory(t *testing.T) {
	const n = 12<<20 + 345
	data := make([]byte, n)
	for claim, cut := range map[uint32]bool{n: false, n + 1: true, math.MaxInt32: true} {
		content := append(header(claim), data...)
		for name, c := range map[string][]byte{"plain": content, "packed": pack(content)} {
			l := &lawful{r: bytes.NewReader(c), start: totalAlloc()}
			_, err := ReadIDX(l)
			assert.Equal(t, cut, err != nil)
			if name == "packed" {
				l.worst, l.given = 0, uint64(len(content)) // the law is about unpacked bytes
			}
			l.check()
			assert.LessOrEqual(t, l.worst, 1.0, "%s, header tells of %d", name, claim)
			assert.Greater(t, l.worst, 0.4, "the measure measures")
		}
	}
}

func TestNewImages(t *testing.T) {
	pictures := &IDX{[]int{3, 2, 2}, []uint8("abcdefghijkl")}
	labels := &IDX{[]int{3}, []uint8{0, 9, 4}}
	m, err := NewImages(pictures, labels, 10)
	require.NoError(t, err)
	assert.Equal(t, 3, m.Len())
	assert.Equal(t, []int{2, 2}, []int{m.Height, m.Width})
	assert.Equal(t, []uint8("efgh"), m.Picture(1))
	assert.Equal(t, []uint8{0, 9, 4}, m.Labels)

	for want, c := range map[string]struct {
		pictures, labels *IDX
		classes          int
	}{
		"idx: label 9 of picture 1, want 0 to 8":                  {pictures, labels, 9},
		"idx: label 255 of picture 2, want 0 to 9":                {pictures, &IDX{[]int{3}, []uint8{0, 9, 255}}, 10},
		"idx: 3 pictures, but 2 labels":                           {pictures, &IDX{[]int{2}, []uint8{0, 9}}, 10},
		"idx: pictures of shape [3], want [N Height Width]":       {labels, labels, 10},
		"idx: labels of shape [3 2 2], want [N]":                  {pictures, pictures, 10},
		"idx: pictures of shape [1 1 1 1], want [N Height Width]": {&IDX{[]int{1, 1, 1, 1}, []uint8{0}}, labels, 10},
	} {
		m, err := NewImages(c.pictures, c.labels, c.classes)
		assert.EqualError(t, err, want)
		assert.Nil(t, m)
	}
}

func TestNewImagesPanics(t *testing.T) {
	pictures, labels := &IDX{[]int{3, 2, 2}, make([]uint8, 12)}, &IDX{[]int{3}, make([]uint8, 3)}
	var usage *tensor.UsageError
	for _, classes := range []int{0, -1} {
		require.ErrorAs(t, panicOf(func() { NewImages(pictures, labels, classes) }), &usage)
		assert.EqualError(t, usage, fmt.Sprintf("mnist.NewImages: %d classes, want at least 1", classes))
	}
	var shape *tensor.ShapeError
	for want, x := range map[string][2]*IDX{
		"mnist.NewImages: 11 bytes of pictures, want 12 for shape [3 2 2]": {{[]int{3, 2, 2}, make([]uint8, 11)}, labels},
		"mnist.NewImages: 4 bytes of labels, want 3 for shape [3]":         {pictures, {[]int{3}, make([]uint8, 4)}},
	} {
		require.ErrorAs(t, panicOf(func() { NewImages(x[0], x[1], 10) }), &shape)
		assert.EqualError(t, shape, want)
	}
}

// TestReadIDXOfABomb: a packed file of no wanted shape may not unpack to more than 100 times its bytes and 16 MiB.
func TestReadIDXOfABomb(t *testing.T) {
	const zeros = 64 << 20
	bomb := pack(append(header(zeros), make([]byte, zeros)...))
	spent := allocated(func() {
		_, err := ReadIDX(bytes.NewReader(bomb))
		require.ErrorContains(t, err, "gzip: unpacks to more than 100 times its bytes and 16 MiB, want the shape of such a file given")
	})
	assert.LessOrEqual(t, spent, uint64(200*len(bomb)+33<<20))
	x, err := ReadIDX(bytes.NewReader(bomb), zeros)
	require.NoError(t, err)
	assert.Len(t, x.Data, zeros)

	const small = 16<<20 - 8
	x, err = ReadIDX(bytes.NewReader(pack(append(header(small), make([]byte, small)...))))
	require.NoError(t, err)
	assert.Len(t, x.Data, small)
	_, err = ReadIDX(bytes.NewReader(bomb), zeros-1)
	assert.ErrorContains(t, err, "shape")
}
