package kernel

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// elementwise are the kernels that treat each index alone. ref takes the values of the arguments at one index
// from before to after, exact does in float64, and adds how large what was rounded is.
var elementwise = []struct {
	name   string
	args   []string // the first outputs of them are written
	output int
	alias  bool // the first two may be the same memory
	run    func(v [][]float32)
	ref    func(v []float32)
	exact  func(v, size []float64)
}{
	{"Exp", []string{"dst", "src"}, 1, true,
		func(v [][]float32) { Exp(v[0], v[1]) },
		func(v []float32) { v[0] = refExp(v[1]) },
		func(v, size []float64) { v[0] = math.Exp(v[1]); size[0] = v[0] }},
	{"Tanh", []string{"dst", "src"}, 1, true,
		func(v [][]float32) { Tanh(v[0], v[1]) },
		func(v []float32) { v[0] = refTanh(v[1]) },
		func(v, size []float64) { v[0] = math.Tanh(v[1]); size[0] = math.Abs(v[0]) }},
	{"TanhGrad", []string{"dst", "grad", "y"}, 1, true,
		func(v [][]float32) { TanhGrad(v[0], v[1], v[2]) },
		func(v []float32) { v[0] = refTanhGrad(v[1], v[2]) },
		func(v, size []float64) {
			v[0] = v[1] * (1 - v[2]*v[2])
			size[0] = math.Abs(v[1]) * (1 + v[2]*v[2])
		}},
	{"Sigmoid", []string{"dst", "src"}, 1, true,
		func(v [][]float32) { Sigmoid(v[0], v[1]) },
		func(v []float32) { v[0] = refSigmoid(v[1]) },
		func(v, size []float64) { v[0] = 1 / (1 + math.Exp(-v[1])); size[0] = v[0] }},
	{"ReLU", []string{"dst", "src"}, 1, true,
		func(v [][]float32) { ReLU(v[0], v[1]) },
		func(v []float32) {
			if v[0] = v[1]; flush(v[1]) <= 0 {
				v[0] = 0
			}
		},
		func(v, size []float64) { v[0] = math.Max(v[1], 0) }},
	{"ReLUGrad", []string{"dst", "grad", "y"}, 1, true,
		func(v [][]float32) { ReLUGrad(v[0], v[1], v[2]) },
		func(v []float32) {
			if v[0] = flush(v[1]); flush(v[2]) <= 0 {
				v[0] = 0
			}
		},
		func(v, size []float64) {
			if v[0] = v[1]; v[2] <= 0 {
				v[0] = 0
			}
		}},
	{"Mul", []string{"dst", "x", "y"}, 1, true,
		func(v [][]float32) { Mul(v[0], v[1], v[2]) },
		func(v []float32) { v[0] = mul(v[1], v[2]) },
		func(v, size []float64) { v[0] = v[1] * v[2]; size[0] = math.Abs(v[0]) }},
	{"Blend", []string{"dst", "a", "b", "m"}, 1, true,
		func(v [][]float32) { Blend(v[0], v[1], v[2], v[3]) },
		func(v []float32) { v[0] = mulAdd(v[3], v[2], mul(sub(1, v[3]), v[1])) },
		func(v, size []float64) {
			v[0] = (1-v[3])*v[1] + v[3]*v[2]
			size[0] = (1+math.Abs(v[3]))*math.Abs(v[1]) + math.Abs(v[3]*v[2])
		}},
	{"BlendConst", []string{"dst", "a", "b"}, 1, true,
		func(v [][]float32) { BlendConst(v[0], v[1], v[2], 0.25) },
		func(v []float32) { v[0] = mulAdd(0.25, v[2], mul(0.75, v[1])) },
		func(v, size []float64) {
			v[0] = 0.75*v[1] + 0.25*v[2]
			size[0] = 0.75*math.Abs(v[1]) + 0.25*math.Abs(v[2])
		}},
	{"Add", []string{"dst", "x"}, 1, false,
		func(v [][]float32) { Add(v[0], v[1]) },
		func(v []float32) { v[0] = add(v[0], v[1]) },
		func(v, size []float64) { v[0] += v[1]; size[0] = math.Abs(v[0]) }},
	{"Scale", []string{"dst"}, 1, false,
		func(v [][]float32) { Scale(v[0], step) },
		func(v []float32) { v[0] = mul(v[0], step) },
		func(v, size []float64) { v[0] *= float64(step); size[0] = math.Abs(v[0]) }},
	{"AddScaled", []string{"dst", "x"}, 1, false,
		func(v [][]float32) { AddScaled(v[0], step, v[1]) },
		func(v []float32) { v[0] = mulAdd(step, v[1], v[0]) },
		func(v, size []float64) {
			size[0] = math.Abs(v[0]) + math.Abs(float64(step)*v[1])
			v[0] += float64(step) * v[1]
		}},
	{"AddMul", []string{"dst", "x", "y"}, 1, false,
		func(v [][]float32) { AddMul(v[0], v[1], v[2]) },
		func(v []float32) { v[0] = mulAdd(v[1], v[2], v[0]) },
		func(v, size []float64) {
			size[0] = math.Abs(v[0]) + math.Abs(v[1]*v[2])
			v[0] += v[1] * v[2]
		}},
	{"Adam", []string{"w", "m", "v", "g"}, 3, false,
		func(v [][]float32) { Adam(v[0], v[3], v[1], v[2], beta1, 1-beta1, beta2, 1-beta2, step, root, eps) },
		func(v []float32) {
			v[0], v[1], v[2] = refAdam(v[0], v[3], v[1], v[2], beta1, 1-beta1, beta2, 1-beta2, step, root, eps)
		}, nil}, // see TestAdam
	{"SigmoidGrad", []string{"dst", "grad", "y"}, 1, true,
		func(v [][]float32) { SigmoidGrad(v[0], v[1], v[2]) },
		func(v []float32) { v[0] = mul(v[1], refSigmoidSlope(v[2])) },
		func(v, size []float64) {
			v[0] = v[1] * v[2] * (1 - v[2])
			size[0] = math.Abs(v[1]*v[2]) * (1 + math.Abs(v[2]))
		}},
	{"Plus", []string{"dst", "x", "y"}, 1, true,
		func(v [][]float32) { Plus(v[0], v[1], v[2]) },
		func(v []float32) { v[0] = add(v[1], v[2]) },
		func(v, size []float64) { v[0] = v[1] + v[2]; size[0] = math.Abs(v[0]) }},
	{"Sub", []string{"dst", "x", "y"}, 1, true,
		func(v [][]float32) { Sub(v[0], v[1], v[2]) },
		func(v []float32) { v[0] = sub(v[1], v[2]) },
		func(v, size []float64) { v[0] = v[1] - v[2]; size[0] = math.Abs(v[0]) }},
	{"Div", []string{"dst", "x", "y"}, 1, true,
		func(v [][]float32) { Div(v[0], v[1], v[2]) },
		func(v []float32) { v[0] = div(v[1], v[2]) },
		func(v, size []float64) { v[0] = v[1] / v[2]; size[0] = math.Abs(v[0]) }},
	{"Scaled", []string{"dst", "x"}, 1, true,
		func(v [][]float32) { Scaled(v[0], step, v[1]) },
		func(v []float32) { v[0] = mul(step, v[1]) },
		func(v, size []float64) { v[0] = float64(step) * v[1]; size[0] = math.Abs(v[0]) }},
	{"PlusScaled", []string{"dst", "x", "y"}, 1, true,
		func(v [][]float32) { PlusScaled(v[0], v[1], step, v[2]) },
		func(v []float32) { v[0] = mulAdd(step, v[2], v[1]) },
		func(v, size []float64) {
			v[0] = v[1] + float64(step)*v[2]
			size[0] = math.Abs(v[1]) + math.Abs(float64(step)*v[2])
		}},
	{"Log", []string{"dst", "src"}, 1, true,
		func(v [][]float32) { Log(v[0], v[1]) },
		func(v []float32) { v[0] = refLog(v[1]) },
		func(v, size []float64) { v[0] = math.Log(v[1]); size[0] = math.Abs(v[0]) }},
	{"GELU", []string{"dst", "src"}, 1, true,
		func(v [][]float32) { GELU(v[0], v[1]) },
		func(v []float32) {
			a, q := refTail(v[1])
			v[0] = mulAdd(-float32(math.Abs(float64(a))), q, flush(max(v[1], 0)))
		},
		func(v, size []float64) { v[0] = v[1] * math.Erfc(-v[1]/math.Sqrt2) / 2; size[0] = 4 * math.Abs(v[1]) }},
	{"GELUGrad", []string{"dst", "grad", "x"}, 1, true,
		func(v [][]float32) { GELUGrad(v[0], v[1], v[2]) },
		func(v []float32) {
			x, below := refTail(v[2])
			if x > 0 {
				below = sub(1, below)
			}
			density := mul(refExp(mul(mul(x, x), -0.5)), 0.39894228040143268)
			v[0] = mul(v[1], mulAdd(x, density, below))
		},
		func(v, size []float64) {
			v[0] = v[1] * (math.Erfc(-v[2]/math.Sqrt2)/2 + v[2]*math.Exp(-v[2]*v[2]/2)/math.Sqrt(2*math.Pi))
			size[0] = 4 * math.Abs(v[1])
		}},
	{"AddConstant", []string{"dst"}, 1, false,
		func(v [][]float32) { AddConstant(v[0], step) },
		func(v []float32) { v[0] = add(v[0], step) },
		func(v, size []float64) { v[0] += float64(step); size[0] = math.Abs(v[0]) }},
	{"Sqrt", []string{"dst", "src"}, 1, true,
		func(v [][]float32) { Sqrt(v[0], v[1]) },
		func(v []float32) { v[0] = squareRoot(v[1]) }, nil},
	{"SqrtGrad", []string{"dst", "grad", "y"}, 1, false,
		func(v [][]float32) { SqrtGrad(v[0], v[1], v[2]) },
		func(v []float32) {
			if v[0] = 0; flush(v[1]) != 0 {
				v[0] = div(v[1], mul(2, v[2]))
			}
		},
		func(v, size []float64) { v[0] = v[1] / (2 * v[2]); size[0] = math.Abs(v[0]) }},
	{"Abs", []string{"dst", "src"}, 1, true,
		func(v [][]float32) { Abs(v[0], v[1]) },
		func(v []float32) { v[0] = flush(abs32(v[1])) },
		func(v, size []float64) { v[0] = math.Abs(v[1]) }},
	{"AbsGrad", []string{"dst", "grad", "x"}, 1, true,
		func(v [][]float32) { AbsGrad(v[0], v[1], v[2]) },
		func(v []float32) {
			switch x, grad := flush(v[2]), flush(v[1]); {
			case x > 0:
				v[0] = grad
			case x < 0:
				v[0] = -grad
			default:
				v[0] = 0
			}
		},
		func(v, size []float64) { v[0] = math.Copysign(1, v[2]) * v[1] }},
	{"Limit", []string{"dst", "src"}, 1, true,
		func(v [][]float32) { Limit(v[0], v[1], -0.5, 0.75) },
		func(v []float32) { v[0] = min(max(flush(v[1]), -0.5), 0.75) },
		func(v, size []float64) { v[0] = min(max(v[1], -0.5), 0.75) }},
	{"LimitGrad", []string{"dst", "grad", "x"}, 1, false,
		func(v [][]float32) { LimitGrad(v[0], v[1], v[2], -0.5, 0.75) },
		func(v []float32) {
			if v[0] = 0; -0.5 <= v[2] && v[2] <= 0.75 {
				v[0] = flush(v[1])
			}
		},
		func(v, size []float64) {
			if v[0] = 0; -0.5 <= v[2] && v[2] <= 0.75 {
				v[0] = v[1]
			}
		}},
	{"Maximum", []string{"dst", "a", "b"}, 1, true,
		func(v [][]float32) { Maximum(v[0], v[1], v[2]) },
		func(v []float32) { v[0] = refExtreme(v[1], v[2], max(flush(v[1]), flush(v[2]))) },
		func(v, size []float64) { v[0] = max(v[1], v[2]) }},
	{"Minimum", []string{"dst", "a", "b"}, 1, true,
		func(v [][]float32) { Minimum(v[0], v[1], v[2]) },
		func(v []float32) { v[0] = refExtreme(v[1], v[2], min(flush(v[1]), flush(v[2]))) },
		func(v, size []float64) { v[0] = min(v[1], v[2]) }},
	{"AddWhereLarger", []string{"dst", "grad", "a", "b"}, 1, false,
		func(v [][]float32) { AddWhereLarger(v[0], v[1], v[2], v[3]) },
		func(v []float32) {
			switch a, b := flush(v[2]), flush(v[3]); {
			case a > b:
				v[0] = add(v[0], v[1])
			case a == b:
				v[0] = add(v[0], mul(v[1], 0.5))
			case lanes > 0:
				v[0] = add(v[0], 0)
			}
		},
		func(v, size []float64) {
			if v[2] > v[3] {
				v[0] += v[1]
			}
			size[0] = math.Abs(v[0])
		}},
	{"Clamp", []string{"x"}, 1, false,
		func(v [][]float32) { Clamp(v[0], step) },
		func(v []float32) { v[0] = min(max(flush(v[0]), -step), step) },
		func(v, size []float64) { v[0] = max(-float64(step), min(v[0], float64(step))) }},
	{"ScaleByRMS", []string{"u", "v", "g"}, 2, false,
		func(v [][]float32) { ScaleByRMS(v[0], v[2], v[1], beta1, 1-beta1, eps) },
		func(v []float32) {
			v[1] = mulAdd(beta1, v[1], mul(1-beta1, mul(v[2], v[2])))
			v[0] = div(v[2], add(squareRoot(v[1]), eps))
		}, nil}, // see TestOptimizers
	{"ScaleByDeviation", []string{"u", "v", "m", "g"}, 3, false,
		func(v [][]float32) { ScaleByDeviation(v[0], v[3], v[1], v[2], beta1, 1-beta1, eps) },
		func(v []float32) {
			v[1], v[2] = mulAdd(beta1, v[1], mul(1-beta1, mul(v[3], v[3]))), mulAdd(beta1, v[2], mul(1-beta1, v[3]))
			v[0] = div(v[3], add(squareRoot(max(mulAdd(-v[2], v[2], v[1]), 0)), eps))
		}, nil},
	{"Lion", []string{"w", "m", "g"}, 2, false,
		func(v [][]float32) { Lion(v[0], v[2], v[1], beta1, 1-beta1, beta2, 1-beta2, step) },
		func(v []float32) {
			switch c := mulAdd(beta1, v[1], mul(1-beta1, v[2])); {
			case c > 0:
				v[0] = sub(v[0], step)
			case c < 0:
				v[0] = add(v[0], step)
			default:
				v[0] = add(v[0], c)
			}
			v[1] = mulAdd(beta2, v[1], mul(1-beta2, v[2]))
		}, nil},
	{"Momentum", []string{"w", "b", "g"}, 2, false,
		func(v [][]float32) { Momentum(v[0], v[2], v[1], beta1, 1-beta1, step) },
		func(v []float32) {
			v[1] = mulAdd(1-beta1, v[2], mul(beta1, v[1]))
			v[0] = mulAdd(-step, v[1], v[0])
		}, nil},
	{"Nesterov", []string{"w", "b", "g"}, 2, false,
		func(v [][]float32) { Nesterov(v[0], v[2], v[1], beta1, 1-beta1, step, step*beta1) },
		func(v []float32) {
			v[1] = mulAdd(1-beta1, v[2], mul(beta1, v[1]))
			v[0] = mulAdd(-step*beta1, v[1], mulAdd(-step, v[2], v[0]))
		}, nil},
}

