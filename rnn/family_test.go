package rnn_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// everything is a net with all that is random in training.
func (n net) everything() net { return n.random(0.2, 0.3, 0.4, 0.1, 0.2) }

// random is a net with those of the rates that its cell has.
func (n net) random(dropout, recurrent, weight, zone, zoneC float32) net {
	n.dropout, n.zone = dropout, zone
	switch {
	case n.fused != nil:
		n.recurrent, n.zoneC = recurrent, zoneC
	case n.cell == reference.MinGRU:
	case n.cell == reference.IndRNNReLU, n.cell == reference.IndRNNTanh:
		n.recurrent = recurrent
	case n.cell == reference.LSTM:
		n.recurrent, n.weight, n.zoneC = recurrent, weight, zoneC
	default:
		n.recurrent, n.weight = recurrent, weight
	}
	return n
}

// eachDirection runs test for every kind, of one direction and of two.
func eachDirection(t *testing.T, test func(t *testing.T, n net)) {
	for _, k := range kinds {
		for _, both := range []bool{false, true} {
			n := k.net
			n.bidirectional = both
			t.Run(fmt.Sprintf("%s/%d", k.name, n.directions()), func(t *testing.T) { test(t, n) })
		}
	}
}

// rowsOf returns rows of x [T,B,n], up to a step.
func rowsOf(x *tensor.Tensor, steps int, rows ...int) *tensor.Tensor {
	batch, n := x.Dim(1), x.Dim(2)
	part := tensor.New(steps, len(rows), n)
	for s := range steps {
		for i, row := range rows {
			copy(part.Data()[(s*len(rows)+i)*n:][:n], x.Data()[(s*batch+row)*n:])
		}
	}
	return part
}

// stateOf returns a row of a carry, of all layers and directions.
func stateOf(n *autograd.Node, row int) (all []float32) {
	if n == nil {
		return nil
	}
	k, batch, width := n.Shape()[0], n.Shape()[1], n.Shape()[2]
	for i := range k {
		all = append(all, n.Data()[(i*batch+row)*width:][:width]...)
	}
	return all
}

// TestLengths: each row of a batch is what it is alone at its own length, bit for bit, wherever it stands, in training and
// in inference; outputs past its end are 0; a row without steps ends with its start.
func TestLengths(t *testing.T) {
	const steps, batch, input, hidden, layers = 21, 6, 3, 5, 2
	lengths := []int{4, 21, 0, 1, 9, 20}
	eachDirection(t, func(t *testing.T, n net) {
		params := autograd.NewParams(3)
		layer := n.make(params, input, hidden, layers)
		x, start := random(1, steps, batch, input), randomState(5, layer, batch)
		width := n.directions() * n.out(hidden)
		for _, tape := range []*autograd.Tape{autograd.NewTape(params, 0), autograd.NewInference(params)} {
			o := rnn.Options{Start: start.Carry(tape, 0, batch), Lengths: lengths}
			y, end := layer.Forward(tape.Input(x), o)
			last, lastEnd := layer.Last(tape.Input(x), o)
			bits(t, end.H.Data(), lastEnd.H.Data())
			for row, length := range lengths {
				from := start.Carry(tape, row, 1)
				for s := length; s < steps; s++ {
					bits(t, make([]float32, width), y.Data()[(s*batch+row)*width:][:width], "row %d, step %d", row, s)
				}
				if length == 0 {
					bits(t, stateOf(from.H, 0), stateOf(end.H, row))
					bits(t, stateOf(from.C, 0), stateOf(end.C, row))
					continue
				}
				alone, aloneEnd := layer.Forward(tape.Input(rowsOf(x, length, row)), rnn.Options{Start: from})
				for s := range length {
					bits(t, alone.Data()[s*width:][:width], y.Data()[(s*batch+row)*width:][:width], "row %d, step %d", row, s)
				}
				bits(t, stateOf(aloneEnd.H, 0), stateOf(end.H, row), "row %d", row)
				bits(t, stateOf(aloneEnd.C, 0), stateOf(end.C, row), "row %d", row)
				out, top := n.out(hidden), (layers-1)*n.directions()*n.out(hidden)
				bits(t, stateOf(aloneEnd.H, 0)[top:][:n.directions()*out], last.Data()[row*width:][:width], "row %d", row)
			}
		}
	})
}

