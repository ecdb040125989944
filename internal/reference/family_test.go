package reference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/internal/golden"
)

// TestFamilyAsPyTorch compares with PyTorch's outputs, states and gradients, of nine digits, and with ONNX Runtime's outputs and
// states, which are float32.
func TestFamilyAsPyTorch(t *testing.T) {
	for _, name := range slices.Concat(golden.Names("family_*"), golden.Names("composed_*"), golden.Names("onnx_*")) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := load(t, name)
			in, x := complexes(f.Tensors), f.Get("x").Shape
			has := func(part string) bool { return strings.Contains(name, part) }
			net := RNN{Weights: in, Layers: max(1, int(f.Config["layers"])), Bidirectional: has("_bi"), NoBias: has("_nobias"), Peephole: has("_peephole"), LayerNorm: has("_norm")}
			switch {
			case has("mingru"):
				net.Cell = MinGRU
			case has("indrnn_tanh"):
				net.Cell = IndRNNTanh
			case has("indrnn"):
				net.Cell = IndRNNReLU
			case has("lstm"):
				net.Cell = LSTM
			case has("gru_before"):
				net.Cell = GRUResetBefore
			case has("gru"):
				net.Cell = GRU
			}
			net.Hidden = f.Get("weight_ih_l0").Shape[0] / net.Cell.gates()
			if has("_proj") {
				net.Projection = f.Get("weight_hr_l0").Shape[0]
			}
			if has("_lengths") {
				for _, n := range f.Get("lengths").Int32() {
					net.Lengths = append(net.Lengths, int(n))
				}
			}
			near := 1e-8
			if has("onnx") {
				near = 1e-6
			}
			forward := func() ([]complex128, State) { return net.Forward(in["x"], x[1], State{in["h0"], in["c0"]}) }
			y, end := forward()
			assert.Less(t, MaxRelErr(Real(y), f.Get("y").Data), near)
			assert.Less(t, MaxRelErr(Real(end.H), f.Get("hn").Data), near)
			if net.Cell == LSTM {
				assert.Less(t, MaxRelErr(Real(end.C), f.Get("cn").Data), near)
			}
			if has("onnx") || testing.Short() && net.Layers > 1 {
				return
			}
			loss := func() complex128 {
				y, end := forward()
				return Dot(in["loss.y"], y) + Dot(in["loss.hn"], end.H) + Dot(in["loss.cn"], end.C)
			}
			for of, want := range f.Under("grad.") {
				assert.Less(t, MaxRelErr(Gradient(loss, in[of]), want.Data), near, of)
			}
		})
	}
}

// drawn is a net of that shape with random weights.
func drawn(net RNN, features int) RNN {
	r := rand.New(rand.NewPCG(7, 1))
	net.Weights = Weights{}
	gates := net.Cell.gates() * net.Hidden
	for k := range net.Layers {
		for _, suffix := range []string{"", "_reverse"}[:net.directions()] {
			in := features
			if k > 0 {
				in = net.directions() * net.out()
			}
			add := func(name string, n int) { net.Weights[fmt.Sprintf("%s_l%d%s", name, k, suffix)] = random(r, n) }
			add("weight_ih", gates*in)
			switch {
			case net.Cell.matrix():
				add("weight_hh", gates*net.out())
			case net.Cell != MinGRU:
				add("weight_hh", net.Hidden)
			}
			if !net.NoBias {
				add("bias_ih", gates)
				if net.Cell.matrix() {
					add("bias_hh", gates)
				}
			}
			if net.Projection > 0 {
				add("weight_hr", net.Projection*net.Hidden)
			}
			if net.Peephole {
				add("weight_peephole", 3*net.Hidden)
			}
			if net.LayerNorm {
				add("weight_ln_ih", gates)
				add("weight_ln_hh", gates)
			}
		}
	}
	return net
}

