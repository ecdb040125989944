package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// operand is an argument of a kernel for a row of units: so many blocks of one value a unit.
type operand struct {
	name   string
	blocks int
	output bool
}

// rowKernels compute the gates of a row. ref does so for one unit: u[a][b] is its value in block b of argument a.
var rowKernels = []struct {
	name  string
	args  []operand
	alias [2]int // arguments that may be the same memory; 0, 0: none
	run   func(v [][]float32)
	ref   func(u [][]float32)
}{
	{"GRU", []operand{{"z", 4, true}, {"hPrev", 1, false}, {"h", 1, true}}, [2]int{1, 2},
		func(v [][]float32) { GRU(v[0], v[1], v[2]) },
		func(u [][]float32) {
			z := u[0]
			z[1], z[2] = refSigmoid(z[1]), refSigmoid(z[2])
			z[0] = refTanh(mulAdd(z[1], z[3], z[0]))
			u[2][0] = mulAdd(z[2], u[1][0]-z[0], z[0])
		}},
	{"GRUReset", []operand{{"z", 4, true}, {"hPrev", 1, false}}, [2]int{},
		func(v [][]float32) { GRUReset(v[0], v[1]) },
		func(u [][]float32) {
			z := u[0]
			z[1], z[2] = refSigmoid(z[1]), refSigmoid(z[2])
			z[3] = z[1] * u[1][0]
		}},
	{"GRUUpdate", []operand{{"z", 4, true}, {"hPrev", 1, false}, {"h", 1, true}}, [2]int{1, 2},
		func(v [][]float32) { GRUUpdate(v[0], v[1], v[2]) },
		func(u [][]float32) {
			z := u[0]
			z[0] = refTanh(z[0])
			u[2][0] = mulAdd(z[2], u[1][0]-z[0], z[0])
		}},
	{"GRUGrad", []operand{{"dz", 4, true}, {"dh", 1, true}, {"z", 4, false}, {"hPrev", 1, false}}, [2]int{},
		func(v [][]float32) { GRUGrad(v[0], v[1], v[2], v[3]) },
		func(u [][]float32) {
			refGRUUpdateGrad(u)
			d, z := u[0], u[2]
			d[1] = float32(d[0]*z[3]) * float32(z[1]*(1-z[1]))
			d[3] = d[0] * z[1]
		}},
	{"GRUUpdateGrad", []operand{{"dz", 4, true}, {"dh", 1, true}, {"z", 4, false}, {"hPrev", 1, false}}, [2]int{},
		func(v [][]float32) { GRUUpdateGrad(v[0], v[1], v[2], v[3]) }, refGRUUpdateGrad},
	{"GRUResetGrad", []operand{{"dz", 4, true}, {"z", 4, false}, {"hPrev", 1, false}}, [2]int{},
		func(v [][]float32) { GRUResetGrad(v[0], v[1], v[2]) },
		func(u [][]float32) {
			d, r := u[0], u[1][1]
			d[1] = float32(d[3]*u[2][0]) * float32(r*(1-r))
			d[3] *= r
		}},
	{"LSTMPeephole", []operand{{"z", 4, true}, {"p", 3, false}, {"cPrev", 1, false}, {"c", 1, true}, {"tc", 1, true}, {"h", 1, true}}, [2]int{2, 3},
		func(v [][]float32) { LSTMPeephole(v[0], v[1], v[2], v[3], v[4], v[5]) },
		func(u [][]float32) {
			z, p, before := u[0], u[1], u[2][0]
			z[0], z[1], z[2] = refSigmoid(mulAdd(p[0], before, z[0])), refSigmoid(mulAdd(p[1], before, z[1])), refTanh(z[2])
			c := mulAdd(z[1], before, z[0]*z[2])
			tc := refTanh(c)
			z[3] = refSigmoid(mulAdd(p[2], c, z[3]))
			u[3][0], u[4][0], u[5][0] = c, tc, z[3]*tc
		}},
	{"LSTMPeepholeGrad", []operand{{"dz", 4, true}, {"dc", 1, true}, {"dh", 1, false}, {"z", 4, false}, {"p", 3, false}, {"cPrev", 1, false}, {"tc", 1, false}}, [2]int{},
		func(v [][]float32) { LSTMPeepholeGrad(v[0], v[1], v[2], v[3], v[4], v[5], v[6]) },
		func(u [][]float32) {
			d, dh, z, p, tc := u[0], u[2][0], u[3], u[4], u[6][0]
			d[3] = float32(dh*tc) * float32(z[3]*(1-z[3]))
			sum := mulAdd(d[3], p[2], mulAdd(dh*z[3], mulAdd(-tc, tc, 1), u[1][0]))
			d[0] = float32(sum*z[2]) * float32(z[0]*(1-z[0]))
			d[1] = float32(sum*u[5][0]) * float32(z[1]*(1-z[1]))
			d[2] = float32(sum*z[0]) * mulAdd(-z[2], z[2], 1)
			u[1][0] = mulAdd(d[1], p[1], mulAdd(d[0], p[0], sum*z[1]))
		}},
}