// TestLengthsOfAllSteps is a call without lengths, bit for bit.
func TestLengthsOfAllSteps(t *testing.T) {
	eachDirection(t, func(t *testing.T, n net) {
		n = n.everything()
		params := autograd.NewParams(3)
		layer := n.make(params, 3, 5, 2)
		x := random(1, 7, 2, 3)
		run := func(lengths []int) result {
			return trainOnce(t, params, x, func(_ *autograd.Tape, in *autograd.Node) (*autograd.Node, rnn.Carry) {
				return layer.Forward(in, rnn.Options{Lengths: lengths})
			})
		}
		run(nil).equal(t, run([]int{7, 7}))
	})
}

// TestPaddingAddsNothing compares the gradients of a batch with lengths to those of the same batch computed in full,
// with a loss that leaves out what is past the ends: the sums are the same, so the bits are.
func TestPaddingAddsNothing(t *testing.T) {
	const steps, batch, input, hidden = 40, 7, 3, 5
	lengths := []int{4, 40, 0, 1, 9, 38, 17}
	for _, k := range kinds {
		params := autograd.NewParams(3)
		layer := k.make(params, input, hidden, 2)
		x := random(1, steps, batch, input)
		factors := random(2, steps, batch, k.out(hidden))
		for s := range steps {
			for row, n := range lengths {
				if s >= n {
					clear(factors.Data()[(s*batch+row)*k.out(hidden):][:k.out(hidden)])
				}
			}
		}
		run := func(lengths []int) map[string][]float32 {
			tape := autograd.NewTape(params, 0)
			y, _ := layer.Forward(tape.Input(x), rnn.Options{Lengths: lengths})
			require.NoError(t, weighted(tape, []*autograd.Node{y}, []*tensor.Tensor{factors}).Backward())
			return gradients(params, tape)
		}
		want, got := run(nil), run(lengths)
		for name := range want {
			if k.norm && strings.HasPrefix(name, "weight_ln") || k.peephole && strings.HasPrefix(name, "weight_peep") {
				continue
			}
			assert.Equal(t, want[name], got[name], "%s: %s", k.name, name) // but for the sign of a zero
		}
	}
}

// TestReverse: the second direction is a layer that reads the sequence from its end, and Last returns the final
// state of both.
func TestReverse(t *testing.T) {
	const steps, batch, input, hidden = 9, 3, 4, 5
	for _, k := range kinds {
		n := k.net
		n.bidirectional = true
		params, plain := autograd.NewParams(3), autograd.NewParams(4)
		both, forward := n.make(params, input, hidden, 1), k.make(plain, input, hidden, 1)
		x, back := random(1, steps, batch, input), tensor.New(steps, batch, input)
		for s := range steps {
			copy(back.Data()[s*batch*input:][:batch*input], x.Data()[(steps-1-s)*batch*input:])
		}
		tape := autograd.NewInference(params)
		y, end := both.Forward(tape.Input(x), rnn.Options{})
		last, _ := both.Last(tape.Input(x), rnn.Options{})
		out := n.out(hidden)
		for d, suffix := range []string{"", "_reverse"} {
			plain.Update(func() {
				for p := range plain.All() {
					copy(p.Value.Data(), params.Get(p.Name+suffix).Value.Data())
				}
			})
			other := autograd.NewInference(plain)
			want, wantEnd := forward.Forward(other.Input([]*tensor.Tensor{x, back}[d]), rnn.Options{})
			for s := range steps {
				at := s
				if d == 1 {
					at = steps - 1 - s
				}
				for row := range batch {
					bits(t, want.Data()[(s*batch+row)*out:][:out], y.Data()[(at*batch+row)*2*out+d*out:][:out], "%s, direction %d, step %d", k.name, d, s)
				}
			}
			bits(t, wantEnd.H.Data(), end.H.Data()[d*batch*out:][:batch*out])
			for row := range batch {
				bits(t, wantEnd.H.Data()[row*out:][:out], last.Data()[row*2*out+d*out:][:out])
			}
		}
	}
}

