package reference

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const steps, batch, features, hidden, layers = 7, 2, 3, 4, 2

// problem is a stack with random weights, its input and start, and factors of a loss over all it returns.
type problem struct {
	RNN
	x, ofY []complex128
	start  State
	ofEnd  State
}

// newProblem draws all but the settings of net, of which zeros in Hidden and Layers are the usual sizes.
func newProblem(net RNN) problem {
	r := rand.New(rand.NewPCG(3, uint64(net.Cell)))
	if net.Hidden == 0 {
		net.Hidden, net.Layers = hidden, layers
	}
	net = drawn(net, features)
	states := net.Layers * net.directions() * batch
	state := func() State {
		s := State{H: random(r, states*net.out())}
		if net.Cell == LSTM {
			s.C = random(r, states*net.Hidden)
		}
		return s
	}
	return problem{net, random(r, steps*batch*features), random(r, steps*batch*net.directions()*net.out()),
		state(), state()}
}

func (p problem) loss() complex128 {
	y, end := p.Forward(p.x, batch, p.start)
	return Dot(p.ofY, y) + p.lossOfEnd(end)
}

func (p problem) lossOfEnd(end State) complex128 {
	return Dot(p.ofEnd.H, end.H) + Dot(p.ofEnd.C, end.C)
}

// inputs is all that a gradient may be asked of.
func (p problem) inputs() map[string][]complex128 {
	all := map[string][]complex128{"x": p.x, "start.H": p.start.H}
	if p.start.C != nil {
		all["start.C"] = p.start.C
	}
	for name, w := range p.Weights {
		all[name] = w
	}
	return all
}

func eachCell(t *testing.T, test func(t *testing.T, p problem)) {
	for name, net := range map[string]RNN{
		"tanh": {Cell: ElmanTanh}, "relu": {Cell: ElmanReLU}, "lstm": {Cell: LSTM},
		"gru": {Cell: GRU}, "gru before": {Cell: GRUResetBefore, NoBias: true},
		"lstm with options": {Cell: LSTM, Projection: 3, Peephole: true, LayerNorm: true},
		"mingru":            {Cell: MinGRU}, "indrnn": {Cell: IndRNNReLU}, "indrnn tanh": {Cell: IndRNNTanh, NoBias: true},
		"gru norm": {Cell: GRU, LayerNorm: true}, "gru before norm": {Cell: GRUResetBefore, LayerNorm: true}, "elman norm": {Cell: ElmanTanh, LayerNorm: true},
	} {
		t.Run(name, func(t *testing.T) { test(t, newProblem(net)) })
	}
}

func TestGradientsAgainstDifferences(t *testing.T) {
	eachCell(t, func(t *testing.T, p problem) {
		for name, v := range p.inputs() {
			assert.Less(t, MaxRelErr(Gradient(p.loss, v), differences(p.loss, v)), 1e-8, name)
		}
	})
}

// A truncated gradient is the full gradient of windows that each start from the state that the sequence
// has there, held fixed while weights and inputs move: so differences can check it.
func TestTruncatedGradientsAgainstDifferences(t *testing.T) {
	eachCell(t, func(t *testing.T, p problem) {
		for truncate, cuts := range map[int][]int{1: {1, 2, 3, 4, 5, 6}, 3: {1, 4}, 4: {3}, 6: {1}} {
			if testing.Short() && truncate > 3 {
				continue
			}
			p.Truncate = truncate
			bounds := append(append([]int{0}, cuts...), steps)
			starts := map[int]State{0: p.start}
			for _, at := range cuts {
				_, starts[at] = p.Forward(p.x[:at*batch*features], batch, p.start)
			}
			windows := func() (loss complex128) {
				full := p.RNN
				full.Truncate = 0
				var end State
				for i, from := range bounds[:len(bounds)-1] {
					var y []complex128
					to := bounds[i+1]
					y, end = full.Forward(p.x[from*batch*features:to*batch*features], batch, starts[from])
					loss += Dot(p.ofY[from*batch*p.out():to*batch*p.out()], y)
				}
				return loss + p.lossOfEnd(end)
			}
			require.InDelta(t, real(windows()), real(p.loss()), 1e-13)
			for name, v := range p.inputs() {
				err := MaxRelErr(Gradient(p.loss, v), differences(windows, v))
				assert.Less(t, err, 1e-8, "%s, windows of %d", name, truncate)
			}
		}
	})
}

