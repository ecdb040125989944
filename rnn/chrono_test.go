package rnn_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
)

// TestChrono: the first unit forgets at once, and the last one remembers for as many steps as Chrono says, in every layer and direction.
func TestChrono(t *testing.T) {
	const hidden, steps = 3, 100
	long := float32(math.Log(steps))
	for _, init := range []rnn.Init{rnn.Glorot, rnn.PyTorch, rnn.Keras} {
		p := autograd.NewParams(1)
		rnn.NewLSTM(p.In("lstm"), rnn.LSTMConfig{Input: 2, Hidden: hidden, Layers: 2, Bidirectional: true, Chrono: steps, Init: init})
		rnn.NewGRU(p.In("gru"), rnn.GRUConfig{Input: 2, Hidden: hidden, Chrono: steps, Init: init})
		rnn.NewMinGRU(p.In("mingru"), rnn.MinGRUConfig{Input: 2, Hidden: hidden, Chrono: steps, Init: init})
		for name, want := range map[string][]float32{
			"lstm.bias_ih_l0":         {0, -long / 2, -long, 0, long / 2, long}, // i, f
			"lstm.bias_ih_l1_reverse": {0, -long / 2, -long, 0, long / 2, long},
			"lstm.bias_hh_l0":         {0, 0, 0, 0, 0, 0},
			"mingru.bias_ih_l0":       {0, -long / 2, -long}, // z
		} {
			assert.InDeltaSlice(t, want, p.Get(name).Value.Data()[:len(want)], 1e-6, name)
		}
		assert.InDeltaSlice(t, []float32{0, long / 2, long}, p.Get("gru.bias_ih_l0").Value.Data()[hidden:2*hidden], 1e-6) // z
		assert.InDeltaSlice(t, []float32{0, 0, 0}, p.Get("gru.bias_hh_l0").Value.Data()[hidden:2*hidden], 1e-6)
		if init == rnn.PyTorch { // the other gates are as without
			assert.NotZero(t, p.Get("gru.bias_ih_l0").Value.Data()[0])
			assert.NotZero(t, p.Get("lstm.bias_hh_l0").Value.Data()[2*hidden])
		}
	}
	p := autograd.NewParams(1)
	for want, do := range map[string]func(){
		"rnn.GRU: Chrono is 1, want at least 2 steps, or 0 for none": func() { rnn.NewGRU(p, rnn.GRUConfig{Input: 1, Hidden: 1, Chrono: 1}) },
		"rnn.MinGRU: Chrono is 9, but NoBias leaves no bias":         func() { rnn.NewMinGRU(p, rnn.MinGRUConfig{Input: 1, Hidden: 1, Chrono: 9, NoBias: true}) },
		"rnn.LSTM: ForgetBias is 2 and Chrono is 9; want one of the two": func() {
			rnn.NewLSTM(p, rnn.LSTMConfig{Input: 1, Hidden: 1, Chrono: 9, ForgetBias: 2})
		},
	} {
		assert.EqualError(t, autograd.Try(do), want)
	}
}