// TestPermutedUnits: hidden units in another order are the same layer, but for rounding.
func TestPermutedUnits(t *testing.T) {
	const steps, batch, input, hidden = 6, 3, 4, 5
	order := []int{3, 0, 4, 1, 2}
	for _, k := range kinds {
		if k.out(hidden) != hidden {
			continue // the units of c are mixed
		}
		params, other := autograd.NewParams(3), autograd.NewParams(4)
		layer, permuted := k.make(params, input, hidden, 1), k.make(other, input, hidden, 1)
		other.Update(func() {
			for p := range other.All() {
				from, cols := params.Get(p.Name).Value, len(p.Value.Data())/p.Value.Dim(0)
				for row := range p.Value.Dim(0) {
					gate, unit := row/hidden, row%hidden
					for col := range cols {
						at := col
						if strings.HasPrefix(p.Name, "weight_hh") && len(p.Value.Shape()) == 2 {
							at = order[col]
						}
						p.Value.Data()[row*cols+col] = from.Data()[(gate*hidden+order[unit])*cols+at]
					}
				}
			}
		})
		x := random(1, steps, batch, input)
		y, _ := layer.Forward(autograd.NewInference(params).Input(x), rnn.Options{})
		z, _ := permuted.Forward(autograd.NewInference(other).Input(x), rnn.Options{})
		for i, v := range z.Data() {
			assert.InDelta(t, y.Data()[i/hidden*hidden+order[i%hidden]], v, 2e-6, k.name)
		}
	}
}

// TestNothingIsRandomInInference: dropout does nothing there, and zoneout takes the mean of its masks.
func TestNothingIsRandomInInference(t *testing.T) {
	eachDirection(t, func(t *testing.T, n net) {
		x := random(1, 5, 2, 3)
		infer := func(n net) []float32 {
			params := autograd.NewParams(3)
			layer := n.make(params, 3, 4, 2)
			y, _ := layer.Forward(autograd.NewInference(params).Input(x), rnn.Options{})
			return y.Data()
		}
		want := infer(n)
		dropped := n.everything()
		dropped.zone, dropped.zoneC = 0, 0
		bits(t, want, infer(dropped))
		assert.NotEqual(t, want, infer(n.everything()))
	})
	// h_t = p*h_(t-1) + (1-p)*h'_t, of one ReLU unit that adds up: h' = h + x.
	params := autograd.NewParams(0)
	layer := rnn.NewElman(params, rnn.ElmanConfig{Input: 1, Hidden: 1, ReLU: true, Zoneout: 0.25, NoBias: true})
	params.Update(func() {
		params.Get("weight_ih_l0").Value.Data()[0], params.Get("weight_hh_l0").Value.Data()[0] = 1, 1
	})
	tape := autograd.NewInference(params)
	y, _ := layer.Forward(tape.Input(tensor.Of([]float32{4, 8, 0}, 3, 1, 1)), rnn.Options{})
	assert.InDeltaSlice(t, []float32{3, 9, 9}, y.Data(), 1e-6)
	s, _ := layer.Step(tape.Input(tensor.Of([]float32{4}, 1, 1)), rnn.Carry{})
	assert.InDelta(t, 3, s.Data()[0], 1e-6)
}

