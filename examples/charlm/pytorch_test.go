package main

import (
	"encoding/json"
	"flag"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/decode"
	"github.com/unroll-go/unroll/examples/charlm/lm"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/train"
)

var (
	python = flag.String("python", "", "a Python with PyTorch, for TestPyTorch")
	flags  = flag.String("flags", "-steps 50", "flags of the training that TestPyTorch compares")
	keep   = flag.String("keep", "", "folder for the files of TestPyTorch")
)

// TestPyTorch trains the same model from the same weights on the same windows here and in PyTorch. The first losses agree, and so
// do, about, the bits for a held-out character in the end. The log tells the speed and the memory of both.
//
//	go test ./examples/charlm -run TestPyTorch -v -python PYTHON -flags "-steps 1000"
func TestPyTorch(t *testing.T) {
	if *python == "" {
		t.Skip("-python does not name a Python with PyTorch")
	}
	dir := *keep
	if dir == "" {
		dir = t.TempDir()
	}
	o, err := parse(strings.Fields(*flags + " -out " + dir))
	require.NoError(t, err)
	documents, heldOut, err := read(o.text, o.match)
	require.NoError(t, err)
	m, err := lm.New(o.model, o.seed)
	require.NoError(t, err)
	require.NoError(t, m.Save(filepath.Join(dir, "start.safetensors")))

	windows := func(yield func(dataset.Rows) bool) {
		n := 0
		for window := range (dataset.Streams{Rows: o.streams, K1: o.k1}).Batches(open(documents, o.seed, 0)) {
			if n++; !yield(window) || n == o.steps {
				return
			}
		}
	}
	saveWindows(t, filepath.Join(dir, "windows.safetensors"), o, windows)

	losses, seconds := trainHere(t, m, o, windows)
	command := exec.Command(*python, "testdata/compare.py", dir, strconv.Itoa(o.steps))
	command.Stderr = os.Stderr
	output, err := command.Output()
	require.NoError(t, err)
	var pytorch struct {
		Losses                []float32
		Seconds, Memory, Step float64
	}
	require.NoError(t, json.Unmarshal(output, &pytorch))
	require.Len(t, pytorch.Losses, o.steps)
	for i := range min(10, o.steps) {
		assert.InDelta(t, losses[i], pytorch.Losses[i], 1e-3, "update %d", i)
	}
	theirs, err := lm.Load(filepath.Join(dir, "pytorch.safetensors"))
	require.NoError(t, err)
	ourBits, err := newValidation(m, o, heldOut).bits()
	require.NoError(t, err)
	theirBits, err := newValidation(theirs, o, heldOut).bits()
	require.NoError(t, err)
	assert.InDelta(t, theirBits, ourBits, 0.1)

	characters := float64(o.steps * o.streams * o.k1)
	t.Logf("bits for a held-out character: %.4f here, %.4f in PyTorch", ourBits, theirBits)
	t.Logf("characters a second in training: %.0f here, %.0f in PyTorch, whose process takes %.0f MB", characters/seconds,
		characters/pytorch.Seconds, pytorch.Memory/1e6)
	t.Logf("microseconds to write a character: %.1f here, %.1f in PyTorch", 1e6*writing(t, m), 1e6*pytorch.Step)
}

// trainHere trains a model on windows and returns the losses and the seconds.
func trainHere(t *testing.T, m *lm.Model, o options, windows iter.Seq[dataset.Rows]) (losses []float32, seconds float64) {
	state := m.NewState(o.streams)
	step := train.NewStep(m.Params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node { return m.Loss(t, b, state, 0) })
	adam, rate := optim.NewAdamW(m.Params, o.lr), o.schedule()
	start := time.Now()
	for window := range windows {
		adam.LR = rate(len(losses))
		loss, err := step.Run(window)
		require.NoError(t, err)
		optim.ClipNorm(step.Grads(), o.clip)
		adam.Step(step.Grads())
		losses = append(losses, loss)
	}
	return losses, time.Since(start).Seconds()
}

// saveWindows writes the windows of a training, which all have all steps, and its learning rates.
func saveWindows(t *testing.T, path string, o options, windows iter.Seq[dataset.Rows]) {
	var ids, labels []int32
	var begins []bool
	var rates []float32
	rate, rows := o.schedule(), make([]int, o.streams)
	for i := range rows {
		rows[i] = i
	}
	for window := range windows {
		var b dataset.Batch
		require.NoError(t, window.Gather(rows, &b))
		require.Nil(t, b.Lengths, "the text is too short for so many updates")
		if b.Begins == nil {
			b.Begins = make([]bool, len(b.IDs))
		}
		ids, labels, begins = append(ids, b.IDs...), append(labels, b.Labels...), append(begins, b.Begins...)
		rates = append(rates, float32(rate(len(rates))))
	}
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, safetensors.Write(f, &safetensors.File{Tensors: []safetensors.Tensor{
		safetensors.From("ids", ids, o.steps, o.k1, o.streams), safetensors.From("labels", labels, o.steps, o.k1, o.streams),
		safetensors.From("begins", begins, o.steps, o.k1, o.streams), safetensors.From("rates", rates, o.steps)}}))
	require.NoError(t, f.Close())
}

// writing returns the seconds of one character of a single text.
func writing(t *testing.T, m *lm.Model) float64 {
	const steps = 5000
	sampler := decode.NewSampler(decode.SamplerConfig{Temperature: 0.7}, rand.New(rand.NewPCG(1, 2)))
	s, character := m.NewStream(), int32('\n')
	start, err := time.Now(), error(nil)
	for range steps {
		character, err = sampler.Next(s.Step(byte(character)))
		require.NoError(t, err)
	}
	return time.Since(start).Seconds() / steps
}