// TestOptionsAgainstDifferences: the complex step sees every option as differences do.
func TestOptionsAgainstDifferences(t *testing.T) {
	const steps, batch, features = 4, 2, 3
	for name, net := range map[string]RNN{
		"gru":          {Cell: GRU, Hidden: 3, Layers: 2},
		"gru before":   {Cell: GRUResetBefore, Hidden: 3, Layers: 2, Bidirectional: true},
		"peephole":     {Cell: LSTM, Hidden: 3, Layers: 1, Peephole: true, Bidirectional: true},
		"projection":   {Cell: LSTM, Hidden: 4, Layers: 2, Projection: 2, NoBias: true},
		"layer norm":   {Cell: LSTM, Hidden: 3, Layers: 1, LayerNorm: true, Peephole: true},
		"elman norm":   {Cell: ElmanTanh, Hidden: 3, Layers: 2, LayerNorm: true},
		"gru norm":     {Cell: GRU, Hidden: 3, Layers: 1, LayerNorm: true, Bidirectional: true},
		"before, norm": {Cell: GRUResetBefore, Hidden: 3, Layers: 2, LayerNorm: true, NoBias: true},
		"mingru":       {Cell: MinGRU, Hidden: 3, Layers: 2, Bidirectional: true, Lengths: []int{2, 4}},
		"indrnn":       {Cell: IndRNNReLU, Hidden: 3, Layers: 2, NoBias: true},
		"indrnn tanh":  {Cell: IndRNNTanh, Hidden: 3, Layers: 2, Bidirectional: true, Lengths: []int{2, 4}},
		"lengths":      {Cell: GRU, Hidden: 3, Layers: 2, Bidirectional: true, Lengths: []int{3, 1}},
		"no steps":     {Cell: LSTM, Hidden: 2, Layers: 1, Lengths: []int{0, 4}},
		"no bias":      {Cell: ElmanTanh, Hidden: 2, Layers: 3, Bidirectional: true, NoBias: true},
	} {
		t.Run(name, func(t *testing.T) {
			net := drawn(net, features)
			r := rand.New(rand.NewPCG(9, 9))
			dirs, out := net.directions(), net.out()
			x := random(r, steps*batch*features)
			start := State{H: random(r, net.Layers*dirs*batch*out)}
			if net.Cell == LSTM {
				start.C = random(r, net.Layers*dirs*batch*net.Hidden)
			}
			if net.Cell != MinGRU {
				net.Recurrent = random(r, net.Layers*dirs*batch*out)
			}
			net.ZoneH = random(r, net.Layers*dirs*steps*batch*out)
			if net.Layers > 1 {
				net.Between = random(r, (net.Layers-1)*steps*batch*dirs*out)
			}
			if net.Cell == LSTM {
				net.ZoneC = random(r, net.Layers*dirs*steps*batch*net.Hidden)
			}
			ofY, ofH, ofC := random(r, steps*batch*dirs*out), random(r, len(start.H)), random(r, len(start.C))
			loss := func() complex128 {
				y, end := net.Forward(x, batch, start)
				return Dot(ofY, y) + Dot(ofH, end.H) + Dot(ofC, end.C)
			}
			inputs := map[string][]complex128{"x": x, "start.H": start.H}
			if start.C != nil {
				inputs["start.C"] = start.C
			}
			for name, w := range net.Weights {
				inputs[name] = w
			}
			for name, v := range inputs {
				assert.Less(t, MaxRelErr(Gradient(loss, v), differences(loss, v)), 1e-7, name)
			}
		})
	}
}

// One GRU unit over one step, written out, with the reset gate after the product and before it.
func TestGRUByHand(t *testing.T) {
	const x, h = 0.9, -0.3
	w := Weights{"weight_ih_l0": {0.1, -0.2, 0.3}, "weight_hh_l0": {0.5, 0.6, -0.7}, "bias_ih_l0": {0.01, 0.02, 0.03}, "bias_hh_l0": {0.1, 0.2, 0.3}}
	logistic := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	r, z := logistic(0.1*x+0.5*h+0.11), logistic(-0.2*x+0.6*h+0.22)
	for cell, n := range map[Cell]float64{
		GRU:            math.Tanh(0.3*x + 0.03 + r*(-0.7*h+0.3)),
		GRUResetBefore: math.Tanh(0.3*x + 0.03 - 0.7*(r*h) + 0.3),
	} {
		y, _ := RNN{Cell: cell, Hidden: 1, Layers: 1, Weights: w}.Forward([]complex128{x}, 1, State{H: []complex128{h}})
		assert.InDelta(t, (1-z)*n+z*h, real(y[0]), 1e-14)
	}
}

