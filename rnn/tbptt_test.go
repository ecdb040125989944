package rnn_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// TestTBPTT trains over streams by windows that are cut as the package's text defines it, and compares the gradient of each update with the derivative
// by complex step of a loss that is unrolled naively, row by row: the terms of the last K1 steps that are within the last K2, computed from the
// state before the last K2, which is a constant.
func TestTBPTT(t *testing.T) {
	trials := 110
	if testing.Short() {
		trials = 40
	}
	r := rand.New(rand.NewPCG(8, 9))
	var e errors
	for i := range trials {
		k := kinds[i%len(kinds)]
		if k.fused != nil {
			continue
		}
		c := trial{net: k.net, steps: 4 + r.IntN(16), batch: 1 + r.IntN(3), input: 3, hidden: 5, layers: 1 + r.IntN(2), start: r.IntN(2) == 0, last: r.IntN(3) == 0}
		if r.IntN(2) == 0 {
			for range c.batch {
				c.lengths = append(c.lengths, 1+r.IntN(c.steps))
			}
		}
		c.runTBPTT(t, uint64(i), 1+r.IntN(6), 1+r.IntN(9), &e)
	}
	e.report(t, trials)
}

// runTBPTT goes over streams of c.steps steps, or of the lengths, with an update every k1 steps, whose gradient goes back k2 steps. If last is
// set, the loss is of the last step of each stream alone.
func (c trial) runTBPTT(t *testing.T, seed uint64, k1, k2 int, e *errors) {
	t.Helper()
	params := autograd.NewParams(seed)
	layer := c.make(params, c.input, c.hidden, c.layers)
	x, out := random(seed, c.steps, c.batch, c.input), layer.Out()
	factors := random(seed+1, c.steps, c.batch, out)
	lengths := c.lengths
	if lengths == nil {
		for range c.batch {
			lengths = append(lengths, c.steps)
		}
	}
	for s := range c.steps {
		for row, n := range lengths {
			if s >= n || c.last && s < n-1 {
				clear(factors.Data()[(s*c.batch+row)*out:][:out])
			}
		}
	}
	state := layer.NewState(c.batch)
	if c.start {
		state = randomState(2, layer, c.batch)
	}
	first := reference.State{H: reference.Complex(state.H.Data())}
	if state.C != nil {
		first.C = reference.Complex(state.C.Data())
	}
	tape := autograd.NewTape(params, seed)
	for end := k1; end < c.steps+k1; end += k1 {
		to := min(end, c.steps) // the last update has fewer new steps
		from := max(0, end-max(k1, k2))
		constant := max(0, end-k2) // the state before this step is a constant
		if k2 < k1 {
			constant = max(from, to-k2)
		}
		name := fmt.Sprintf("%+v, K1 %d, K2 %d, update at step %d", c, k1, k2, end)
		tape.Reset()
		window := tensor.New(to-from, c.batch, c.input)
		copy(window.Data(), x.Data()[from*c.batch*c.input:])
		loss := tensor.New(to-from, c.batch, out)
		for s := max(end-k1, constant); s < to; s++ {
			copy(loss.Data()[(s-from)*c.batch*out:][:c.batch*out], factors.Data()[s*c.batch*out:])
		}
		o := rnn.Options{Start: state.Carry(tape, 0, c.batch), Truncate: k2, Overlap: max(0, min(to, k2-k1))}
		for _, n := range lengths {
			o.Lengths = append(o.Lengths, max(0, min(n, to)-from))
		}
		y, carry := layer.Forward(tape.Input(window), o)
		require.NoError(t, weighted(tape, []*autograd.Node{y}, []*tensor.Tensor{loss}).Backward(), name)
		state.Set(carry, 0)

		c.steps, c.batch = to-from, 1
		net, _ := c.reference(params, seed)
		net.Lengths, net.Truncate = nil, 0
		c.steps, c.batch = x.Dim(0), x.Dim(1)
		row := func(row, from, to int) []complex128 {
			if to <= from {
				return nil
			}
			return reference.Complex(stretch(x, from, to, row).Data())
		}
		starts := make([]reference.State, c.batch) // the states before the last k2 steps
		for b := range starts {
			starts[b] = reference.State{H: pickRow(first.H, b, c.layers, c.batch), C: pickRow(first.C, b, c.layers, c.batch)}
			if before := row(b, 0, min(lengths[b], constant)); before != nil {
				_, starts[b] = net.Forward(before, 1, starts[b])
			}
		}
		f := func() (sum complex128) {
			for b := range starts {
				to := min(lengths[b], end)
				if to <= constant {
					continue
				}
				y, _ := net.Forward(row(b, constant, to), 1, starts[b])
				for s := max(end-k1, constant); s < to; s++ {
					sum += reference.Dot(y[(s-constant)*out:][:out], reference.Complex(factors.Data()[(s*c.batch+b)*out:][:out]))
				}
			}
			return sum
		}
		for p := range params.All() {
			v := reference.MaxRelErr(tape.Grads().Of(p), reference.Gradient(f, net.Weights[p.Name]))
			require.LessOrEqual(t, v, 1e-4, "%s: %s", name, p.Name)
			e.add(v)
		}
	}
}

// pickRow returns a row of a state [lanes,B,width].
func pickRow(v []complex128, row, lanes, batch int) (one []complex128) {
	width := len(v) / (lanes * batch)
	for k := range lanes {
		one = append(one, v[(k*batch+row)*width:][:width]...)
	}
	return one
}

// TestTBPTTByHand is the example of the package's text: h = h/2 + x with x of 1.
func TestTBPTTByHand(t *testing.T) {
	for _, c := range []struct {
		k2   int
		want float32
	}{{1, 1.75}, {2, 4}, {3, 4.75}} {
		const k1 = 2
		params := autograd.NewParams(1)
		layer := rnn.NewElman(params, rnn.ElmanConfig{Input: 1, Hidden: 1, ReLU: true, NoBias: true})
		params.Update(func() {
			params.Get("weight_ih_l0").Value.Data()[0] = 1
			params.Get("weight_hh_l0").Value.Data()[0] = 0.5
		})
		state, tape := layer.NewState(1), autograd.NewTape(params, 0)
		for to := k1; to <= 4; to += k1 {
			tape.Reset()
			window := min(to, max(k1, c.k2))
			x := tensor.New(window, 1, 1)
			for i := range x.Data() {
				x.Data()[i] = 1
			}
			y, carry := layer.Forward(tape.Input(x), rnn.Options{Start: state.Carry(tape, 0, 1), Truncate: c.k2, Overlap: min(to, max(0, c.k2-k1))})
			state.Set(carry, 0)
			counted := min(k1, c.k2)
			require.NoError(t, autograd.Sum(autograd.Slice(y, 0, window-counted, window)).Backward())
		}
		require.Equal(t, c.want, tape.Grads().Of(params.Get("weight_hh_l0"))[0], "K2 of %d", c.k2)
	}
}
