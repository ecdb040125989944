package rnn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// trial is a layer, what it reads, and which of its outputs the loss is of.
type trial struct {
	net
	steps, batch, input, hidden, layers int
	truncate                            int
	lengths                             []int
	start, last                         bool
}

// errors sums up relative errors.
type errors struct {
	worst, sum float64
	count      int
}

func (e *errors) add(v float64) { e.worst, e.sum, e.count = max(e.worst, v), e.sum+v, e.count+1 }

// run compares every output and every gradient of a trial with the derivative by complex step of the plain
// complex128 reference.
func (c trial) run(t *testing.T, name string, seed uint64, e *errors) {
	t.Helper()
	params := autograd.NewParams(seed)
	layer := c.make(params, c.input, c.hidden, c.layers)
	params.Update(func() { // a gain of 1 would hide mistakes
		for p := range params.All() {
			if strings.HasPrefix(p.Name, "weight_ln") {
				copy(p.Value.Data(), random(seed, p.Value.Shape()...).Data())
			}
		}
	})
	x := random(1, c.steps, c.batch, c.input)
	var start *rnn.State
	if c.start {
		start = randomState(2, layer, c.batch)
	}
	// The reference never reads padding; here it must not show.
	padded := x.Clone()
	for row, n := range c.lengths {
		for s := n; s < c.steps; s++ {
			for i := range c.input {
				padded.Data()[(s*c.batch+row)*c.input+i] = float32(math.NaN())
			}
		}
	}

	tape := autograd.NewTape(params, seed)
	in, from := tape.Leaf(padded), leaves(tape, start)
	run := layer.Forward
	if c.last {
		run = layer.Last
	}
	y, end := run(in, rnn.Options{Start: from, Truncate: c.truncate, Lengths: c.lengths})
	factors := []*tensor.Tensor{random(4, y.Shape()...), random(5, end.H.Shape()...), nil}
	if c.lengths != nil && !c.last { // padding of the gradient must not be read either
		width := y.Shape()[2]
		for row, n := range c.lengths {
			grad := factors[0].Data()
			for s := n; s < c.steps; s++ {
				for i := range width {
					grad[(s*c.batch+row)*width+i] *= 1e6
				}
			}
		}
	}
	if end.C != nil {
		factors[2] = random(6, end.C.Shape()...)
	}
	loss := weighted(tape, []*autograd.Node{y, end.H, end.C}, factors)
	require.NoError(t, loss.Backward(), name)

	ref, dropped := c.reference(params, seed)
	cx := reference.Complex(x.Data())
	var cs reference.State
	if c.start {
		cs.H = reference.Complex(start.H.Data())
		if start.C != nil {
			cs.C = reference.Complex(start.C.Data())
		}
	}
	forward := func() ([]complex128, reference.State) {
		net := ref
		net.Weights = dropped(ref.Weights)
		y, end := net.Forward(cx, c.batch, cs)
		if c.last {
			y = c.lastOf(end.H)
		}
		return y, end
	}
	f := func() complex128 {
		y, end := forward()
		sum := reference.Dot(y, reference.Complex(factors[0].Data())) + reference.Dot(end.H, reference.Complex(factors[1].Data()))
		if factors[2] != nil {
			sum += reference.Dot(end.C, reference.Complex(factors[2].Data()))
		}
		return sum
	}
	check := func(what string, got []float32, want []float64) {
		t.Helper()
		if got == nil { // no path leads there, as to the start of a truncated Last
			got = make([]float32, len(want))
		}
		v := reference.MaxRelErr(got, want)
		require.LessOrEqual(t, v, 1e-4, "%s: %s", name, what)
		e.add(v)
	}
	wantY, wantEnd := forward()
	check("y", y.Data(), reference.Real(wantY))
	check("hn", end.H.Data(), reference.Real(wantEnd.H))
	if end.C != nil {
		check("cn", end.C.Data(), reference.Real(wantEnd.C))
	}
	check("gradient of x", in.Grad(), reference.Gradient(f, cx))
	for p := range params.All() {
		check("gradient of "+p.Name, tape.Grads().Of(p), reference.Gradient(f, ref.Weights[p.Name]))
	}
	if c.start {
		check("gradient of h0", from.H.Grad(), reference.Gradient(f, cs.H))
		if cs.C != nil {
			check("gradient of c0", from.C.Grad(), reference.Gradient(f, cs.C))
		}
	}
}

