package rnn_test

import (
	"math/rand/v2"
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

// TestATapeServesAnyShapes runs a layer on one tape with batches, lengths, starts and cuts of all sorts: no call changes the results of the next, in
// training and in inference.
func TestATapeServesAnyShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	eachDirection(t, func(t *testing.T, n net) {
		params := autograd.NewParams(3)
		layer := n.everything().make(params, 3, 5, 2)
		training, inference := autograd.NewTape(params, 0), autograd.NewInference(params)
		for range 10 {
			steps, batch := 1+r.IntN(40), 1+r.IntN(6)
			x, state, o := random(1, steps, batch, 3), randomState(2, layer, batch), rnn.Options{Truncate: r.IntN(3) * r.IntN(9)}
			call, withStart := []func(*autograd.Node, rnn.Options) (*autograd.Node, rnn.Carry){layer.Forward, layer.Last}[r.IntN(2)], r.IntN(2) == 0
			if r.IntN(2) == 0 {
				for range batch {
					o.Lengths = append(o.Lengths, r.IntN(steps+1))
				}
			}
			if r.IntN(2) == 0 {
				o.Resets = drawResets(r, steps, batch)
			}
			if r.IntN(2) == 0 {
				o.Recompute = 1 + r.IntN(steps)
			}
			run := func(tape *autograd.Tape, in *autograd.Node) (all [][]float32) {
				o := o
				if withStart {
					o.Start = state.Carry(tape, 0, batch)
				}
				y, end := call(in, o)
				if all = append(all, y.Data(), end.H.Data()); y.RequiresGrad() {
					require.NoError(t, weighted(tape, []*autograd.Node{y, end.H}, []*tensor.Tensor{random(3, y.Shape()...), random(4, end.H.Shape()...)}).Backward())
					all = append(all, in.Grad(), tape.Grads().Data)
				}
				return all
			}
			train := func(tape *autograd.Tape) [][]float32 {
				tape.Start(9, autograd.NewGrads(params))
				return run(tape, tape.Leaf(x))
			}
			inference.Reset()
			fresh := autograd.NewInference(params)
			want, got := append(train(autograd.NewTape(params, 0)), run(fresh, fresh.Input(x))...), append(train(training), run(inference, inference.Input(x))...)
			for i := range want {
				bits(t, want[i], got[i], "result %d of %d steps, %d rows, %+v", i, steps, batch, o)
			}
		}
	})
}
