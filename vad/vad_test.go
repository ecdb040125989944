package vad_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/vad"
)

// folder returns the folder with the weights of Silero VAD and the probabilities that others computed with them.
func folder(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("UNROLL_SILERO")
	if dir == "" {
		t.Skip("UNROLL_SILERO is not set: the folder with silero_vad_16k.safetensors, dev.wav and dev-safetensors.json")
	}
	return dir
}

func trained(t testing.TB) *vad.Model {
	m, err := vad.Load(filepath.Join(folder(t), "silero_vad_16k.safetensors"))
	require.NoError(t, err)
	return m
}

// sound returns the samples of dev.wav, whose header has 44 bytes.
func sound(t testing.TB) []float32 {
	data, err := os.ReadFile(filepath.Join(folder(t), "dev.wav"))
	require.NoError(t, err)
	var samples []float32
	for data = data[44:]; len(data) >= 2; data = data[2:] {
		samples = append(samples, float32(int16(binary.LittleEndian.Uint16(data)))/32768)
	}
	return samples
}

// noise returns n samples.
func noise(seed uint64, n int) []float32 {
	r, x := rand.New(rand.NewPCG(seed, 0)), make([]float32, n)
	for i := range x {
		x[i] = float32(0.1 * r.NormFloat64())
	}
	return x
}

func probabilities(s *vad.Stream, samples []float32) (p []float32) {
	add := func(v float32) { p = append(p, v) }
	s.Write(samples, add)
	s.Flush(add)
	return p
}

func TestOracle(t *testing.T) {
	m, samples := trained(t), sound(t)
	var want struct{ Probabilities []float64 }
	text, err := os.ReadFile(filepath.Join(folder(t), "dev-safetensors.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &want))
	got := probabilities(m.NewStream(), samples)
	require.Len(t, got, len(want.Probabilities))
	worst := 0.0
	for i, p := range got {
		worst = max(worst, math.Abs(float64(p)-want.Probabilities[i]))
	}
	t.Logf("%d chunks, the largest difference is %.2g", len(got), worst)
	assert.LessOrEqual(t, worst, 1e-5)
}

func BenchmarkStep(b *testing.B) {
	m := vad.New(autograd.NewParams(1))
	s, chunk := m.NewStream(), noise(1, vad.Chunk)
	b.ReportAllocs()
	for b.Loop() {
		s.Step(chunk)
	}
}