// lastOf is what Last returns, given the final states: the top layer's, directions side by side.
func (c trial) lastOf(h []complex128) (y []complex128) {
	out, dirs := c.out(c.hidden), c.directions()
	for row := range c.batch {
		for d := range dirs {
			y = append(y, h[(((c.layers-1)*dirs+d)*c.batch+row)*out:][:out]...)
		}
	}
	return y
}

// reference is the same layer with the same masks, and what drops its weights.
func (c trial) reference(params *autograd.Params, seed uint64) (reference.RNN, func(reference.Weights) reference.Weights) {
	out, dirs := c.out(c.hidden), c.directions()
	ref := reference.RNN{Cell: c.cell, Hidden: c.hidden, Layers: c.layers, Truncate: c.truncate, Weights: reference.Weights{},
		Bidirectional: c.bidirectional, NoBias: c.noBias, Projection: c.projection(c.hidden), Peephole: c.peephole, LayerNorm: c.norm,
		Lengths: c.lengths}
	for p := range params.All() {
		ref.Weights[p.Name] = reference.Complex(p.Value.Data())
	}
	run := autograd.NewTape(params, seed).Rand().Uint64()
	masks := func(use, first, count, n int, rate, hit, miss float32) (all []complex128) {
		if rate == 0 {
			return nil
		}
		for k := first; k < count; k++ {
			all = append(all, reference.Complex(rnn.Mask(run, use, k, n, rate, hit, miss))...)
		}
		return all
	}
	keep := func(rate float32) float32 { return 1 / (1 - rate) }
	ref.Recurrent = masks(rnn.OfState, 0, c.layers*dirs, c.batch*out, c.recurrent, 0, keep(c.recurrent))
	ref.Between = masks(rnn.OfInput, 1, c.layers, c.steps*c.batch*dirs*out, c.dropout, 0, keep(c.dropout))
	ref.ZoneH = masks(rnn.OfZone, 0, c.layers*dirs, c.steps*c.batch*out, c.zone, 1, 0)
	ref.ZoneC = masks(rnn.OfZoneC, 0, c.layers*dirs, c.steps*c.batch*c.hidden, c.zoneC, 1, 0)
	size := 0
	hh := map[string]int{}
	for l := range c.layers {
		for d := range dirs {
			name := fmt.Sprintf("weight_hh_l%d%s", l, []string{"", "_reverse"}[d])
			hh[name] = l*dirs + d
			size = len(ref.Weights[name])
		}
	}
	ofWeights := masks(rnn.OfWeights, 0, c.layers*dirs, size, c.weight, 0, keep(c.weight))
	return ref, func(w reference.Weights) reference.Weights {
		if ofWeights == nil {
			return w
		}
		dropped := reference.Weights{}
		for name, v := range w {
			if k, ok := hh[name]; ok {
				v = append([]complex128(nil), v...)
				for i := range v {
					v[i] *= ofWeights[k*size+i]
				}
			}
			dropped[name] = v
		}
		return dropped
	}
}

