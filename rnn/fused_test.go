package rnn_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// lightCell is the light recurrence with a highway (Lei, Zhang, Wang, Dai & Artzi 2018, "Simple recurrent units for highly parallelizable
// recurrence"):
//
//	f   = sigmoid(W_f·x_t + b_f + v_f*c_(t-1))
//	r   = sigmoid(W_r·x_t + b_r + v_r*c_(t-1))
//	c_t = f*c_(t-1) + (1-f)*(W·x_t)
//	h_t = r*c_t + (1-r)*(W_x·x_t)
//
// The rows of weight_ih [4*h, In] are in the order f, r, W, W_x; weight_v [2*h] is v_f, v_r.
func lightCell(h int) rnn.FusedCell {
	const weightV = 1
	return rnn.FusedCell{
		Name: "light", Hidden: h, C: true, Sums: 4 * h, Saved: h, // c_t before zoneout
		Weights: []rnn.Weight{
			{Name: "weight_ih", Shape: []int{4 * h, rnn.InputWidth}},
			weightV: {Name: "weight_v", Shape: []int{2 * h}},
			{Name: "bias", Shape: []int{2 * h}},
		},
		Stages: []rnn.Stage{{
			Terms: []rnn.Term{
				{Weight: "weight_ih", Bias: "bias", Rows: 2 * h, Source: rnn.FromInput},
				{Weight: "weight_ih", First: 2 * h, Rows: 2 * h, Source: rnn.FromInput, To: 2 * h},
			},
			Apply: func(f *rnn.Frame) {
				v := f.Weight(weightV)
				for row := range f.Rows() {
					s, before, c, next := f.Sums(row), f.CBefore(row), f.C(row), f.H(row)
					for j, b := range before {
						s[j] += float32(v[j] * b)
						s[h+j] += float32(v[h+j] * b)
					}
					rnn.Sigmoid(s[:2*h], s[:2*h])
					for j, b := range before {
						c[j] = s[2*h+j] + float32(s[j]*(b-s[2*h+j]))
						next[j] = s[3*h+j] + float32(s[h+j]*(c[j]-s[3*h+j]))
					}
					copy(f.Saved(row), c)
				}
			},
			Backprop: func(f *rnn.Frame) {
				v, dv := f.Weight(weightV), f.WeightGrad(weightV)
				for row := range f.Rows() {
					s, ds, before, dh, dc, saved := f.Sums(row), f.DSums(row), f.CBefore(row), f.DH(row), f.DC(row), f.Saved(row)
					for j, b := range before {
						forget, reset, w, x, c := s[j], s[h+j], s[2*h+j], s[3*h+j], saved[j]
						d := dc[j] + dh[j]*reset
						ds[j] = d * (b - w) * forget * (1 - forget)
						ds[h+j] = dh[j] * (c - x) * reset * (1 - reset)
						ds[2*h+j] = d * (1 - forget)
						ds[3*h+j] = dh[j] * (1 - reset)
						dc[j] = d*forget + ds[j]*v[j] + ds[h+j]*v[h+j]
						if dv != nil {
							dv[j] += ds[j] * b
							dv[h+j] += ds[h+j] * b
						}
					}
				}
			},
		}},
	}
}

// composedLight is the light recurrence as operations, with the weights of a fused layer. Its state is c.
type composedLight struct{ ih, v, bias *autograd.Param }

func (l composedLight) Step(x, c *autograd.Node) (y, next *autograd.Node) {
	t, n := x.Tape(), c.Shape()[1]
	sums := autograd.MatMul(x, autograd.Transpose(t.Param(l.ih), 0, 1))
	part := func(v *autograd.Node, i int) *autograd.Node {
		return autograd.Slice(v, len(v.Shape())-1, i*n, (i+1)*n)
	}
	gate := func(i int) *autograd.Node {
		return autograd.Sigmoid(autograd.Add(part(sums, i), autograd.Add(part(t.Param(l.bias), i), autograd.Mul(c, part(t.Param(l.v), i)))))
	}
	between := func(share, a, b *autograd.Node) *autograd.Node {
		return autograd.Add(b, autograd.Mul(share, autograd.Sub(a, b)))
	}
	next = between(gate(0), c, part(sums, 2))
	return between(gate(1), next, part(sums, 3)), next
}

