package reference

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// differences returns what Gradient does, by differences of the real parts at four points. Its own error is about 1e-10 of the largest
// derivative, from rounding; the fourth power of h is lost beside that.
func differences(f func() complex128, at []complex128) []float64 {
	const h = 1e-5
	gradient := make([]float64, len(at))
	for i, x := range at {
		around := func(h complex128) float64 {
			at[i] = x + h
			above := real(f())
			at[i] = x - h
			return above - real(f())
		}
		gradient[i] = (8*around(h) - around(2*h)) / (12 * h)
		at[i] = x
	}
	return gradient
}

func random(r *rand.Rand, n int) []complex128 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64() / 2
	}
	return Complex(v)
}

func TestGradient(t *testing.T) {
	x := []complex128{2, -3, 0.5}
	f := func() complex128 { return x[0]*x[0]*x[1] + cmplx.Exp(x[2]) }
	want := []float64{-12, 4, math.Exp(0.5)}
	assert.InDeltaSlice(t, want, Gradient(f, x), 1e-14)
	assert.InDeltaSlice(t, want, differences(f, x), 1e-8)
	assert.Equal(t, []complex128{2, -3, 0.5}, x)
}

func TestMaxRelErr(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		got, want []float64
		err       float64
	}{
		{[]float64{1, -4}, []float64{1, -4}, 0},
		{[]float64{1, -4}, []float64{1.5, -4}, 0.125},
		{[]float64{1, -2}, []float64{1, -4}, 0.5},
		{[]float64{0, 0}, []float64{0, 0}, 0},
		{[]float64{0, 1e-30}, []float64{0, 0}, inf},
		{[]float64{nan, 1}, []float64{1, 1}, inf},
		{[]float64{1, 1}, []float64{nan, 1}, inf},
		{[]float64{inf, 1}, []float64{inf, 1}, inf},
		{nil, nil, 0},
	} {
		assert.Equal(t, c.err, MaxRelErr(c.got, c.want), "%v, want %v", c.got, c.want)
	}
	assert.Equal(t, 0.25, MaxRelErr([]float32{3}, []float64{4}))
	assert.Panics(t, func() { MaxRelErr([]float32{1}, []float32{1, 2}) })
}

func TestWeightsIn(t *testing.T) {
	w := Weights{"rnn.bias_ih_l0": {1}, "rnn2.bias_ih_l0": {2}, "head.bias": {3}}
	in := w.In("rnn")
	assert.Equal(t, Weights{"bias_ih_l0": {1}}, in)
	in["bias_ih_l0"][0] = 7
	assert.Equal(t, 7+0i, w["rnn.bias_ih_l0"][0])
	assert.Panics(t, func() { in.get("weight_ih_l0") })
}

func TestFunctions(t *testing.T) {
	sech2 := func(x float64) float64 { return 1 / math.Cosh(x) / math.Cosh(x) }
	for _, x := range []float64{0, 1e-20, 1e-8, 0.1, 0.5, 1, 3, 10, 20, 40, 299, 301, 400, 800, 1e5} {
		for _, x := range []float64{x, -x} {
			at := []complex128{complex(x, 0)}
			check := func(name string, f func(complex128) complex128, value, slope float64) {
				t.Helper()
				assert.InDelta(t, value, real(f(at[0])), 1e-15*math.Abs(value), "%s(%g)", name, x)
				got := Gradient(func() complex128 { return f(at[0]) }, at)[0]
				assert.InDelta(t, slope, got, 4e-15*slope+1e-200, "%s'(%g)", name, x)
			}
			check("tanh", tanh, math.Tanh(x), sech2(x))
			check("sigmoid", sigmoid, 1/(1+math.Exp(-x)), sech2(x/2)/4)
			check("relu", relu, max(x, 0), map[bool]float64{true: 1}[x > 0])
		}
	}
}

func TestDense(t *testing.T) {
	x, w, b := []complex128{1, 2, 3, 4, 5, 6}, []complex128{1, 0, -1, 2, 1, 1}, []complex128{10, 20}
	assert.Equal(t, []complex128{8, 27, 8, 39}, Dense(x, w, b))
	assert.Panics(t, func() { Dense(x[:5], w, b) })
	assert.Panics(t, func() { Dense(x, w[:5], b) })
}

func TestSparseSoftmaxCrossEntropy(t *testing.T) {
	l3 := complex(math.Log(3), 0)
	for _, c := range []struct {
		name   string
		logits []complex128
		labels []int32
		want   float64
		count  int
	}{
		{"even", []complex128{5, 5, 5, 5}, []int32{2}, math.Log(4), 1},
		{"mean", []complex128{0, l3, l3, 0}, []int32{0, 0}, (math.Log(4) + math.Log(4./3)) / 2, 2},
		{"ignored", []complex128{0, l3, 100, -100, l3, 0}, []int32{0, Ignore, 0}, (math.Log(4) + math.Log(4./3)) / 2, 2},
		{"none counts", []complex128{1, 2}, []int32{Ignore}, 0, 0},
		{"large", []complex128{1e4, -1e4, 1e4}, []int32{1}, 2e4 + math.Log(2), 1},
		{"certain", []complex128{1e4, -1e4, -1e4}, []int32{0}, 0, 1},
	} {
		got, count := SparseSoftmaxCrossEntropy(c.logits, c.labels)
		assert.InDelta(t, c.want, real(got), 1e-14*max(1, c.want), c.name)
		assert.Equal(t, c.count, count, c.name)
	}
	assert.Panics(t, func() { SparseSoftmaxCrossEntropy([]complex128{1, 2}, []int32{2}) })
	assert.Panics(t, func() { SparseSoftmaxCrossEntropy([]complex128{1, 2}, []int32{-1}) })

	// The gradient is (softmax - one-hot)/count, also where only its exponentials' ratio is finite.
	logits := []complex128{1e4, 1e4 + l3, -1e4, 2, 1, 0}
	f := func() complex128 { mean, _ := SparseSoftmaxCrossEntropy(logits, []int32{0, Ignore}); return mean }
	assert.InDeltaSlice(t, []float64{-0.75, 0.75, 0, 0, 0, 0}, Gradient(f, logits), 1e-11)
	logits = random(rand.New(rand.NewPCG(1, 2)), 3*5)
	f = func() complex128 { mean, _ := SparseSoftmaxCrossEntropy(logits, []int32{4, 0, Ignore}); return mean }
	got := Gradient(f, logits)
	require.Less(t, MaxRelErr(got, differences(f, logits)), 1e-9)
	assert.Equal(t, make([]float64, 5), got[10:])
}
