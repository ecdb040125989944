package wav

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/internal/kernel"
)

// Resampler converts a stream of samples to another rate: to from/to of the number of samples, by a windowed sinc,
//
//	y[n] = sum over i of x[i] * h(i - n*from/to),  h(t) = c*sinc(c*t) * kaiser(t/half)
//
// where c is a little below the smaller of the two Nyquist frequencies. Frequencies up to 84 % of that come through unchanged, and
// those above it are at least 80 dB down, so that nothing folds back.
type Resampler struct {
	l, m    int       // to and from without common factors
	half    int       // reach of h in samples of x
	cutoff  float64   // c
	phases  []float32 // [l, 2*half]: h for each place between two samples of x; nil if that would be large
	row     []float32 // h for one place, without phases
	past    []float32 // samples of x that are still needed; the first belong to the next y
	skip    int       // samples of x that are not needed any more and have not come
	phase   int       // the place of the next y is phase/l after the middle of past
	in, out int64     // samples so far
}

const (
	zeros = 32   // zero crossings of the sinc on each side
	beta  = 7.86 // of Kaiser's window, for 80 dB
	edge  = 0.92 // the cutoff, of the smaller Nyquist frequency: the transition is 16 % wide
)

// NewResampler returns a resampler at the start of a sound. It returns an error if a rate is not within 1000 and 1000000.
func NewResampler(from, to int) (*Resampler, error) {
	for _, rate := range [2]int{from, to} {
		if rate < 1000 || rate > 1_000_000 {
			return nil, fmt.Errorf("wav: cannot convert %d to %d samples a second, want 1000 to 1000000", from, to)
		}
	}
	a, b := from, to
	for b != 0 {
		a, b = b, a%b
	}
	r := &Resampler{l: to / a, m: from / a}
	r.cutoff = edge * min(1, float64(to)/float64(from))
	r.half = int(math.Ceil(zeros / r.cutoff))
	if n := r.l * 2 * r.half; n <= 1<<20 {
		r.phases = make([]float32, n)
		for p := range r.l {
			r.filter(r.phases[p*2*r.half:][:2*r.half], p)
		}
	} else {
		r.row = make([]float32, 2*r.half)
	}
	r.past = make([]float32, r.half-1) // zeros before the sound
	return r, nil
}

// filter sets row to h(k - half + 1 - p/l), scaled to the sum 1, so that a constant stays what it is.
func (r *Resampler) filter(row []float32, p int) {
	sum := 0.0
	at := func(k int) float64 {
		t := float64(k-r.half+1) - float64(p)/float64(r.l)
		x := t / float64(r.half)
		if x*x >= 1 {
			return 0
		}
		h := bessel(beta * math.Sqrt(1-x*x))
		if a := math.Pi * r.cutoff * t; a != 0 {
			h *= math.Sin(a) / a
		}
		return h
	}
	for k := range row {
		h := at(k)
		row[k], sum = float32(h), sum+h
	}
	kernel.Scale(row, float32(1/sum))
}

// bessel is the modified Bessel function of order 0, by its power series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

// Write reads the next samples x, appends to dst all samples of the new rate that they complete, and returns dst. The output lags
// behind by 35 samples of the lower rate.
func (r *Resampler) Write(dst, x []float32) []float32 {
	r.in += int64(len(x))
	if r.l == r.m {
		r.out += int64(len(x))
		return append(dst, x...)
	}
	return r.write(dst, x, math.MaxInt64)
}

// write is Write until so many samples have come out since the start.
func (r *Resampler) write(dst, x []float32, end int64) []float32 {
	skipped := min(r.skip, len(x))
	r.skip -= skipped
	r.past = append(r.past, x[skipped:]...)
	at := 0 // of the window in past
	for ; r.skip == 0 && at+2*r.half <= len(r.past) && r.out < end; r.out++ {
		row := r.row
		if r.phases != nil {
			row = r.phases[r.phase*2*r.half:][:2*r.half]
		} else {
			r.filter(row, r.phase)
		}
		dst = append(dst, float32(kernel.Dot(row, r.past[at:at+2*r.half])))
		r.phase += r.m
		at += r.phase / r.l
		r.phase %= r.l
		if at > len(r.past) {
			r.skip, at = at-len(r.past), len(r.past)
		}
	}
	r.past = r.past[:copy(r.past, r.past[at:])]
	return dst
}

// Flush ends a sound: it appends to dst the samples that zeros after the sound complete, so that there are len(x)*to/from of them in all, rounded
// up, and returns dst. The resampler is then at the start of a sound.
func (r *Resampler) Flush(dst []float32) []float32 {
	if r.l != r.m {
		end := (r.in*int64(r.l) + int64(r.m) - 1) / int64(r.m)
		dst = r.write(dst, make([]float32, r.half), end)
	}
	r.past = r.past[:r.half-1]
	clear(r.past)
	r.skip, r.phase, r.in, r.out = 0, 0, 0, 0
	return dst
}
