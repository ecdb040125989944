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
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/onnx"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
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

// TestOracle: the probabilities of PyTorch with the weights of one file, and of ONNX Runtime with those of the other.
func TestOracle(t *testing.T) {
	f, err := os.Open(filepath.Join(folder(t), "silero_vad_16k_op15.onnx"))
	require.NoError(t, err)
	defer f.Close()
	file, err := onnx.Read(f)
	require.NoError(t, err)
	other, err := vad.From(file.File())
	require.NoError(t, err)
	for name, m := range map[string]*vad.Model{"dev-safetensors.json": trained(t), "dev-onnx.json": other} {
		var want struct{ Probabilities []float64 }
		text, err := os.ReadFile(filepath.Join(folder(t), name))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &want))
		got := probabilities(m.NewStream(), sound(t))
		require.Len(t, got, len(want.Probabilities))
		worst := 0.0
		for i, p := range got {
			worst = max(worst, math.Abs(float64(p)-want.Probabilities[i]))
		}
		t.Logf("%s: %d chunks, the largest difference is %.2g", name, len(got), worst)
		assert.LessOrEqual(t, worst, 1e-5, name)
	}
}

// TestSTFT: the STFT of New is that of the trained model.
func TestSTFT(t *testing.T) {
	want, got := trained(t).STFT.Weight.Value.Data(), vad.New(autograd.NewParams(1)).STFT.Weight.Value.Data()
	for i, v := range got {
		require.InDelta(t, want[i], v, 1e-6)
	}
}

// TestForward: on a tape, in pieces and with other sounds in the batch, a sound gets the bits of a stream of its own.
func TestForward(t *testing.T) {
	const steps, rows = 7, 3
	m := vad.New(autograd.NewParams(1))
	var want [rows][]float32
	x := tensor.New(steps, rows, vad.Chunk)
	for b := range rows {
		samples := noise(uint64(b), steps*vad.Chunk)
		want[b] = probabilities(m.NewStream(), samples)
		for k := range steps {
			copy(x.Data()[(k*rows+b)*vad.Chunk:], samples[k*vad.Chunk:][:vad.Chunk])
		}
	}
	infer, state := autograd.NewInference(m.Params), m.NewState(rows)
	check := func(first int, p *autograd.Node, rows ...int) {
		for i, v := range p.Data() {
			assert.Equal(t, want[rows[i%len(rows)]][first+i/len(rows)], v)
		}
	}
	whole := infer.Input(x)
	check(0, autograd.Sigmoid(m.Forward(whole, nil)), 0, 1, 2)
	for _, piece := range [][2]int{{0, 1}, {1, 5}, {5, 7}} {
		check(piece[0], autograd.Sigmoid(m.Forward(autograd.Slice(whole, 0, piece[0], piece[1]), state)), 0, 1, 2)
	}
	assert.EqualError(t, autograd.Try(func() { m.Forward(infer.Input(tensor.New(1, 2, 512)), state) }),
		"vad.Model.Forward: input has shape [1 2 512], want [T, B, 512] with at least one chunk and one sound, B = 3")
	assert.EqualError(t, autograd.Try(func() { m.Forward(infer.Input(tensor.New(2, 512)), nil) }),
		"vad.Model.Forward: input has shape [2 512], want [T, B, 512] with at least one chunk and one sound")
}

// TestStreams: a thousand sounds on one model, in turn, and each with the bits that it has alone.
func TestStreams(t *testing.T) {
	const sounds, chunks = 1000, 3
	m := vad.New(autograd.NewParams(1))
	var streams []*vad.Stream
	for range sounds {
		streams = append(streams, m.NewStream())
	}
	got := make([][]float32, sounds)
	for k := range chunks {
		for i, s := range streams {
			got[i] = append(got[i], s.Step(noise(uint64(i*chunks+k), vad.Chunk)))
		}
	}
	alone := m.NewStream()
	for i := range sounds {
		alone.Reset()
		for k := range chunks {
			require.Equal(t, got[i][k], alone.Step(noise(uint64(i*chunks+k), vad.Chunk)), "sound %d", i)
		}
	}
}