// The sums of one LSTM unit, normalised over its four gates, written out.
func TestLayerNormByHand(t *testing.T) {
	const x, h, c = 0.9, -0.3, 0.6
	w := Weights{"weight_ih_l0": {0.1, -0.2, 0.3, -0.4}, "weight_hh_l0": {0.5, 0.6, -0.7, 0.8}, "bias_ih_l0": {0.01, 0.02, 0.03, 0.04},
		"bias_hh_l0": {0.1, 0.2, 0.3, 0.4}, "weight_ln_ih_l0": {1, 2, 3, 4}, "weight_ln_hh_l0": {-1, 0.5, 2, 1.5}}
	normal := func(w []complex128, by float64) (n [4]float64) {
		mean, variance := 0.0, 0.0
		for i := range n {
			mean += real(w[i]) * by / 4
		}
		for i := range n {
			variance += math.Pow(real(w[i])*by-mean, 2) / 4
		}
		for i := range n {
			n[i] = (real(w[i])*by - mean) / math.Sqrt(variance+1e-5)
		}
		return n
	}
	a, b := normal(w["weight_ih_l0"], x), normal(w["weight_hh_l0"], h)
	var z [4]float64
	for i := range z {
		z[i] = a[i]*real(w["weight_ln_ih_l0"][i]) + real(w["bias_ih_l0"][i]) + b[i]*real(w["weight_ln_hh_l0"][i]) + real(w["bias_hh_l0"][i])
	}
	logistic := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	next := logistic(z[1])*c + logistic(z[0])*math.Tanh(z[2])
	y, end := RNN{Cell: LSTM, Hidden: 1, Layers: 1, LayerNorm: true, Weights: w}.Forward([]complex128{x}, 1, State{[]complex128{h}, []complex128{c}})
	assert.InDelta(t, next, real(end.C[0]), 1e-13)
	assert.InDelta(t, logistic(z[3])*math.Tanh(next), real(y[0]), 1e-13)
}

// norms is norm(v) of each of some vectors, one after the other, times gains, plus biases, written out.
func norms(gains, biases []complex128, vectors ...[]float64) (sums []float64) {
	for _, v := range vectors {
		mean, variance := 0.0, 0.0
		for _, x := range v {
			mean += x / float64(len(v))
		}
		for _, x := range v {
			variance += (x - mean) * (x - mean) / float64(len(v))
		}
		for _, x := range v {
			i := len(sums)
			sums = append(sums, (x-mean)/math.Sqrt(variance+1e-5)*real(gains[i])+real(biases[i]))
		}
	}
	return sums
}

// Two units of an Elman layer and of both GRUs, their sums normalised, written out. The input is one number, so that W_ih x is a multiple of W_ih.
func TestLayerNormOfOtherCellsByHand(t *testing.T) {
	const x = 0.9
	h := []float64{-0.3, 0.8}
	r := rand.New(rand.NewPCG(4, 4))
	w := Weights{"weight_ih_l0": random(r, 6), "weight_hh_l0": random(r, 12), "bias_ih_l0": random(r, 6), "bias_hh_l0": random(r, 6),
		"weight_ln_ih_l0": random(r, 6), "weight_ln_hh_l0": random(r, 6)}
	ih, hh := Real(w["weight_ih_l0"]), Real(w["weight_hh_l0"])
	ofX := func(from, to int) (v []float64) {
		for i := from; i < to; i++ {
			v = append(v, ih[i]*x)
		}
		return v
	}
	ofH := func(from, to int, h0, h1 float64) (v []float64) {
		for i := from; i < to; i++ {
			v = append(v, hh[2*i]*h0+hh[2*i+1]*h1)
		}
		return v
	}
	sums := func(of string, vectors ...[]float64) []float64 {
		return norms(w["weight_ln_"+of+"_l0"], w["bias_"+of+"_l0"], vectors...)
	}
	run := func(cell Cell, w Weights) []float64 {
		y, _ := RNN{Cell: cell, Hidden: 2, Layers: 1, LayerNorm: true, Weights: w}.Forward([]complex128{x}, 1, State{H: Complex(h)})
		return Real(y)
	}
	first := Weights{} // the Elman layer has the rows of r
	for name, v := range w {
		first[name] = v[:len(v)/3]
	}
	a, b := sums("ih", ofX(0, 2)), sums("hh", ofH(0, 2, h[0], h[1]))
	assert.InDeltaSlice(t, []float64{math.Tanh(a[0] + b[0]), math.Tanh(a[1] + b[1])}, run(ElmanTanh, first), 1e-13)

	logistic := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	a, b = sums("ih", ofX(0, 4), ofX(4, 6)), sums("hh", ofH(0, 4, h[0], h[1]), ofH(4, 6, h[0], h[1]))
	reset := []float64{logistic(a[0] + b[0]), logistic(a[1] + b[1])}
	before := sums("hh", ofH(0, 4, h[0], h[1]), ofH(4, 6, reset[0]*h[0], reset[1]*h[1]))
	var after, ahead []float64
	for j := range h {
		z := logistic(a[2+j] + b[2+j])
		after = append(after, (1-z)*math.Tanh(a[4+j]+reset[j]*b[4+j])+z*h[j])
		ahead = append(ahead, (1-z)*math.Tanh(a[4+j]+before[4+j])+z*h[j])
	}
	assert.InDeltaSlice(t, after, run(GRU, w), 1e-13)
	assert.InDeltaSlice(t, ahead, run(GRUResetBefore, w), 1e-13)
}

