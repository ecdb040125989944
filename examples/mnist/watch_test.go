package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/dataset/digits"
)

// TestWatched checks that a training writes its curves and histograms for TensorBoard, and that this does not change the model.
func TestWatched(t *testing.T) {
	drawn := digits.New(1, 300, 100, 0)
	learn := func(flags ...string) *model {
		o, err := parse(append(flags, "-epochs", "2", "-hidden", "8", "-out", t.TempDir()))
		require.NoError(t, err)
		m := newModel(o)
		require.NoError(t, m.learn(context.Background(), o, drawn.Train, drawn.Valid))
		return m
	}
	dir := filepath.Join(t.TempDir(), "runs", "first")
	watched, plain := learn("-tensorboard", dir), learn()
	for name, p := range plain.params.Named() {
		assert.Equal(t, p.Value.Data(), watched.params.Get(name).Value.Data(), name)
	}
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	events, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for _, tag := range []string{"flags", "loss/train", "accuracy/last batch", "accuracy/validation", "weights/rnn.weight_hh_l0", "gradients/head.bias"} {
		assert.Contains(t, string(events), tag)
	}

	o, err := parse([]string{"-tensorboard", files[0], "-out", t.TempDir()})
	require.NoError(t, err)
	assert.ErrorContains(t, newModel(o).learn(context.Background(), o, drawn.Train, drawn.Valid), "tensorboard.Resume: ")
}