// TestAFusedCellIsItsComposition compares values and all gradients.
func TestAFusedCellIsItsComposition(t *testing.T) {
	const steps, batch, input, hidden = 7, 3, 4, 5
	params := autograd.NewParams(3)
	layer := rnn.NewFused(params, lightCell(hidden), rnn.FusedConfig{Input: input, Init: rnn.PyTorch})
	cell := composedLight{params.Get("weight_ih_l0"), params.Get("weight_v_l0"), params.Get("bias_l0")}
	x, start := random(1, steps, batch, input), randomState(2, layer, batch)
	run := func(fused bool) (all [][]float32) {
		tape := autograd.NewTape(params, 0)
		in, from := tape.Leaf(x), leaves(tape, start)
		var y, end *autograd.Node
		if fused {
			var carry rnn.Carry
			y, carry = layer.Forward(in, rnn.Options{Start: from})
			end = autograd.Reshape(carry.C, batch, hidden)
		} else {
			y, end = rnn.Unroll(cell, in, autograd.Reshape(from.C, batch, hidden))
		}
		factors := []*tensor.Tensor{random(4, steps, batch, hidden), random(5, batch, hidden)}
		require.NoError(t, weighted(tape, []*autograd.Node{y, end}, factors).Backward())
		return append(all, y.Data(), end.Data(), in.Grad(), from.C.Grad(), tape.Grads().Data)
	}
	want := run(false)
	for i, got := range run(true) {
		assert.LessOrEqual(t, reference.MaxRelErr(got, want[i]), 2e-6, i)
	}
}

// manyTerms is a cell with one of each: products that add up or not, normalised or not, of the input, of the state and of the sums, to the sums
// and to the state; three stages; and a state that is wider than c.
//
//	a   = tanh(A·x + norm(A'·x) + H_a·h)
//	b   = sigmoid(norm(H_b·h) + B·x)
//	d   = tanh(norm(D·a) + D'·a)
//	c_t = b*c + (1-b)*d
//	h_t = tanh(E·[b,c_t] + norm(F·x) + G·h)
func manyTerms(h int) rnn.FusedCell {
	state, gain := h+1, func(rule autograd.Init) autograd.Init { return autograd.Uniform(1) }
	slopes := func(d, y []float32) { // d becomes the gradient of what tanh made y of
		for j := range y {
			d[j] *= 1 - y[j]*y[j]
		}
	}
	return rnn.FusedCell{
		Name: "many", Hidden: h, State: state, C: true, Sums: 3 * h, Saved: h, // d, whose sums make way for c_t
		Weights: []rnn.Weight{
			{Name: "a", Shape: []int{2 * h, rnn.InputWidth}},
			{Name: "a_bias", Shape: []int{2 * h}},
			{Name: "a_gain", Shape: []int{2 * h}, Init: gain},
			{Name: "h", Shape: []int{2 * h, state}},
			{Name: "h_gain", Shape: []int{2 * h}, Init: gain},
			{Name: "b", Shape: []int{h, rnn.InputWidth}},
			{Name: "d", Shape: []int{2 * h, h}},
			{Name: "d_bias", Shape: []int{2 * h}},
			{Name: "d_gain", Shape: []int{h}, Init: gain},
			{Name: "e", Shape: []int{state, 2 * h}},
			{Name: "f", Shape: []int{state, rnn.InputWidth}},
			{Name: "f_bias", Shape: []int{state}},
			{Name: "f_gain", Shape: []int{state}, Init: gain},
			{Name: "g", Shape: []int{state, state}},
		},
		Stages: []rnn.Stage{{
			Terms: []rnn.Term{
				{Weight: "a", Bias: "a_bias", Rows: h, Source: rnn.FromInput},
				{Weight: "a", Bias: "a_bias", Gain: "a_gain", First: h, Rows: h, Source: rnn.FromInput},
				{Weight: "h", Rows: h, Source: rnn.FromState},
				{Weight: "h", Gain: "h_gain", First: h, Rows: h, Source: rnn.FromState, To: h},
				{Weight: "b", Rows: h, Source: rnn.FromInput, To: h},
			},
			Apply: func(f *rnn.Frame) {
				for row := range f.Rows() {
					a, b := f.Sums(row)[:h], f.Sums(row)[h:2*h]
					rnn.Tanh(a, a)
					rnn.Sigmoid(b, b)
				}
			},
			Backprop: func(f *rnn.Frame) {
				for row := range f.Rows() {
					s, ds := f.Sums(row), f.DSums(row)
					slopes(ds[:h], s[:h])
					for j, b := range s[h : 2*h] {
						ds[h+j] *= b * (1 - b)
					}
				}
			},
		}, {
			Terms: []rnn.Term{
				{Weight: "d", Gain: "d_gain", Rows: h, Source: rnn.FromSums, To: 2 * h},
				{Weight: "d", Bias: "d_bias", First: h, Rows: h, Source: rnn.FromSums, To: 2 * h},
			},
			Apply: func(f *rnn.Frame) {
				for row := range f.Rows() {
					s, c, before, d := f.Sums(row), f.C(row), f.CBefore(row), f.Saved(row)
					rnn.Tanh(d, s[2*h:])
					for j, d := range d {
						c[j] = d + s[h+j]*(before[j]-d)
					}
					copy(s[2*h:], c)
				}
			},
			Backprop: func(f *rnn.Frame) {
				for row := range f.Rows() {
					s, ds, dc, before, saved := f.Sums(row), f.DSums(row), f.DC(row), f.CBefore(row), f.Saved(row)
					for j := range dc {
						d := dc[j] + ds[2*h+j]
						ds[h+j] += d * (before[j] - saved[j])
						ds[2*h+j] = d * (1 - s[h+j])
						dc[j] = d * s[h+j]
					}
					slopes(ds[2*h:], saved)
				}
			},
		}, {
			Terms: []rnn.Term{
				{Weight: "e", Rows: state, Source: rnn.FromSums, From: h, To: rnn.ToState},
				{Weight: "f", Bias: "f_bias", Gain: "f_gain", Rows: state, Source: rnn.FromInput, To: rnn.ToState},
				{Weight: "g", Rows: state, Source: rnn.FromState, To: rnn.ToState},
			},
			Apply: func(f *rnn.Frame) {
				for row := range f.Rows() {
					rnn.Tanh(f.H(row), f.H(row))
				}
			},
			Backprop: func(f *rnn.Frame) {
				for row := range f.Rows() {
					slopes(f.DH(row), f.H(row))
				}
			},
		}},
	}
}

