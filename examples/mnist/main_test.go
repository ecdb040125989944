package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/dataset/digits"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/train"
)

// TestCommandLine has each wrong command line, folder and file end in one clear line, before any training.
func TestCommandLine(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, []byte("no model"), 0o600))
	damaged := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "train-images-idx3-ubyte.gz"), []byte("no pictures"), 0o600))
	for _, name := range []string{"train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"} {
		require.NoError(t, os.WriteFile(filepath.Join(damaged, name), nil, 0o600))
	}
	out := filepath.Join(folder, "out")
	for _, c := range []struct {
		args  string
		usage bool
		text  string
	}{
		{"-epoch 3", true, "flag provided but not defined: -epoch"},
		{"-epochs x", true, `invalid value "x" for flag -epochs: parse error`},
		{"-epochs 0", true, "-epochs is 0, want at least 1"},
		{"-batch -1", true, "-batch is -1, want at least 1"},
		{"-hidden 0", true, "-hidden is 0, want 1 to 32768"},
		{"-lr 0", true, "-lr is 0, want a positive number"},
		{"-lr NaN", true, "-lr is NaN, want a positive number"},
		{"-lr Inf", true, "-lr is +Inf, want a positive number"},
		{"-truncate -1", true, "-truncate is -1, want 0 or more"},
		{"-cell rnn", true, `-cell is "rnn", want elman, lstm or gru`},
		{"-layers 0", true, "-layers is 0, want 1 to 64"},
		{"-dropout 1", true, "-dropout is 1, want 0 or more and less than 1"},
		{"-read columns", true, `-read is "columns", want rows or pixels`},
		{"-permute", true, "-permute is true, want -read pixels with it"},
		{"-recompute -1", true, "-recompute is -1, want 0 or more"},
		{"-recipe good", true, `-recipe is "good", want plain or best`},
		{"-workers -1", true, "-workers is -1, want 0 or more"},
		{"-pictures -1", true, "-pictures is -1, want 0 or more"},
		{"-patience -1", true, "-patience is -1, want 0 or more"},
		{"-save-every 0s", true, "-save-every is 0s, want a positive time"},
		{"-out=", true, `-out is "", want a folder`},
		{"-data=", true, `-data is "", want auto, synthetic or a folder`},
		{"train", true, `unexpected argument "train"`},
		{"-data " + folder + "/none", false, "mnist: " + folder + "/none has no train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, with or without .gz: file does not exist"},
		{"-data " + damaged, false, "mnist: " + damaged + "/train-images-idx3-ubyte.gz: idx: magic number"},
		{"-data synthetic -out " + file, false, "mkdir " + file + ": not a directory"},
		{"-load " + folder + "/none", false, "open " + folder + "/none: no such file or directory"},
		{"-load " + file, false, file},
	} {
		args := strings.Fields(c.args)
		if !strings.Contains(c.args, "-out") {
			args = append([]string{"-out", out}, args...)
		}
		err := run(context.Background(), args)
		require.Error(t, err, c.args)
		assert.Contains(t, err.Error(), c.text)
		assert.Equal(t, c.usage, errors.As(err, new(usageError)), c.args)
		assert.NotContains(t, err.Error(), "\n", c.args)
		_, err = os.Stat(out)
		assert.ErrorIs(t, err, os.ErrNotExist, c.args)
	}
	assert.Equal(t, flag.ErrHelp, run(context.Background(), []string{"-h"}))
}

// small is a run on few pictures, with its results read back.
func small(t *testing.T, ctx context.Context, o options) (history [][]string, weights []byte, err error) {
	t.Helper()
	o.out, o.batch, o.hidden, o.lr, o.seed = t.TempDir(), 90, 20, 0.01, 5
	drawn := digits.New(3, 400, 100, 1)
	err = newModel(o).learn(ctx, o, drawn.Train, drawn.Valid)
	text, readErr := os.ReadFile(filepath.Join(o.out, "history.csv"))
	require.NoError(t, readErr)
	history, readErr = csv.NewReader(bytes.NewReader(text)).ReadAll()
	require.NoError(t, readErr)
	for i := range history {
		history[i] = history[i][:4] // not the seconds
	}
	weights, readErr = os.ReadFile(filepath.Join(o.out, "model.safetensors"))
	require.NoError(t, readErr)
	picture, readErr := os.ReadFile(filepath.Join(o.out, "curves.png"))
	require.NoError(t, readErr)
	_, readErr = png.DecodeConfig(bytes.NewReader(picture))
	require.NoError(t, readErr)
	return history, weights, err
}

