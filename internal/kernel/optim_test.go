package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The settings of Adam in its tests: those of the paper's second step at a rate of 0.01.
const beta1, beta2, eps = 0.9, 0.999, 1e-8

var step, root = float32(0.01 / (1 - beta1*beta1)), float32(1 / math.Sqrt(1-beta2*beta2))

// TestAdam follows the paper's algorithm 1 in float64 through 50 steps.
func TestAdam(t *testing.T) {
	const n, rate = 75, 1e-3
	r := rand.New(rand.NewPCG(5, 5))
	w, g, m, v := Alloc(n), Alloc(n), Alloc(n), Alloc(n)
	var w64, m64, v64, moved [n]float64
	for i := range w {
		w[i] = tame(r)
		w64[i] = float64(w[i])
	}
	rest1, rest2 := float32(1-beta1), float32(1-beta2)
	for k := 1; k <= 50; k++ {
		for i := range g {
			g[i] = tame(r) * float32(math.Pow(10, float64(i%9-4))) // Adam does not care for the gradient's scale
		}
		correct1, correct2 := 1-math.Pow(beta1, float64(k)), 1-math.Pow(beta2, float64(k))
		Adam(w, g, m, v, beta1, rest1, beta2, rest2, float32(rate/correct1), float32(1/math.Sqrt(correct2)), eps)
		for i := range w64 {
			d := float64(g[i])
			m64[i] = beta1*m64[i] + (1-beta1)*d
			v64[i] = beta2*v64[i] + (1-beta2)*d*d
			update := rate * (m64[i] / correct1) / (math.Sqrt(v64[i]/correct2) + eps)
			w64[i] -= update
			moved[i] += math.Abs(update)
			require.InDelta(t, w64[i], w[i], 0x1p-24*float64(k)*(math.Abs(w64[i])+moved[i]), "step %d, weight %d", k, i)
			require.InEpsilon(t, v64[i], v[i], 0x1p-23*float64(k), "step %d, second moment %d", k, i)
		}
	}
	for i := range moved {
		require.Greater(t, moved[i], rate, "weight %d hardly moved", i)
	}
}

// TestAdamAtRest: without a gradient, now or before, nothing moves.
func TestAdamAtRest(t *testing.T) {
	w, zeros := []float32{1, -2, 0, 0x1p-126, inf}, make([]float32, 5)
	m, v := make([]float32, 5), make([]float32, 5)
	want := slices.Clone(w)
	Adam(w, zeros, m, v, beta1, 1-beta1, beta2, 1-beta2, step, root, eps)
	same(t, want, w, "weights")
	same(t, zeros, m, "first moments")
	same(t, zeros, v, "second moments")
}

// optimizers are the kernels of optim.go. exact takes the values of the arguments at one index from before to after,
// in float64.
var optimizers = []struct {
	name   string
	args   []string // the first outputs of them are written
	output int
	run    func(v [][]float32)
	exact  func(v []float64)
}{
	{"ScaleByRMS", []string{"u", "v", "g"}, 2,
		func(v [][]float32) { ScaleByRMS(v[0], v[2], v[1], 0.99, 0.01, 1e-3) },
		func(v []float64) { v[1] = 0.99*v[1] + 0.01*v[2]*v[2]; v[0] = v[2] / (math.Sqrt(v[1]) + 1e-3) }},
	{"ScaleByDeviation", []string{"u", "v", "m", "g"}, 3,
		func(v [][]float32) { ScaleByDeviation(v[0], v[3], v[1], v[2], 0.5, 0.5, 1e-1) },
		func(v []float64) {
			v[1], v[2] = 0.5*v[1]+0.5*v[3]*v[3], 0.5*v[2]+0.5*v[3]
			v[0] = v[3] / (math.Sqrt(math.Max(v[1]-v[2]*v[2], 0)) + 1e-1)
		}},
	{"Lion", []string{"w", "m", "g"}, 2,
		func(v [][]float32) { Lion(v[0], v[2], v[1], 0.75, 0.25, 0.99, 0.01, 0.125) },
		func(v []float64) {
			switch c := 0.75*v[1] + 0.25*v[2]; {
			case c > 0:
				v[0] -= 0.125
			case c < 0:
				v[0] += 0.125
			}
			v[1] = 0.99*v[1] + 0.01*v[2]
		}},
	{"Momentum", []string{"w", "b", "g"}, 2,
		func(v [][]float32) { Momentum(v[0], v[2], v[1], 0.9, 0.5, 0.125) },
		func(v []float64) { v[1] = 0.9*v[1] + 0.5*v[2]; v[0] -= 0.125 * v[1] }},
	{"Nesterov", []string{"w", "b", "g"}, 2,
		func(v [][]float32) { Nesterov(v[0], v[2], v[1], 0.9, 1, 0.125, 0.1125) },
		func(v []float64) { v[1] = 0.9*v[1] + v[2]; v[0] -= 0.125*v[2] + 0.1125*v[1] }},
	{"Clamp", []string{"x"}, 1,
		func(v [][]float32) { Clamp(v[0], 0.5) },
		func(v []float64) { v[0] = math.Max(-0.5, math.Min(v[0], 0.5)) }},
	// AddScaled with itself, by which weights decay.
	{"AddScaled", []string{"w"}, 1,
		func(v [][]float32) { AddScaled(v[0], -0.25, v[0]) },
		func(v []float64) { v[0] *= 0.75 }},
}