var fusedCells = []func(h int) rnn.FusedCell{lightCell, manyTerms}

// project is a loss of all that a call returns.
func project(y *autograd.Node, end rnn.Carry) *autograd.Node {
	return autograd.Add(gradcheck.Project(y), autograd.Add(gradcheck.Project(end.H), gradcheck.Project(end.C)))
}

// TestGradientsOfFusedCells compares the gradients of weights, input and start with differences.
func TestGradientsOfFusedCells(t *testing.T) {
	const steps, batch, input, hidden = 4, 3, 3, 8 // norm is a step where dropout leaves it a single unit
	checked := 0
	for _, cell := range fusedCells {
		for _, c := range []rnn.FusedConfig{
			{}, {Layers: 2}, {Bidirectional: true}, {Layers: 2, Bidirectional: true, Dropout: 0.3}, {NoBias: true, ZoneoutCell: 0.4},
			{Layers: 2, Zoneout: 0.3, ZoneoutCell: 0.3}, {Bidirectional: true, RecurrentDropout: 0.4, ZoneoutCell: 0.4},
		} {
			for _, lengths := range [][]int{nil, {4, 0, 3}} {
				for _, last := range []bool{false, true} {
					c.Input, c.Init = input, rnn.PyTorch
					params := autograd.NewParams(3)
					layer := rnn.NewFused(params, cell(hidden), c)
					x := params.New("x", autograd.Normal(1), steps, batch, input)
					state := layer.NewState(batch)
					h0 := params.New("h0", autograd.Normal(1), state.H.Shape()...)
					c0 := params.New("c0", autograd.Normal(1), state.C.Shape()...)
					forward := layer.Forward
					if last {
						forward = layer.Last
					}
					require.NoError(t, gradcheck.Check(params, func(tape *autograd.Tape) *autograd.Node {
						return project(forward(tape.Param(x), rnn.Options{Lengths: lengths, Start: rnn.Carry{H: tape.Param(h0), C: tape.Param(c0)}}))
					}, gradcheck.Options{Tolerance: 5e-3}), "%s, %+v, lengths %v, last %v", cell(1).Name, c, lengths, last)
					checked++
				}
			}
		}
	}
	t.Logf("%d configurations", checked)
}

