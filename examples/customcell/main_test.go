package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

func TestProof(t *testing.T) { require.NoError(t, prove()) }

// TestSizes checks the gradients of both forms at odd sizes, and that the forms agree.
func TestSizes(t *testing.T) {
	for _, size := range [][4]int{{1, 1, 1, 1}, {2, 1, 3, 1}, {1, 5, 2, 7}, {9, 3, 1, 2}} {
		params := autograd.NewParams(3)
		cell := newRecurrent(params, size[2], size[3])
		x := params.New("x", autograd.Normal(1), size[0], size[1], size[2])
		var values [2][]float32
		for i, fused := range []bool{true, false} {
			require.NoError(t, gradcheck.Check(params, func(tape *autograd.Tape) *autograd.Node {
				return gradcheck.Project(cell.read(tape.Param(x), fused))
			}, gradcheck.Options{}), "%v", size)
			values[i] = cell.read(autograd.NewInference(params).Input(x.Value), fused).Data()
		}
		assert.InDeltaSlice(t, values[0], values[1], 1e-6)
	}
}

// TestEverythingElse: the fused cell has layers, directions, lengths, truncation and regularisation for nothing.
func TestEverythingElse(t *testing.T) {
	params := autograd.NewParams(3)
	layer := rnn.NewFused(params, updateGate(4), rnn.FusedConfig{Input: 3, Layers: 2, Bidirectional: true})
	x := params.New("x", autograd.Normal(1), 6, 3, 3)
	start := rnn.NewStart(params.In("start"), layer)
	require.NoError(t, gradcheck.Check(params, func(tape *autograd.Tape) *autograd.Node {
		y, _ := layer.Forward(tape.Param(x), rnn.Options{Lengths: []int{6, 2, 4}, Start: start.Carry(tape, 3)})
		return gradcheck.Project(y)
	}, gradcheck.Options{}))
}

func TestItRemembers(t *testing.T) {
	m := newModel(42, true)
	_, err := m.learn(recall(42, 4000), 8, 42)
	require.NoError(t, err)
	accuracy, err := m.accuracy(recall(43, 1000))
	require.NoError(t, err)
	assert.Greater(t, accuracy, 0.97)
}

// BenchmarkForms reads 50 steps of 28 features in both forms, without and with the gradient.
func BenchmarkForms(b *testing.B) {
	for _, size := range [][2]int{{64, 1}, {64, 32}, {64, 256}, {150, 1}, {150, 32}, {150, 256}} {
		hidden, batch := size[0], size[1]
		for _, learn := range []bool{false, true} {
			for _, fused := range []bool{true, false} {
				b.Run(fmt.Sprintf("hidden=%d/batch=%d/learn=%v/fused=%v", hidden, batch, learn, fused), func(b *testing.B) {
					params := autograd.NewParams(1)
					cell := newRecurrent(params, 28, hidden)
					x := tensor.New(50, batch, 28)
					for i := range x.Data() {
						x.Data()[i] = float32(i%13)/13 - 0.5
					}
					tape := autograd.NewInference(params)
					if learn {
						tape = autograd.NewTape(params, 1)
					}
					once := func() {
						tape.Reset()
						h := cell.read(tape.Input(x), fused)
						if learn {
							require.NoError(b, autograd.Sum(h).Backward())
						}
					}
					for range 5 { // the first runs allocate
						once()
					}
					for b.Loop() {
						once()
					}
				})
			}
		}
	}
}
