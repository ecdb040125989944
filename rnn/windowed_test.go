package rnn_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

type recompute func(t *autograd.Tape, f func(t *autograd.Tape, in []*autograd.Node) []*autograd.Node, in ...*autograd.Node) []*autograd.Node

// keep is autograd.Recompute without the saving of memory.
func keep(t *autograd.Tape, f func(t *autograd.Tape, in []*autograd.Node) []*autograd.Node, in ...*autograd.Node) []*autograd.Node {
	return f(t, in)
}

// overWindows is layer.Forward in windows of size steps, each of them a call of recompute.
func overWindows(layer rnn.Layer, size int, call recompute) func(x *autograd.Node, o rnn.Options) (*autograd.Node, rnn.Carry) {
	return func(x *autograd.Node, o rnn.Options) (*autograd.Node, rnn.Carry) {
		var parts []*autograd.Node
		carry := o.Start
		for from := 0; from < x.Shape()[0]; from += size {
			lengths := append([]int(nil), o.Lengths...)
			for i := range lengths {
				lengths[i] = min(max(0, lengths[i]-from), size)
			}
			out := call(x.Tape(), func(_ *autograd.Tape, in []*autograd.Node) []*autograd.Node {
				y, end := layer.Forward(autograd.Slice(in[0], 0, from, from+size), rnn.Options{Start: rnn.Carry{H: in[1], C: in[2]}, Lengths: lengths, Recompute: o.Recompute})
				return []*autograd.Node{y, end.H, end.C}
			}, x, carry.H, carry.C)
			parts, carry = append(parts, out[0]), rnn.Carry{H: out[1], C: out[2]}
		}
		return autograd.Concat(0, parts...), carry
	}
}

// TestWindowsRecomputed: a sequence in windows that Backward computes again gives the bits of the sequence in windows, with any
// dropout, and of the whole sequence without; the tapes serve all cells.
func TestWindowsRecomputed(t *testing.T) {
	const steps, batch, size = 24, 32, 8 // the size is a multiple of the steps whose gradients of the weights are one product
	eachDirection(t, func(t *testing.T, n net) {
		if n.bidirectional {
			t.Skip("a reverse direction cannot be cut into windows")
		}
		x := random(1, steps, batch, 3)
		lengths := []int{steps}
		for i := range batch - 1 {
			lengths = append(lengths, i%(steps+1))
		}
		for _, n := range []net{n, n.everything()} {
			params := autograd.NewParams(3)
			layer := n.make(params, 3, 5, 2)
			tapes := [3]*autograd.Tape{autograd.NewTape(params, 0), autograd.NewTape(params, 0), autograd.NewTape(params, 0)}
			for _, o := range []rnn.Options{{}, {Lengths: lengths}, {Recompute: 2}} {
				for _, state := range []*rnn.State{nil, randomState(2, layer, batch)} {
					run := func(tape *autograd.Tape, forward func(*autograd.Node, rnn.Options) (*autograd.Node, rnn.Carry)) (all [][]float32) {
						tape.Start(9, autograd.NewGrads(params))
						in, o := tape.Leaf(x), o
						o.Start = leaves(tape, state)
						y, end := forward(in, o)
						nodes := []*autograd.Node{y, end.H, end.C}
						factors := []*tensor.Tensor{random(1, y.Shape()...), random(2, end.H.Shape()...), nil}
						if end.C != nil {
							factors[2] = random(3, end.C.Shape()...)
						}
						require.NoError(t, weighted(tape, nodes, factors).Backward())
						all = append(all, y.Data(), end.H.Data(), in.Grad(), tape.Grads().Data)
						for _, start := range []*autograd.Node{o.Start.H, o.Start.C} {
							if start != nil {
								all = append(all, start.Grad())
							}
						}
						return all
					}
					got := run(tapes[0], overWindows(layer, size, autograd.Recompute))
					for i, want := range run(tapes[1], overWindows(layer, size, keep)) {
						bits(t, want, got[i], "windows", i, o.Lengths)
					}
					if n.dropout > 0 {
						continue
					}
					for i, want := range run(tapes[2], layer.Forward) {
						bits(t, want, got[i], "whole", i, o.Lengths)
					}
				}
			}
		}
	})
}
