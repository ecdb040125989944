package kernel

import (
	"slices"
	"testing"
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
				for _, n := range lengths {
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
