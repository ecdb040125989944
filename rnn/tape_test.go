package rnn_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// TestATapeServesAnyLayer runs layers of all kinds one after the other on one tape: what a layer leaves there does not change the results of the next.
func TestATapeServesAnyLayer(t *testing.T) {
	params := autograd.NewParams(3)
	var all []rnn.Layer
	for _, k := range kinds {
		for _, both := range []bool{false, true} {
			n := k.net.everything()
			n.bidirectional, n.noBias = both, !both
			all = append(all, n.make(params.In(k.name+map[bool]string{true: "2", false: "1"}[both]), 3, 5, 1+len(all)%2))
		}
	}
	x := random(1, 6, 2, 3)
	run := func(tape *autograd.Tape, layer rnn.Layer) map[string][]float32 {
		tape.Start(9, autograd.NewGrads(params))
		y, end := layer.Forward(tape.Input(x), rnn.Options{Lengths: []int{6, 4}})
		nodes := []*autograd.Node{y, end.H, end.C}
		factors := []*tensor.Tensor{random(1, y.Shape()...), random(2, end.H.Shape()...), nil}
		if end.C != nil {
			factors[2] = random(3, end.C.Shape()...)
		}
		require.NoError(t, weighted(tape, nodes, factors).Backward())
		return gradients(params, tape)
	}
	shared := autograd.NewTape(params, 0)
	for range 2 {
		for _, layer := range all {
			want := run(autograd.NewTape(params, 0), layer)
			for name, got := range run(shared, layer) {
				bits(t, want[name], got, name)
			}
		}
	}
}
