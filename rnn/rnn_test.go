package rnn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// kinds are the layers that every test goes through. Their weights, biases too, are all different from zero.
var kinds = []struct {
	name string
	hasC bool
	net
}{
	{"elman_tanh", false, net{cell: reference.ElmanTanh}},
	{"elman_relu", false, net{cell: reference.ElmanReLU}},
	{"lstm", true, net{cell: reference.LSTM}},
	{"lstm_projection", true, net{cell: reference.LSTM, projected: true}},
	{"lstm_peephole", true, net{cell: reference.LSTM, peephole: true}},
	{"lstm_norm", true, net{cell: reference.LSTM, norm: true}},
	{"gru", false, net{cell: reference.GRU}},
	{"gru_before", false, net{cell: reference.GRUResetBefore}},
	{"mingru", false, net{cell: reference.MinGRU}},
	{"indrnn", false, net{cell: reference.IndRNNReLU}},
	{"indrnn_tanh", false, net{cell: reference.IndRNNTanh}},
	{"gru_norm", false, net{cell: reference.GRU, norm: true}},
	{"gru_before_norm", false, net{cell: reference.GRUResetBefore, norm: true}},
	{"elman_norm", false, net{cell: reference.ElmanTanh, norm: true}},
	{"many_terms", true, net{fused: manyTerms, norm: true}},
}

// net is the settings of a layer of any kind.
type net struct {
	fused                                   func(hidden int) rnn.FusedCell // a cell that the reference does not have, or nil
	cell                                    reference.Cell
	bidirectional, noBias, norm             bool
	projected, peephole                     bool // of the LSTM
	dropout, recurrent, weight, zone, zoneC float32
}

// projection is the width of a projected state; one unit cannot be projected.
func (n net) projection(hidden int) int {
	switch {
	case n.projected && hidden > 2:
		return (hidden + 2) / 2
	case n.projected:
		return hidden / 2
	}
	return 0
}

// out is the width of the state.
func (n net) out(hidden int) int {
	if n.fused != nil {
		return max(hidden, n.fused(hidden).State)
	}
	if p := n.projection(hidden); p > 0 {
		return p
	}
	return hidden
}

func (n net) directions() int {
	if n.bidirectional {
		return 2
	}
	return 1
}

func (n net) make(p *autograd.Params, input, hidden, layers int) rnn.Layer {
	if n.fused != nil {
		return rnn.NewFused(p, n.fused(hidden), rnn.FusedConfig{Input: input, Layers: layers, Bidirectional: n.bidirectional, NoBias: n.noBias,
			Dropout: n.dropout, RecurrentDropout: n.recurrent, Zoneout: n.zone, ZoneoutCell: n.zoneC, Init: rnn.PyTorch})
	}
	switch n.cell {
	case reference.LSTM:
		return rnn.NewLSTM(p, rnn.LSTMConfig{Input: input, Hidden: hidden, Layers: layers, Bidirectional: n.bidirectional, NoBias: n.noBias,
			Projection: n.projection(hidden), Peephole: n.peephole, LayerNorm: n.norm,
			Dropout: n.dropout, RecurrentDropout: n.recurrent, WeightDropout: n.weight, Zoneout: n.zone, ZoneoutCell: n.zoneC, Init: rnn.PyTorch})
	case reference.GRU, reference.GRUResetBefore:
		return rnn.NewGRU(p, rnn.GRUConfig{Input: input, Hidden: hidden, Layers: layers, Bidirectional: n.bidirectional, NoBias: n.noBias,
			ResetBefore: n.cell == reference.GRUResetBefore, LayerNorm: n.norm,
			Dropout: n.dropout, RecurrentDropout: n.recurrent, WeightDropout: n.weight, Zoneout: n.zone, Init: rnn.PyTorch})
	case reference.MinGRU:
		return rnn.NewMinGRU(p, rnn.MinGRUConfig{Input: input, Hidden: hidden, Layers: layers, Bidirectional: n.bidirectional, NoBias: n.noBias,
			Dropout: n.dropout, Zoneout: n.zone, Init: rnn.PyTorch})
	case reference.IndRNNReLU, reference.IndRNNTanh:
		return rnn.NewIndRNN(p, rnn.IndRNNConfig{Input: input, Hidden: hidden, Layers: layers, Bidirectional: n.bidirectional, NoBias: n.noBias,
			Tanh:    n.cell == reference.IndRNNTanh,
			Dropout: n.dropout, RecurrentDropout: n.recurrent, Zoneout: n.zone, Init: rnn.PyTorch})
	}
	return rnn.NewElman(p, rnn.ElmanConfig{Input: input, Hidden: hidden, Layers: layers, Bidirectional: n.bidirectional, NoBias: n.noBias,
		ReLU: n.cell == reference.ElmanReLU, LayerNorm: n.norm,
		Dropout: n.dropout, RecurrentDropout: n.recurrent, WeightDropout: n.weight, Zoneout: n.zone, Init: rnn.PyTorch})
}