func TestTruncationLeavesValues(t *testing.T) {
	eachCell(t, func(t *testing.T, p problem) {
		y, end := p.Forward(p.x, batch, p.start)
		full := Gradient(p.loss, p.start.H)
		for _, k := range []int{1, 2, steps - 1, steps, steps + 1} {
			p.Truncate = k
			yk, endk := p.Forward(p.x, batch, p.start)
			assert.Equal(t, y, yk)
			assert.Equal(t, end, endk)
			if got := Gradient(p.loss, p.start.H); k >= steps { // one window: no cut, the start is no cut either
				assert.Equal(t, full, got, k)
			} else {
				assert.Greater(t, MaxRelErr(got, full), 1e-4, k)
			}
		}
	})
}

func TestStart(t *testing.T) {
	eachCell(t, func(t *testing.T, p problem) {
		before := State{append([]complex128(nil), p.start.H...), append([]complex128(nil), p.start.C...)}
		y, end := p.Forward(p.x, batch, p.start)
		assert.Equal(t, before, p.start, "the start is left as it is")
		assert.Equal(t, p.Cell == LSTM, end.C != nil)
		assert.Equal(t, y[len(y)-batch*p.out():], end.H[len(end.H)-batch*p.out():], "last output, last layer's state")

		// A sequence in two calls is the sequence in one.
		half := 3 * batch
		first, between := p.Forward(p.x[:half*features], batch, p.start)
		second, endAgain := p.Forward(p.x[half*features:], batch, between)
		assert.Equal(t, y, append(first, second...))
		assert.Equal(t, end, endAgain)

		zero := State{H: make([]complex128, layers*batch*p.out()), C: make([]complex128, layers*batch*hidden)}
		y, end = p.Forward(p.x, batch, State{})
		fromZero, endFromZero := p.Forward(p.x, batch, zero)
		assert.Equal(t, fromZero, y)
		assert.Equal(t, endFromZero, end)

		assert.Panics(t, func() { p.Forward(p.x, batch, State{H: p.start.H[1:]}) })
		assert.Panics(t, func() { p.Forward(p.x[1:], batch, p.start) })
	})
}

// Rows are sequences of their own.
func TestRows(t *testing.T) {
	eachCell(t, func(t *testing.T, p problem) {
		y, _ := p.Forward(p.x, batch, State{})
		for row := range batch {
			var x, want []complex128
			for s := range steps {
				x = append(x, p.x[(s*batch+row)*features:][:features]...)
				want = append(want, y[(s*batch+row)*p.out():][:p.out()]...)
			}
			got, _ := p.Forward(x, 1, State{})
			assert.Equal(t, want, got, row)
		}
	})
}

