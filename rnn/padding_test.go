package rnn_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// TestMorePaddingChangesNothing pads the same rows to different numbers of steps: the gradients have the same bits.
func TestMorePaddingChangesNothing(t *testing.T) {
	const longest, batch, input, hidden = 45, 7, 3, 5
	lengths := []int{4, longest, 0, 1, 9, 38, 17}
	eachDirection(t, func(t *testing.T, n net) {
		params := autograd.NewParams(3)
		layer := n.make(params, input, hidden, 2)
		run := func(steps int) map[string][]float32 {
			x := tensor.New(steps, batch, input)
			copy(x.Data(), random(1, longest, batch, input).Data())
			tape := autograd.NewTape(params, 0)
			h, _ := layer.Last(tape.Input(x), rnn.Options{Lengths: lengths})
			require.NoError(t, weighted(tape, []*autograd.Node{h}, []*tensor.Tensor{random(2, h.Shape()...)}).Backward())
			return gradients(params, tape)
		}
		want := run(longest)
		for _, steps := range []int{longest + 1, longest + 20, 2 * longest} {
			for name, got := range run(steps) {
				bits(t, want[name], got, "%s of %d steps", name, steps)
			}
		}
	})
}
