package wav_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/dataset/wav"
)

var le = binary.LittleEndian

// chunk is a chunk of a RIFF file.
func chunk(name string, content []byte) []byte {
	b := le.AppendUint32([]byte(name), uint32(len(content)))
	b = append(b, content...)
	return append(b, make([]byte, len(content)%2)...)
}

func riff(chunks ...[]byte) []byte {
	content := slices.Concat(append([][]byte{[]byte("WAVE")}, chunks...)...)
	return append(le.AppendUint32([]byte("RIFF"), uint32(len(content))), content...)
}

// format is the chunk that describes samples.
func format(code, channels, rate, bits int) []byte {
	frame := channels * bits / 8
	var b []byte
	for _, v := range []int{code, channels} {
		b = le.AppendUint16(b, uint16(v))
	}
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*frame))
	for _, v := range []int{frame, bits} {
		b = le.AppendUint16(b, uint16(v))
	}
	return chunk("fmt ", b)
}

func readAll(t *testing.T, r *wav.Reader, room int) []float32 {
	var all []float32
	for dst := make([]float32, room); ; {
		n, err := r.Read(dst)
		all = append(all, dst[:n]...)
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
	}
}

func TestFormats(t *testing.T) {
	float := func(bits int, values ...float64) (b []byte) {
		for _, v := range values {
			if bits == 32 {
				b = le.AppendUint32(b, math.Float32bits(float32(v)))
			} else {
				b = le.AppendUint64(b, math.Float64bits(v))
			}
		}
		return b
	}
	extensible := func(code byte) []byte {
		f := format(0xfffe, 1, 8000, 16)[8:]
		return chunk("fmt ", slices.Concat(f, []byte{22, 0, 16, 0, 4, 0, 0, 0, code, 0}, []byte("\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71")))
	}
	for name, c := range map[string]struct {
		format []byte
		data   []byte
		want   []float32
	}{
		"8":          {format(1, 1, 8000, 8), []byte{0, 128, 192, 255}, []float32{-1, 0, 0.5, 127. / 128}},
		"16":         {format(1, 1, 8000, 16), []byte{0, 128, 0, 0, 0, 64, 255, 127}, []float32{-1, 0, 0.5, 32767. / 32768}},
		"24":         {format(1, 1, 8000, 24), []byte{0, 0, 128, 0, 0, 64, 255, 255, 255}, []float32{-1, 0.5, -1. / (1 << 23)}},
		"32":         {format(1, 1, 8000, 32), []byte{0, 0, 0, 128, 0, 0, 0, 64}, []float32{-1, 0.5}},
		"float 32":   {format(3, 1, 8000, 32), float(32, -1.5, 0.25), []float32{-1.5, 0.25}},
		"float 64":   {format(3, 1, 8000, 64), float(64, -1.5, 0.25), []float32{-1.5, 0.25}},
		"extensible": {extensible(1), []byte{0, 64}, []float32{0.5}},
		"stereo":     {format(1, 2, 8000, 16), []byte{0, 64, 0, 192, 0, 32, 0, 32}, []float32{0.5, -0.5, 0.25, 0.25}},
		"nothing":    {format(1, 2, 8000, 16), nil, nil},
	} {
		channels := int(le.Uint16(c.format[10:]))
		file := riff(chunk("LIST", []byte("odd")), c.format, chunk("data", c.data), chunk("LIST", []byte("after")))
		for _, source := range []io.Reader{bytes.NewReader(file), iotest.OneByteReader(bytes.NewReader(file)), iotest.DataErrReader(bytes.NewReader(file))} {
			r, err := wav.NewReader(source)
			require.NoError(t, err, name)
			assert.Equal(t, 8000, r.Rate, name)
			assert.Equal(t, channels, r.Channels, name)
			assert.EqualValues(t, len(c.want)/channels, r.Samples, name)
			assert.Equal(t, c.want, readAll(t, r, 2), name)
		}
	}
	r, err := wav.NewReader(bytes.NewReader(riff(format(1, 2, 8000, 16), chunk("data", []byte{0, 64, 0, 192, 0, 32, 0, 64}))))
	require.NoError(t, err)
	mono := make([]float32, 5)
	n, err := r.ReadMono(mono)
	require.NoError(t, err)
	assert.Equal(t, []float32{0, 0.375}, mono[:n])
}