func random(seed uint64, shape ...int) *tensor.Tensor {
	v := tensor.New(shape...)
	autograd.Uniform(1)(rand.New(rand.NewPCG(seed, 0)), v)
	return v
}

// randomState is a state of the layer.
func randomState(seed uint64, layer rnn.Layer, batch int) *rnn.State {
	s := layer.NewState(batch)
	s.H = random(seed, s.H.Shape()...)
	if s.C != nil {
		s.C = random(seed+1, s.C.Shape()...)
	}
	return s
}

// leaves puts a state on a tape as a start whose gradient is asked for.
func leaves(t *autograd.Tape, s *rnn.State) (c rnn.Carry) {
	if s == nil {
		return c
	}
	c.H = t.Leaf(s.H)
	if s.C != nil {
		c.C = t.Leaf(s.C)
	}
	return c
}

// weighted is the sum over nodes (nil ones left out) of each times its factors.
func weighted(t *autograd.Tape, nodes []*autograd.Node, factors []*tensor.Tensor) *autograd.Node {
	var sum *autograd.Node
	for i, n := range nodes {
		if n == nil {
			continue
		}
		term := autograd.Sum(autograd.Mul(n, t.Input(factors[i])))
		if sum == nil {
			sum = term
		} else {
			sum = autograd.Add(sum, term)
		}
	}
	return sum
}

func gradients(params *autograd.Params, t *autograd.Tape) map[string][]float32 {
	all := map[string][]float32{}
	for p := range params.All() {
		all[p.Name] = t.Grads().Of(p)
	}
	return all
}

// bits compares exactly, telling -0 from 0 and one NaN from another.
func bits(t *testing.T, want, got []float32, what ...any) {
	t.Helper()
	require.Len(t, got, len(want), what...)
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			require.Failf(t, "bits differ", "element %d: %v, want %v %v", i, got[i], want[i], what)
		}
	}
}

// result is a copy of all that a training run computes.
type result struct {
	y, endH, endC, x []float32
	weights          map[string][]float32
}

func trainOnce(t *testing.T, params *autograd.Params, x *tensor.Tensor, run func(*autograd.Tape, *autograd.Node) (*autograd.Node, rnn.Carry)) result {
	t.Helper()
	tape := autograd.NewTape(params, 0)
	in := tape.Leaf(x)
	y, end := run(tape, in)
	require.NoError(t, weighted(tape, []*autograd.Node{y}, []*tensor.Tensor{random(9, y.Shape()...)}).Backward())
	r := result{y: y.Data(), endH: end.H.Data(), x: in.Grad(), weights: gradients(params, tape)}
	if end.C != nil {
		r.endC = end.C.Data()
	}
	return r
}

func (r result) equal(t *testing.T, other result) {
	t.Helper()
	bits(t, r.y, other.y, "y")
	bits(t, r.endH, other.endH, "end.H")
	bits(t, r.endC, other.endC, "end.C")
	bits(t, r.x, other.x, "gradient of x")
	for name := range r.weights {
		bits(t, r.weights[name], other.weights[name], name)
	}
}

func TestTruncateToAllStepsIsFull(t *testing.T) {
	for _, k := range kinds {
		for _, steps := range []int{1, 6, 40} {
			params := autograd.NewParams(3)
			layer := k.make(params, 4, 5, 2)
			x := random(1, steps, 3, 4)
			for _, last := range []bool{false, true} {
				at := func(truncate int) result {
					return trainOnce(t, params, x, func(_ *autograd.Tape, in *autograd.Node) (*autograd.Node, rnn.Carry) {
						if last {
							return layer.Last(in, rnn.Options{Truncate: truncate})
						}
						return layer.Forward(in, rnn.Options{Truncate: truncate})
					})
				}
				full := at(0)
				full.equal(t, at(steps))
				full.equal(t, at(steps+7))
			}
		}
	}
}