// One unit over two steps, written out, and the gradient of w_hh: of an IndRNN that is linear, (a_2 + w (a_1 + w h))' = a_1 + 2 w h.
func TestMinGRUAndIndRNNByHand(t *testing.T) {
	const x1, x2, h = 0.9, 1.2, 0.3
	x, start := []complex128{x1, x2}, State{H: []complex128{h}}
	logistic := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	w := Weights{"weight_ih_l0": {0.4, -0.7}, "bias_ih_l0": {0.1, 0.2}}
	z1, z2 := logistic(0.4*x1+0.1), logistic(0.4*x2+0.1)
	h1 := (1-z1)*h + z1*(-0.7*x1+0.2)
	h2 := (1-z2)*h1 + z2*(-0.7*x2+0.2)
	y, end := RNN{Cell: MinGRU, Hidden: 1, Layers: 1, Weights: w}.Forward(x, 1, start)
	assert.InDeltaSlice(t, []float64{h1, h2}, Real(y), 1e-14)
	assert.InDeltaSlice(t, []float64{h2}, Real(end.H), 1e-14)

	w = Weights{"weight_ih_l0": {0.4}, "weight_hh_l0": {0.6}, "bias_ih_l0": {0.1}}
	a1, a2 := 0.4*x1+0.1, 0.4*x2+0.1
	net := RNN{Cell: IndRNNReLU, Hidden: 1, Layers: 1, Weights: w}
	last := func() complex128 { y, _ := net.Forward(x, 1, start); return y[1] }
	assert.InDelta(t, a2+0.6*(a1+0.6*h), real(last()), 1e-14)
	assert.InDelta(t, a1+2*0.6*h, Gradient(last, w["weight_hh_l0"])[0], 1e-14)
	net.Cell = IndRNNTanh
	assert.InDelta(t, math.Tanh(a2+0.6*math.Tanh(a1+0.6*h)), real(last()), 1e-14)
	net.Recurrent = []complex128{1.5}
	assert.InDelta(t, math.Tanh(a2+0.9*math.Tanh(a1+0.9*h)), real(last()), 1e-14)
}

// Rows of a batch with lengths are what they are alone, and nothing past their ends is read.
func TestLengthsAreRowsAlone(t *testing.T) {
	const steps, batch, features = 5, 3, 2
	net := drawn(RNN{Cell: GRU, Hidden: 3, Layers: 2, Bidirectional: true}, features)
	x := random(rand.New(rand.NewPCG(1, 1)), steps*batch*features)
	lengths := []int{5, 2, 0}
	padded := append([]complex128(nil), x...)
	for row, n := range lengths {
		for s := n; s < steps; s++ {
			for i := range features {
				padded[(s*batch+row)*features+i] = complex(math.NaN(), math.NaN())
			}
		}
	}
	all := net
	all.Lengths = lengths
	y, end := all.Forward(padded, batch, State{})
	for row, n := range lengths {
		for s := n; s < steps; s++ {
			assert.Equal(t, make([]complex128, 6), y[(s*batch+row)*6:][:6])
		}
		if n == 0 {
			continue
		}
		var alone []complex128
		for s := range n {
			alone = append(alone, x[(s*batch+row)*features:][:features]...)
		}
		want, wantEnd := net.Forward(alone, 1, State{})
		for s := range n {
			require.Equal(t, want[s*6:][:6], y[(s*batch+row)*6:][:6])
		}
		for k := range 4 {
			require.Equal(t, wantEnd.H[k*3:][:3], end.H[(k*batch+row)*3:][:3])
		}
	}
}