func TestOptimizers(t *testing.T) {
	for _, c := range optimizers {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range append([]int{0}, lengths...) {
				mem := newMemory(t, uint64(n))
				v, before := make([][]float32, len(c.args)), make([][]float32, len(c.args))
				for i, arg := range c.args {
					v[i] = mem.vector(arg, n, tame)
					if arg == "v" { // an average of squares
						for k := range v[i] {
							v[i][k] *= v[i][k]
						}
					}
					before[i] = slices.Clone(v[i])
				}
				mem = remember(mem)
				c.run(v)
				mem.check(c.args[:c.output]...)
				for i := range n {
					want := make([]float64, len(v))
					for k := range want {
						want[k] = float64(before[k][i])
					}
					c.exact(want)
					for k := range c.output {
						require.InDelta(t, want[k], v[k][i], 1e-5*(1+math.Abs(want[k])), "%s of %d at %d", c.args[k], n, i)
					}
				}
			}
		})
	}
}

// remember takes what memory holds now for what it held before.
func remember(m *memory) *memory {
	for i := range m.slabs {
		m.slabs[i].before = slices.Clone(m.slabs[i].all)
	}
	return m
}

// TestScaleInPlace: the result may take the gradient's place.
func TestScaleInPlace(t *testing.T) {
	g := []float32{1, -2, 0, 3}
	u, v, m := make([]float32, 4), make([]float32, 4), make([]float32, 4)
	ScaleByRMS(u, g, v, 0.9, 0.1, 1e-8)
	inPlace := slices.Clone(g)
	ScaleByRMS(inPlace, inPlace, make([]float32, 4), 0.9, 0.1, 1e-8)
	assert.Equal(t, u, inPlace)

	clear(v)
	ScaleByDeviation(u, g, v, m, 0.9, 0.1, 1e-8)
	inPlace = slices.Clone(g)
	ScaleByDeviation(inPlace, inPlace, make([]float32, 4), make([]float32, 4), 0.9, 0.1, 1e-8)
	assert.Equal(t, u, inPlace)
}

// TestDeviationOfConstant: the variance of equal gradients is 0, and rounding takes the difference of the averages
// below it. It must not become NaN. The averages come from above, where rounding stops that of g further from g.
func TestDeviationOfConstant(t *testing.T) {
	below := false
	for k := range 100 {
		g, larger := []float32{0.25 + float32(k)/1000}, []float32{0.5 + float32(k)/500}
		u, v, m := make([]float32, 1), make([]float32, 1), make([]float32, 1)
		for range 100 {
			ScaleByDeviation(u, larger, v, m, 0.99, 0.01, 1)
		}
		for range 3000 {
			ScaleByDeviation(u, g, v, m, 0.99, 0.01, 1)
			require.LessOrEqual(t, u[0], g[0])
		}
		below = below || float64(v[0]) < float64(m[0])*float64(m[0])
		require.InDelta(t, g[0], u[0], 1e-2)
	}
	assert.True(t, below, "rounding never did")
}

func TestOptimizersOnSpecialValues(t *testing.T) {
	w, m := []float32{1, 1, 1, 1, 1}, make([]float32, 5)
	Lion(w, []float32{0, nan, inf, -inf, negative}, m, 0.9, 0.1, 0.99, 0.01, 0.5)
	same(t, []float32{1, nan, 0.5, 1.5, 1}, w, "w")
	same(t, []float32{0, nan, inf, -inf, 0}, m, "m")

	x := []float32{nan, inf, -inf, 2, -2, 3, negative}
	Clamp(x, 2)
	same(t, []float32{nan, 2, -2, 2, -2, 2, negative}, x, "x")
	Clamp(x, inf)
	same(t, []float32{nan, 2, -2, 2, -2, 2, negative}, x, "no limit")

	u, v := make([]float32, 3), make([]float32, 3)
	ScaleByRMS(u, []float32{0, nan, inf}, v, 0.9, 0.1, 0)
	same(t, []float32{0, nan, nan}, u, "0 with no eps, NaN, Inf/Inf")
	clear(v)
	ScaleByDeviation(u, []float32{0, nan, 0}, v, make([]float32, 3), 0.9, 0.1, 1e-8)
	same(t, []float32{0, nan, 0}, u, "deviation")
}