// TestTruncatedGradientsOfFusedCells compares the gradients of a truncated call with those of its windows, each of which starts from
// numbers, and these with differences.
func TestTruncatedGradientsOfFusedCells(t *testing.T) {
	const steps, batch, input, hidden = 7, 3, 3, 4
	for _, cell := range fusedCells {
		for _, truncate := range []int{1, 3} {
			for _, lengths := range [][]int{nil, {7, 0, 5}} {
				params := autograd.NewParams(3)
				layer := rnn.NewFused(params, cell(hidden), rnn.FusedConfig{Input: input, Layers: 2, Init: rnn.PyTorch})
				x := params.New("x", autograd.Normal(1), steps, batch, input)
				bounds := []int{0}
				for at := steps % truncate; at <= steps; at += truncate {
					if at > 0 {
						bounds = append(bounds, at)
					}
				}
				options := func(from, to int) (o rnn.Options) {
					for _, n := range lengths {
						o.Lengths = append(o.Lengths, min(max(0, n-from), to-from))
					}
					return o
				}
				var starts []*rnn.State
				for _, at := range bounds[:len(bounds)-1] {
					starts = append(starts, layer.NewState(batch))
					if at > 0 {
						tape := autograd.NewInference(params)
						_, end := layer.Last(autograd.Slice(tape.Param(x), 0, 0, at), options(0, at))
						starts[len(starts)-1].Set(end, 0)
					}
				}
				windows := func(tape *autograd.Tape) *autograd.Node {
					var outputs []*autograd.Node
					for i, from := range bounds[:len(bounds)-1] {
						o := options(from, bounds[i+1])
						o.Start = starts[i].Carry(tape, 0, batch)
						y, _ := layer.Forward(autograd.Slice(tape.Param(x), 0, from, bounds[i+1]), o)
						outputs = append(outputs, y)
					}
					return gradcheck.Project(autograd.Concat(0, outputs...))
				}
				name := fmt.Sprintf("%s, windows of %d, lengths %v", cell(1).Name, truncate, lengths)
				tape := autograd.NewTape(params, 0)
				require.NoError(t, windows(tape).Backward())
				want := slices.Clone(tape.Grads().Data)
				tape.Reset()
				o := options(0, steps)
				o.Truncate = truncate
				y, _ := layer.Forward(tape.Param(x), o)
				require.NoError(t, gradcheck.Project(y).Backward())
				assert.LessOrEqual(t, reference.MaxRelErr(tape.Grads().Data, want), 2e-6, name)
				require.NoError(t, gradcheck.Check(params, windows, gradcheck.Options{Tolerance: 5e-3}), name)
			}
		}
	}
}

// TestTruncatedReverseOfAFusedCell: where the length of the windows divides the steps, the second direction has the gradients of a layer that reads
// the reversed sequence.
func TestTruncatedReverseOfAFusedCell(t *testing.T) {
	const steps, batch, input, hidden = 6, 2, 3, 4
	for _, cell := range fusedCells {
		for _, truncate := range []int{1, 2, 3} {
			params, plain := autograd.NewParams(3), autograd.NewParams(4)
			both := rnn.NewFused(params, cell(hidden), rnn.FusedConfig{Input: input, Bidirectional: true, Init: rnn.PyTorch})
			forward := rnn.NewFused(plain, cell(hidden), rnn.FusedConfig{Input: input})
			x, factors := random(1, steps, batch, input), random(2, steps, batch, both.Out())
			back, backFactors := tensor.New(steps, batch, input), tensor.New(steps, batch, forward.Out())
			for i := range steps * batch {
				from := (steps-1-i/batch)*batch + i%batch
				copy(back.Data()[i*input:][:input], x.Data()[from*input:])
				copy(backFactors.Data()[i*forward.Out():][:forward.Out()], factors.Data()[from*both.Out()+forward.Out():])
			}
			plain.Update(func() {
				for p := range plain.All() {
					copy(p.Value.Data(), params.Get(p.Name+"_reverse").Value.Data())
				}
			})
			run := func(params *autograd.Params, layer rnn.Layer, x, factors *tensor.Tensor) map[string][]float32 {
				tape := autograd.NewTape(params, 0)
				y, _ := layer.Forward(tape.Input(x), rnn.Options{Truncate: truncate})
				require.NoError(t, weighted(tape, []*autograd.Node{y}, []*tensor.Tensor{factors}).Backward())
				return gradients(params, tape)
			}
			got := run(params, both, x, factors)
			for name, want := range run(plain, forward, back, backFactors) {
				assert.LessOrEqual(t, reference.MaxRelErr(got[name+"_reverse"], want), 2e-6, "%s, windows of %d, %s", cell(1).Name, truncate, name)
			}
		}
	}
}

