package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// operand is an argument of a kernel for a row of units. It has that many blocks of one value per unit.
type operand struct {
	name   string
	blocks int
	output bool
}

// rowKernels are the kernels for a row of units. ref is the computation for one unit: u[a][b] is the value of the unit in
// block b of argument a.
var rowKernels = []struct {
	name  string
	args  []operand
	alias [2]int // indices of two arguments that may be the same memory; 0, 0: none
	run   func(v [][]float32)
	ref   func(u [][]float32)
}{
	{"GRU", []operand{{"gates", 4, true}, {"hPrev", 1, false}, {"h", 1, true}}, [2]int{1, 2},
		func(v [][]float32) { GRU(v[0], v[1], v[2]) },
		func(u [][]float32) {
			gates := u[0]
			gates[1], gates[2] = refSigmoid(gates[1]), refSigmoid(gates[2])
			gates[0] = refTanh(mulAdd(gates[1], gates[3], gates[0]))
			u[2][0] = mulAdd(gates[2], sub(u[1][0], gates[0]), gates[0])
		}},
	{"GRUReset", []operand{{"gates", 4, true}, {"hPrev", 1, false}}, [2]int{},
		func(v [][]float32) { GRUReset(v[0], v[1]) },
		func(u [][]float32) {
			gates := u[0]
			gates[1], gates[2] = refSigmoid(gates[1]), refSigmoid(gates[2])
			gates[3] = mul(gates[1], u[1][0])
		}},
	{"GRUUpdate", []operand{{"gates", 4, true}, {"hPrev", 1, false}, {"h", 1, true}}, [2]int{1, 2},
		func(v [][]float32) { GRUUpdate(v[0], v[1], v[2]) },
		func(u [][]float32) {
			gates := u[0]
			gates[0] = refTanh(gates[0])
			u[2][0] = mulAdd(gates[2], sub(u[1][0], gates[0]), gates[0])
		}},
	{"GRUGrad", []operand{{"dgates", 4, true}, {"dh", 1, true}, {"gates", 4, false}, {"hPrev", 1, false}}, [2]int{},
		func(v [][]float32) { GRUGrad(v[0], v[1], v[2], v[3]) },
		func(u [][]float32) {
			refGRUUpdateGrad(u)
			d, gates := u[0], u[2]
			d[1] = mul(mul(d[0], gates[3]), refSigmoidSlope(gates[1]))
			d[3] = mul(d[0], gates[1])
		}},
	{"GRUUpdateGrad", []operand{{"dgates", 4, true}, {"dh", 1, true}, {"gates", 4, false}, {"hPrev", 1, false}}, [2]int{},
		func(v [][]float32) { GRUUpdateGrad(v[0], v[1], v[2], v[3]) }, refGRUUpdateGrad},
	{"GRUResetGrad", []operand{{"dgates", 4, true}, {"gates", 4, false}, {"hPrev", 1, false}}, [2]int{},
		func(v [][]float32) { GRUResetGrad(v[0], v[1], v[2]) },
		func(u [][]float32) {
			d, r := u[0], u[1][1]
			d[1] = mul(mul(d[3], u[2][0]), refSigmoidSlope(r))
			d[3] = mul(d[3], r)
		}},
	{"LSTMPeephole", []operand{{"gates", 4, true}, {"p", 3, false}, {"cPrev", 1, false}, {"c", 1, true}, {"tc", 1, true}, {"h", 1, true}}, [2]int{2, 3},
		func(v [][]float32) { LSTMPeephole(v[0], v[1], v[2], v[3], v[4], v[5]) },
		func(u [][]float32) {
			gates, p, before := u[0], u[1], u[2][0]
			gates[0], gates[1], gates[2] = refSigmoid(mulAdd(p[0], before, gates[0])), refSigmoid(mulAdd(p[1], before, gates[1])), refTanh(gates[2])
			c := mulAdd(gates[1], before, mul(gates[0], gates[2]))
			tc := refTanh(c)
			gates[3] = refSigmoid(mulAdd(p[2], c, gates[3]))
			u[3][0], u[4][0], u[5][0] = c, tc, mul(gates[3], tc)
		}},
	{"LSTMPeepholeGrad", []operand{{"dgates", 4, true}, {"dc", 1, true}, {"dh", 1, false}, {"gates", 4, false}, {"p", 3, false}, {"cPrev", 1, false}, {"tc", 1, false}}, [2]int{},
		func(v [][]float32) { LSTMPeepholeGrad(v[0], v[1], v[2], v[3], v[4], v[5], v[6]) },
		func(u [][]float32) {
			d, dh, gates, p, tc := u[0], u[2][0], u[3], u[4], u[6][0]
			d[3] = mul(mul(dh, tc), refSigmoidSlope(gates[3]))
			sum := mulAdd(d[3], p[2], mulAdd(mul(dh, gates[3]), refTanhSlope(tc), u[1][0]))
			d[0] = mul(mul(sum, gates[2]), refSigmoidSlope(gates[0]))
			d[1] = mul(mul(sum, u[5][0]), refSigmoidSlope(gates[1]))
			d[2] = mul(mul(sum, gates[0]), refTanhSlope(gates[2]))
			u[1][0] = mulAdd(d[1], p[1], mulAdd(d[0], p[0], mul(sum, gates[1])))
		}},
	{"AddPeepholeGrad", []operand{{"dp", 3, true}, {"dgates", 4, false}, {"gates", 4, false}, {"cPrev", 1, false}}, [2]int{},
		func(v [][]float32) { AddPeepholeGrad(v[0], v[1], v[2], v[3]) },
		func(u [][]float32) {
			dp, d, gates, before := u[0], u[1], u[2], u[3][0]
			dp[0], dp[1] = mulAdd(d[0], before, dp[0]), mulAdd(d[1], before, dp[1])
			dp[2] = mulAdd(d[3], mulAdd(gates[1], before, mul(gates[0], gates[2])), dp[2])
		}},
	{"MinGRU", []operand{{"gates", 2, true}, {"hPrev", 1, false}, {"h", 1, true}}, [2]int{1, 2},
		func(v [][]float32) { MinGRU(v[0], v[1], v[2]) },
		func(u [][]float32) {
			gates := u[0]
			gates[0] = refSigmoid(gates[0])
			u[2][0] = mulAdd(gates[0], gates[1], mul(sub(1, gates[0]), u[1][0]))
		}},
	{"MinGRUGrad", []operand{{"dgates", 2, true}, {"dh", 1, true}, {"gates", 2, false}, {"hPrev", 1, false}}, [2]int{},
		func(v [][]float32) { MinGRUGrad(v[0], v[1], v[2], v[3]) },
		func(u [][]float32) {
			d, gates, dh := u[0], u[2], u[1][0]
			d[0], d[1] = mul(mul(dh, sub(gates[1], u[3][0])), refSigmoidSlope(gates[0])), mul(dh, gates[0])
			u[1][0] = sub(dh, d[1])
		}},
}

