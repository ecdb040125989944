package lm_test

import (
	"encoding/binary"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

var configs = []lm.Config{
	{Cell: "lstm", Hidden: 20, Layers: 2, Embedding: 12},
	{Cell: "gru", Hidden: 32, Layers: 1, Embedding: 32, Dropout: 0.1, Tied: true},
	{Cell: "lstm", Hidden: 24, Layers: 1, Embedding: 12, Tied: true},
}

func texts() iter.Seq2[dataset.Document, error] {
	return func(yield func(dataset.Document, error) bool) {
		for n := range 12 {
			text := strings.Repeat("a quick fox;\n", 5+n)
			if !yield(dataset.BytesDocument(strings.NewReader(text)), nil) {
				return
			}
		}
	}
}

// TestLearns: a model learns a text that repeats itself, and continues it.
func TestLearns(t *testing.T) {
	for _, c := range configs {
		m, err := lm.New(c, 1)
		require.NoError(t, err)
		state := m.NewState(4)
		step := train.NewStep(m.Params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node { return m.Loss(t, b, state, 12) })
		adam := optim.NewAdam(m.Params, 0.01)
		var first, last float32
		for range 15 {
			for window := range (dataset.Streams{Rows: 4, K1: 8, K2: 12}).Batches(texts()) {
				last, err = step.Run(window)
				require.NoError(t, err)
				if first == 0 {
					first = last
				}
				optim.ClipNorm(step.Grads(), 1)
				adam.Step(step.Grads())
			}
		}
		assert.Greater(t, first, float32(5)) // no knowledge is log 256 = 5.5
		assert.Less(t, last, first/10)

		s, text := m.NewStream(), "a qui"
		var logits []float32
		for i := range len(text) {
			logits = s.Step(text[i])
		}
		for range 8 {
			best, err := decode.Argmax(logits)
			require.NoError(t, err)
			text += string(best)
			logits = s.Step(byte(best))
		}
		assert.Equal(t, "a quick fox;\n", text)
	}
}

// TestStep: texts in one batch, in any rows of a state, have the bits of a stream for each.
func TestStep(t *testing.T) {
	for _, c := range configs {
		m, err := lm.New(c, 2)
		require.NoError(t, err)
		tape, state := autograd.NewInference(m.Params), m.NewState(5)
		streams := map[int]*lm.Stream{}
		for i := range 12 {
			rows := [][]int{{3, 0, 4}, {1}, {4, 3}}[i%3]
			ids := make([]int32, len(rows))
			for k := range ids {
				ids[k] = int32(40*i+99*k) % lm.Characters
			}
			tape.Reset()
			logits := m.Step(tape, ids, state, rows)
			require.Equal(t, []int{len(rows), lm.Characters}, logits.Shape())
			for k, row := range rows {
				if streams[row] == nil {
					streams[row] = m.NewStream()
				}
				assert.Equal(t, streams[row].Step(byte(ids[k])), logits.Data()[k*lm.Characters:][:lm.Characters])
			}
		}
	}
}

func TestStreamAllocatesNothing(t *testing.T) {
	m, err := lm.New(configs[2], 2)
	require.NoError(t, err)
	s := m.NewStream()
	assert.Zero(t, testing.AllocsPerRun(100, func() { s.Step('a') }))
}

func TestSaveAndLoad(t *testing.T) {
	for _, c := range configs {
		m, err := lm.New(c, 3)
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "model.safetensors")
		require.NoError(t, m.Save(path))
		same, err := lm.Load(path)
		require.NoError(t, err)
		assert.Equal(t, c, same.Config)
		assert.Equal(t, m.NewStream().Step('x'), same.NewStream().Step('x'))
	}
}

func TestConfigErrors(t *testing.T) {
	good := configs[0]
	for want, change := range map[string]func(*lm.Config){
		`lm: cell is "rnn", want "lstm" or "gru"`:            func(c *lm.Config) { c.Cell = "rnn" },
		"lm: hidden is 0, want 1 to 16384":                   func(c *lm.Config) { c.Hidden = 0 },
		"lm: layers is 65, want 1 to 64":                     func(c *lm.Config) { c.Layers = 65 },
		"lm: embedding is -1, want 1 to 16384":               func(c *lm.Config) { c.Embedding = -1 },
		"lm: dropout is 1, want 0 or more and less than 1":   func(c *lm.Config) { c.Dropout = 1 },
		"lm: dropout is NaN, want 0 or more and less than 1": func(c *lm.Config) { c.Dropout = float32(math.NaN()) },
	} {
		c := good
		change(&c)
		_, err := lm.New(c, 0)
		assert.EqualError(t, err, want)
	}
}

// TestLoadErrors damages a file; no damage makes Load panic or take much memory.
func TestLoadErrors(t *testing.T) {
	m, err := lm.New(configs[1], 3)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "model.safetensors")
	require.NoError(t, m.Save(path))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	header := int(binary.LittleEndian.Uint64(whole)) + 8
	write := func(content []byte) error {
		require.NoError(t, os.WriteFile(path, content, 0o666))
		_, err := lm.Load(path)
		return err
	}
	replaced := func(old, new string) []byte { // of the same length, so that the header keeps its own
		require.Len(t, new, len(old))
		return []byte(strings.Replace(string(whole[:header]), old, new, 1) + string(whole[header:]))
	}
	for want, content := range map[string][]byte{
		"":                                       whole[:header-5],
		" ":                                      whole[:len(whole)-1],
		"the metadata have no \"unroll.charlm\"": replaced("unroll.charlm", "unroll.charlx"),
		"lm: configuration \"":                   replaced(`\"layers\":1`, `\"layers\";1`),
		"cell is \"grx\"":                        replaced(`\"gru\"`, `\"grx\"`),
		"layers is 0, want 1 to 64":              replaced(`\"layers\":1`, `\"layers\":0`),
		"bytes of weights, want at least":        replaced(`\"layers\":1`, `\"layers\":9`),
		"rnn.weight_hh_l0":                       replaced(`\"hidden\":32`, `\"hidden\":31`),
		"head.bias":                              replaced(`"head.bias"`, `"head.bia5"`),
	} {
		err := write(content)
		require.ErrorContains(t, err, path)
		assert.ErrorContains(t, err, want)
	}
	m.Params.Update(func() { m.Params.Get("head.bias").Value.Data()[3] = float32(math.NaN()) })
	require.NoError(t, m.Save(path))
	_, err = lm.Load(path)
	assert.ErrorContains(t, err, path+": lm: the weights are not usable")
	assert.ErrorIs(t, write([]byte("PK\x03\x04 a file of PyTorch, perhaps")), safetensors.ErrNotSafetensors)
	_, err = lm.Load(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