// TestTruncateToOneStep compares with what one step gives by hand: with h the state before, taken as a
// constant, the gradient of sum(g*tanh(z)) for z = W_ih x + b_ih + W_hh h + b_hh.
func TestTruncateToOneStep(t *testing.T) {
	const steps, batch, input, hidden = 5, 2, 3, 4
	params := autograd.NewParams(3)
	layer := kinds[0].make(params, input, hidden, 1)
	x := random(1, steps, batch, input)
	g := random(9, steps, batch, hidden)
	got := trainOnce(t, params, x, func(_ *autograd.Tape, in *autograd.Node) (*autograd.Node, rnn.Carry) {
		return layer.Forward(in, rnn.Options{Truncate: 1})
	})
	dIH, dHH, dB := make([]float64, hidden*input), make([]float64, hidden*hidden), make([]float64, hidden)
	for n := range steps * batch {
		for i := range hidden {
			y := float64(got.y[n*hidden+i])
			dz := float64(g.Data()[n*hidden+i]) * (1 - y*y)
			dB[i] += dz
			for j := range input {
				dIH[i*input+j] += dz * float64(x.Data()[n*input+j])
			}
			for j := range hidden {
				if n >= batch {
					dHH[i*hidden+j] += dz * float64(got.y[(n-batch)*hidden+j])
				}
			}
		}
	}
	for name, want := range map[string][]float64{"weight_ih_l0": dIH, "weight_hh_l0": dHH, "bias_ih_l0": dB, "bias_hh_l0": dB} {
		assert.LessOrEqual(t, reference.MaxRelErr(got.weights[name], want), 1e-5, name)
	}
}

// TestScalarExample is h_t = w*h_(t-1) from h_0 = 0.9 with w = 0.2. d h_t/dw is t*w^(t-1)*h_0: 0.9, 0.36, 0.108. A recipe that
// keeps adding up across detached steps gives 0.288 for the last one.
func TestScalarExample(t *testing.T) {
	for steps, want := range map[int]float64{1: 0.9, 2: 0.36, 3: 0.108} {
		params := autograd.NewParams(0)
		layer := rnn.NewElman(params, rnn.ElmanConfig{Input: 1, Hidden: 1, ReLU: true}) // all is positive: ReLU is linear
		params.Update(func() { params.Get("weight_hh_l0").Value.Data()[0] = 0.2 })
		tape := autograd.NewTape(params, 0)
		start := rnn.Carry{H: tape.Input(tensor.Of([]float32{0.9}, 1, 1, 1))}
		h, _ := layer.Last(tape.Input(tensor.New(steps, 1, 1)), rnn.Options{Start: start})
		require.NoError(t, autograd.Sum(h).Backward())
		assert.InDelta(t, want, tape.Grads().Of(params.Get("weight_hh_l0"))[0], 1e-7, "after %d steps", steps)
	}
}

func TestLastIsTheEndOfForward(t *testing.T) {
	for _, k := range kinds {
		for _, truncate := range []int{0, 1, 4} {
			const steps, batch, hidden = 19, 3, 5
			params := autograd.NewParams(3)
			layer := k.make(params, 4, hidden, 2)
			x := random(1, steps, batch, 4)
			last := trainOnce(t, params, x, func(_ *autograd.Tape, in *autograd.Node) (*autograd.Node, rnn.Carry) {
				return layer.Last(in, rnn.Options{Truncate: truncate})
			})
			tape := autograd.NewTape(params, 0)
			in := tape.Leaf(x)
			y, end := layer.Forward(in, rnn.Options{Truncate: truncate})
			out := k.out(hidden)
			factors := tensor.New(steps, batch, out)
			copy(factors.Data()[(steps-1)*batch*out:], random(9, batch, out).Data())
			require.NoError(t, weighted(tape, []*autograd.Node{y}, []*tensor.Tensor{factors}).Backward())
			bits(t, y.Data()[(steps-1)*batch*out:], last.y)
			bits(t, end.H.Data(), last.endH)
			// The gradient of an output that does not count is a 0 here and not there: only the sign of a
			// zero may differ.
			for name, g := range gradients(params, tape) {
				assert.Equal(t, g, last.weights[name], name)
			}
			assert.Equal(t, in.Grad(), last.x)
		}
	}
}

// TestInferenceComputesTheSame goes through Forward, Last and Step, over more steps than inference works on
// at a time.
func TestInferenceComputesTheSame(t *testing.T) {
	for _, k := range kinds {
		for layers := 1; layers <= 3; layers++ {
			const steps, batch, input, hidden = 37, 3, 4, 5
			params := autograd.NewParams(3)
			layer := k.make(params, input, hidden, layers)
			x := random(1, steps, batch, input)
			start, out := randomState(5, layer, batch), k.out(hidden)
			training, inference := autograd.NewTape(params, 0), autograd.NewInference(params)
			want, end := layer.Forward(training.Input(x), rnn.Options{Start: start.Carry(training, 0, batch)})
			got, gotEnd := layer.Forward(inference.Input(x), rnn.Options{Start: start.Carry(inference, 0, batch)})
			bits(t, want.Data(), got.Data())
			bits(t, end.H.Data(), gotEnd.H.Data())
			final := want.Data()[(steps-1)*batch*out:]
			for _, tape := range []*autograd.Tape{training, inference} {
				h, _ := layer.Last(tape.Input(x), rnn.Options{Start: start.Carry(tape, 0, batch)})
				bits(t, final, h.Data())
			}
			state := layer.NewState(batch)
			copy(state.H.Data(), start.H.Data())
			if k.hasC {
				copy(state.C.Data(), start.C.Data())
			}
			for s := range steps {
				inference.Reset()
				y, next := layer.Step(inference.Input(tensor.Of(x.Data()[s*batch*input:][:batch*input], batch, input)), state.Carry(inference, 0, batch))
				bits(t, want.Data()[s*batch*out:][:batch*out], y.Data(), "step %d", s)
				state.Set(next, 0)
			}
			bits(t, end.H.Data(), state.H.Data())
			if k.hasC {
				bits(t, end.C.Data(), state.C.Data())
			}
		}
	}
}

