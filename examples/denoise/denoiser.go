package main

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

const (
	rate  = 16_000 // samples a second
	frame = 320    // samples of a frame, 20 ms
	hop   = frame / 2
	bins  = frame/2 + 1 // frequencies of a frame
)

// denoiser takes a sound through a mask in frames that overlap by half: a window, a Fourier transform, each frequency times its mask, the transform
// back, the window again, and the sum of the frames. The window is the root of Hann's, so that a mask of ones gives the sound back.
type denoiser struct {
	mask     func(logPower []float32) []float32 // [bins] each
	fft      *fourier.FFT
	window   [frame]float64
	sound    [frame]float64 // the last frame: first its old half, then the samples that have come since
	filled   int
	sum      [hop]float64 // the second half of the frame before, which the next frame completes
	samples  int          // that have come
	work     [frame]float64
	spectrum [bins]complex128
	logPower [bins]float32
}

func newDenoiser(mask func(logPower []float32) []float32) *denoiser {
	d := &denoiser{mask: mask, fft: fourier.NewFFT(frame), filled: hop}
	for i := range d.window {
		d.window[i] = math.Sin(math.Pi * float64(i) / frame)
	}
	return d
}

// write takes the next samples, appends to dst the samples that they complete, and returns dst. The output lags behind by a frame.
func (d *denoiser) write(dst, samples []float32) []float32 {
	for _, v := range samples {
		d.sound[d.filled] = float64(v)
		d.filled++
		d.samples++
		if d.filled == frame {
			dst = d.next(dst)
		}
	}
	return dst
}

// flush appends the samples that still lag behind, so that dst has as many as have come.
func (d *denoiser) flush(dst []float32) []float32 {
	n := d.samples
	for len(dst) < n {
		dst = d.write(dst, make([]float32, frame-d.filled))
	}
	return dst[:n]
}

// next computes a frame, and appends the samples of its first half, which no later frame changes. The first half of the first frame is silence before the
// sound, and is left out.
func (d *denoiser) next(dst []float32) []float32 {
	for i, v := range d.sound {
		d.work[i] = d.window[i] * v
	}
	d.fft.Coefficients(d.spectrum[:], d.work[:])
	for i, c := range d.spectrum {
		power := real(c)*real(c) + imag(c)*imag(c)
		d.logPower[i] = float32(math.Log10(max(power, 1e-12)))
	}
	const least = 1e-4 // -80 dB
	for i, m := range d.mask(d.logPower[:]) {
		d.spectrum[i] *= complex(float64(min(max(m, least), 1)), 0)
	}
	d.fft.Sequence(d.work[:], d.spectrum[:])
	first := d.samples <= hop
	for i, v := range d.work {
		v *= d.window[i] / frame // the transform back leaves a factor of frame
		switch {
		case i >= hop:
			d.sum[i-hop] = v
		case !first:
			dst = append(dst, float32(d.sum[i]+v))
		}
	}
	copy(d.sound[:hop], d.sound[hop:])
	d.filled = hop
	return dst
}
