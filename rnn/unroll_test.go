package rnn_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// simple is the Elman layer composed of operations, with PyTorch's weights.
type simple struct{ ih, hh, biasIH, biasHH *autograd.Param }

func (c simple) Step(x, h *autograd.Node) (y, next *autograd.Node) {
	t := x.Tape()
	times := func(x *autograd.Node, w *autograd.Param) *autograd.Node {
		return autograd.MatMul(x, autograd.Transpose(t.Param(w), 0, 1))
	}
	sum := autograd.Add(autograd.Add(times(x, c.ih), t.Param(c.biasIH)), autograd.Add(times(h, c.hh), t.Param(c.biasHH)))
	next = autograd.Tanh(sum)
	return next, next
}

// memory is the LSTM, whose state is two nodes.
type memory struct{ simple }

type hc struct{ h, c *autograd.Node }

func (m memory) Step(x *autograd.Node, s hc) (y *autograd.Node, next hc) {
	t := x.Tape()
	times := func(x *autograd.Node, w *autograd.Param) *autograd.Node {
		return autograd.MatMul(x, autograd.Transpose(t.Param(w), 0, 1))
	}
	z := autograd.Add(autograd.Add(times(x, m.ih), t.Param(m.biasIH)), autograd.Add(times(s.h, m.hh), t.Param(m.biasHH)))
	n := s.h.Shape()[1]
	gate := func(i int) *autograd.Node { return autograd.Slice(z, 1, i*n, (i+1)*n) }
	next.c = autograd.Add(autograd.Mul(autograd.Sigmoid(gate(1)), s.c), autograd.Mul(autograd.Sigmoid(gate(0)), autograd.Tanh(gate(2))))
	next.h = autograd.Mul(autograd.Sigmoid(gate(3)), autograd.Tanh(next.c))
	return next.h, next
}

// TestUnroll: cells composed of operations are the layers, values and gradients.
func TestUnroll(t *testing.T) {
	const input, hidden = 3, 4
	for _, k := range kinds[:3:3] {
		if k.cell == reference.ElmanReLU {
			continue
		}
		for _, size := range [][2]int{{1, 1}, {1, 3}, {6, 1}, {7, 3}} {
			steps, batch := size[0], size[1]
			params := autograd.NewParams(3)
			layer := k.make(params, input, hidden, 1)
			weights := simple{params.Get("weight_ih_l0"), params.Get("weight_hh_l0"), params.Get("bias_ih_l0"), params.Get("bias_hh_l0")}
			x, start := random(1, steps, batch, input), randomState(2, layer, batch)
			run := func(composed bool) (values, gradients [][]float32) {
				tape := autograd.NewTape(params, 0)
				in, from := tape.Leaf(x), leaves(tape, start)
				var y *autograd.Node
				var end rnn.Carry
				row := func(n *autograd.Node) *autograd.Node { return autograd.Reshape(n, batch, hidden) }
				switch {
				case !composed:
					y, end = layer.Forward(in, rnn.Options{Start: from})
				case k.hasC:
					var s hc
					y, s = rnn.Unroll(memory{weights}, in, hc{row(from.H), row(from.C)})
					end = rnn.Carry{H: s.h, C: s.c}
				default:
					y, end.H = rnn.Unroll(weights, in, row(from.H))
				}
				factors := []*tensor.Tensor{random(4, steps, batch, hidden), random(5, end.H.Shape()...), random(6, end.H.Shape()...)}
				for _, f := range factors[1:] { // of the same values, whatever the shape
					copy(f.Data(), random(5, batch*hidden).Data())
				}
				require.NoError(t, weighted(tape, []*autograd.Node{y, end.H, end.C}, factors).Backward())
				values = append(values, y.Data(), end.H.Data())
				gradients = append(gradients, in.Grad(), from.H.Grad())
				if k.hasC {
					values, gradients = append(values, end.C.Data()), append(gradients, from.C.Grad())
				}
				for p := range params.All() {
					gradients = append(gradients, tape.Grads().Of(p))
				}
				return values, gradients
			}
			values, gradients := run(false)
			gotValues, gotGradients := run(true)
			for i := range values {
				assert.LessOrEqual(t, reference.MaxRelErr(gotValues[i], values[i]), 2e-6, "%s, value %d", k.name, i)
			}
			for i := range gradients {
				assert.LessOrEqual(t, reference.MaxRelErr(gotGradients[i], gradients[i]), 1e-5, "%s, gradient %d", k.name, i)
			}
		}
	}
}