// TestMasks: of many units, the share that is asked for is dropped; a mask of the state is that of all steps; other
// calls, rows and layers have other masks, and the same seed the same.
func TestMasks(t *testing.T) {
	const steps, batch, hidden = 4, 50, 40
	// With no input and a recurrent matrix of ones on the diagonal, h_t = mask*h_(t-1): start 1, kept 1/(1-p) a step.
	params := autograd.NewParams(0)
	layer := rnn.NewElman(params, rnn.ElmanConfig{Input: 1, Hidden: hidden, ReLU: true, RecurrentDropout: 0.3})
	zoned := rnn.NewElman(params.In("zoned"), rnn.ElmanConfig{Input: 1, Hidden: hidden, ReLU: true, Zoneout: 0.3})
	dropped := rnn.NewElman(params.In("dropped"), rnn.ElmanConfig{Input: 1, Hidden: hidden, ReLU: true, WeightDropout: 0.3})
	stacked := rnn.NewElman(params.In("stacked"), rnn.ElmanConfig{Input: 1, Hidden: hidden, Layers: 2, ReLU: true, Dropout: 0.3})
	params.Update(func() {
		for p := range params.All() {
			p.Value.Zero()
		}
		eye := func(name string, v float32) {
			for i := range hidden {
				params.Get(name).Value.Data()[i*hidden+i] = v
			}
		}
		eye("weight_hh_l0", 1)
		eye("zoned.weight_hh_l0", 2)
		eye("dropped.weight_hh_l0", 1)
		eye("stacked.weight_hh_l0", 1)
		eye("stacked.weight_ih_l1", 1)
	})
	ones := tensor.New(1, batch, hidden)
	for i := range ones.Data() {
		ones.Data()[i] = 1
	}
	run := func(seed uint64, l *rnn.Elman) []float32 {
		tape := autograd.NewTape(params, seed)
		start := tape.Input(ones)
		if l == stacked {
			start = autograd.Concat(0, start, tape.Input(tensor.New(1, batch, hidden)))
		}
		y, _ := l.Forward(tape.Input(tensor.New(steps, batch, 1)), rnn.Options{Start: rnn.Carry{H: start}})
		return append([]float32(nil), y.Data()...)
	}
	// share counts how many of the values of a step are v, and that all are one of the two.
	share := func(y []float32, step int, v, other float32) float64 {
		n := 0
		for _, x := range y[step*batch*hidden:][:batch*hidden] {
			if math.Abs(float64(x-v)) < 1e-5 {
				n++
			} else {
				require.InDelta(t, other, x, 1e-5)
			}
		}
		return float64(n) / (batch * hidden)
	}
	const within = 0.045 // four standard deviations of 2000 draws
	y := run(1, layer)
	assert.InDelta(t, 0.3, share(y, 0, 0, 1/0.7), within)
	assert.InDelta(t, share(y, 0, 0, 1/0.7), share(y, 3, 0, 1/(0.7*0.7*0.7*0.7)), 0, "the same units all through")
	assert.Equal(t, y, run(1, layer))
	assert.NotEqual(t, y, run(2, layer))
	assert.NotEqual(t, y[:hidden], y[hidden:2*hidden], "rows")

	y = run(1, zoned)
	assert.InDelta(t, 0.3, share(y, 0, 1, 2), within)
	still := 0
	for i := range batch * hidden {
		if y[i] == 1 && y[batch*hidden+i] == 1 {
			still++
		}
	}
	assert.InDelta(t, 0.09, float64(still)/(batch*hidden), within, "steps are independent")

	y = run(1, dropped)
	n := 0
	for i := range hidden {
		if y[i] == 0 {
			n++
		}
		for row := range batch {
			require.Equal(t, y[i], y[row*hidden+i], "the same weights for all rows")
		}
	}
	assert.InDelta(t, 0.3, float64(n)/hidden, 0.3, "of 40")
	assert.Positive(t, n)

	y = run(1, stacked)
	assert.InDelta(t, 0.3, share(y, 0, 0, 1/0.7), within)
	differ := 0
	for i := range batch * hidden {
		if y[i] != y[batch*hidden+i] {
			differ++
		}
	}
	assert.InDelta(t, 2*0.3*0.7, float64(differ)/(batch*hidden), within, "steps are independent")
}

