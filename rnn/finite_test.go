package rnn_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// TestASearchLeavesGradients: a backward pass that is repeated gives the same bits, for every kind, with all that is random,
// lengths, a start and truncation.
func TestASearchLeavesGradients(t *testing.T) {
	const steps, batch = 9, 3
	eachDirection(t, func(t *testing.T, n net) {
		for _, o := range []rnn.Options{{}, {Truncate: 4}, {Lengths: []int{4, 9, 0}}} {
			params := autograd.NewParams(3)
			layer := n.everything().make(params, 3, 5, 2)
			tape := autograd.NewTape(params, 7)
			x := tape.Leaf(random(1, steps, batch, 3))
			o.Start = randomState(5, layer, batch).Carry(tape, 0, batch)
			y, _ := layer.Forward(x, o)
			h, _ := layer.Last(x, o)
			require.NoError(t, autograd.Add(gradcheck.Project(y), gradcheck.Project(h)).Backward())
			grads, dx := slices.Clone(tape.Grads().Data), slices.Clone(x.Grad())
			require.NotZero(t, tape.Grads().Norm())
			require.NoError(t, tape.NotFinite())
			bits(t, grads, tape.Grads().Data)
			bits(t, dx, x.Grad())
		}
	})
}

// TestPlaces has numbers become NaN or infinite within layers, forward and backward, and compares the places that are named.
func TestPlaces(t *testing.T) {
	const steps, batch, input, hidden = 5, 2, 3, 4
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	lstm := func(c rnn.LSTMConfig) func(p *autograd.Params) rnn.Layer {
		return func(p *autograd.Params) rnn.Layer {
			c := c
			c.Input, c.Hidden = input, hidden
			return rnn.NewLSTM(p.In("deep"), c)
		}
	}
	minGRU := func(p *autograd.Params) rnn.Layer {
		return rnn.NewMinGRU(p.In("deep"), rnn.MinGRUConfig{Input: input, Hidden: hidden, Layers: 2, Bidirectional: true})
	}
	relu := func(p *autograd.Params) rnn.Layer {
		return rnn.NewElman(p.In("deep"), rnn.ElmanConfig{Input: input, Hidden: hidden, ReLU: true})
	}
	for name, c := range map[string]struct {
		make  func(p *autograd.Params) rnn.Layer
		o     rnn.Options
		spoil func(p *autograd.Params, x, start *tensor.Tensor)
		scale float32 // of the gradient of the output
		want  string
	}{
		"input": {lstm(rnn.LSTMConfig{}), rnn.Options{}, func(_ *autograd.Params, x, _ *tensor.Tensor) { x.Data()[(3*batch+1)*input+2] = nan }, 1,
			"loss is not finite: NaN; the first on the tape is NaN, feature 2 of the input, in layer 0 of deep (row 7 of 10)"},
		"input, not padding": {lstm(rnn.LSTMConfig{}), rnn.Options{Lengths: []int{2, 5}}, func(_ *autograd.Params, x, _ *tensor.Tensor) {
			x.Data()[(3*batch+0)*input+2] = nan
			x.Data()[(4*batch+1)*input+0] = nan
		}, 1, "loss is not finite: NaN; the first on the tape is NaN, feature 0 of the input, in layer 0 of deep (row 9 of 10)"},
		"start": {lstm(rnn.LSTMConfig{}), rnn.Options{}, func(_ *autograd.Params, _, start *tensor.Tensor) { start.Data()[6] = nan }, 1,
			"loss is not finite: NaN; the first on the tape is NaN, unit 2 of the state h before the step, in layer 0 of deep (row 1 of 10)"},
		"overflow of a sum": {minGRU, rnn.Options{}, func(p *autograd.Params, x, _ *tensor.Tensor) {
			p.Update(func() {
				for j := range 2 * hidden { // row 5: unit 1 of n
					p.Get("deep.weight_ih_l1_reverse").Value.Data()[(hidden+1)*2*hidden+j] = 3e38
				}
			})
			for j := range input {
				x.Data()[(2*batch+1)*input+j] = 1e3
			}
		}, 1, ", the sum of row 5 of deep.weight_ih_l1_reverse (gate n, unit 1), in layer 1, reverse direction, of deep (row 9 of 10)"},
		"exploding state": {relu, rnn.Options{}, func(p *autograd.Params, x, _ *tensor.Tensor) {
			p.Update(func() {
				p.Get("deep.weight_hh_l0").Value.Data()[hidden+1] = 1e15
				p.Get("deep.weight_ih_l0").Value.Data()[1*input] = 1
			})
			x.Data()[(0*batch+1)*input] = 1e3
		}, 1, "unit 1 of the state h after the step, in layer 0 of deep"},
		"backward": {relu, rnn.Options{}, func(p *autograd.Params, x, _ *tensor.Tensor) {
			p.Update(func() {
				for _, w := range []string{"deep.weight_hh_l0", "deep.weight_ih_l0"} {
					p.Get(w).Value.Zero()
				}
				p.Get("deep.weight_hh_l0").Value.Data()[0] = 1e10 // the states are tiny, and their gradient grows by this at each step
				p.Get("deep.bias_ih_l0").Value.Data()[0] = 1e-30
			})
		}, 1e20, "the first in the backward pass, through recurrent layer deep, is +Inf, the gradient of unit 0 of the state h before the step, in layer 0 of deep (row 6 of 10)"},
		"infinite input of tanh": {lstm(rnn.LSTMConfig{}), rnn.Options{}, func(_ *autograd.Params, x, _ *tensor.Tensor) { x.Data()[(3*batch+1)*input] = inf }, 1,
			"gradient of weight deep.weight_ih_l0, at steps 0 to 4; the first in its forward pass is +Inf, feature 0 of the input, in layer 0 of deep (row 7 of 10)"},
	} {
		t.Run(name, func(t *testing.T) {
			p := autograd.NewParams(3)
			layer := c.make(p)
			x := random(1, steps, batch, input)
			state := layer.NewState(batch)
			c.spoil(p, x, state.H)
			tape := autograd.NewTape(p, 7)
			o := c.o
			o.Start = state.Carry(tape, 0, batch)
			y, _ := layer.Forward(tape.Input(x), o)
			err := autograd.Scale(gradcheck.Project(y), c.scale).Backward()
			if err == nil {
				err = tape.NotFinite()
			}
			assert.ErrorIs(t, err, autograd.ErrNotFinite)
			assert.ErrorContains(t, err, c.want)
			var data *autograd.DataError
			assert.ErrorAs(t, err, &data)
		})
	}
}

