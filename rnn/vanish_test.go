package rnn_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// TestVanishedGradientsAreSkipped: the steps before those at which the gradient has vanished change no bit of any gradient. With small weights it has
// vanished before the last 210 of 420 steps are passed, so that the gradients are those of these steps alone, from the state before them.
func TestVanishedGradientsAreSkipped(t *testing.T) {
	const steps, part, batch, input, hidden = 420, 210, 3, 4, 8
	for _, k := range kinds {
		if k.norm {
			continue // a normalised gradient does not vanish with the size of the weights
		}
		for _, layers := range []int{1, 2} {
			for _, last := range []bool{true, false} {
				params := autograd.NewParams(1)
				layer := k.make(params, input, hidden, layers)
				params.Update(func() {
					for p := range params.All() {
						for i := range p.Value.Data() {
							p.Value.Data()[i] *= 0.25
						}
					}
				})
				x := random(2, steps, batch, input)
				run := func(x *tensor.Tensor, start rnn.Carry, tape *autograd.Tape) (grads map[string][]float32, dx []float32) {
					in := tape.Leaf(x)
					y, end := layer.Last(in, rnn.Options{Start: start})
					if !last { // the outputs have gradients, of which all but the last few are 0
						y, end = layer.Forward(in, rnn.Options{Start: start})
						n := y.Shape()[0]
						y = autograd.Slice(y, 0, n-5, n)
					}
					require.NoError(t, autograd.Add(autograd.Sum(y), autograd.Sum(end.H)).Backward())
					return gradients(params, tape), in.Grad()
				}
				split := (steps - part) * batch * input
				state := layer.NewState(batch)
				before := autograd.NewInference(params)
				_, end := layer.Last(before.Input(tensor.Of(x.Data()[:split], steps-part, batch, input)), rnn.Options{})
				state.Set(end, 0)
				full, dx := run(x, rnn.Carry{}, autograd.NewTape(params, 0))
				tape := autograd.NewTape(params, 0)
				rest, dxRest := run(tensor.Of(x.Data()[split:], part, batch, input), state.Carry(tape, 0, batch), tape)
				for name := range full {
					bits(t, rest[name], full[name], k.name, layers, last, name)
				}
				bits(t, dxRest, dx[split:], k.name, layers, last, "x")
				assert.Equal(t, make([]float32, split), dx[:split], k.name)
				assert.NotZero(t, dx[len(dx)-1], k.name)
			}
		}
	}
}

// TestWhereGradientsDoNotVanish: nothing is skipped where the first input still has a gradient.
func TestWhereGradientsDoNotVanish(t *testing.T) {
	const steps, input, hidden = 600, 3, 8
	for _, c := range []struct {
		name string
		make func(p *autograd.Params) rnn.Layer
		grow bool // the gradient of the first input is larger than that of the last
	}{
		{"forget gates that are open", func(p *autograd.Params) rnn.Layer {
			return rnn.NewLSTM(p, rnn.LSTMConfig{Input: input, Hidden: hidden, ForgetBias: 8})
		}, false},
		{"exploding gradients", func(p *autograd.Params) rnn.Layer {
			layer := rnn.NewElman(p, rnn.ElmanConfig{Input: input, Hidden: hidden, ReLU: true})
			p.Update(func() {
				for i, w := 0, p.Get("weight_hh_l0").Value.Data(); i < len(w); i++ {
					w[i] = 1.02 / hidden
				}
			})
			return layer
		}, true},
	} {
		params := autograd.NewParams(1)
		layer := c.make(params)
		tape := autograd.NewTape(params, 0)
		x := random(3, steps, 1, input)
		for i := range x.Data() {
			x.Data()[i] *= 1e-3
		}
		in := tape.Leaf(x)
		h, _ := layer.Last(in, rnn.Options{})
		require.NoError(t, autograd.Sum(h).Backward())
		first, last := largest(in.Grad()[:input]), largest(in.Grad()[len(in.Grad())-input:])
		assert.Greater(t, first, float32(1e-10), c.name)
		assert.Equal(t, c.grow, first > last, c.name)
	}
}

// TestDeadUnits: where all units of a ReLU are off, every gradient is 0.
func TestDeadUnits(t *testing.T) {
	params := autograd.NewParams(1)
	layer := rnn.NewElman(params, rnn.ElmanConfig{Input: 3, Hidden: 4, ReLU: true})
	params.Update(func() {
		for i, b := 0, params.Get("bias_ih_l0").Value.Data(); i < len(b); i++ {
			b[i] = -100
		}
	})
	tape := autograd.NewTape(params, 0)
	in := tape.Leaf(random(4, 300, 2, 3))
	h, _ := layer.Last(in, rnn.Options{})
	require.NoError(t, autograd.Sum(h).Backward())
	assert.Zero(t, largest(in.Grad()))
	for name, grad := range gradients(params, tape) {
		assert.Zero(t, largest(grad), name)
	}
}

func largest(v []float32) (most float32) {
	for _, x := range v {
		most = max(most, x, -x)
	}
	return most
}

// TestSkippedStepsAreNotBackpropagated counts the steps that a cell is taken back through.
func TestSkippedStepsAreNotBackpropagated(t *testing.T) {
	const steps, batch, hidden = 1000, 16, 4
	for decay, want := range map[float32][2]int{0.5: {126, 180}, 1: {steps, steps}} {
		taken := 0
		cell := rnn.FusedCell{
			Name: "leak", Hidden: hidden, Direct: true,
			Weights: []rnn.Weight{{Name: "weight_ih", Shape: []int{hidden, rnn.InputWidth}}},
			Stages: []rnn.Stage{{
				Terms: []rnn.Term{{Weight: "weight_ih", Rows: hidden, Source: rnn.FromInput, To: rnn.ToState}},
				Apply: func(f *rnn.Frame) {
					for row := range f.Rows() {
						for j, before := range f.HBefore(row) {
							f.H(row)[j] += float32(decay * before)
						}
					}
				},
				Backprop: func(f *rnn.Frame) {
					taken++
					for row := range f.Rows() {
						dh := f.DH(row)
						copy(f.DSums(row), dh)
						for j := range dh {
							dh[j] *= decay
						}
					}
				},
			}},
		}
		params := autograd.NewParams(1)
		layer := rnn.NewFused(params, cell, rnn.FusedConfig{Input: 2})
		tape := autograd.NewTape(params, 0)
		h, _ := layer.Last(tape.Input(random(5, steps, batch, 2)), rnn.Options{})
		require.NoError(t, autograd.Sum(h).Backward())
		assert.GreaterOrEqual(t, taken, want[0], "decay %v", decay)
		assert.LessOrEqual(t, taken, want[1], "decay %v", decay)
	}
}