// TestOptionsAllocateNothing trains with everything that is random and with lengths.
func TestOptionsAllocateNothing(t *testing.T) {
	eachDirection(t, func(t *testing.T, n net) {
		for _, n := range []net{n, n.everything()} {
			params := autograd.NewParams(1)
			layer := n.make(params, 3, 8, 2)
			learned := rnn.NewStart(params.In("start"), layer)
			x, lengths, resets := random(1, 9, 4, 3), []int{9, 0, 3, 5}, make([]bool, 9*4)
			resets[3*4+1], resets[3*4+2], resets[8*4] = true, true, true
			tape, inference := autograd.NewTape(params, 0), autograd.NewInference(params)
			train := func() {
				tape.Reset()
				y, _ := layer.Forward(tape.Leaf(x), rnn.Options{Truncate: 4, Lengths: lengths, Start: learned.Carry(tape, 4)})
				h, _ := layer.Last(tape.Leaf(x), rnn.Options{Resets: resets, ResetTo: learned.Carry(tape, 4), Recompute: 3, Overlap: 2 * (2 - n.directions())})
				if err := autograd.Add(autograd.Sum(y), autograd.Sum(h)).Backward(); err != nil {
					panic(err)
				}
				inference.Reset()
				layer.Last(inference.Input(x), rnn.Options{Lengths: lengths})
				params.Update(func() {})
			}
			for range 5 {
				train()
			}
			assert.Zero(t, testing.AllocsPerRun(10, train), "%+v", n)
		}
	})
}

// TestStart learns the state that a sequence starts from.
func TestStart(t *testing.T) {
	eachDirection(t, func(t *testing.T, n net) {
		params := autograd.NewParams(1)
		layer := n.make(params, 2, 4, 2)
		start := rnn.NewStart(params.In("start"), layer)
		names := []string{"start.h0", "start.c0"}
		if layer.NewState(1).C == nil {
			names = names[:1]
			assert.Nil(t, params.Get("start.c0"))
		}
		for p := range params.All() { // only the start is to learn
			p.Frozen = !strings.HasPrefix(p.Name, "start.")
		}
		x := tensor.New(1, 3, 2)
		target := random(3, 1, n.directions()*n.out(4))
		loss := func(tape *autograd.Tape) *autograd.Node {
			h, _ := layer.Last(tape.Input(x), rnn.Options{Start: start.Carry(tape, 3)})
			d := autograd.Sub(h, tape.Input(tensor.Of(append(append(append([]float32(nil), target.Data()...), target.Data()...), target.Data()...), h.Shape()...)))
			return autograd.Sum(autograd.Mul(d, d))
		}
		tape, adam := autograd.NewTape(params, 0), optim.NewAdam(params, 0.05)
		first := float32(0)
		for i := range 100 {
			tape.Reset()
			l := loss(tape)
			require.NoError(t, l.Backward())
			if i == 0 {
				first = l.Value()
			} else {
				require.NotZero(t, params.Get(names[0]).Value.Data()[0])
			}
			adam.Step(tape.Grads())
		}
		tape.Reset()
		assert.Less(t, loss(tape).Value(), 0.8*first) // ReLUs that are off do not learn
		// A stream begins with it.
		state, inference := layer.NewState(2), autograd.NewInference(params)
		state.Set(start.Carry(inference, 2), 0)
		assert.Equal(t, params.Get("start.h0").Value.Data(), stateOf(state.Carry(inference, 0, 2).H, 1))
		assert.EqualError(t, autograd.Try(func() { start.Carry(tape, 0) }), "start.h0: a start for 0 rows, want at least 1")
	})
}

// TestAStateGoesOnFromAFile saves the state of a stream, and goes on with what was read.
func TestAStateGoesOnFromAFile(t *testing.T) {
	for _, k := range kinds {
		params := autograd.NewParams(1)
		layer := k.make(params, 2, 4, 2)
		tape, state := autograd.NewInference(params), layer.NewState(3)
		x := random(1, 3, 2)
		step := func(s *rnn.State) []float32 {
			tape.Reset()
			y, next := layer.Step(tape.Input(x), s.Carry(tape, 0, 3))
			s.Set(next, 0)
			return append([]float32(nil), y.Data()...)
		}
		for range 3 {
			step(state)
		}
		path := filepath.Join(t.TempDir(), "state.safetensors")
		require.NoError(t, safetensors.SaveTensors(path, state.Tensors(), nil))
		other := layer.NewState(3)
		_, err := safetensors.LoadTensors(path, other.Tensors())
		require.NoError(t, err)
		bits(t, step(state), step(other))
		_, err = safetensors.LoadTensors(path, layer.NewState(2).Tensors())
		assert.ErrorContains(t, err, "h: shape")
	}
}

