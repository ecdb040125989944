package rnn_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// TestLayerNormUnderLeadingZeros measures what the documentation of LSTM says of frames of zeros at the beginning.
func TestLayerNormUnderLeadingZeros(t *testing.T) {
	const batch, input, hidden = 4, 28, 64
	// norms returns the norm of the gradient of h_0, and that of the rows of weight_hh for the gate g, for sequences of
	// so many frames of noise of that size before one that is not small.
	norms := func(c rnn.LSTMConfig, frames int, noise, h0 float32) (dh, wg float64) {
		params := autograd.NewParams(3)
		c.Input, c.Hidden = input, hidden
		layer := rnn.NewLSTM(params, c)
		x := random(1, frames+1, batch, input)
		for i := range frames * batch * input {
			x.Data()[i] *= noise
		}
		state := randomState(5, layer, batch)
		for i := range state.H.Data() {
			state.H.Data()[i] *= h0
			state.C.Data()[i] *= h0
		}
		tape := autograd.NewTape(params, 0)
		start := leaves(tape, state)
		h, _ := layer.Last(tape.Input(x), rnn.Options{Start: start})
		require.NoError(t, weighted(tape, []*autograd.Node{h}, []*tensor.Tensor{random(9, batch, hidden)}).Backward())
		norm := func(v []float32) (sum float64) {
			for _, x := range v {
				sum += float64(x) * float64(x)
			}
			return math.Sqrt(sum)
		}
		return norm(start.H.Grad()), norm(params.Get("weight_hh_l0").Value.Data()[2*hidden*hidden : 3*hidden*hidden])
	}
	// growth is the factor of a frame, the mean of frames 3 to 12.
	growth := func(c rnn.LSTMConfig, noise, h0 float32) float64 {
		before, _ := norms(c, 3, noise, h0)
		after, _ := norms(c, 12, noise, h0)
		return math.Pow(after/before, 1.0/9)
	}
	glorot, pytorch := rnn.LSTMConfig{LayerNorm: true}, rnn.LSTMConfig{LayerNorm: true, Init: rnn.PyTorch}
	explodes := growth(glorot, 0, 0)
	_, wg := norms(glorot, 1, 0, 0)
	assert.InDelta(t, 50, explodes, 10)
	assert.Less(t, explodes, 0.25/math.Sqrt(1e-5)*wg)
	dh, _ := norms(glorot, 24, 0, 0)
	assert.True(t, math.IsNaN(dh), "after 24 frames: %v", dh)

	assert.Less(t, growth(pytorch, 0, 0), 2.0, "biases that are not 0")
	assert.Less(t, growth(glorot, 0.001, 0), 2.0, "noise on the input")
	assert.Less(t, growth(glorot, 0, 0.1), 2.0, "an h_0 that is not 0")
	assert.Less(t, growth(rnn.LSTMConfig{}, 0, 0), 2.0, "without LayerNorm")
}
