// Package wav reads and writes sounds in WAV files, and converts them to another sampling rate.
//
// Everything works on streams: the memory that a [Reader] and a [Resampler] take does not depend on the length of a sound. Samples are
// float32 from -1 to 1. A header is not trusted: no size in it makes a Reader take memory.
package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/unroll-go/unroll/internal/quote"
)

// Format describes samples.
type Format struct {
	Rate     int  // samples a second, of each channel
	Channels int  // interleaved
	Bits     int  // of a sample: 8 (unsigned), 16, 24 or 32 (signed), or 32 or 64 of a float; little-endian
	Float    bool // samples are floating-point numbers
}

// bytes returns the size of a frame, one sample of each channel.
func (f Format) bytes() int { return f.Channels * f.Bits / 8 }

func (f Format) check() error {
	switch {
	case f.Rate < 1 || f.Rate > 1<<24:
		return fmt.Errorf("a rate of %d samples a second", f.Rate)
	case f.Channels < 1 || f.Channels > 256:
		return fmt.Errorf("%d channels, want 1 to 256", f.Channels)
	case f.Float && f.Bits != 32 && f.Bits != 64:
		return fmt.Errorf("floating-point samples of %d bits, want 32 or 64", f.Bits)
	case !f.Float && f.Bits != 8 && f.Bits != 16 && f.Bits != 24 && f.Bits != 32:
		return fmt.Errorf("samples of %d bits, want 8, 16, 24 or 32", f.Bits)
	}
	return nil
}

// Reader reads the samples of one sound.
type Reader struct {
	Format
	// Samples is the number of samples of each channel that the header announces, or -1 if it leaves that open, as programs do that
	// write to a pipe.
	Samples int64

	r         io.Reader
	buf       []byte // read and not decoded yet
	room      []byte
	remaining int64 // bytes of samples that are still to come, or -1
	frames    int64 // decoded
	err       error
	mixed     []float32 // of ReadMono
}

// NewReader reads the header of a WAV file (RIFF) with PCM or floating-point samples. The error says what is wrong with the file.
func NewReader(r io.Reader) (*Reader, error) {
	f, size, err := readHeader(r)
	if err != nil {
		return nil, fmt.Errorf("wav: %w", err)
	}
	w := newReader(r, f, size)
	if w.Samples = -1; size >= 0 {
		w.Samples = size / int64(f.bytes())
	}
	return w, nil
}

// NewRaw reads samples without a header, as a microphone delivers them, until r ends.
func NewRaw(r io.Reader, f Format) (*Reader, error) {
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("wav: %w", err)
	}
	w := newReader(r, f, -1)
	w.Samples = -1
	return w, nil
}

func newReader(r io.Reader, f Format, size int64) *Reader {
	return &Reader{Format: f, r: r, remaining: size, room: make([]byte, max(1, 16384/f.bytes())*f.bytes())}
}

const (
	pcm        = 1
	float      = 3
	extensible = 0xFFFE
)

// readHeader reads all that stands before the samples, and returns their format and size in bytes, -1 if that is left open.
func readHeader(r io.Reader) (f Format, size int64, err error) {
	var riff [12]byte
	if _, err := io.ReadFull(r, riff[:]); err != nil {
		return f, 0, cut(err)
	}
	if string(riff[:4]) != "RIFF" || string(riff[8:]) != "WAVE" {
		return f, 0, fmt.Errorf("not a WAV file: it begins with %s", quote.Text(string(riff[:])))
	}
	for known := false; ; {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err == io.EOF {
			return f, 0, errors.New("no samples: there is no chunk named data")
		} else if err != nil {
			return f, 0, cut(err)
		}
		name, n := string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))
		switch {
		case name == "data" && !known:
			return f, 0, errors.New("the samples stand before their format")
		case name == "data" && open(n, int64(binary.LittleEndian.Uint32(riff[4:]))):
			return f, -1, nil
		case name == "data" && n%int64(f.bytes()) != 0:
			return f, 0, fmt.Errorf("%d bytes of samples, want a multiple of %d", n, f.bytes())
		case name == "data":
			return f, n, nil
		case name == "fmt ":
			if f, err = readFormat(r, n); err != nil {
				return f, 0, err
			}
			known = true
		default:
			if _, err := io.CopyN(io.Discard, r, n+n%2); err != nil {
				return f, 0, cut(err)
			}
		}
	}
}

// cut is the error of a header that ends early, or that cannot be read.
func cut(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the header is cut: %w", err)
	}
	return err
}

// open reports whether the sizes of the samples and of the file say that a program wrote to a pipe and did not know them: ffmpeg
// writes the largest number, sox nearly the largest signed one, and others 0.
func open(samples, file int64) bool {
	return samples == math.MaxUint32 || samples >= 0x7ffff000 && samples <= math.MaxInt32 || samples == 0 && (file == 0 || file == math.MaxUint32)
}

// readFormat reads a chunk of n bytes that describes the samples.
func readFormat(r io.Reader, n int64) (f Format, err error) {
	if n < 16 || n > 1024 {
		return f, fmt.Errorf("a format of %d bytes", n)
	}
	b := make([]byte, n+n%2)
	if _, err := io.ReadFull(r, b); err != nil {
		return f, cut(err)
	}
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(b[at:])) }
	code := u16(0)
	if code == extensible && n >= 40 {
		code = u16(24)
	}
	if code != pcm && code != float {
		return f, fmt.Errorf("samples are encoded by code %#x, want plain PCM or floating-point numbers", code)
	}
	f = Format{int(binary.LittleEndian.Uint32(b[4:])), u16(2), u16(14), code == float}
	if err := f.check(); err != nil {
		return f, err
	}
	if u16(12) != f.bytes() {
		return f, fmt.Errorf("frames of %d bytes, want %d for %d channels of %d bits", u16(12), f.bytes(), f.Channels, f.Bits)
	}
	return f, nil
}

