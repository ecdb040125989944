package rnn_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// eachWithC runs test for every kind of layer that has a C, in one direction and in two, without and with everything that is
// random in training.
func eachWithC(t *testing.T, test func(t *testing.T, n net)) {
	eachDirection(t, func(t *testing.T, n net) {
		if n.make(autograd.NewParams(1), 2, 3, 1).NewState(1).C == nil {
			t.Skip("has no C")
		}
		test(t, n)
		test(t, n.everything())
	})
}

// TestGradientsOfHAndCAreIndependent: the gradient of the start's C is the same bits whether or not the start's H wants a
// gradient too, and the other way round. So are the gradients of the input and of the weights. The gradients of a
// start of which both parts want one are compared with the complex reference by TestGradients and TestGradientsOfOptions.
func TestGradientsOfHAndCAreIndependent(t *testing.T) {
	const steps, batch, input, hidden, layers = 5, 4, 3, 6, 2
	eachWithC(t, func(t *testing.T, n net) {
		for _, frozen := range []bool{false, true} {
			for _, lengths := range [][]int{nil, {3, 0, 5, 1}} {
				for _, truncate := range []int{0, 1, 2, steps} {
					for _, last := range []bool{false, true} {
						name := fmt.Sprintf("%+v, frozen %v, lengths %v, truncate %d, last %v", n, frozen, lengths, truncate, last)
						params := autograd.NewParams(3)
						layer := n.make(params, input, hidden, layers)
						for p := range params.All() {
							p.Frozen = frozen
						}
						x, state := random(1, steps, batch, input), randomState(2, layer, batch)
						run := func(wantH, wantC bool) (dH, dC, dx []float32, weights map[string][]float32) {
							tape := autograd.NewTape(params, 7)
							put := func(v *tensor.Tensor, wanted bool) *autograd.Node {
								if wanted {
									return tape.Leaf(v)
								}
								return tape.Input(v)
							}
							in, start := tape.Leaf(x), rnn.Carry{H: put(state.H, wantH), C: put(state.C, wantC)}
							forward := layer.Forward
							if last {
								forward = layer.Last
							}
							y, end := forward(in, rnn.Options{Start: start, Truncate: truncate, Lengths: lengths})
							require.NoError(t, weighted(tape, []*autograd.Node{y, end.H, end.C},
								[]*tensor.Tensor{random(4, y.Shape()...), random(5, end.H.Shape()...), random(6, end.C.Shape()...)}).Backward())
							return start.H.Grad(), start.C.Grad(), in.Grad(), gradients(params, tape)
						}
						dH, dC, dx, weights := run(true, true)
						hAlone, none, dxOfH, weightsOfH := run(true, false)
						assert.Nil(t, none, name)
						none, cAlone, dxOfC, weightsOfC := run(false, true)
						assert.Nil(t, none, name)
						bits(t, dH, hAlone, name)
						bits(t, dC, cAlone, name)
						bits(t, dx, dxOfH, name)
						bits(t, dx, dxOfC, name)
						for weight := range weights {
							bits(t, weights[weight], weightsOfH[weight], name)
							bits(t, weights[weight], weightsOfC[weight], name)
						}
						// With Last, one direction and rows of one length, no gradient gets past the last window.
						if last && !n.bidirectional && lengths == nil && truncate > 0 && truncate < steps {
							assert.Nil(t, dC, name)
						} else {
							assert.True(t, slices.ContainsFunc(dC, func(g float32) bool { return g != 0 }), name)
						}
					}
				}
			}
		}
	})
}

// TestGradientOfCInAStep: a step of a training tape hands back the gradient of C as it hands back that of both.
func TestGradientOfCInAStep(t *testing.T) {
	for _, k := range kinds {
		if !k.hasC {
			continue
		}
		params := autograd.NewParams(3)
		layer := k.make(params, 2, 4, 2)
		x, state := random(1, 3, 2), randomState(2, layer, 3)
		run := func(wantH bool) []float32 {
			tape := autograd.NewTape(params, 0)
			start := rnn.Carry{H: tape.Input(state.H), C: tape.Leaf(state.C)}
			if wantH {
				start.H = tape.Leaf(state.H)
			}
			y, _ := layer.Step(tape.Input(x), start)
			require.NoError(t, autograd.Sum(y).Backward())
			return start.C.Grad()
		}
		bits(t, run(true), run(false), k.name)
		assert.NotContains(t, run(false), float32(0), k.name)
	}
}

// TestHalfAStartLearns: of a start, c0 learns while h0 is frozen, and h0 while c0 is.
func TestHalfAStartLearns(t *testing.T) {
	const hidden = 4
	eachDirection(t, func(t *testing.T, n net) {
		for _, learned := range []string{"start.h0", "start.c0"} {
			params := autograd.NewParams(1)
			layer := n.make(params.In("rnn"), 2, hidden, 1)
			start := rnn.NewStart(params.In("start"), layer)
			if params.Get(learned) == nil {
				continue
			}
			for p := range params.All() {
				p.Frozen = p.Name != learned
			}
			x, target := random(1, 3, 2, 2), random(3, 2, n.directions()*n.out(hidden))
			tape, adam := autograd.NewTape(params, 0), optim.NewAdam(params, 0.05)
			train := func() float32 {
				tape.Reset()
				h, _ := layer.Last(tape.Input(x), rnn.Options{Start: start.Carry(tape, 2)})
				d := autograd.Sub(h, tape.Input(target))
				l := autograd.Sum(autograd.Mul(d, d))
				require.NoError(t, l.Backward())
				adam.Step(tape.Grads())
				return l.Value()
			}
			first, now := train(), float32(0)
			for range 50 {
				now = train()
			}
			for p := range params.All() {
				if p.Name == learned {
					assert.Less(t, now, first, learned)
					if n.cell != reference.IndRNNReLU { // of which no other unit reads a unit that is off
						assert.NotContains(t, p.Value.Data(), float32(0), learned)
					}
				}
			}
		}
	})
}

// TestStartOnAUsedTape: a Start is the same after a run that left other numbers in the tape's memory.
func TestStartOnAUsedTape(t *testing.T) {
	params := autograd.NewParams(3)
	layer := rnn.NewLSTM(params.In("lstm"), rnn.LSTMConfig{Input: 2, Hidden: 4, Layers: 2})
	start := rnn.NewStart(params.In("start"), layer)
	tape := autograd.NewInference(params)
	for range 2 {
		randomState(5, layer, 3).Carry(tape, 0, 3)
		tape.Reset()
		c := start.Carry(tape, 3)
		for _, n := range []*autograd.Node{c.H, c.C} {
			assert.Equal(t, make([]float32, 2*3*4), n.Data()) // the first values of a Start are zeros
		}
		tape.Reset()
	}
}
