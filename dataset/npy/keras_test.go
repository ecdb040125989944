package npy

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
)

// TestKeras computes what Keras computes, with the weights that keras_to_npz.py wrote.
func TestKeras(t *testing.T) {
	p := autograd.NewParams(1)
	embedding := layers.NewEmbedding(p.In("embedding"), 11, 3)
	recurrent := []rnn.Layer{
		rnn.NewElman(p.In("simple"), rnn.ElmanConfig{Input: 3, Hidden: 4}),
		rnn.NewLSTM(p.In("lstm"), rnn.LSTMConfig{Input: 4, Hidden: 5}),
		rnn.NewGRU(p.In("both"), rnn.GRUConfig{Input: 5, Hidden: 3, Bidirectional: true}),
		rnn.NewGRU(p.In("before"), rnn.GRUConfig{Input: 6, Hidden: 4, ResetBefore: true}),
		rnn.NewLSTM(p.In("nobias"), rnn.LSTMConfig{Input: 4, Hidden: 4, NoBias: true}),
	}
	norm := layers.NewLayerNorm(p.In("norm"), 4)
	norm.Eps = 1e-3
	conv := layers.NewConv1D(p.In("conv"), layers.Conv1DConfig{In: 4, Out: 5, Width: 3, Stride: 2})
	dense := layers.NewDense(p.In("dense"), 5, 2)

	f, err := Load("testdata/keras.npz")
	require.NoError(t, err)
	_, err = safetensors.Loading{}.Apply(f, p)
	require.NoError(t, err)

	golden, err := Load("testdata/keras_golden.npz")
	require.NoError(t, err)
	x, err := find(golden, "x")
	require.NoError(t, err)
	require.Equal(t, []int{2, 9}, x.Shape)
	ids, err := whole[int32](x, 0, 10)
	require.NoError(t, err)
	y, err := find(golden, "y")
	require.NoError(t, err)
	require.Equal(t, []int{2, 4, 2}, y.Shape)
	want, err := floats(y)
	require.NoError(t, err)

	timeMajor := make([]int32, len(ids))
	for i, id := range ids {
		timeMajor[i%9*2+i/9] = id
	}
	tape := autograd.NewInference(p)
	h := embedding.Lookup(tape, timeMajor, 2)
	for _, layer := range recurrent {
		h, _ = layer.Forward(h, rnn.Options{})
	}
	got := autograd.Transpose(dense.Forward(autograd.ReLU(conv.Forward(norm.Forward(h)))), 0, 1)
	require.Equal(t, y.Shape, got.Shape())
	worst := 0.0
	for i, v := range want.Data() {
		worst = max(worst, math.Abs(float64(v-got.Data()[i])))
	}
	t.Logf("at most %.2g away", worst)
	assert.LessOrEqual(t, worst, 1e-5)
}
