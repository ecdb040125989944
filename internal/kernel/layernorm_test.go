package kernel

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refMoments returns the mean and the rstd of a row: sums in sixteen places.
func refMoments(x []float32, eps float64) (mean, rstd float32) {
	mean = flush(float32(refSum(x, func(v float64) float64 { return v }) / float64(len(x))))
	var centred []float32
	for _, v := range x {
		centred = append(centred, sub(v, mean))
	}
	return mean, float32(1 / math.Sqrt(refSum(centred, func(v float64) float64 { return v * v })/float64(len(x))+eps))
}

// layerNorms are the two kernels of the way forward. before is y's element before.
var layerNorms = []struct {
	name string
	run  func(y, x, w, b []float32, eps float64) (mean, rstd float32)
	ref  func(before, normal float32) float32
}{
	{"LayerNorm", LayerNorm, func(_, normal float32) float32 { return normal }},
	{"LayerNormAdd", LayerNormAdd, func(before, normal float32) float32 { return add(before, normal) }},
}

func TestLayerNorm(t *testing.T) {
	const eps = 1e-5
	for _, c := range layerNorms {
		for name, fill := range fills {
			for _, n := range lengths {
				mem := newMemory(t, uint64(n))
				y, x, w, b := mem.vector("y", n, fill), mem.vector("x", n, fill), mem.vector("w", n, fill), mem.vector("b", n, fill)
				before := slices.Clone(y)
				mean, rstd := c.run(y, x, w, b, eps)
				mem.check("y")
				wantMean, wantRstd := refMoments(x, eps)
				same(t, []float32{wantMean, wantRstd}, []float32{mean, rstd}, "%s of %d, mean and rstd", c.name, n)
				want := make([]float32, n)
				for i := range want {
					want[i] = c.ref(before[i], mulAdd(mul(sub(x[i], mean), rstd), w[i], b[i]))
				}
				same(t, want, y, "%s of %d %s numbers", c.name, n, name)
				if name == "wild" {
					continue
				}
				exactMean, variance := 0.0, 0.0
				for _, v := range x {
					exactMean += float64(v) / float64(n)
				}
				for _, v := range x {
					variance += (float64(v) - exactMean) * (float64(v) - exactMean) / float64(n)
				}
				require.InDelta(t, exactMean, mean, 1e-7)
				for i := range y {
					normal := (float64(x[i]) - exactMean) / math.Sqrt(variance+eps) * float64(w[i])
					require.InDelta(t, c.ref(before[i], float32(normal+float64(b[i]))), y[i], 1e-4)
				}
			}
		}
	}
	x := []float32{1, 5, 3}
	mean, rstd := LayerNorm(x, x, []float32{1, 1, 1}, []float32{0, 0, 0}, 0)
	assert.Equal(t, []float32{3, float32(math.Sqrt(3. / 8))}, []float32{mean, rstd})
	assert.Equal(t, []float32{-2 * rstd, 2 * rstd, 0}, x, "y may be x")
}

// TestLayerNormGrad has each gradient computed and left out.
func TestLayerNormGrad(t *testing.T) {
	for name, fill := range fills {
		for _, n := range lengths {
			for wanted := range 8 {
				mem := newMemory(t, uint64(n))
				grad, x, w := mem.vector("grad", n, fill), mem.vector("x", n, fill), mem.vector("w", n, fill)
				out, names := [3][]float32{}, []string{"dx", "dw", "db"}
				for k := range out {
					if wanted>>k&1 == 1 {
						out[k] = mem.vector(names[k], n, fill)
					}
				}
				into := mem.vector("into", n, walls)
				want := [3][]float32{slices.Clone(out[0]), slices.Clone(out[1]), slices.Clone(out[2])}
				wantInto := make([]float32, n)
				mean, rstd := refMoments(x, 1e-5)
				refLayerNormGrad(want, wantInto, grad, x, w, mean, rstd)
				LayerNormGradInto(into, nil, nil, grad, x, w, mean, rstd)
				LayerNormGrad(out[0], out[1], out[2], grad, x, w, mean, rstd)
				mem.check("dx", "dw", "db", "into")
				same(t, wantInto, into, "into, %d %s numbers", n, name)
				for k := range out {
					same(t, want[k], out[k], "%s of %d %s numbers", names[k], n, name)
				}
			}
		}
	}
}

// refLayerNormGrad adds to the gradients that are not nil, of x, w and b, and sets into to the gradient of x.
func refLayerNormGrad(gradients [3][]float32, into, grad, x, w []float32, mean, rstd float32) {
	normal := func(i int) float32 { return mul(sub(x[i], mean), rstd) }
	var sum, dot [16]float64
	for i := range x {
		g := mul(grad[i], w[i])
		sum[i%16] += float64(g)
		dot[i%16] += float64(g) * float64(normal(i)) // the product is exact
		if gradients[1] != nil {
			gradients[1][i] = mulAdd(grad[i], normal(i), gradients[1][i])
		}
		if gradients[2] != nil {
			gradients[2][i] = add(gradients[2][i], grad[i])
		}
	}
	m, d := flush(float32(refJoin(sum[:])/float64(len(x)))), flush(float32(refJoin(dot[:])/float64(len(x))))
	for i := range x {
		inner := mulAdd(-normal(i), d, sub(mul(grad[i], w[i]), m))
		if into[i] = mul(rstd, inner); gradients[0] != nil {
			gradients[0][i] = mulAdd(rstd, inner, gradients[0][i])
		}
	}
}

// TestLayerNormGradIsTheDerivative: central differences in float64 of the sum of grad*y.
func TestLayerNormGradIsTheDerivative(t *testing.T) {
	for _, n := range []int{2, 5, 16, 33} {
		mem := newMemory(t, uint64(n))
		x, w, b, grad := mem.vector("x", n, tame), mem.vector("w", n, tame), mem.vector("b", n, tame), mem.vector("grad", n, tame)
		loss := func(at int, by float64) (sum float64) {
			value := func(i int) float64 {
				if i == at {
					return float64(x[i]) + by
				}
				return float64(x[i])
			}
			mean, variance := 0.0, 0.0
			for i := range x {
				mean += value(i) / float64(n)
			}
			for i := range x {
				variance += (value(i) - mean) * (value(i) - mean) / float64(n)
			}
			for i := range x {
				sum += float64(grad[i]) * ((value(i)-mean)/math.Sqrt(variance+1e-2)*float64(w[i]) + float64(b[i]))
			}
			return sum
		}
		mean, rstd := LayerNorm(make([]float32, n), x, w, b, 1e-2)
		dx := make([]float32, n)
		LayerNormGrad(dx, nil, nil, grad, x, w, mean, rstd)
		for i := range x {
			require.InDelta(t, (loss(i, 1e-5)-loss(i, -1e-5))/2e-5, dx[i], 1e-4, "element %d of %d", i, n)
		}
	}
}

func TestLayerNormDoesNotAllocate(t *testing.T) {
	const n = 75
	x, w, y := make([]float32, n), make([]float32, n), make([]float32, n)
	assert.Zero(t, testing.AllocsPerRun(5, func() {
		mean, rstd := LayerNorm(y, x, w, w, 1e-5)
		LayerNormAdd(y, x, w, w, 1e-5)
		LayerNormGrad(y, y, y, x, x, w, mean, rstd)
		LayerNormGradInto(y, w, nil, x, x, w, mean, rstd)
	}))
}