func refGRUUpdateGrad(u [][]float32) {
	d, gates, dh := u[0], u[2], u[1][0]
	d[0] = mul(mul(dh, sub(1, gates[2])), refTanhSlope(gates[0]))
	d[2] = mul(mul(dh, sub(u[3][0], gates[0])), refSigmoidSlope(gates[2]))
	u[1][0] = mul(dh, gates[2])
}

func TestRowKernels(t *testing.T) {
	for _, c := range rowKernels {
		for name, fill := range fills {
			t.Run(c.name+" "+name, func(t *testing.T) {
				for _, n := range append([]int{0}, lengths...) {
					for _, alias := range []bool{false, true} {
						if alias && c.alias == [2]int{} {
							continue
						}
						mem := newMemory(t, uint64(n))
						var v [][]float32
						var outputs []string
						for _, a := range c.args {
							v = append(v, mem.vector(a.name, a.blocks*n, fill))
							if a.output {
								outputs = append(outputs, a.name)
							}
						}
						if alias {
							v[c.alias[1]] = v[c.alias[0]]
							outputs = append(outputs, c.args[c.alias[0]].name)
						}
						want := make([][]float32, len(v))
						for i := range v {
							want[i] = slices.Clone(v[i])
						}
						for j := range n {
							unit := make([][]float32, len(v))
							for i, a := range c.args {
								for b := range a.blocks {
									unit[i] = append(unit[i], want[i][b*n+j])
								}
							}
							c.ref(unit)
							for i, a := range c.args {
								for b := range a.blocks {
									want[i][b*n+j] = unit[i][b]
								}
							}
						}
						c.run(v)
						mem.check(outputs...)
						for i, a := range c.args {
							if !alias || i != c.alias[0] {
								same(t, want[i], v[i], "%s of %d units", a.name, n)
							}
						}
					}
				}
			})
		}
	}
}

