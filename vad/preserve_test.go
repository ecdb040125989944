package vad_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
	"github.com/unroll-go/unroll/vad"
)

// TestAFailedRunLeavesTheState: a training step that fails brings back the whole state, the samples and the LSTM's.
func TestAFailedRunLeavesTheState(t *testing.T) {
	m := vad.New(autograd.NewParams(1))
	x, target := tensor.New(1, 2, vad.Chunk), tensor.New(1, 2, 1)
	for i := range x.Data() {
		x.Data()[i] = float32(i%17)/17 - 0.5
	}
	source := &dataset.Tensors{X: x, Target: target}
	state := m.NewState(1)
	step := train.NewStep(m.Params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.BCEWithLogits{}.Of(m.Forward(tape.Input(b.X), state), b.Target)
	})
	run := func() error {
		_, err := step.Run(dataset.Rows{Source: source, Index: []int{0}})
		return err
	}
	require.NoError(t, run())
	context, h := state.Context.Clone(), state.LSTM.H.Clone()
	require.NotZero(t, context.Data()[0])
	for i := range x.Data() { // another sound
		x.Data()[i] /= 2
	}
	target.Data()[0] = float32(math.Inf(1))
	require.Error(t, run())
	assert.Equal(t, context.Data(), state.Context.Data())
	assert.Equal(t, h.Data(), state.LSTM.H.Data())
}