// TestMisuseOfOptions has each configuration and option that cannot be end in an error that names it.
func TestMisuseOfOptions(t *testing.T) {
	params := autograd.NewParams(1)
	gru := rnn.NewGRU(params.In("gru"), rnn.GRUConfig{Input: 3, Hidden: 4, Bidirectional: true})
	lstm := rnn.NewLSTM(params.In("lstm"), rnn.LSTMConfig{Input: 3, Hidden: 4, Projection: 2})
	tape := autograd.NewTape(params, 0)
	in := func(shape ...int) *autograd.Node { return tape.Input(tensor.New(shape...)) }
	fresh := func() *autograd.Params { return autograd.NewParams(1).In("rnn") }
	for _, c := range []struct {
		text string
		do   func()
	}{
		{"gru: a bidirectional layer cannot go step by step: its reverse direction begins at the end", func() { gru.Step(in(2, 3), rnn.Carry{}) }},
		{"gru: 1 lengths, want 2, one a row", func() { gru.Last(in(5, 2, 3), rnn.Options{Lengths: []int{3}}) }},
		{"gru: row 1 has length 6, want 0 to 5, the steps of the input", func() { gru.Last(in(5, 2, 3), rnn.Options{Lengths: []int{3, 6}}) }},
		{"gru: row 0 has length -1, want 0 to 5, the steps of the input", func() { gru.Forward(in(5, 2, 3), rnn.Options{Lengths: []int{-1, 6}}) }},
		{"gru: start has shape [1 2 4], want [2, 2, 4]", func() { gru.Last(in(5, 2, 3), rnn.Options{Start: rnn.Carry{H: in(1, 2, 4)}}) }},
		{"lstm: start has shape [1 2 2], want [1, 2, 4]", func() {
			lstm.Last(in(5, 2, 3), rnn.Options{Start: rnn.Carry{H: in(1, 2, 2), C: in(1, 2, 2)}})
		}},
		{"rnn: Projection is 4, want less than Hidden, 4, or 0 for none", func() { rnn.NewLSTM(fresh(), rnn.LSTMConfig{Input: 3, Hidden: 4, Projection: 4}) }},
		{"rnn: Projection is -1, want less than Hidden, 4, or 0 for none", func() { rnn.NewLSTM(fresh(), rnn.LSTMConfig{Input: 3, Hidden: 4, Projection: -1}) }},
		{"rnn: Dropout is 1, want 0 or more and less than 1", func() { rnn.NewGRU(fresh(), rnn.GRUConfig{Input: 3, Hidden: 4, Dropout: 1}) }},
		{"rnn: RecurrentDropout is -0.5, want 0 or more and less than 1", func() { rnn.NewElman(fresh(), rnn.ElmanConfig{Input: 3, Hidden: 4, RecurrentDropout: -0.5}) }},
		{"rnn: WeightDropout is 2, want 0 or more and less than 1", func() { rnn.NewElman(fresh(), rnn.ElmanConfig{Input: 3, Hidden: 4, WeightDropout: 2}) }},
		{"rnn: Zoneout is NaN, want 0 or more and less than 1", func() { rnn.NewGRU(fresh(), rnn.GRUConfig{Input: 3, Hidden: 4, Zoneout: float32(math.NaN())}) }},
		{"rnn: ZoneoutCell is 1, want 0 or more and less than 1", func() { rnn.NewLSTM(fresh(), rnn.LSTMConfig{Input: 3, Hidden: 4, ZoneoutCell: 1}) }},
		{"rnn: ForgetBias is 1, but NoBias leaves no bias", func() { rnn.NewLSTM(fresh(), rnn.LSTMConfig{Input: 3, Hidden: 4, NoBias: true, ForgetBias: 1}) }},
		{"rnn.GRU: Input 0, Hidden 4, Layers 1, Init 0; want positive sizes that memory can hold and a known Init", func() {
			rnn.NewGRU(autograd.NewParams(1), rnn.GRUConfig{Hidden: 4})
		}},
		{"rnn.MinGRU: Input 3, Hidden -1, Layers 2, Init 3; want positive sizes that memory can hold and a known Init", func() {
			rnn.NewMinGRU(autograd.NewParams(1), rnn.MinGRUConfig{Input: 3, Hidden: -1, Layers: 2, Init: 3})
		}},
		{fmt.Sprintf("rnn.IndRNN: Input 3, Hidden %d, Layers 1, Init 0; want positive sizes that memory can hold and a known Init", math.MaxInt), func() {
			rnn.NewIndRNN(autograd.NewParams(1), rnn.IndRNNConfig{Input: 3, Hidden: math.MaxInt})
		}},
		{fmt.Sprintf("rnn.GRU: Input 3, Hidden %d, Layers 1, Init 0; want positive sizes that memory can hold and a known Init", math.MaxInt/3), func() {
			rnn.NewGRU(autograd.NewParams(1), rnn.GRUConfig{Input: 3, Hidden: math.MaxInt / 3, ResetBefore: true, LayerNorm: true})
		}},
		{"rnn: Zoneout is 1, want 0 or more and less than 1", func() { rnn.NewMinGRU(fresh(), rnn.MinGRUConfig{Input: 3, Hidden: 4, Zoneout: 1}) }},
		{"rnn: RecurrentDropout is 1, want 0 or more and less than 1", func() { rnn.NewIndRNN(fresh(), rnn.IndRNNConfig{Input: 3, Hidden: 4, RecurrentDropout: 1}) }},
	} {
		assert.EqualError(t, autograd.Try(c.do), c.text)
	}
	assert.False(t, tape.Training() && tape.Err() != nil)
}