func TestRowKernelsDoNotAllocate(t *testing.T) {
	const n = 75
	for _, c := range rowKernels {
		var v [][]float32
		for _, a := range c.args {
			v = append(v, Alloc(a.blocks*n))
		}
		assert.Zero(t, testing.AllocsPerRun(5, func() { c.run(v) }), c.name)
	}
}

// TestRowGradientsAreDerivatives of one unit's outputs, weighted with w: central differences of the formulas in
// float64, which are good to about 1e-9. x is the four sums and the state before.
func TestRowGradientsAreDerivatives(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	peepholes := []float32{0.5, -0.75, 1.25}
	for _, c := range []struct {
		name  string
		exact func(x [5]float64, w [2]float64) float64
		grad  func(gates, before, w []float32) []float32
	}{
		{"GRU", func(x [5]float64, w [2]float64) float64 {
			n, z := math.Tanh(x[0]+sigmoid(x[1])*x[3]), sigmoid(x[2])
			return w[0] * ((1-z)*n + z*x[4])
		}, func(gates, before, w []float32) []float32 {
			GRU(gates, before, make([]float32, 1))
			dgates, dh := make([]float32, 4), w[:1]
			GRUGrad(dgates, dh, gates, before)
			return append(dgates, dh[0])
		}},
		// rh, the fourth block that GRUReset computes, is an output here, with a weight of its own.
		{"GRUReset and GRUUpdate", func(x [5]float64, w [2]float64) float64 {
			n, z := math.Tanh(x[0]), sigmoid(x[2])
			return w[0]*((1-z)*n+z*x[4]) + w[1]*sigmoid(x[1])*x[4]
		}, func(gates, before, w []float32) []float32 {
			GRUReset(gates, before)
			GRUUpdate(gates, before, make([]float32, 1))
			dgates, dh := []float32{0, 0, 0, w[1]}, w[:1]
			GRUUpdateGrad(dgates, dh, gates, before)
			GRUResetGrad(dgates, gates, before)
			return append(dgates[:3:3], 0, dh[0]+dgates[3])
		}},
		{"MinGRU", func(x [5]float64, w [2]float64) float64 {
			z := sigmoid(x[0])
			return w[0] * ((1-z)*x[4] + z*x[1])
		}, func(gates, before, w []float32) []float32 {
			MinGRU(gates[:2], before, make([]float32, 1))
			dgates, dh := make([]float32, 4), w[:1]
			MinGRUGrad(dgates[:2], dh, gates[:2], before)
			return append(dgates, dh[0])
		}},
		{"LSTMPeephole", func(x [5]float64, w [2]float64) float64 {
			i, f := sigmoid(x[0]+float64(peepholes[0])*x[4]), sigmoid(x[1]+float64(peepholes[1])*x[4])
			c := f*x[4] + i*math.Tanh(x[2])
			return w[0]*sigmoid(x[3]+float64(peepholes[2])*c)*math.Tanh(c) + w[1]*c
		}, func(gates, before, w []float32) []float32 {
			c, tc, h := make([]float32, 1), make([]float32, 1), make([]float32, 1)
			LSTMPeephole(gates, peepholes, before, c, tc, h)
			dgates, dc := make([]float32, 4), w[1:]
			LSTMPeepholeGrad(dgates, dc, w[:1], gates, peepholes, before, tc)
			return append(dgates, dc[0])
		}},
	} {
		r := rand.New(rand.NewPCG(3, 4))
		for range 200 {
			var x [5]float64
			gates, w := make([]float32, 5), []float32{tame(r), tame(r)}
			for k := range x {
				gates[k] = tame(r)
				x[k] = float64(gates[k])
			}
			weight := [2]float64{float64(w[0]), float64(w[1])}
			got := c.grad(gates[:4], gates[4:], w)
			scale := (math.Abs(weight[0]) + math.Abs(weight[1])) * (1 + math.Abs(x[4]))
			for k := range x {
				const d = 1e-5
				up, down := x, x
				up[k] += d
				down[k] -= d
				want := (c.exact(up, weight) - c.exact(down, weight)) / (2 * d)
				require.InDelta(t, want, got[k], 2e-6*scale, "%s, derivative %d at %v", c.name, k, x)
			}
		}
	}
}