// TestOpenEnd: files that were written to a pipe, whose header has no sizes, and samples without a header.
func TestOpenEnd(t *testing.T) {
	data := []byte{0, 64, 0, 192}
	for _, sizes := range [][2]uint32{{math.MaxUint32, math.MaxUint32}, {0, 0}, {0x7ffff024, 0x7ffff000}} {
		file := riff(format(1, 1, 8000, 16), chunk("data", data))
		le.PutUint32(file[4:], sizes[0])
		le.PutUint32(file[len(file)-8:], sizes[1])
		r, err := wav.NewReader(bytes.NewReader(file))
		require.NoError(t, err)
		assert.EqualValues(t, -1, r.Samples)
		assert.Equal(t, []float32{0.5, -0.5}, readAll(t, r, 10))
	}
	raw := wav.Format{Rate: 16000, Channels: 1, Bits: 16}
	r, err := wav.NewRaw(bytes.NewReader(data), raw)
	require.NoError(t, err)
	assert.Equal(t, []float32{0.5, -0.5}, readAll(t, r, 10))
	r, err = wav.NewRaw(bytes.NewReader(data[:3]), raw)
	require.NoError(t, err)
	_, err = r.Read(make([]float32, 1))
	require.NoError(t, err)
	_, err = r.Read(make([]float32, 1))
	assert.EqualError(t, err, "wav: the file is cut within a sample: unexpected EOF")
	_, err = wav.NewRaw(nil, wav.Format{Rate: 8000, Channels: 1, Bits: 12})
	assert.EqualError(t, err, "wav: samples of 12 bits, want 8, 16, 24 or 32")
}

// TestLive: samples are there as soon as they have come.
func TestLive(t *testing.T) {
	from, to := io.Pipe()
	r, err := wav.NewRaw(from, wav.Format{Rate: 16000, Channels: 1, Bits: 16})
	require.NoError(t, err)
	wrote := make(chan error)
	dst := make([]float32, 512)
	for range 3 {
		go func() { _, err := to.Write([]byte{0, 64, 0, 32}); wrote <- err }()
		n, err := r.Read(dst)
		require.NoError(t, err)
		assert.Equal(t, []float32{0.5, 0.25}, dst[:n])
		require.NoError(t, <-wrote)
	}
}

func TestMalformed(t *testing.T) {
	good := riff(format(1, 1, 8000, 16), chunk("data", make([]byte, 100)))
	change := func(at int, v ...byte) []byte {
		b := slices.Clone(good)
		copy(b[at:], v)
		return b
	}
	for want, file := range map[string][]byte{
		"the header is cut: unexpected EOF":                                          nil,
		"the header is cut: unexpected EOF ":                                         good[:11],
		"the header is cut: unexpected EOF  ":                                        good[:30],
		"the header is cut: unexpected EOF   ":                                       good[:40],
		`not a WAV file: it begins with "ID3`:                                        append([]byte("ID3\x03"), good...),
		"no samples: there is no chunk named data":                                   good[:36],
		"the samples stand before their format":                                      riff(chunk("data", nil)),
		"a format of 14 bytes":                                                       riff(chunk("fmt ", make([]byte, 14))),
		"a format of 4294967295 bytes":                                               change(16, 255, 255, 255, 255),
		"samples are encoded by code 0x55, want plain PCM or floating-point numbers": change(20, 0x55),
		"samples of 12 bits, want 8, 16, 24 or 32":                                   change(34, 12),
		"floating-point samples of 16 bits, want 32 or 64":                           change(20, 3),
		"0 channels, want 1 to 256":                                                  change(22, 0),
		"a rate of 0 samples a second":                                               change(24, 0, 0, 0, 0),
		"frames of 3 bytes, want 2 for 1 channels of 16 bits":                        change(32, 3),
		"101 bytes of samples, want a multiple of 2":                                 change(40, 101),
	} {
		_, err := wav.NewReader(bytes.NewReader(file))
		assert.ErrorContains(t, err, "wav: "+strings.TrimRight(want, " "))
	}
	r, err := wav.NewReader(bytes.NewReader(good[:len(good)-30]))
	require.NoError(t, err)
	dst := make([]float32, 100)
	n, err := r.Read(dst)
	require.NoError(t, err)
	assert.Equal(t, 35, n)
	for range 2 {
		_, err = r.Read(dst)
		require.EqualError(t, err, "wav: the file is cut: 30 bytes of samples are missing: unexpected EOF")
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	broken := errors.New("the disk broke")
	r, err = wav.NewReader(io.MultiReader(bytes.NewReader(good[:60]), iotest.ErrReader(broken)))
	require.NoError(t, err)
	_, _ = r.Read(dst)
	_, err = r.Read(dst)
	assert.ErrorIs(t, err, broken)

	nan := le.AppendUint32(le.AppendUint32(make([]byte, 8), math.Float32bits(float32(math.NaN()))), 0)
	r, err = wav.NewReader(bytes.NewReader(riff(format(3, 2, 8000, 32), chunk("data", nan))))
	require.NoError(t, err)
	n, err = r.Read(dst)
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	_, err = r.Read(dst)
	assert.EqualError(t, err, "wav: sample 1 is NaN")
	assert.PanicsWithValue(t, "wav: room for 1 samples, want at least 2", func() { _, _ = r.Read(dst[:1]) })
}

// TestMemory: reading takes the memory that SECURITY.md tells, whatever the header says and however long the sound is.
func TestMemory(t *testing.T) {
	for _, channels := range []int{1, 2, 256} {
		file := riff(format(1, channels, 8000, 16), chunk("data", make([]byte, 1<<20)))
		dst := make([]float32, 10000)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := wav.NewReader(bytes.NewReader(file))
		require.NoError(t, err)
		total := 0
		for err == nil {
			var n int
			n, err = r.ReadMono(dst)
			total += n
		}
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, io.EOF)
		assert.Equal(t, 1<<19/channels, total)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10))
	}
}