// TestForgetBias: Keras and Glorot begin the forget gate's bias at 1, and ForgetBias at what it says, by any Init.
func TestForgetBias(t *testing.T) {
	const hidden = 4
	for _, c := range []struct {
		init    rnn.Init
		given   float32
		ih, hh  float32
		uniform bool
	}{{rnn.Glorot, 0, 1, 0, false}, {rnn.Keras, 0, 1, 0, false}, {rnn.Keras, 3, 3, 0, false}, {rnn.PyTorch, 2, 2, 0, true}} {
		params := autograd.NewParams(1)
		rnn.NewLSTM(params, rnn.LSTMConfig{Input: 3, Hidden: hidden, Init: c.init, ForgetBias: c.given})
		for name, want := range map[string]float32{"bias_ih_l0": c.ih, "bias_hh_l0": c.hh} {
			for i, b := range params.Get(name).Value.Data() {
				if i/hidden == 1 {
					assert.Equal(t, want, b, name)
				} else {
					assert.Equal(t, c.uniform, b != 0, name)
				}
			}
		}
	}
}

// TestWorkersChangeNothing trains each kind with everything that is random and lengths, by any number of workers.
func TestWorkersChangeNothing(t *testing.T) {
	const steps, rows, input, hidden = 6, 90, 3, 5
	x := random(1, rows, steps, input)
	lengths := make([]int, rows)
	for i := range lengths {
		lengths[i] = 1 + i*7%steps
	}
	source := &dataset.Tensors{X: x, Labels: make([]int32, rows), Lengths: lengths}
	for i := range source.Labels {
		source.Labels[i] = int32(i % 3)
	}
	eachDirection(t, func(t *testing.T, n net) {
		var want map[string][]float32
		for _, workers := range []int{1, 2, 3, 7} {
			params := autograd.NewParams(5)
			layer := n.everything().make(params.In("rnn"), input, hidden, 2)
			head := layers.NewDense(params.In("head"), n.directions()*n.out(hidden), 3)
			step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
				h, _ := layer.Last(t.Input(b.X), rnn.Options{Lengths: b.Lengths})
				return loss.SparseSoftmaxCrossEntropy(head.Forward(h), b.Labels)
			})
			step.Workers, step.Shards = workers, 4
			adam := optim.NewAdam(params, 0.01)
			for rows := range dataset.Shuffled(source, 45, 1, 0) {
				_, err := step.Run(rows)
				require.NoError(t, err)
				adam.Step(step.Grads())
			}
			got := map[string][]float32{}
			for p := range params.All() {
				got[p.Name] = p.Value.Data()
			}
			if want == nil {
				want = got
			}
			for name := range want {
				bits(t, want[name], got[name], "%s with %d workers", name, workers)
			}
		}
	})
}

