package main

import (
	"bytes"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/examples/charlm/lm"
)

var config = lm.Config{Cell: "lstm", Hidden: 32, Layers: 2, Embedding: 16}

// newModel returns a model whose weights a seed draws.
func newModel(t *testing.T, c lm.Config, seed uint64) *lm.Model {
	m, err := lm.New(c, seed)
	require.NoError(t, err)
	return m
}

// save writes a model to a file and returns its path.
func save(t *testing.T, m *lm.Model) string {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	require.NoError(t, m.Save(path))
	return path
}

// alone is a text that a model writes alone, by the weights that a batcher had at the same steps.
type alone struct {
	model   *lm.Model
	stream  *lm.Stream
	weights []*lm.Model // version 1, 2, ...
	version int
}

func newAlone(t *testing.T, weights ...*lm.Model) *alone {
	m := newModel(t, weights[0].Config, 99)
	return &alone{model: m, stream: m.NewStream(), weights: weights}
}

func (a *alone) step(t *testing.T, version int, character byte) []float32 {
	if version != a.version {
		assert.NoError(t, a.model.Params.CopyFrom(a.weights[version-1].Params))
		a.version = version
	}
	return a.stream.Step(character)
}

// TestBatcher: every session gets the bits of a text that is written alone, whatever sessions take its steps with it, and
// also while the weights are swapped.
func TestBatcher(t *testing.T) {
	for _, c := range []lm.Config{config, {Cell: "gru", Hidden: 40, Layers: 1, Embedding: 24, Tied: true}} {
		for _, workers := range []int{1, 3} {
			weights := []*lm.Model{newModel(t, c, 1), newModel(t, c, 2), newModel(t, c, 3), newModel(t, c, 4)}
			const clients = 12
			b := newBatcher(newModel(t, c, 1), clients, workers, 5)
			table := newSessions(b.state, time.Hour)
			var all sync.WaitGroup
			for n := range clients {
				all.Go(func() {
					r := rand.New(rand.NewPCG(uint64(n), 0))
					for range 2 { // the second session finds the state of another one in its row
						s, err := table.begin(false, nil)
						if !assert.NoError(t, err) {
							return
						}
						a := newAlone(t, weights...)
						for range 50 + r.IntN(50) {
							character := byte(r.Uint32())
							if !assert.NoError(t, b.step(s, character)) || !assert.Equal(t, a.step(t, s.version, character), s.logits) {
								return
							}
						}
						table.release(s)
					}
				})
			}
			for i, m := range weights[1:] {
				for b.characters.Load() < 300*int64(i) && !t.Failed() {
					runtime.Gosched()
				}
				version, err := b.swap(m)
				require.NoError(t, err)
				assert.Equal(t, i+2, version)
			}
			all.Wait()
			b.stop()
			assert.GreaterOrEqual(t, b.characters.Load(), b.batches.Load())
			assert.Zero(t, table.count())
		}
	}
}

// TestStepAllocatesNothing: batches of different sizes take their steps without memory of their own.
func TestStepAllocatesNothing(t *testing.T) {
	b := newBatcher(newModel(t, config, 1), 8, 0, 8)
	w := b.newWorker()
	all := slices.Clone(newSessions(b.state, time.Hour).free)
	n := 0
	step := func() {
		n = n%len(all) + 1
		for _, s := range all[1:n] {
			b.queue <- s
		}
		w.collect(all[0])
		if err := w.step(); err != nil || len(w.batch) != n {
			t.Error(err, len(w.batch), n)
		}
	}
	for range len(all) {
		step()
	}
	assert.Zero(t, testing.AllocsPerRun(100, step))
}

// TestStepError: a mistake in the model is an error of the sessions in the batch, and the batcher goes on.
func TestStepError(t *testing.T) {
	b := newBatcher(newModel(t, config, 1), 2, 1, 2)
	defer b.stop()
	table := newSessions(b.state, time.Hour)
	s, err := table.begin(false, nil)
	require.NoError(t, err)
	row := s.row
	s.row = 7
	var text bytes.Buffer
	log.SetOutput(&text)
	defer log.SetOutput(os.Stderr)
	assert.Equal(t, errModel, b.step(s, 'a'))
	assert.Contains(t, text.String(), "row 7")
	s.row = row
	require.NoError(t, b.step(s, 'a'))
	assert.Equal(t, b.model.NewStream().Step('a'), s.logits)

	_, err = b.swap(newModel(t, lm.Config{Cell: "lstm", Hidden: 16, Layers: 2, Embedding: 16}, 1))
	assert.ErrorContains(t, err, "rnn.weight_ih_l0")
	require.NoError(t, b.step(s, 'b'))
	assert.Equal(t, 1, s.version)
}