// TestGradients goes through sizes, layers, truncation and starts of every kind.
func TestGradients(t *testing.T) {
	sizes := []trial{{steps: 1, batch: 1, input: 1, hidden: 1}, {steps: 2, batch: 3, input: 4, hidden: 5},
		{steps: 7, batch: 2, input: 3, hidden: 6}, {steps: 9, batch: 5, input: 1, hidden: 3}}
	if testing.Short() {
		sizes = sizes[:2]
	}
	var e errors
	trials := 0
	for _, k := range kinds {
		if k.fused != nil {
			continue
		}
		for _, c := range sizes {
			for layers := 1; layers <= 3; layers++ {
				for _, truncate := range []int{0, 1, 3} {
					// Of the four of start and last, two in turn.
					for i := range 2 {
						c.net, c.layers, c.truncate = k.net, layers, truncate
						c.start, c.last = (layers+truncate+i)%2 == 0, i == 0
						if c.norm && c.hidden == 1 {
							continue // what is normalised is then not far from 0/0
						}
						if c.norm {
							// What is normalised hardly depends on a single input, and three layers of three units magnify the
							// rounding of the weights a thousandfold.
							c.input, c.hidden = max(c.input, 2), max(c.hidden, 5)
						}
						c.run(t, fmt.Sprintf("%s %+v", k.name, c), uint64(trials), &e)
						trials++
					}
				}
			}
		}
	}
	e.report(t, trials)
}

func (e errors) report(t *testing.T, trials int) {
	t.Helper()
	t.Logf("%d configurations, %d comparisons: worst relative error %.1e, mean %.1e", trials, e.count, e.worst, e.sum/float64(e.count))
	assert.LessOrEqual(t, e.sum/float64(e.count), 1e-5)
}

// TestGradientsOfOptions draws configurations of every kind: each option with every other.
func TestGradientsOfOptions(t *testing.T) {
	draws := 30
	if testing.Short() {
		draws = 6
	}
	var e errors
	trials := 0
	for _, k := range kinds {
		if k.fused != nil {
			continue
		}
		r := rand.New(rand.NewPCG(5, uint64(len(k.name))))
		some := func(of ...float32) float32 { return of[r.IntN(len(of))] }
		for range draws {
			c := trial{net: k.net, steps: 1 + r.IntN(6), batch: 1 + r.IntN(4), input: 1 + r.IntN(4), hidden: 2 + r.IntN(5), layers: 1 + r.IntN(3)}
			if k.norm {
				// What is normalised hardly depends on a single input, and three layers of few units magnify the
				// rounding of x itself a hundredfold.
				c.input, c.hidden, c.layers = max(c.input, 2), max(c.hidden, 3), min(c.layers, 2)
			}
			c.bidirectional, c.noBias, c.start, c.last = r.IntN(2) == 0, r.IntN(3) == 0, r.IntN(2) == 0, r.IntN(2) == 0
			c.truncate = []int{0, 0, 1, 2, 3}[r.IntN(5)]
			if r.IntN(3) > 0 {
				for range c.batch {
					c.lengths = append(c.lengths, r.IntN(c.steps+1))
				}
			}
			c.net = c.net.random(some(0, 0, 0.4), some(0, 0, 0.4), some(0, 0, 0.4), some(0, 0, 0.3), some(0, 0, 0.3))
			c.run(t, fmt.Sprintf("%s %+v", k.name, c), uint64(trials), &e)
			trials++
		}
	}
	e.report(t, trials)
}

// TestPyTorch compares outputs, final states, all gradients and, where a case has them, the weights after some steps
// of Adam with PyTorch's; and outputs and final states with ONNX Runtime's, which has operators and lengths that
// PyTorch lacks.
func TestPyTorch(t *testing.T) {
	var cases []string
	for _, of := range []string{"elman_*", "lstm_*", "family_*", "composed_*", "onnx_*"} {
		cases = append(cases, golden.Names(of)...)
	}
	for _, name := range cases {
		t.Run(name, func(t *testing.T) { compareWithGolden(t, name) })
	}
}

