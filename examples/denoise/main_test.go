package main

import (
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/dataset/wav"
)

// noise returns n samples.
func noise(n int) []float32 {
	r, x := rand.New(rand.NewPCG(1, 0)), make([]float32, n)
	for i := range x {
		x[i] = float32(0.05 * r.NormFloat64())
	}
	return x
}

func energy(x []float32) (sum float64) {
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

// ones is the mask that keeps everything.
func ones(logPower []float32) []float32 {
	for i := range logPower {
		logPower[i] = 1
	}
	return logPower
}

// TestMaskOfOnes: whatever the parts in which a sound comes, it comes out as it was, and as long.
func TestMaskOfOnes(t *testing.T) {
	for _, n := range []int{0, 1, hop - 1, hop, hop + 1, frame, 1000, 5 * hop} {
		for _, part := range []int{1, 7, frame, 2000} {
			d, x := newDenoiser(ones), noise(n)
			var y []float32
			for i := 0; i < n; i += part {
				y = d.write(y, x[i:min(n, i+part)])
			}
			y = d.flush(y)
			require.Len(t, y, n)
			if n > 0 {
				require.InDeltaSlice(t, x, y, 1e-6, "%d samples, %d at a time", n, part)
			}
		}
	}
}

// TestLogPower: a sine of a frequency in the middle of a frame's has the power of half the sum of the window, squared.
func TestLogPower(t *testing.T) {
	const bin = 20
	x := make([]float32, frame)
	sum := 0.0
	for i := range x {
		x[i] = float32(math.Sin(2 * math.Pi * bin * float64(i) / frame))
	}
	var got []float32
	d := newDenoiser(func(logPower []float32) []float32 {
		got = append(got[:0], logPower...)
		return logPower
	})
	for _, w := range d.window {
		sum += w
	}
	d.write(nil, append(x, x...))
	assert.InDelta(t, math.Log10(sum*sum/4), got[bin], 1e-3)
	assert.Less(t, got[4*bin], got[bin]-5)
}

func writeFile(t *testing.T, samples []float32) string {
	path := filepath.Join(t.TempDir(), "in.wav")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, wav.Write(f, rate, samples))
	require.NoError(t, f.Close())
	return path
}

func TestErrors(t *testing.T) {
	in, out := writeFile(t, noise(100)), filepath.Join(t.TempDir(), "out.wav")
	assert.ErrorIs(t, run(options{filepath.Join(t.TempDir(), "none.onnx"), in, out}), os.ErrNotExist)
	assert.ErrorContains(t, run(options{in, in, out}), in)
	assert.NoFileExists(t, out)
	_, err := fromFile(filepath.Join(t.TempDir(), "none.wav"), newDenoiser(ones).read)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestCommandLine(t *testing.T) {
	for args, want := range map[string]string{
		"a.wav b.wav":      "-model is missing, want weights of NSNet2: nsnet2-20ms-baseline.onnx",
		"-model m a.wav":   "1 files, want two: the one to read and the one to write",
		"-noise a.wav b":   "flag provided but not defined: -noise",
		"-model m a b c d": "4 files",
	} {
		_, err := parse(strings.Fields(args))
		assert.ErrorAs(t, err, new(usageError), args)
		assert.ErrorContains(t, err, want)
	}
	_, err := parse([]string{"-h"})
	assert.Equal(t, flag.ErrHelp, err)
	o, err := parse([]string{"-model", "m", "a.wav", "b.wav"})
	require.NoError(t, err)
	assert.Equal(t, options{"m", "a.wav", "b.wav"}, o)
}

// TestNoiseIsReduced runs the whole program on two seconds of noise.
func TestNoiseIsReduced(t *testing.T) {
	dir := os.Getenv("UNROLL_NSNET2")
	if dir == "" {
		t.Skip("UNROLL_NSNET2 does not name the folder of nsnet2-20ms-baseline.onnx")
	}
	x := noise(2 * rate)
	in, out := writeFile(t, x), filepath.Join(t.TempDir(), "out.wav")
	require.NoError(t, run(options{filepath.Join(dir, "nsnet2-20ms-baseline.onnx"), in, out}))
	y, err := fromFile(out, newDenoiser(ones).read)
	require.NoError(t, err)
	require.Len(t, y, len(x))
	reduced := 10 * math.Log10(energy(x[rate:])/energy(y[rate:]))
	t.Logf("the noise of the second second is reduced by %.1f dB", reduced)
	assert.Greater(t, reduced, 12.0)
}