// TestStreamsAtOnce: goroutines with streams of one model; it is for the race detector.
func TestStreamsAtOnce(t *testing.T) {
	m := vad.New(autograd.NewParams(1))
	want, got := probabilities(m.NewStream(), noise(1, 3000)), make(chan []float32)
	for range 4 {
		go func() { got <- probabilities(m.NewStream(), noise(1, 3000)) }()
	}
	for range 4 {
		assert.Equal(t, want, <-got)
	}
}

func TestStream(t *testing.T) {
	m := vad.New(autograd.NewParams(1))
	samples := noise(1, 10*vad.Chunk+100)
	s := m.NewStream()
	want := probabilities(s, samples)
	assert.Len(t, want, 11)
	s.Reset()
	assert.Equal(t, want, probabilities(s, samples), "a second sound")
	s.Reset()
	var got []float32
	for i := range samples {
		s.Write(samples[i:i+1], func(p float32) { got = append(got, p) })
	}
	s.Flush(func(p float32) { got = append(got, p) })
	s.Flush(func(p float32) { t.Error("nothing waits") })
	assert.Equal(t, want, got, "sample by sample")

	s.Reset()
	for k := range 4 {
		s.Step(samples[k*vad.Chunk:][:vad.Chunk])
	}
	state, path := m.NewState(3), filepath.Join(t.TempDir(), "state.safetensors")
	s.Save(state, 1)
	require.NoError(t, safetensors.SaveTensors(path, state.Tensors(), nil))
	loaded := m.NewState(3)
	_, err := safetensors.LoadTensors(path, loaded.Tensors())
	require.NoError(t, err)
	other := m.NewStream()
	other.Write(samples[:1000], func(float32) {})
	other.Restore(loaded, 1)
	assert.Equal(t, want[4:], probabilities(other, samples[4*vad.Chunk:]), "from a saved state")

	assert.Zero(t, testing.AllocsPerRun(100, func() { s.Step(samples[:vad.Chunk]) }))
	assert.EqualError(t, autograd.Try(func() { s.Step(samples[:100]) }), "vad.Stream.Step: 100 samples, want 512")
	assert.EqualError(t, autograd.Try(func() { s.Save(state, 3) }), "vad.State: row 3, want 0 to 2")
	assert.EqualError(t, autograd.Try(func() { s.Restore(state, -1) }), "vad.State: row -1, want 0 to 2")
}

// TestGradients of all weights, the STFT too, and of silence, where a magnitude has no derivative.
func TestGradients(t *testing.T) {
	params := autograd.NewParams(1)
	m := vad.New(params)
	m.STFT.Weight.Frozen = false
	params.Update(func() { // keep all ReLUs on their right side, because differences step over the kink
		for _, c := range m.Conv {
			autograd.Constant(3)(nil, c.Bias.Value)
		}
		autograd.Constant(1)(nil, params.Get("lstm_cell.bias_ih_l0").Value)
	})
	x := tensor.New(2, 2, vad.Chunk)
	copy(x.Data(), noise(1, x.Len()))
	require.NoError(t, gradcheck.Check(params, func(tape *autograd.Tape) *autograd.Node {
		return gradcheck.Project(m.Forward(tape.Input(x), nil))
	}, gradcheck.Options{Tolerance: 5e-2}))
	tape := autograd.NewTape(params, 0)
	silence := tape.Leaf(tensor.New(1, 1, vad.Chunk)) // zeros
	require.NoError(t, autograd.Sum(m.Forward(silence, nil)).Backward())
	assert.Equal(t, make([]float32, vad.Chunk), silence.Grad())
}