// One unit over three steps, written out: h_t = tanh(u x_t + v h_(t-1) + b).
func TestElmanByHand(t *testing.T) {
	const u, v, b, h0 = 0.7, -1.3, 0.2, 0.4
	x := []complex128{0.5, -0.8, 1.1}
	w := Weights{"weight_ih_l0": {u}, "weight_hh_l0": {v}, "bias_ih_l0": {b / 2}, "bias_hh_l0": {b / 2}}
	start := []complex128{h0}
	h1 := math.Tanh(u*0.5 + v*h0 + b)
	h2 := math.Tanh(u*-0.8 + v*h1 + b)
	h3 := math.Tanh(u*1.1 + v*h2 + b)
	d1, d2, d3 := 1-h1*h1, 1-h2*h2, 1-h3*h3

	net := RNN{Hidden: 1, Layers: 1, Weights: w}
	y, end := net.Forward(x, 1, State{H: start})
	assert.InDeltaSlice(t, []float64{h1, h2, h3}, Real(y), 1e-14)
	assert.InDeltaSlice(t, []float64{h3}, Real(end.H), 1e-14)

	for truncate, want := range map[int]struct{ v, x, h0 []float64 }{
		0: {[]float64{d3 * (h2 + v*d2*(h1+v*d1*h0))},
			[]float64{d3 * v * d2 * v * d1 * u, d3 * v * d2 * u, d3 * u}, []float64{d3 * v * d2 * v * d1 * v}},
		2: {[]float64{d3 * (h2 + v*d2*h1)}, []float64{0, d3 * v * d2 * u, d3 * u}, []float64{0}},
		1: {[]float64{d3 * h2}, []float64{0, 0, d3 * u}, []float64{0}},
	} {
		net.Truncate = truncate
		last := func() complex128 { y, _ := net.Forward(x, 1, State{H: start}); return y[2] }
		assert.InDeltaSlice(t, want.v, Gradient(last, w["weight_hh_l0"]), 1e-14, truncate)
		assert.InDeltaSlice(t, want.x, Gradient(last, x), 1e-14, truncate)
		assert.InDeltaSlice(t, want.h0, Gradient(last, start), 1e-14, truncate)
	}
}

// One LSTM unit over one step, written out; each gate has weights of its own, so an order that differs shows.
func TestLSTMByHand(t *testing.T) {
	const x, h, c = 0.9, -0.3, 0.6
	w := Weights{"weight_ih_l0": {0.1, -0.2, 0.3, -0.4}, "weight_hh_l0": {0.5, 0.6, -0.7, 0.8},
		"bias_ih_l0": {0.01, 0.02, 0.03, 0.04}, "bias_hh_l0": {0.1, 0.2, 0.3, 0.4}}
	logistic := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	i := logistic(0.1*x + 0.5*h + 0.11)
	f := logistic(-0.2*x + 0.6*h + 0.22)
	g := math.Tanh(0.3*x - 0.7*h + 0.33)
	o := logistic(-0.4*x + 0.8*h + 0.44)
	wantC := f*c + i*g
	wantH := o * math.Tanh(wantC)

	net := RNN{Cell: LSTM, Hidden: 1, Layers: 1, Weights: w}
	y, end := net.Forward([]complex128{x}, 1, State{H: []complex128{h}, C: []complex128{c}})
	assert.InDelta(t, wantH, real(y[0]), 1e-14)
	assert.InDelta(t, wantH, real(end.H[0]), 1e-14)
	assert.InDelta(t, wantC, real(end.C[0]), 1e-14)

	// With peepholes, i and f see the state before the step, o the one after it.
	net.Peephole, w["weight_peephole_l0"] = true, []complex128{0.9, -1.1, 1.2}
	i = logistic(0.1*x + 0.5*h + 0.11 + 0.9*c)
	f = logistic(-0.2*x + 0.6*h + 0.22 - 1.1*c)
	wantC = f*c + i*g
	o = logistic(-0.4*x + 0.8*h + 0.44 + 1.2*wantC)
	y, end = net.Forward([]complex128{x}, 1, State{H: []complex128{h}, C: []complex128{c}})
	assert.InDelta(t, wantC, real(end.C[0]), 1e-14)
	assert.InDelta(t, o*math.Tanh(wantC), real(y[0]), 1e-14)

	// Zoneout keeps a part of each state, and the c' that o and tanh read is not mixed yet.
	net.ZoneH, net.ZoneC = []complex128{0.25}, []complex128{0.75}
	y, end = net.Forward([]complex128{x}, 1, State{H: []complex128{h}, C: []complex128{c}})
	assert.InDelta(t, 0.75*c+0.25*wantC, real(end.C[0]), 1e-14)
	assert.InDelta(t, 0.25*h+0.75*o*math.Tanh(wantC), real(end.H[0]), 1e-14)
	assert.Equal(t, end.H, y)
}