// Read decodes samples of all channels, interleaved, and returns their number, a multiple of Channels. It waits for no more than
// one frame, so that a sound can be heard while it comes. At the end it returns io.EOF, and if the file is shorter than its header
// says, or a sample is NaN or infinite, an error. It panics if dst has no room for one frame.
func (r *Reader) Read(dst []float32) (n int, err error) {
	size := r.bytes()
	if len(dst) < r.Channels {
		panic(fmt.Sprintf("wav: room for %d samples, want at least %d", len(dst), r.Channels))
	}
	for len(r.buf) < size && r.err == nil {
		r.fill()
	}
	frames := min(len(r.buf)/size, len(dst)/r.Channels)
	if frames == 0 {
		return 0, r.err
	}
	n = frames * r.Channels
	r.decode(dst[:n])
	r.buf = r.buf[frames*size:]
	for i, v := range dst[:n] {
		if v-v != 0 {
			at := r.frames + int64(i/r.Channels)
			r.buf, r.err = nil, fmt.Errorf("wav: sample %d is %v", at, v)
			n = i / r.Channels * r.Channels
			break
		}
	}
	if r.frames += int64(n / r.Channels); n == 0 {
		return 0, r.err
	}
	return n, nil
}

// fill reads once.
func (r *Reader) fill() {
	kept := copy(r.room, r.buf)
	room := r.room[kept:]
	if r.remaining >= 0 {
		room = room[:min(int64(len(room)), r.remaining)]
	}
	n, err := 0, io.EOF
	if len(room) > 0 {
		n, err = r.r.Read(room)
	}
	if r.buf = r.room[:kept+n]; r.remaining > 0 {
		r.remaining -= int64(n)
	}
	switch {
	case err == nil:
	case err != io.EOF:
		r.err = fmt.Errorf("wav: %w", err)
	case r.remaining > 0:
		r.err = fmt.Errorf("wav: the file is cut: %d bytes of samples are missing: %w", r.remaining, io.ErrUnexpectedEOF)
	case r.remaining < 0 && len(r.buf)%r.bytes() != 0:
		r.err = fmt.Errorf("wav: the file is cut within a sample: %w", io.ErrUnexpectedEOF)
	default:
		r.err = io.EOF
	}
}

// decode sets dst to the first samples of r.buf.
func (r *Reader) decode(dst []float32) {
	b := r.buf
	for i := range dst {
		switch {
		case r.Float && r.Bits == 32:
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		case r.Float:
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
		case r.Bits == 8:
			dst[i] = float32(int(b[i])-128) / (1 << 7)
		case r.Bits == 16:
			dst[i] = float32(int16(binary.LittleEndian.Uint16(b[2*i:]))) / (1 << 15)
		case r.Bits == 24:
			dst[i] = float32(int32(uint32(b[3*i])<<8|uint32(b[3*i+1])<<16|uint32(b[3*i+2])<<24)>>8) / (1 << 23)
		default:
			dst[i] = float32(int32(binary.LittleEndian.Uint32(b[4*i:]))) / (1 << 31)
		}
	}
}

// ReadMono is [Reader.Read] of the mean of all channels; n is the number of samples of it.
func (r *Reader) ReadMono(dst []float32) (n int, err error) {
	if r.Channels == 1 {
		return r.Read(dst)
	}
	if r.mixed == nil {
		r.mixed = make([]float32, max(1, 2048/r.Channels)*r.Channels)
	}
	n, err = r.Read(r.mixed[:min(len(r.mixed), len(dst)*r.Channels)])
	n /= r.Channels
	for i := range n {
		sum := float32(0)
		for _, v := range r.mixed[i*r.Channels:][:r.Channels] {
			sum += v
		}
		dst[i] = sum / float32(r.Channels)
	}
	return n, err
}

// Write writes a WAV file of 16 bits with one channel. Samples outside of -1 to 1 are cut to these; NaN becomes 0. It returns an
// error if the rate is not positive or the file would be larger than a WAV file can be.
func Write(w io.Writer, rate int, samples []float32) error {
	const header = 44
	f := Format{Rate: rate, Channels: 1, Bits: 16}
	if err := f.check(); err != nil {
		return fmt.Errorf("wav: %w", err)
	}
	if len(samples) > (math.MaxUint32-header)/2 {
		return fmt.Errorf("wav: %d samples, want at most %d", len(samples), (math.MaxUint32-header)/2)
	}
	le := binary.LittleEndian
	b := make([]byte, 0, header)
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(header-8+2*len(samples)))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, pcm)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(2*rate))
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(2*len(samples)))
	for i := 0; ; {
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("wav: %w", err)
		}
		if i == len(samples) {
			return nil
		}
		b = b[:0]
		for ; i < len(samples) && len(b) < 8192; i++ {
			v := float64(samples[i])
			if v != v {
				v = 0
			}
			b = le.AppendUint16(b, uint16(int16(math.RoundToEven(min(max(v*(1<<15), -1<<15), 1<<15-1)))))
		}
	}
}