// lesson is sounds of chunks of noise in which a tone comes and goes, and whether there is one.
func lesson(seed uint64, steps, rows int) (x, target *tensor.Tensor) {
	r := rand.New(rand.NewPCG(seed, 1))
	x, target = tensor.New(steps, rows, vad.Chunk), tensor.New(steps, rows, 1)
	for b := range rows {
		on, phase := false, 0.0
		for k := range steps {
			if r.IntN(3) == 0 {
				on = !on
			}
			chunk := x.Data()[(k*rows+b)*vad.Chunk:][:vad.Chunk]
			for i := range chunk {
				phase += 0.2 + 0.05*math.Sin(phase/50)
				if chunk[i] = float32(0.02 * r.NormFloat64()); on {
					chunk[i] += float32(0.2 * math.Sin(phase))
				}
			}
			if on {
				target.Data()[k*rows+b] = 1
			}
		}
	}
	return x, target
}

// step is one step of Adam, and returns the loss before it.
func step(t *testing.T, m *vad.Model, tape *autograd.Tape, adam *optim.Adam, x, target *tensor.Tensor) float64 {
	tape.Reset()
	l := loss.BCEWithLogits{}.Of(m.Forward(tape.Input(x), nil), target)
	require.NoError(t, l.Backward())
	adam.Step(tape.Grads())
	return float64(l.Value())
}

// TestTrainingFromNothing: a new model learns to tell a tone from noise.
func TestTrainingFromNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("forty steps take half a minute under the race detector")
	}
	m := vad.New(autograd.NewParams(1))
	stft := append([]float32(nil), m.STFT.Weight.Value.Data()...)
	tape, adam := autograd.NewTape(m.Params, 1), optim.NewAdam(m.Params, 2e-3)
	x, target := lesson(1, 10, 6)
	first := step(t, m, tape, adam, x, target)
	for k := range uint64(40) {
		x, target := lesson(k+2, 10, 6)
		step(t, m, tape, adam, x, target)
	}
	last := step(t, m, tape, adam, x, target)
	t.Logf("loss %.3f, then %.3f", first, last)
	assert.Less(t, last, 0.3*first)
	assert.Equal(t, stft, m.STFT.Weight.Value.Data(), "the STFT stays")
}

// TestFineTuning: one step from the trained weights lowers the loss on what it saw, and the weights come back from a file.
func TestFineTuning(t *testing.T) {
	m := trained(t)
	tape, adam := autograd.NewTape(m.Params, 1), optim.NewAdam(m.Params, 1e-5)
	x, target := lesson(1, 10, 4)
	before := step(t, m, tape, adam, x, target)
	after := step(t, m, tape, adam, x, target)
	t.Logf("loss %.4f, then %.4f", before, after)
	assert.Less(t, after, before)

	path := filepath.Join(t.TempDir(), "tuned.safetensors")
	require.NoError(t, safetensors.Save(path, m.Params, nil))
	again, err := vad.Load(path)
	require.NoError(t, err)
	samples := noise(1, 3000)
	assert.Equal(t, probabilities(m.NewStream(), samples), probabilities(again.NewStream(), samples))
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := vad.Load(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	path := filepath.Join(dir, "other.safetensors")
	params := autograd.NewParams(1)
	rnn.NewGRU(params, rnn.GRUConfig{Input: 2, Hidden: 3})
	require.NoError(t, safetensors.Save(path, params, nil))
	_, err = vad.Load(path)
	assert.ErrorContains(t, err, "vad: "+path+" does not fit: missing in the file: conv1.bias")
	_, err = vad.From(&safetensors.File{})
	assert.ErrorContains(t, err, "vad: the file does not fit: missing in the file: conv1.bias")
}

func BenchmarkStep(b *testing.B) {
	m := vad.New(autograd.NewParams(1))
	s, chunk := m.NewStream(), noise(1, vad.Chunk)
	b.ReportAllocs()
	for b.Loop() {
		s.Step(chunk)
	}
}