func TestWrite(t *testing.T) {
	var file bytes.Buffer
	samples := []float32{0, 0.5, -1, 1, 2, -2, float32(math.NaN()), 1. / 32768}
	for range 1000 {
		samples = append(samples, 0.25)
	}
	require.NoError(t, wav.Write(&file, 16000, samples))
	assert.Equal(t, 44+2*len(samples), file.Len())
	r, err := wav.NewReader(&file)
	require.NoError(t, err)
	assert.Equal(t, wav.Format{Rate: 16000, Channels: 1, Bits: 16}, r.Format)
	got := readAll(t, r, 300)
	most := float32(32767) / 32768
	assert.Equal(t, []float32{0, 0.5, -1, most, most, -1, 0, 1. / 32768, 0.25}, got[:9])
	assert.Len(t, got, len(samples))
	assert.EqualError(t, wav.Write(io.Discard, 0, nil), "wav: a rate of 0 samples a second")
	broken := errors.New("full")
	assert.ErrorIs(t, wav.Write(failing{broken}, 8000, samples), broken)
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

func FuzzReader(f *testing.F) {
	f.Add(riff(format(1, 2, 8000, 24), chunk("LIST", []byte("abc")), chunk("data", make([]byte, 60))))
	f.Add(riff(format(3, 1, 8000, 64), chunk("data", make([]byte, 64))))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := wav.NewReader(bytes.NewReader(file))
		if err != nil {
			return
		}
		dst, total := make([]float32, 2*r.Channels), 0
		for {
			n, err := r.Read(dst)
			if total += n; err != nil {
				break
			}
			require.Positive(t, n)
			require.Zero(t, n%r.Channels)
		}
		require.LessOrEqual(t, total*r.Bits/8, len(file))
	})
}

func ExampleReader() {
	var file bytes.Buffer // a file
	if err := wav.Write(&file, 8000, make([]float32, 8000)); err != nil {
		panic(err)
	}

	r, err := wav.NewReader(&file)
	if err != nil {
		panic(err)
	}
	convert, err := wav.NewResampler(r.Rate, 16000)
	if err != nil {
		panic(err)
	}
	var sound, block []float32
	for room := make([]float32, 1024); ; {
		n, err := r.ReadMono(room)
		if err == io.EOF {
			break
		} else if err != nil {
			panic(err)
		}
		block = convert.Write(block[:0], room[:n])
		sound = append(sound, block...) // or give it to somebody who hears it now
	}
	sound = convert.Flush(sound)
	fmt.Println(len(sound))
	// Output: 16000
}