// TestASearchLeavesTheState: the gradient overflows in the first of two shards that share a tape, so that the model runs again
// for it. Afterwards the state is what it was before the Run.
func TestASearchLeavesTheState(t *testing.T) {
	p := autograd.NewParams(1)
	layer := rnn.NewElman(p.In("rnn"), rnn.ElmanConfig{Input: 1, Hidden: 2})
	state := layer.NewState(4)
	calls := 0
	step := train.NewStep(p, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		calls++
		y, end := layer.Forward(t.Input(b.X), rnn.Options{Start: state.Carry(t, b.First, b.Rows())})
		state.Set(end, b.First)
		factor := t.Input(tensor.Of([]float32{1e-30}, 1))
		if b.First == 0 {
			factor.Data()[0] = 1e30
		}
		return autograd.Mean(autograd.Mul(autograd.Mul(y, factor), factor))
	})
	step.Shards, step.Workers = 2, 1
	source := &dataset.Tensors{X: random(1, 4, 3, 1)}
	for i := range 3 {
		source.X.Data()[i], source.X.Data()[3+i] = 0, 0 // the first shard: a loss of 0
	}
	_, err := step.Run(dataset.Rows{Source: source, Index: []int{0, 1, 2, 3}})
	assert.ErrorIs(t, err, autograd.ErrNotFinite)
	assert.Equal(t, 3, calls)
	bits(t, make([]float32, 8), state.H.Data())
}

// TestBlankFrames: the gradient of a normalised LSTM grows at each of the zero frames that begin a sequence until it overflows.
func TestBlankFrames(t *testing.T) {
	const blank = 30
	p := autograd.NewParams(1)
	layer := rnn.NewLSTM(p.In("reader"), rnn.LSTMConfig{Input: 3, Hidden: 64, LayerNorm: true})
	x := tensor.New(blank+3, 1, 3)
	copy(x.Data()[blank*3:], random(1, 3, 1, 3).Data())
	tape := autograd.NewTape(p, 0)
	h, _ := layer.Last(tape.Input(x), rnn.Options{})
	require.NoError(t, gradcheck.Project(h).Backward())
	err := tape.NotFinite()
	assert.ErrorIs(t, err, autograd.ErrNotFinite)
	var data *autograd.DataError
	require.ErrorAs(t, err, &data)
	assert.Less(t, data.Row, blank, "the row is the step: %v", err)
	assert.Contains(t, data.Text, "the gradient of ")
}