func TestElementwise(t *testing.T) {
	for _, c := range elementwise {
		for name, fill := range fills {
			t.Run(c.name+" "+name, func(t *testing.T) {
				for _, n := range append([]int{0}, lengths...) {
					for _, alias := range []bool{false, true}[:1+btoi(c.alias)] {
						mem := newMemory(t, uint64(n))
						v := make([][]float32, len(c.args))
						for i, arg := range c.args {
							v[i] = mem.vector(arg, n, fill)
						}
						if alias {
							v[1] = v[0]
						}
						before := make([][]float32, len(v))
						for i := range v {
							before[i] = slices.Clone(v[i])
						}
						c.run(v)
						mem.check(c.args[:c.output]...)

						want := make([][]float32, c.output)
						for i := range n {
							e := make([]float32, len(v))
							for k := range v {
								e[k] = before[k][i]
							}
							if name == "tame" && c.exact != nil {
								exact, size := make([]float64, len(v)), make([]float64, len(v))
								for k := range v {
									exact[k] = float64(e[k])
								}
								c.exact(exact, size)
								for k := range c.output {
									require.InDelta(t, exact[k], v[k][i], 6*0x1p-24*size[k], "%s of %v", c.args[k], e)
								}
							}
							c.ref(e)
							for k := range want {
								want[k] = append(want[k], e[k])
							}
						}
						for k := range want {
							same(t, want[k], v[k], "%s of %d, alias %v", c.args[k], n, alias)
						}
					}
				}
			})
		}
	}
}

