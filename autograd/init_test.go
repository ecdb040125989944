package autograd

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/tensor"
)

// drawn returns a tensor that init has filled.
func drawn(init Init, seed uint64, shape ...int) *tensor.Tensor {
	v := tensor.New(shape...)
	for i := range v.Data() {
		v.Data()[i] = float32(math.NaN()) // what init leaves out shows
	}
	init(rand.New(rand.NewPCG(seed, 1)), v)
	return v
}

func TestConstants(t *testing.T) {
	assert.Equal(t, make([]float32, 6), drawn(Zeros, 1, 2, 3).Data())
	assert.Equal(t, []float32{-1.5, -1.5, -1.5}, drawn(Constant(-1.5), 1, 3).Data())
}

// TestDistributions compares the mean, the deviation and the whole distribution (Kolmogorov and Smirnov: the
// largest distance of the distribution functions is below 1.95/sqrt(n) in 999 of 1000 draws) with what is promised.
func TestDistributions(t *testing.T) {
	const out, in = 200, 300
	uniform := func(limit float64) func(float64) float64 {
		return func(x float64) float64 { return min(1, max(0, (x+limit)/(2*limit))) }
	}
	normal := func(std float64) func(float64) float64 {
		return func(x float64) float64 { return 0.5 * math.Erfc(-x/std/math.Sqrt2) }
	}
	glorotLimit, glorotStd := math.Sqrt(6.0/(out+in)), math.Sqrt(2.0/(out+in))
	for name, c := range map[string]struct {
		init Init
		std  float64
		cdf  func(float64) float64
	}{
		"Uniform(0.25)": {Uniform(0.25), 0.25 / math.Sqrt(3), uniform(0.25)},
		"Uniform(3)":    {Uniform(3), 3 / math.Sqrt(3), uniform(3)},
		"Normal(0.02)":  {Normal(0.02), 0.02, normal(0.02)},
		"Normal(1)":     {Normal(1), 1, normal(1)},
		"GlorotUniform": {GlorotUniform, glorotLimit / math.Sqrt(3), uniform(glorotLimit)},
		"GlorotNormal":  {GlorotNormal, glorotStd, normal(glorotStd)},
	} {
		values := drawn(c.init, 5, out, in).Data()
		slices.Sort(values)
		n := float64(len(values))
		mean, square, distance := 0.0, 0.0, 0.0
		for i, v := range values {
			x := float64(v)
			mean += x / n
			square += x * x / n
			p := c.cdf(x)
			distance = max(distance, math.Abs(p-float64(i)/n), math.Abs(p-float64(i+1)/n))
		}
		assert.InDelta(t, 0, mean, 4*c.std/math.Sqrt(n), "%s: mean", name)
		assert.InEpsilon(t, c.std, math.Sqrt(square), 0.01, "%s: standard deviation", name)
		assert.Less(t, distance, 1.95/math.Sqrt(n), "%s: distribution", name)
	}
}

func TestUniformLimits(t *testing.T) {
	for _, limit := range []float64{0.3, 1 / math.Sqrt(150), 2} {
		values := drawn(Uniform(limit), 7, 100_000).Data()
		least, most := slices.Min(values), slices.Max(values)
		assert.GreaterOrEqual(t, least, float32(-limit))
		assert.LessOrEqual(t, most, float32(limit))
		assert.InEpsilon(t, -limit, least, 1e-3)
		assert.InEpsilon(t, limit, most, 1e-3)
	}
}

// TestGlorotFormula: the same random numbers scaled by the formula are the same bits.
func TestGlorotFormula(t *testing.T) {
	for _, shape := range [][]int{{150, 178}, {10, 150}, {1, 1}, {3, 700}} {
		sum := float64(shape[0] + shape[1])
		assert.Equal(t, drawn(Uniform(math.Sqrt(6/sum)), 3, shape...).Data(), drawn(GlorotUniform, 3, shape...).Data())
		assert.Equal(t, drawn(Normal(math.Sqrt(2/sum)), 3, shape...).Data(), drawn(GlorotNormal, 3, shape...).Data())
	}
}

func TestOrthogonal(t *testing.T) {
	for _, shape := range [][2]int{{150, 150}, {64, 64}, {600, 150}, {20, 7}, {7, 20}, {150, 600}, {1, 1}, {1, 9}, {9, 1}} {
		rows, cols := shape[0], shape[1]
		q := drawn(Orthogonal, 11, rows, cols).Data()
		at := func(i, j int) float64 { return float64(q[i*cols+j]) } // the i-th of the orthonormal vectors
		n, length := rows, cols
		if rows > cols {
			at = func(i, j int) float64 { return float64(q[j*cols+i]) }
			n, length = cols, rows
		}
		worst := 0.0
		for a := range n {
			for b := range a + 1 {
				dot := 0.0
				for j := range length {
					dot += at(a, j) * at(b, j)
				}
				if a == b {
					dot--
				}
				worst = max(worst, math.Abs(dot))
			}
		}
		assert.Less(t, worst, 1e-6, "%v", shape)
	}
}

// TestOrthogonalUniform: every element is as often positive as negative, and of variance 1/n. Without the
// signs of R's diagonal, those on the diagonal are not.
func TestOrthogonalUniform(t *testing.T) {
	const n, draws = 4, 2000
	var mean, square [n * n]float64
	for seed := range uint64(draws) {
		for i, v := range drawn(Orthogonal, seed, n, n).Data() {
			mean[i] += float64(v) / draws
			square[i] += float64(v) * float64(v) / draws
		}
	}
	for i := range mean {
		assert.InDelta(t, 0, mean[i], 4.5*0.5/math.Sqrt(draws), "element %d: mean", i)
		assert.InDelta(t, 1.0/n, square[i], 0.03, "element %d: variance", i)
	}
}

func TestInitPanics(t *testing.T) {
	for name, init := range map[string]Init{
		"GlorotUniform": GlorotUniform, "GlorotNormal": GlorotNormal, "Orthogonal": Orthogonal,
	} {
		panicsAs[*ShapeError](t, "autograd."+name+": shape [5], want two dimensions [out, in]",
			func() { drawn(init, 1, 5) })
		panicsAs[*ShapeError](t, "autograd."+name+": shape [2 3 4], want two dimensions [out, in]",
			func() { drawn(init, 1, 2, 3, 4) })
	}
}
