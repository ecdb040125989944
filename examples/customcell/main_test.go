package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/rnn"
)

func TestProof(t *testing.T) { require.NoError(t, prove()) }

// TestSizes checks the gradients of both forms at odd sizes, and that the forms agree.
func TestSizes(t *testing.T) {
	for _, size := range [][4]int{{1, 1, 1, 1}, {2, 1, 3, 1}, {1, 5, 2, 7}, {9, 3, 1, 2}} {
		params := autograd.NewParams(3)
		cell := newMinGRU(params, size[2], size[3])
		x := params.New("x", autograd.Normal(1), size[0], size[1], size[2])
		var values [2][]float32
		for i, states := range []func(x *autograd.Node) *autograd.Node{
			cell.Forward, func(x *autograd.Node) *autograd.Node { h, _ := rnn.Unroll(cell, x, nil); return h },
		} {
			require.NoError(t, gradcheck.Check(params, func(tape *autograd.Tape) *autograd.Node {
				return gradcheck.Project(states(tape.Param(x)))
			}, gradcheck.Options{}), "%v", size)
			values[i] = states(autograd.NewInference(params).Input(x.Value)).Data()
		}
		assert.InDeltaSlice(t, values[0], values[1], 1e-6)
	}
}

func TestItRemembers(t *testing.T) {
	m := newModel(42, true)
	_, err := m.learn(recall(42, 4000), 8, 42)
	require.NoError(t, err)
	accuracy, err := m.accuracy(recall(43, 1000))
	require.NoError(t, err)
	assert.Greater(t, accuracy, 0.97)
}