// TestCarryJoins runs a sequence in two calls: joined by a Carry they are one call, forward bit for bit and
// with its gradient; joined by a State they are truncated there.
func TestCarryJoins(t *testing.T) {
	const steps, cut, batch, input, hidden, layers = 9, 4, 2, 3, 5, 2
	for _, k := range kinds {
		params := autograd.NewParams(3)
		layer := k.make(params, input, hidden, layers)
		x := random(1, steps, batch, input)
		first, second := tensor.Of(x.Data()[:cut*batch*input], cut, batch, input), tensor.Of(x.Data()[cut*batch*input:], steps-cut, batch, input)
		whole := trainOnce(t, params, x, func(_ *autograd.Tape, in *autograd.Node) (*autograd.Node, rnn.Carry) {
			return layer.Last(in, rnn.Options{})
		})
		joined := trainOnce(t, params, second, func(tape *autograd.Tape, in *autograd.Node) (*autograd.Node, rnn.Carry) {
			_, end := layer.Forward(tape.Input(first), rnn.Options{})
			return layer.Last(in, rnn.Options{Start: end})
		})
		bits(t, whole.y, joined.y)
		bits(t, whole.endH, joined.endH)
		bits(t, whole.endC, joined.endC)
		for name, g := range whole.weights {
			assert.InDeltaSlice(t, g, joined.weights[name], 1e-5, name)
		}
		cutOff := trainOnce(t, params, x, func(_ *autograd.Tape, in *autograd.Node) (*autograd.Node, rnn.Carry) {
			return layer.Last(in, rnn.Options{Truncate: steps - cut})
		})
		state := layer.NewState(batch)
		byState := trainOnce(t, params, second, func(tape *autograd.Tape, in *autograd.Node) (*autograd.Node, rnn.Carry) {
			_, end := layer.Last(tape.Input(first), rnn.Options{})
			state.Set(end, 0)
			y, end := layer.Last(in, rnn.Options{Start: state.Carry(tape, 0, batch)})
			state.Zero() // what the tape has is a copy
			return y, end
		})
		bits(t, whole.y, byState.y)
		for name, g := range cutOff.weights {
			bits(t, g, byState.weights[name], name)
		}
	}
}

func TestABatchIsItsRows(t *testing.T) {
	const steps, batch, input, hidden = 6, 5, 3, 4
	for _, k := range kinds {
		params := autograd.NewParams(3)
		layer := k.make(params, input, hidden, 2)
		x := random(1, steps, batch, input)
		tape := autograd.NewInference(params)
		y, _ := layer.Forward(tape.Input(x), rnn.Options{})
		for b := range batch {
			row := tensor.New(steps, 1, input)
			for s := range steps {
				copy(row.Data()[s*input:], x.Data()[(s*batch+b)*input:][:input])
			}
			alone, _ := layer.Forward(tape.Input(row), rnn.Options{})
			for s := range steps {
				out := k.out(hidden)
				bits(t, y.Data()[(s*batch+b)*out:][:out], alone.Data()[s*out:][:out])
			}
		}
	}
}

