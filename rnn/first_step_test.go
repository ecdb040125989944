package rnn_test

import (
	"testing"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// TestFirstStepWithoutAStart: a single step from the zero Carry is the first step of a sequence, and that from a State of zeros, bit for bit.
func TestFirstStepWithoutAStart(t *testing.T) {
	const batch, input, hidden = 3, 4, 5
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			params := autograd.NewParams(3)
			layer := k.make(params, input, hidden, 2)
			x := random(1, batch, input)
			tape := autograd.NewInference(params)
			want, end := layer.Forward(tape.Input(tensor.Of(x.Data(), 1, batch, input)), rnn.Options{})
			for _, start := range []rnn.Carry{{}, layer.NewState(batch).Carry(tape, 0, batch)} {
				y, next := layer.Step(tape.Input(x), start)
				bits(t, want.Data(), y.Data())
				bits(t, end.H.Data(), next.H.Data())
				if k.hasC {
					bits(t, end.C.Data(), next.C.Data())
				}
			}
		})
	}
}