func refGRUUpdateGrad(u [][]float32) {
	d, z, dh := u[0], u[2], u[1][0]
	d[0] = float32(dh*(1-z[2])) * mulAdd(-z[0], z[0], 1)
	d[2] = float32(dh*(u[3][0]-z[0])) * float32(z[2]*(1-z[2]))
	u[1][0] = dh * z[2]
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
		grad  func(z, before, w []float32) []float32
	}{
		{"GRU", func(x [5]float64, w [2]float64) float64 {
			n, u := math.Tanh(x[0]+sigmoid(x[1])*x[3]), sigmoid(x[2])
			return w[0] * ((1-u)*n + u*x[4])
		}, func(z, before, w []float32) []float32 {
			GRU(z, before, make([]float32, 1))
			dz, dh := make([]float32, 4), w[:1]
			GRUGrad(dz, dh, z, before)
			return append(dz, dh[0])
		}},
		// m, which GRUReset makes and nothing here multiplies, has a weight of its own.
		{"GRUReset and GRUUpdate", func(x [5]float64, w [2]float64) float64 {
			n, u := math.Tanh(x[0]), sigmoid(x[2])
			return w[0]*((1-u)*n+u*x[4]) + w[1]*sigmoid(x[1])*x[4]
		}, func(z, before, w []float32) []float32 {
			GRUReset(z, before)
			GRUUpdate(z, before, make([]float32, 1))
			dz, dh := []float32{0, 0, 0, w[1]}, w[:1]
			GRUUpdateGrad(dz, dh, z, before)
			GRUResetGrad(dz, z, before)
			return append(dz[:3:3], 0, dh[0]+dz[3])
		}},
		{"LSTMPeephole", func(x [5]float64, w [2]float64) float64 {
			i, f := sigmoid(x[0]+float64(peepholes[0])*x[4]), sigmoid(x[1]+float64(peepholes[1])*x[4])
			c := f*x[4] + i*math.Tanh(x[2])
			return w[0]*sigmoid(x[3]+float64(peepholes[2])*c)*math.Tanh(c) + w[1]*c
		}, func(z, before, w []float32) []float32 {
			c, tc, h := make([]float32, 1), make([]float32, 1), make([]float32, 1)
			LSTMPeephole(z, peepholes, before, c, tc, h)
			dz, dc := make([]float32, 4), w[1:]
			LSTMPeepholeGrad(dz, dc, w[:1], z, peepholes, before, tc)
			return append(dz, dc[0])
		}},
	} {
		r := rand.New(rand.NewPCG(3, 4))
		for range 200 {
			var x [5]float64
			z, w := make([]float32, 5), []float32{tame(r), tame(r)}
			for k := range x {
				z[k] = tame(r)
				x[k] = float64(z[k])
			}
			weight := [2]float64{float64(w[0]), float64(w[1])}
			got := c.grad(z[:4], z[4:], w)
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

func BenchmarkRowKernels(b *testing.B) {
	const n = 150
	for _, c := range rowKernels {
		b.Run(c.name, func(b *testing.B) {
			var v [][]float32
			for _, a := range c.args {
				v = append(v, Alloc(a.blocks*n))
			}
			for b.Loop() {
				c.run(v)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/unit")
		})
	}
	z, v := Alloc(4*n), Alloc(n)
	b.Run("LSTM", func(b *testing.B) {
		for b.Loop() {
			LSTM(z, v, v, v, v)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/unit")
	})
}