func TestOnlyWhatIsAskedForGetsAGradient(t *testing.T) {
	for _, k := range kinds {
		params := autograd.NewParams(3)
		layer := k.make(params, 3, 4, 2)
		x, state := random(1, 5, 2, 3), randomState(2, layer, 2)
		tape := autograd.NewTape(params, 0)
		run := func() (in *autograd.Node, start rnn.Carry, all map[string][]float32) {
			tape.Reset()
			in, start = tape.Input(x), state.Carry(tape, 0, 2)
			y, _ := layer.Forward(in, rnn.Options{Start: start})
			require.NoError(t, weighted(tape, []*autograd.Node{y}, []*tensor.Tensor{random(9, y.Shape()...)}).Backward())
			all = map[string][]float32{}
			for name, g := range gradients(params, tape) {
				all[name] = append([]float32(nil), g...)
			}
			return in, start, all
		}
		in, start, whole := run()
		assert.Nil(t, in.Grad())
		assert.Nil(t, start.H.Grad())
		// A frozen weight has no gradient, and those of the others stay as they were.
		for frozen := range params.All() {
			frozen.Frozen = true
			_, _, got := run()
			for name, g := range whole {
				if name == frozen.Name {
					bits(t, make([]float32, len(g)), got[name], name)
				} else {
					bits(t, g, got[name], "%s with %s frozen", name, frozen.Name)
				}
			}
			frozen.Frozen = false
		}
		// With all frozen nothing is recorded, and the output wants no gradient.
		for p := range params.All() {
			p.Frozen = true
		}
		tape.Reset()
		y, end := layer.Forward(tape.Input(x), rnn.Options{})
		assert.False(t, y.RequiresGrad())
		assert.False(t, end.H.RequiresGrad())
		// But a gradient that is asked for goes through.
		leaf := tape.Leaf(x)
		y, _ = layer.Last(leaf, rnn.Options{})
		require.NoError(t, autograd.Sum(y).Backward())
		assert.NotZero(t, leaf.Grad())
	}
}

func TestEditedWeightsAreThoseOfAFreshModel(t *testing.T) {
	for _, k := range kinds {
		x := random(1, 4, 2, 3)
		params := autograd.NewParams(1)
		layer := k.make(params, 3, 4, 2)
		tape := autograd.NewInference(params)
		before, _ := layer.Last(tape.Input(x), rnn.Options{})
		old := append([]float32(nil), before.Data()...)
		fresh := autograd.NewParams(2)
		want, _ := k.make(fresh, 3, 4, 2).Last(autograd.NewInference(fresh).Input(x), rnn.Options{})
		require.NoError(t, params.CopyFrom(fresh))
		got, _ := layer.Last(tape.Input(x), rnn.Options{}) // the same run: weights are looked at when they are used
		bits(t, want.Data(), got.Data())
		assert.NotEqual(t, old, got.Data())
	}
}