// leaky is h' = h + rate*(x - h), one rate a feature; its input and state may have any shape.
type leaky struct{ rate *autograd.Param }

func (c leaky) Step(x, h *autograd.Node) (y, next *autograd.Node) {
	if h == nil {
		return x, x
	}
	next = autograd.Add(h, autograd.Mul(autograd.Sub(x, h), x.Tape().Param(c.rate)))
	return next, next
}

func TestUnrollIsChecked(t *testing.T) {
	params := autograd.NewParams(1)
	cell := leaky{params.New("rate", autograd.Constant(0.3), 2)}
	x := params.New("x", autograd.Normal(1), 5, 3, 4, 2)
	require.NoError(t, gradcheck.Check(params, func(tape *autograd.Tape) *autograd.Node {
		y, end := rnn.Unroll(cell, tape.Param(x), nil)
		assert.Equal(t, []int{5, 3, 4, 2}, y.Shape())
		return autograd.Add(gradcheck.Project(y), gradcheck.Project(end))
	}, gradcheck.Options{}))
}

func TestUnrollAllocatesNothing(t *testing.T) {
	params := autograd.NewParams(1)
	cell := leaky{params.New("rate", autograd.Constant(0.3), 2)}
	tape, x := autograd.NewTape(params, 0), random(1, 5, 3, 2)
	train := func() {
		tape.Reset()
		y, _ := rnn.Unroll(cell, tape.Leaf(x), nil)
		if err := autograd.Sum(y).Backward(); err != nil {
			panic(err)
		}
	}
	for range 5 {
		train()
	}
	assert.Zero(t, testing.AllocsPerRun(10, train))
}

// odd is a cell whose outputs are wrong.
type odd struct{ nothing bool }

func (c odd) Step(x *autograd.Node, n int) (*autograd.Node, int) {
	if c.nothing {
		return nil, n
	}
	return autograd.Slice(x, 1, 0, 2-min(n, 1)), n + 1
}

// stray is a cell whose output is not on the tape of its input.
type stray struct{ y *autograd.Node }

func (c stray) Step(_ *autograd.Node, n int) (*autograd.Node, int) { return c.y, n }

func TestMisuseOfUnroll(t *testing.T) {
	tape := autograd.NewInference(autograd.NewParams(1))
	in := func(shape ...int) *autograd.Node { return tape.Input(tensor.New(shape...)) }
	other := autograd.NewInference(autograd.NewParams(1)).Input(tensor.New(2, 2))
	for _, c := range []struct {
		text string
		do   func()
	}{
		{"rnn.Unroll: operands are on different tapes", func() { rnn.Unroll(stray{other}, in(3, 2, 2), 0) }},
		{"rnn.Unroll: input has shape [3], want [T, B, ...] with at least one step", func() { rnn.Unroll(odd{}, in(3), 0) }},
		{"rnn.Unroll: input has shape [0 2], want [T, B, ...] with at least one step", func() { rnn.Unroll(odd{}, in(0, 2), 0) }},
		{"rnn.Unroll: the input is nil", func() { rnn.Unroll(odd{}, nil, 0) }},
		{"rnn.Unroll: the output of step 1 has shape [2 1], want [2 2] as at the first step", func() { rnn.Unroll(odd{}, in(3, 2, 2), 0) }},
		{"rnn.Unroll: the cell returned no output at step 0", func() { rnn.Unroll(odd{true}, in(3, 2, 2), 0) }},
	} {
		assert.EqualError(t, autograd.Try(c.do), c.text)
	}
}

// A recurrence composed of operations: each feature follows its input, at a rate of its own, which is learned.
func ExampleUnroll() {
	params := autograd.NewParams(42)
	cell := leaky{params.New("rate", autograd.Constant(0.5), 1)}
	tape := autograd.NewTape(params, 0)
	x := tensor.Of([]float32{0, 1, 1, 1}, 4, 1, 1) // four steps, one row, one feature
	y, end := rnn.Unroll(cell, tape.Input(x), nil)
	if err := autograd.Sum(end).Backward(); err != nil {
		panic(err)
	}
	fmt.Println(y.Data(), tape.Grads().Of(cell.rate))
	// Output: [0 0.5 0.75 0.875] [0.75]
}