func TestSameSeedSameResult(t *testing.T) {
	for _, o := range []options{{cell: "elman"}, {cell: "lstm"}, {cell: "gru"},
		{cell: "elman", layers: 2, bidirectional: true, dropout: 0.3, recipe: "best"}} {
		o.epochs = 3
		history, weights, err := small(t, context.Background(), o)
		require.NoError(t, err)
		require.Len(t, history, 4)
		assert.Equal(t, []string{"epoch", "acc_batch", "acc_valid", "loss_batch"}, history[0])
		assert.NotEqual(t, history[1], history[3])
		for workers := 1; workers <= 3; workers++ {
			o.workers = workers
			again, same, err := small(t, context.Background(), o)
			require.NoError(t, err)
			assert.Equal(t, history, again)
			assert.Equal(t, weights, same)
		}
		o.truncate = 5
		_, cut, err := small(t, context.Background(), o)
		require.NoError(t, err)
		assert.NotEqual(t, weights, cut)
	}
}

func TestRecipe(t *testing.T) {
	o, err := parse([]string{"-recipe", "best", "-epochs", "3"})
	require.NoError(t, err)
	assert.Equal(t, 3, o.epochs, "what is given stays")
	assert.Equal(t, "gru", o.cell)
	plain, err := parse(nil)
	require.NoError(t, err)
	assert.Equal(t, "elman", plain.cell)
	assert.NotEqual(t, plain.lr, o.lr)
}

// TestShifted finds each picture again, whole, at most two pixels away, and others in another epoch.
func TestShifted(t *testing.T) {
	drawn := digits.New(3, 40, 1, 1)
	rows := []int{7, 30, 8}
	gather := func(s dataset.Source) []float32 {
		var b dataset.Batch
		require.NoError(t, s.Gather(rows, &b))
		return b.X.Data()
	}
	plain, moved := gather(drawn.Train), gather(shifted{drawn.Train, 5})
	assert.Equal(t, moved, gather(shifted{drawn.Train, 5}))
	assert.NotEqual(t, moved, gather(shifted{drawn.Train, 6}))
	for b := range rows {
		at := func(x []float32, i, j int) float32 {
			if i < 0 || j < 0 || i >= 28 || j >= 28 {
				return 0
			}
			return x[(i*len(rows)+b)*28+j]
		}
		found := 0
		for down := -2; down <= 2; down++ {
			for right := -2; right <= 2; right++ {
				same := true
				for i := range 28 {
					for j := range 28 {
						same = same && at(moved, i, j) == at(plain, i-down, j-right)
					}
				}
				if same {
					found++
				}
			}
		}
		assert.Equal(t, 1, found, b)
	}
}

// interrupted is a source in whose n-th batch somebody presses Ctrl-C.
type interrupted struct {
	dataset.Source
	batch    int64
	cancel   func()
	gathered atomic.Int64
}

func (s *interrupted) Gather(rows []int, into *dataset.Batch) error {
	if s.gathered.Add(1) == s.batch {
		s.cancel()
	}
	return s.Source.Gather(rows, into)
}