// TestFrozenWeightsOfAFusedCell: a frozen vector has no gradient that Backprop could add to, and the other gradients stay as they are.
func TestFrozenWeightsOfAFusedCell(t *testing.T) {
	params := autograd.NewParams(3)
	layer := rnn.NewFused(params, lightCell(4), rnn.FusedConfig{Input: 3, Init: rnn.PyTorch})
	run := func() map[string][]float32 {
		tape := autograd.NewTape(params, 0)
		y, _ := layer.Forward(tape.Input(random(1, 5, 2, 3)), rnn.Options{})
		require.NoError(t, weighted(tape, []*autograd.Node{y}, []*tensor.Tensor{random(9, y.Shape()...)}).Backward())
		return gradients(params, tape)
	}
	want := run()
	params.Get("weight_v_l0").Frozen = true
	got := run()
	assert.Equal(t, make([]float32, 8), got["weight_v_l0"])
	bits(t, want["weight_ih_l0"], got["weight_ih_l0"])
	bits(t, want["bias_l0"], got["bias_l0"])
}

// TestMisuseOfFusedCells has each cell whose parts do not fit, and each option that it does not have, end in an error that names it.
func TestMisuseOfFusedCells(t *testing.T) {
	const h = 4
	good := func() rnn.FusedCell {
		return rnn.FusedCell{
			Name: "mine", Hidden: h, Sums: 2 * h,
			Weights: []rnn.Weight{
				{Name: "ih", Shape: []int{2 * h, rnn.InputWidth}}, {Name: "hh", Shape: []int{2 * h, h}}, {Name: "out", Shape: []int{h, 2 * h}}, {Name: "bias", Shape: []int{2 * h}},
			},
			Stages: []rnn.Stage{
				{Terms: []rnn.Term{{Weight: "ih", Bias: "bias", Rows: 2 * h, Source: rnn.FromInput}, {Weight: "hh", Rows: 2 * h, Source: rnn.FromState}}},
				{Terms: []rnn.Term{{Weight: "out", Rows: h, Source: rnn.FromSums, To: rnn.ToState}}},
			},
		}
	}
	type mistake struct {
		rnn.FusedCell
		rnn.FusedConfig
		ih, hh, out *rnn.Term
	}
	require.NoError(t, autograd.Try(func() { rnn.NewFused(autograd.NewParams(1), good(), rnn.FusedConfig{Input: 3, WeightDropout: 0.5}) }))
	for _, c := range []struct {
		text   string
		change func(m *mistake)
	}{
		{`a term names the weight "hi", which the cell does not have`, func(m *mistake) { m.ih.Weight = "hi" }},
		{`a term names the weight "b", which the cell does not have`, func(m *mistake) { m.ih.Bias = "b" }},
		{`a term names the weight "g", which the cell does not have`, func(m *mistake) { m.hh.Gain = "g" }},
		{"a term names no weight", func(m *mistake) { m.hh.Weight = "" }},
		{"a term needs bias with 2 dimensions, its shape is [8]", func(m *mistake) { m.hh.Weight = "bias" }},
		{"a term needs hh with 1 dimensions, its shape is [8 4]", func(m *mistake) { m.ih.Bias = "hh" }},
		{"a term reads rows 1 to 9 of hh, which has 8", func(m *mistake) { m.hh.First = 1 }},
		{"a term reads rows -1 to 7 of hh, which has 8", func(m *mistake) { m.hh.First = -1 }},
		{"a term reads rows 0 to 0 of hh, which has 8", func(m *mistake) { m.hh.Rows = 0 }},
		{"a term of hh reads the input, which takes InputWidth columns; its shape is [8 4]", func(m *mistake) { m.hh.Source = rnn.FromInput }},
		{"a term of ih reads the state, which takes 4 columns; its shape is [8 -1]", func(m *mistake) { m.ih.Source = rnn.FromState }},
		{"a term of hh reads the state, which takes 5 columns; its shape is [8 4]", func(m *mistake) { m.State = h + 1 }},
		{"a term of hh has the source 7", func(m *mistake) { m.hh.Source = 7 }},
		{"a term reads sums 1 to 9, want some of the 8 of an earlier stage", func(m *mistake) { m.out.From = 1 }},
		{"a term reads sums -1 to 7, want some of the 8 of an earlier stage", func(m *mistake) { m.out.From = -1 }},
		{"a term reads sums 0 to 8, want some of the 8 of an earlier stage", func(m *mistake) { m.Stages = m.Stages[1:] }},
		{"a term adds to sums 1 to 9, but Sums is 8", func(m *mistake) { m.ih.To = 1 }},
		{"a term adds to sums -2 to 6, but Sums is 8", func(m *mistake) { m.ih.To = -2 }},
		{"a term adds 8 sums to the state of width 4", func(m *mistake) { m.ih.To = rnn.ToState }},
		{"two terms add to sums 0 to 8 and 1 to 8, want them apart", func(m *mistake) { m.hh.Rows, m.hh.To = 7, 1 }},
		{"no term of the cell reads the input", func(m *mistake) {
			m.Stages[0].Terms = m.Stages[0].Terms[1:]
		}},
		{"the cell has State -1, Sums 8, Saved 0, want no negative numbers", func(m *mistake) { m.State = -1 }},
		{"the cell has State 4, Sums 8, Saved -1, want no negative numbers", func(m *mistake) { m.Saved = -1 }},
		{"WeightDropout is given, but not one matrix multiplies the state", func(m *mistake) {
			m.Stages[0].Terms, m.WeightDropout = m.Stages[0].Terms[:1], 0.5
		}},
		{"WeightDropout is given, but not one matrix multiplies the state", func(m *mistake) {
			m.Weights = append(m.Weights, rnn.Weight{Name: "more", Shape: []int{h, h}})
			m.Stages[1].Terms = append(m.Stages[1].Terms, rnn.Term{Weight: "more", Rows: h, Source: rnn.FromState, To: rnn.ToState})
			m.WeightDropout = 0.5
		}},
		{`the cell has two weights named "hh", or one without a name`, func(m *mistake) { m.Weights[0].Name = "hh" }},
		{`the cell has two weights named "", or one without a name`, func(m *mistake) { m.Weights[0].Name = "" }},
		{"weight ih has shape [1 2 3], want one or two dimensions", func(m *mistake) { m.Weights[0].Shape = []int{1, 2, 3} }},
		{"nothing writes the new state: no stage has an Apply, and no term has the place ToState", func(m *mistake) {
			m.Stages = []rnn.Stage{{Terms: m.Stages[0].Terms}}
		}},
		{"ZoneoutCell is given, but the cell has no second state", func(m *mistake) { m.ZoneoutCell = 0.5 }},
		{"Input 3, Hidden 0, Layers 1, Init 0; want positive sizes that memory can hold and a known Init", func(m *mistake) { m.Hidden = 0 }},
	} {
		m := mistake{FusedCell: good(), FusedConfig: rnn.FusedConfig{Input: 3}}
		m.ih, m.hh, m.out = &m.Stages[0].Terms[0], &m.Stages[0].Terms[1], &m.Stages[1].Terms[0]
		c.change(&m)
		assert.EqualError(t, autograd.Try(func() { rnn.NewFused(autograd.NewParams(1), m.FusedCell, m.FusedConfig) }), "mine: "+c.text)
		assert.EqualError(t, autograd.Try(func() { rnn.NewFused(autograd.NewParams(1).In("it"), m.FusedCell, m.FusedConfig) }), "it: "+c.text)
	}
}