func TestManyGoroutinesInfer(t *testing.T) {
	for _, k := range kinds {
		params := autograd.NewParams(1)
		layer := k.make(params, 3, 8, 2)
		infer := func(seed uint64) []float32 {
			tape := autograd.NewInference(params)
			h, _ := layer.Last(tape.Input(random(seed, 20, 2, 3)), rnn.Options{})
			return h.Data()
		}
		var results [64][]float32
		var wait sync.WaitGroup
		for i := range results {
			wait.Go(func() { results[i] = infer(uint64(i)) })
		}
		wait.Wait()
		for i, got := range results {
			bits(t, infer(uint64(i)), got)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	for _, k := range kinds {
		params := autograd.NewParams(1)
		layer := k.make(params, 3, 8, 2)
		x, coefficients := random(1, 9, 4, 3), random(2, 4, k.out(8))
		tape := autograd.NewTape(params, 0)
		train := func() {
			tape.Reset()
			h, _ := layer.Last(tape.Input(x), rnn.Options{Truncate: 4})
			if err := autograd.Sum(autograd.Mul(h, tape.Input(coefficients))).Backward(); err != nil {
				panic(err)
			}
			params.Update(func() {}) // so that weights are packed again
		}
		for range 5 {
			train()
		}
		assert.Zero(t, testing.AllocsPerRun(10, train), "%s: training", k.name)
		for _, batch := range []int{1, 4} {
			state, row, inference := layer.NewState(batch), random(1, batch, 3), autograd.NewInference(params)
			stream := func() {
				inference.Reset()
				_, next := layer.Step(inference.Input(row), state.Carry(inference, 0, batch))
				state.Set(next, 0)
			}
			for range 5 {
				stream()
			}
			assert.Zero(t, testing.AllocsPerRun(10, stream), "%s: streaming %d rows", k.name, batch)
		}
	}
}

// TestMemoryFollowsTheWindow compares what a tape holds after a truncated Last over 100 and over 1,000 steps.
func TestMemoryFollowsTheWindow(t *testing.T) {
	for _, k := range kinds {
		params := autograd.NewParams(1)
		layer := k.make(params, 3, 8, 2)
		held := func(steps, truncate int) int {
			tape := autograd.NewTape(params, 0)
			h, _ := layer.Last(tape.Input(random(1, steps, 2, 3)), rnn.Options{Truncate: truncate})
			require.NoError(t, autograd.Sum(h).Backward())
			return tape.Bytes()
		}
		assert.Equal(t, held(200, 100), held(1000, 100), k.name)
		assert.Greater(t, held(1000, 0), 8*held(1000, 100), k.name)
	}
}

func TestMisuse(t *testing.T) {
	params := autograd.NewParams(1)
	elman := rnn.NewElman(params.In("rnn"), rnn.ElmanConfig{Input: 28, Hidden: 4, Layers: 2})
	lstm := rnn.NewLSTM(params.In("lstm"), rnn.LSTMConfig{Input: 3, Hidden: 4})
	both := rnn.NewGRU(params.In("both"), rnn.GRUConfig{Input: 3, Hidden: 4, Bidirectional: true})
	tape := autograd.NewTape(params, 0)
	in := func(shape ...int) *autograd.Node { return tape.Input(tensor.New(shape...)) }
	for _, c := range []struct {
		text string
		do   func()
	}{
		{"rnn.weight_ih_l0: input has 27 features, want 28", func() { elman.Last(in(5, 2, 27), rnn.Options{}) }},
		{"rnn.weight_ih_l0: input has 27 features, want 28", func() { elman.Step(in(2, 27), rnn.Carry{}) }},
		{"rnn: input has shape [2 28], want [T, B, 28] with at least one step and one row", func() { elman.Forward(in(2, 28), rnn.Options{}) }},
		{"rnn: input has shape [0 2 28], want [T, B, 28] with at least one step and one row", func() { elman.Last(in(0, 2, 28), rnn.Options{}) }},
		{"rnn: input has shape [5 2 28], want [B, 28] with at least one row", func() { elman.Step(in(5, 2, 28), rnn.Carry{}) }},
		{"rnn: input has shape [0 28], want [B, 28] with at least one row", func() { elman.Step(in(0, 28), rnn.Carry{}) }},
		{"rnn: the input is nil", func() { elman.Last(nil, rnn.Options{}) }},
		{"rnn: the input is nil", func() { elman.Step(nil, rnn.Carry{}) }},
		{fmt.Sprintf("rnn.LSTM: Input 3, Hidden %d, Layers 1, Init 0; want positive sizes that memory can hold and a known Init", math.MaxInt/2), func() {
			rnn.NewLSTM(autograd.NewParams(1), rnn.LSTMConfig{Input: 3, Hidden: math.MaxInt / 2})
		}},
		{"rnn: start has shape [2 3 4], want [2, 2, 4]", func() { elman.Last(in(5, 2, 28), rnn.Options{Start: rnn.Carry{H: in(2, 3, 4)}}) }},
		{"rnn: the start is that of another kind of layer: its H or C is missing or not wanted", func() {
			elman.Last(in(5, 2, 28), rnn.Options{Start: rnn.Carry{H: in(2, 2, 4), C: in(2, 2, 4)}})
		}},
		{"lstm: the start is that of another kind of layer: its H or C is missing or not wanted", func() {
			lstm.Last(in(5, 2, 3), rnn.Options{Start: rnn.Carry{H: in(1, 2, 4)}})
		}},
		{"rnn: Truncate is -1, want 0 or more", func() { elman.Last(in(5, 2, 28), rnn.Options{Truncate: -1}) }},
		{"rnn: Recompute is -2, want 0 or more", func() { elman.Last(in(5, 2, 28), rnn.Options{Recompute: -2}) }},
		{"rnn: MemoryBudget is -3, want 0 or more", func() { elman.Last(in(5, 2, 28), rnn.Options{MemoryBudget: -3}) }},
		{"rnn: Overlap is 6, want 0 to 5, the steps of the input", func() { elman.Last(in(5, 2, 28), rnn.Options{Overlap: 6}) }},
		{"rnn: Overlap is -1, want 0 to 5, the steps of the input", func() { elman.Last(in(5, 2, 28), rnn.Options{Overlap: -1}) }},
		{"both: Overlap with a bidirectional layer: its reverse direction begins at the end, so no state goes on to the next call", func() {
			both.Last(in(5, 2, 3), rnn.Options{Overlap: 1})
		}},
		{"rnn: 5 Resets, want 10, for 5 steps of 2 rows", func() { elman.Last(in(5, 2, 28), rnn.Options{Resets: make([]bool, 5)}) }},
		{"rnn: ResetTo has shape [2 3 4], want [2, 2, 4]", func() { elman.Last(in(5, 2, 28), rnn.Options{ResetTo: rnn.Carry{H: in(2, 3, 4)}}) }},
		{"rnn: NewState for 0 rows, want at least 1", func() { elman.NewState(0) }},
		{"rnn.Elman: Input 0, Hidden 3, Layers 1, Init 0; want positive sizes that memory can hold and a known Init", func() {
			rnn.NewElman(autograd.NewParams(1), rnn.ElmanConfig{Hidden: 3})
		}},
		{"rnn.State.Carry: 2 rows from row 1 on, want at least one, within the state's 2", func() { elman.NewState(2).Carry(tape, 1, 2) }},
		{"rnn.State.ZeroRow: 1 rows from row 2 on, want at least one, within the state's 2", func() { elman.NewState(2).ZeroRow(2) }},
		{"rnn.State.Set: carry of shape [1 2 4], want [2, rows, 4]", func() { elman.NewState(2).Set(rnn.Carry{H: in(1, 2, 4)}, 0) }},
		{"rnn.State.Set: 2 rows from row 1 on, want at least one, within the state's 2", func() { elman.NewState(2).Set(rnn.Carry{H: in(2, 2, 4)}, 1) }},
		{"rnn.State.Set: the carry is that of another kind of layer: one has a C, the other has none", func() {
			lstm.NewState(2).Set(rnn.Carry{C: in(1, 2, 4)}, 0)
		}},
		{"rnn.State.Set: the carry is that of another kind of layer: one has a C, the other has none", func() {
			lstm.NewState(2).Set(rnn.Carry{H: in(1, 2, 4)}, 0)
		}},
	} {
		assert.EqualError(t, autograd.Try(c.do), c.text)
	}
}

// TestNotFiniteNamesTheLayer has a weight go wrong: the error names it.
func TestNotFiniteNamesTheLayer(t *testing.T) {
	params := autograd.NewParams(1)
	layer := rnn.NewElman(params.In("reader"), rnn.ElmanConfig{Input: 2, Hidden: 3})
	params.Update(func() { params.Get("reader.bias_hh_l0").Value.Data()[1] = float32(math.NaN()) })
	tape := autograd.NewTape(params, 0)
	h, _ := layer.Last(tape.Input(tensor.New(4, 1, 2)), rnn.Options{})
	err := autograd.Sum(h).Backward()
	assert.ErrorIs(t, err, autograd.ErrNotFinite)
	assert.ErrorContains(t, err, "the first on the tape is NaN, element 1 of weight reader.bias_hh_l0 of shape [3]")
}

// TestAFailedSetChangesNothing hands a State a carry whose C does not fit.
func TestAFailedSetChangesNothing(t *testing.T) {
	params := autograd.NewParams(1)
	state := rnn.NewLSTM(params, rnn.LSTMConfig{Input: 2, Hidden: 2}).NewState(2)
	tape := autograd.NewInference(params)
	c := rnn.Carry{H: tape.Input(random(1, 1, 2, 2)), C: tape.Input(random(1, 1, 2, 3))}
	assert.EqualError(t, autograd.Try(func() { state.Set(c, 0) }), "rnn.State.Set: carry of shape [1 2 3], want [1, 2, 2]")
	assert.Equal(t, make([]float32, 4), state.H.Data())
}

func TestStateRows(t *testing.T) {
	for _, k := range kinds {
		params := autograd.NewParams(1)
		layer := k.make(params, 3, 4, 2)
		s := randomState(1, layer, 5)
		before := rnn.State{H: s.H.Clone()}
		tape := autograd.NewInference(params)
		c := s.Carry(tape, 1, 2)
		assert.Equal(t, []int{2, 2, k.out(4)}, c.H.Shape())
		assert.Equal(t, k.hasC, c.C != nil)
		// Rows 1 and 2 go to rows 3 and 4, the others stay.
		s.Set(c, 3)
		at := func(v *tensor.Tensor, l, row int) []float32 { return v.Data()[(l*5+row)*v.Dim(2):][:v.Dim(2)] }
		for l := range 2 {
			for row, from := range []int{0, 1, 2, 1, 2} {
				assert.Equal(t, at(before.H, l, from), at(s.H, l, row))
			}
		}
		s.ZeroRow(1)
		for l := range 2 {
			assert.Equal(t, make([]float32, k.out(4)), at(s.H, l, 1))
			assert.Equal(t, at(before.H, l, 2), at(s.H, l, 2))
			if k.hasC {
				assert.Equal(t, make([]float32, 4), at(s.C, l, 1))
				assert.NotZero(t, at(s.C, l, 2))
			}
		}
		s.Zero()
		want := layer.NewState(5)
		assert.Equal(t, want.H.Data(), s.H.Data())
		if k.hasC {
			assert.Equal(t, want.C.Data(), s.C.Data())
		}
	}
}

func TestInit(t *testing.T) {
	const input, hidden = 28, 150
	within := func(v []float32, limit float64) {
		t.Helper()
		lo, hi := v[0], v[0]
		for _, x := range v {
			lo, hi = min(lo, x), max(hi, x)
		}
		assert.InDelta(t, -limit, lo, limit/20)
		assert.InDelta(t, limit, hi, limit/20)
		assert.LessOrEqual(t, max(-lo, hi), float32(limit))
	}
	get := func(make func(p *autograd.Params)) map[string][]float32 {
		p := autograd.NewParams(1)
		make(p)
		all := map[string][]float32{}
		for w := range p.All() {
			all[w.Name] = w.Value.Data()
		}
		return all
	}
	elman := func(init rnn.Init) map[string][]float32 {
		return get(func(p *autograd.Params) {
			rnn.NewElman(p, rnn.ElmanConfig{Input: input, Hidden: hidden, Layers: 2, Init: init})
		})
	}
	lstm := func(init rnn.Init) map[string][]float32 {
		return get(func(p *autograd.Params) { rnn.NewLSTM(p, rnn.LSTMConfig{Input: input, Hidden: hidden, Init: init}) })
	}
	w := elman(rnn.Glorot)
	within(w["weight_ih_l0"], math.Sqrt(6.0/(28+150+150)))
	within(w["weight_hh_l0"], math.Sqrt(6.0/(28+150+150)))
	within(w["weight_ih_l1"], math.Sqrt(6.0/(150+150+150)))
	assert.Equal(t, make([]float32, hidden), w["bias_ih_l0"])
	assert.Equal(t, make([]float32, hidden), w["bias_hh_l0"])

	w = lstm(rnn.Glorot)
	within(w["weight_hh_l0"], math.Sqrt(6.0/(28+150+600)))
	for i, b := range w["bias_ih_l0"] {
		assert.Equal(t, i/hidden == 1, b == 1, "bias %d", i)
		assert.True(t, b == 0 || b == 1)
	}
	assert.Equal(t, make([]float32, 4*hidden), w["bias_hh_l0"])

	for _, w := range []map[string][]float32{elman(rnn.PyTorch), lstm(rnn.PyTorch)} {
		for _, v := range w {
			within(v, 1/math.Sqrt(hidden))
		}
	}
	gru := func(init rnn.Init) map[string][]float32 {
		return get(func(p *autograd.Params) { rnn.NewGRU(p, rnn.GRUConfig{Input: input, Hidden: hidden, Init: init}) })
	}
	w = gru(rnn.Glorot)
	within(w["weight_hh_l0"], math.Sqrt(6.0/(28+150+450)))
	assert.Equal(t, make([]float32, 3*hidden), w["bias_ih_l0"])
	for _, v := range gru(rnn.PyTorch) {
		within(v, 1/math.Sqrt(hidden))
	}
	within(gru(rnn.Keras)["weight_ih_l0"], math.Sqrt(6.0/(28+450)))
	for _, config := range []rnn.IndRNNConfig{{}, {Init: rnn.Keras}, {Init: rnn.PyTorch}} {
		config.Input, config.Hidden = input, hidden
		w = get(func(p *autograd.Params) { rnn.NewIndRNN(p, config) })
		if config.Init == rnn.PyTorch {
			within(w["weight_hh_l0"], 1/math.Sqrt(hidden))
			continue
		}
		assert.InDelta(t, 0.05, slices.Min(w["weight_hh_l0"]), 0.05)
		assert.InDelta(t, 0.95, slices.Max(w["weight_hh_l0"]), 0.05)
		assert.Equal(t, make([]float32, hidden), w["bias_ih_l0"])
	}
	normalised := get(func(p *autograd.Params) {
		rnn.NewGRU(p.In("gru"), rnn.GRUConfig{Input: input, Hidden: hidden, LayerNorm: true})
		rnn.NewElman(p.In("elman"), rnn.ElmanConfig{Input: input, Hidden: hidden, LayerNorm: true, Init: rnn.PyTorch})
	})
	for name, width := range map[string]int{"gru.weight_ln_ih_l0": 3 * hidden, "gru.weight_ln_hh_l0": 3 * hidden, "elman.weight_ln_ih_l0": hidden, "elman.weight_ln_hh_l0": hidden} {
		assert.Equal(t, slices.Repeat([]float32{1}, width), normalised[name], name)
	}
	projected := get(func(p *autograd.Params) {
		rnn.NewLSTM(p, rnn.LSTMConfig{Input: input, Hidden: hidden, Projection: 50, Peephole: true, LayerNorm: true, Init: rnn.Keras})
	})
	within(projected["weight_hr_l0"], math.Sqrt(6.0/(50+150)))
	assert.Equal(t, make([]float32, 3*hidden), projected["weight_peephole_l0"])
	for _, gain := range append(projected["weight_ln_ih_l0"], projected["weight_ln_hh_l0"]...) {
		assert.Equal(t, float32(1), gain)
	}

	w = lstm(rnn.Keras)
	within(w["weight_ih_l0"], math.Sqrt(6.0/(28+600)))
	// The columns of the recurrent matrix are orthonormal.
	hh := w["weight_hh_l0"]
	for a := range 3 {
		for b := range 3 {
			dot := 0.0
			for i := range 4 * hidden {
				dot += float64(hh[i*hidden+a]) * float64(hh[i*hidden+b])
			}
			want := 0.0
			if a == b {
				want = 1
			}
			assert.InDelta(t, want, dot, 1e-6)
		}
	}
}