func compareWithGolden(t *testing.T, name string) {
	file, err := golden.Load(name)
	require.NoError(t, err)
	setting := func(name string, otherwise int) int {
		if v, ok := file.Config[name]; ok {
			return int(v)
		}
		return otherwise
	}
	has := func(part string) bool { return strings.Contains(name, part) }
	n := net{bidirectional: has("_bi"), noBias: has("_nobias"), projected: has("_proj"), peephole: has("_peephole"), norm: has("_norm")}
	switch {
	case has("mingru"):
		n.cell = reference.MinGRU
	case has("indrnn_tanh"):
		n.cell = reference.IndRNNTanh
	case has("indrnn"):
		n.cell = reference.IndRNNReLU
	case has("lstm"):
		n.cell = reference.LSTM
	case has("gru_before"):
		n.cell = reference.GRUResetBefore
	case has("gru"):
		n.cell = reference.GRU
	case has("relu"):
		n.cell = reference.ElmanReLU
	}
	x := file.Get("x")
	hidden := file.Get("weight_ih_l0").Shape[0]
	if gates := map[reference.Cell]int{reference.LSTM: 4, reference.GRU: 3, reference.GRUResetBefore: 3, reference.MinGRU: 2}[n.cell]; gates > 0 {
		hidden /= gates
	}
	params := autograd.NewParams(1)
	layer := n.make(params, x.Shape[2], hidden, setting("layers", 1))
	params.Update(func() {
		for p := range params.All() {
			w := file.Get(p.Name)
			require.Equal(t, w.Shape, p.Value.Shape(), p.Name)
			copy(p.Value.Data(), w.Float32())
		}
	})
	of := func(name string) *tensor.Tensor {
		g := file.Get(name)
		return tensor.Of(g.Float32(), g.Shape...)
	}
	o := rnn.Options{Truncate: setting("truncate", 0)}
	if has("_lengths") {
		for _, n := range file.Get("lengths").Int32() {
			o.Lengths = append(o.Lengths, int(n))
		}
	}
	tape := autograd.NewTape(params, 0)
	_, started := file.Tensors["h0"]
	forward := func() (in, y *autograd.Node, end rnn.Carry) {
		if started {
			o.Start.H = tape.Leaf(of("h0"))
			if n.cell == reference.LSTM {
				o.Start.C = tape.Leaf(of("c0"))
			}
		}
		in = tape.Leaf(of("x"))
		y, end = layer.Forward(in, o)
		return in, y, end
	}
	compare := func(name string, got []float32) {
		t.Helper()
		assert.LessOrEqual(t, reference.MaxRelErr(got, file.Get(name).Data), 1e-5, name)
	}
	in, y, end := forward()
	compare("y", y.Data())
	compare("hn", end.H.Data())
	if end.C != nil {
		compare("cn", end.C.Data())
	}
	if _, ok := file.Tensors["loss"]; !ok {
		return
	}
	loss := func(y *autograd.Node, end rnn.Carry) *autograd.Node {
		nodes, factors := []*autograd.Node{y, end.H, end.C}, []*tensor.Tensor{of("loss.y"), of("loss.hn"), nil}
		if end.C != nil {
			factors[2] = of("loss.cn")
		}
		return weighted(tape, nodes, factors)
	}
	l := loss(y, end)
	require.NoError(t, l.Backward())
	compare("loss", l.Data())
	compare("grad.x", in.Grad())
	if started {
		compare("grad.h0", o.Start.H.Grad())
		if o.Start.C != nil {
			compare("grad.c0", o.Start.C.Grad())
		}
	}
	for p := range params.All() {
		compare("grad."+p.Name, tape.Grads().Of(p))
	}
	if setting("steps", 0) == 0 {
		return
	}
	adam := optim.NewAdam(params, file.Config["lr"])
	for i := range setting("steps", 0) {
		if i > 0 {
			tape.Reset()
			_, y, end := forward()
			require.NoError(t, loss(y, end).Backward())
		}
		adam.Step(tape.Grads())
	}
	for p := range params.All() {
		compare("after."+p.Name, p.Value.Data())
	}
}