func TestInterruptWritesWhatThereIs(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	drawn := digits.New(3, 400, 100, 1)
	o := options{cell: "elman", epochs: 50, batch: 8, hidden: 10, lr: 0.01, workers: 1, out: t.TempDir()}
	m := newModel(o)
	// 50 steps of one shard an epoch: the second epoch is not ended. After each, its last batch is gathered twice more.
	err := m.learn(ctx, o, &interrupted{Source: drawn.Train, batch: 75, cancel: cancel}, drawn.Valid)
	assert.ErrorIs(t, err, context.Canceled)
	text, err := os.ReadFile(filepath.Join(o.out, "history.csv"))
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(text), "\n"), "the header and one epoch")
	before := append([]float32(nil), m.head.Weight.Value.Data()...)
	_, err = safetensors.Load(filepath.Join(o.out, "model.safetensors"), m.params)
	require.NoError(t, err)
	assert.Equal(t, before, m.head.Weight.Value.Data())

	// Before the first epoch's end there is no row, and the files are there all the same.
	ctx, cancel = context.WithCancel(context.Background())
	o.out = t.TempDir()
	assert.ErrorIs(t, newModel(o).learn(ctx, o, &interrupted{Source: drawn.Train, batch: 3, cancel: cancel}, drawn.Valid), context.Canceled)
	for _, name := range []string{"history.csv", "model.safetensors"} {
		_, err := os.Stat(filepath.Join(o.out, name))
		assert.NoError(t, err)
	}
}

// TestMistakes: every picture is counted, the wrong ones are listed with the least likely label first, and both pictures
// are drawn, also of a model that makes no mistake.
func TestMistakes(t *testing.T) {
	drawn := digits.New(3, 400, 100, 300)
	o := options{cell: "elman", epochs: 3, batch: 20, hidden: 20, lr: 0.01, out: t.TempDir()}
	m := newModel(o)
	require.NoError(t, m.learn(context.Background(), o, drawn.Train, drawn.Valid))
	r, err := m.test(drawn.Test)
	require.NoError(t, err)
	accuracy, err := m.accuracy(drawn.Test)
	require.NoError(t, err)
	assert.Equal(t, 300, r.confusion.Total())
	assert.InDelta(t, accuracy, r.confusion.Accuracy(), 1e-12)
	require.Len(t, r.mistakes, 300-int(math.Round(300*accuracy)))
	require.Greater(t, len(r.mistakes), 10)
	var losses []float64 // of each picture by itself
	require.NoError(t, train.Evaluate(m.params, drawn.Test, 1, m.loss, func(l *autograd.Node, _ *dataset.Batch) {
		losses = append(losses, float64(l.Data()[0]))
	}))
	assert.InDelta(t, slices.Max(losses), losses[r.mistakes[0].picture], 1e-5)
	for i, w := range r.mistakes {
		assert.InDelta(t, losses[w.picture], -math.Log(w.likely), 1e-4)
		assert.Equal(t, int(drawn.Test.Labels[w.picture]), w.label)
		assert.NotEqual(t, w.label, w.guess)
		assert.Positive(t, r.confusion.Count(w.label, w.guess))
		assert.Less(t, w.likely, 0.5)
		if i > 0 {
			assert.GreaterOrEqual(t, w.likely, r.mistakes[i-1].likely)
		}
	}
	sizes := map[string]int{}
	for _, wrong := range []int{min(40, len(r.mistakes)), 3, 0} {
		r.mistakes = r.mistakes[:wrong]
		require.NoError(t, r.draw(o.out, drawn.Test))
		for _, name := range []string{"confusion.png", "mistakes.png"} {
			f, err := os.Open(filepath.Join(o.out, name))
			require.NoError(t, err)
			picture, err := png.Decode(f)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			sizes[fmt.Sprint(name, wrong)] = picture.Bounds().Dy()
		}
	}
	assert.Equal(t, sizes["mistakes.png3"], sizes["mistakes.png0"])
	assert.Greater(t, sizes["mistakes.png"+fmt.Sprint(min(40, 300-int(math.Round(300*accuracy))))], sizes["mistakes.png3"])
	assert.Error(t, r.draw(filepath.Join(o.out, "none"), drawn.Test))

	m.params.Update(func() { m.head.Weight.Value.Data()[0] = float32(math.NaN()) })
	r, err = m.test(drawn.Test)
	require.NoError(t, err)
	require.Len(t, r.mistakes, 300, "no guess is a wrong one")
	assert.Equal(t, metrics.None, r.mistakes[0].guess)
	assert.NoError(t, r.draw(o.out, drawn.Test))
}