// refExtreme is most, the larger or the smaller of a and b. Where both are zeros, the assembly takes a, whatever the signs.
func refExtreme(a, b, most float32) float32 {
	if lanes > 0 && flush(a) == 0 && flush(b) == 0 {
		return flush(a)
	}
	return most
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestAddMulSquare: the operands may be the same.
func TestAddMulSquare(t *testing.T) {
	for _, n := range lengths {
		mem := newMemory(t, uint64(n))
		dst, x := mem.vector("dst", n, tame), mem.vector("x", n, tame)
		want := slices.Clone(dst)
		for i := range want {
			want[i] = mulAdd(x[i], x[i], want[i])
		}
		AddMul(dst, x, x)
		mem.check("dst")
		same(t, want, dst, "%d", n)
	}
}

// TestOntoSecondOperand: dst may be y of Mul and b of Blend too.
func TestOntoSecondOperand(t *testing.T) {
	for _, n := range lengths {
		mem := newMemory(t, uint64(n))
		x, m := mem.vector("x", n, wild), mem.vector("m", n, wild)
		dst, blended := mem.vector("dst", n, wild), mem.vector("blended", n, wild)
		product, blend := slices.Clone(dst), slices.Clone(blended)
		for i := range n {
			product[i] = mul(product[i], x[i])
			blend[i] = mulAdd(m[i], blend[i], mul(sub(1, m[i]), x[i]))
		}
		Mul(dst, x, dst)
		Blend(blended, x, blended, m)
		mem.check("dst", "blended")
		same(t, product, dst, "Mul of %d", n)
		same(t, blend, blended, "Blend of %d", n)
	}
}
