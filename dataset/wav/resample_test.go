package wav

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func tone(n int, cycles float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(2 * math.Pi * cycles * float64(i)))
	}
	return x
}

var rates = [][2]int{{8000, 16000}, {44100, 16000}, {48000, 16000}, {22050, 16000}, {11025, 16000}, {16000, 44100}, {44101, 16000}, {96000, 16000}, {16000, 16000}, {1000, 48000}}

// TestResampleTones: a tone comes through as it is, at its time; one that the new rate cannot hold is gone.
func TestResampleTones(t *testing.T) {
	for _, c := range rates {
		from, to := float64(c[0]), float64(c[1])
		nyquist := min(from, to) / 2
		for _, f := range []float64{0.01, 0.3, 0.8} {
			r, err := NewResampler(c[0], c[1])
			require.NoError(t, err)
			y := r.Flush(r.Write(nil, tone(2000, f*nyquist/from)))
			want, rest := tone(len(y), f*nyquist/to), int(40*to/nyquist)
			worst := 0.0
			for i := rest; i < len(y)-rest; i++ {
				worst = max(worst, math.Abs(float64(y[i]-want[i])))
			}
			assert.Less(t, worst, 1e-3, "%v: a tone of %v", c, f)
		}
		if from <= to {
			continue
		}
		for _, f := range []float64{1.005, 1.5} {
			r, err := NewResampler(c[0], c[1])
			require.NoError(t, err)
			y := r.Flush(r.Write(nil, tone(4000, min(f*nyquist, 0.49*from)/from)))
			rest := int(80 * to / nyquist)
			for _, v := range y[rest : len(y)-rest] {
				require.Less(t, math.Abs(float64(v)), 1e-3, "%v: a tone of %v", c, f)
			}
		}
	}
}

// TestResampleInPieces: the pieces of a sound give the bits of the whole, and a resampler can be used again.
func TestResampleInPieces(t *testing.T) {
	for _, c := range rates {
		x := tone(1501, 0.05)
		r, err := NewResampler(c[0], c[1])
		require.NoError(t, err)
		want := r.Flush(r.Write(nil, x))
		assert.EqualValues(t, (int64(len(x))*int64(c[1])+int64(c[0])-1)/int64(c[0]), len(want), "%v", c)
		for _, piece := range []int{1, 500} {
			var got []float32
			for part := range slices.Chunk(x, piece) {
				got = r.Write(got, part)
			}
			require.True(t, slices.Equal(want, r.Flush(got)), "%v in pieces of %d", c, piece)
		}
		assert.Empty(t, r.Flush(nil), "nothing")
	}
}

// TestResampleConstant: a constant stays what it is, for each place between two samples.
func TestResampleConstant(t *testing.T) {
	for _, c := range rates {
		r, err := NewResampler(c[0], c[1])
		require.NoError(t, err)
		y := r.Write(nil, slices.Repeat([]float32{0.5}, 1500))
		for _, v := range y[2*zeros*(1+c[1]/c[0])*2:] {
			require.InDelta(t, 0.5, v, 1e-6, "%v", c)
		}
	}
}

// TestResampleMemory does not grow with the sound.
func TestResampleMemory(t *testing.T) {
	r, err := NewResampler(44100, 16000)
	require.NoError(t, err)
	x, y := tone(1000, 0.01), []float32(nil)
	for range 10 {
		y = r.Write(y[:0], x)
	}
	before := cap(r.past)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { y = r.Write(y[:0], x) }))
	assert.Equal(t, before, cap(r.past))
}

func TestResampleRates(t *testing.T) {
	for _, c := range [][2]int{{0, 16000}, {16000, 999}, {1_000_001, 16000}} {
		_, err := NewResampler(c[0], c[1])
		assert.EqualError(t, err, fmt.Sprintf("wav: cannot convert %d to %d samples a second, want 1000 to 1000000", c[0], c[1]))
	}
}