// TestTwoCallsOnOneTape: each call has masks and packed weights of its own, and Backward those of its call.
func TestTwoCallsOnOneTape(t *testing.T) {
	eachDirection(t, func(t *testing.T, n net) {
		n = n.everything()
		params := autograd.NewParams(3)
		layer := n.make(params, 3, 4, 2)
		x := random(1, 5, 2, 3)
		// of runs the layer so many times and returns the gradients of the sum of the outputs of some of them.
		of := func(calls int, count ...int) map[string][]float32 {
			tape := autograd.NewTape(params, 7)
			var outputs []*autograd.Node
			var factors []*tensor.Tensor
			for i := range calls {
				y, _ := layer.Forward(tape.Input(x), rnn.Options{})
				for _, c := range count {
					if c == i {
						outputs, factors = append(outputs, y), append(factors, random(uint64(i), y.Shape()...))
					}
				}
			}
			require.NoError(t, weighted(tape, outputs, factors).Backward())
			return gradients(params, tape)
		}
		first, second, both := of(2, 0), of(2, 1), of(2, 0, 1)
		for name, g := range of(1, 0) {
			bits(t, g, first[name], name)
		}
		for name := range both {
			assert.NotEqual(t, first[name], second[name])
			for i, g := range both[name] {
				assert.InDelta(t, first[name][i]+second[name][i], g, 1e-4, name)
			}
		}
	})
}

// TestRunsThatNobodyGoesBackThrough: a layer of frozen weights draws its masks all the same, no run spoils the next, and nothing
// is left over.
func TestRunsThatNobodyGoesBackThrough(t *testing.T) {
	eachDirection(t, func(t *testing.T, n net) {
		params := autograd.NewParams(3)
		layer := n.everything().make(params, 3, 4, 2)
		x := random(1, 5, 2, 3)
		tape := autograd.NewTape(params, 7)
		run := func() []float32 {
			tape.Start(9, autograd.NewGrads(params))
			y, _ := layer.Forward(tape.Input(x), rnn.Options{Lengths: []int{5, 3}})
			return append([]float32(nil), y.Data()...)
		}
		want := run()
		bits(t, want, run())
		for p := range params.All() {
			p.Frozen = true
		}
		bits(t, want, run())
		zero, _ := layer.Forward(tape.Input(x), rnn.Options{Lengths: []int{0, 0}})
		assert.Equal(t, make([]float32, len(want)), zero.Data())
	})
}

// TestGoroutinesTrain has several goroutines train on one layer at once: each gets what it gets alone.
func TestGoroutinesTrain(t *testing.T) {
	for _, k := range kinds {
		params := autograd.NewParams(3)
		layer := k.net.everything().make(params, 3, 4, 2)
		grad := func(seed uint64) []float32 {
			tape := autograd.NewTape(params, seed)
			y, _ := layer.Last(tape.Input(random(seed, 5, 2, 3)), rnn.Options{Lengths: []int{5, 3}})
			if err := autograd.Sum(y).Backward(); err != nil {
				panic(err)
			}
			return tape.Grads().Data
		}
		var results [16][]float32
		var wait sync.WaitGroup
		for i := range results {
			wait.Go(func() { results[i] = grad(uint64(i)) })
		}
		wait.Wait()
		for i, got := range results {
			bits(t, grad(uint64(i)), got, k.name)
		}
	}
}
