package kernel

import (
	"flag"
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var exhaustive = flag.Bool("exhaustive", false, "try exp, tanh and sigmoid on all 2^32 float32 (minutes)")

// functions are the curves under activations and gates, each with how far it may be off.
var functions = []struct {
	name   string
	limit  float64 // ulp
	run    func(dst, src []float32)
	exact  func(float64) float64
	lo, hi float32 // of the range
	low    float32 // from here down the result is lo ...
	high   float32 // ... and from here up it is hi
}{
	{"exp", 2, Exp, math.Exp, 0, inf, -104, 88.8},
	{"tanh", 2, Tanh, math.Tanh, -1, 1, -9.1, 9.1},
	{"sigmoid", 3, Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 0, 1, -104, 18},
}

// ulps returns how far got is from want, in units of the last place of a float32 as large as want. What is beyond
// the largest float32 counts as the power of two above it.
func ulps(got float32, want float64) float64 {
	const beyond = 0x1p128
	if float32(want) == got {
		return 0
	}
	clamp := func(x float64) float64 { return max(-beyond, min(beyond, x)) }
	unit := math.Ldexp(1, max(-126, min(127, math.Ilogb(want)))-23)
	if off := math.Abs(clamp(float64(got))-clamp(want)) / unit; off == off {
		return off
	}
	return math.Inf(1) // NaN on one side alone
}

func TestUlps(t *testing.T) {
	for _, c := range []struct {
		got        float32
		want, ulps float64
	}{
		{1, 1, 0}, {1 + 0x1p-23, 1, 1}, {1 - 0x1p-24, 1, 0.5}, {1.5, 1.5 + 0x1p-22, 2}, {-3, -3 - 0x1p-22, 1},
		{inf, 0x1p128, 0}, {inf, 1e300, 0}, {math.MaxFloat32, 1e300, 1}, {inf, 0x1p128 - 0x1p105, 2}, {-inf, 1e300, 0x1p25},
		{0, 0x1p-149, 1}, {0x1p-149, 0, 1}, {0x1p-126, 0x1p-126 - 0x1p-149, 1},
		{nan, 1, math.Inf(1)}, {1, math.NaN(), math.Inf(1)}, {1, 0, 0x1p149},
	} {
		assert.Equal(t, c.ulps, ulps(c.got, c.want), "%v for %v", c.got, c.want)
	}
}

// TestAccuracy goes through all exponents, or with -exhaustive through all numbers. Results below the
// smallest normal number may be 0.
func TestAccuracy(t *testing.T) {
	step := uint64(997)
	switch {
	case *exhaustive:
		step = 1
	case testing.Short():
		step = 30_011
	}
	for _, f := range functions {
		t.Run(f.name, func(t *testing.T) {
			workers := uint64(runtime.GOMAXPROCS(0))
			worst, where, wrong := make([]float64, workers), make([]float32, workers), make([]string, workers)
			var wait sync.WaitGroup
			for w := range workers {
				wait.Go(func() {
					src, dst := make([]float32, 0, 1021), make([]float32, 1021)
					for bits := w * step; bits < 1<<32 && wrong[w] == ""; {
						for src = src[:0]; len(src) < cap(src) && bits < 1<<32; bits += step * workers {
							src = append(src, math.Float32frombits(uint32(bits)))
						}
						f.run(dst, src)
						for i, x := range src {
							y, want := dst[i], f.exact(float64(x))
							switch off := ulps(y, want); {
							case x != x && y != y:
							case x != x, y < f.lo, y > f.hi, x <= f.low && y != f.lo, x >= f.high && y != f.hi:
								wrong[w] = fmt.Sprintf("%s(%v) = %v", f.name, x, y)
							case y == 0 && math.Abs(want) < 0x1p-126:
							case off > worst[w]:
								worst[w], where[w] = off, x
							}
						}
					}
				})
			}
			wait.Wait()
			most := 0
			for w := range worst {
				require.Empty(t, wrong[w])
				if worst[w] > worst[most] {
					most = w
				}
			}
			t.Logf("every %d-th number: at most %.3f ulp, at %v", step, worst[most], where[most])
			assert.LessOrEqual(t, worst[most], f.limit, "at %v (%08x)", where[most], math.Float32bits(where[most]))
		})
	}
}

// TestExactValues: zeros keep their sign, what is beyond the range is the limit, NaN is NaN.
func TestExactValues(t *testing.T) {
	in := []float32{0, negative, inf, -inf, nan, math.MaxFloat32, -math.MaxFloat32, 0x1p-149, -0x1p-149, 0x1p-126, -0x1p-126}
	out := make([]float32, len(in))
	for i, want := range [][]float32{
		{1, 1, inf, 0, nan, inf, 0, 1, 1, 1, 1},
		{0, negative, 1, -1, nan, 1, -1, flush(0x1p-149), flush(-0x1p-149), 0x1p-126, -0x1p-126},
		{0.5, 0.5, 1, 0, nan, 1, 0, 0.5, 0.5, 0.5, 0.5},
	} {
		f := functions[i]
		f.run(out, in)
		same(t, want, out, "%s of %v", f.name, in)
	}
}

// TestWhereFormulasChange compares with the reference, bit for bit, on every number about those from which on a
// function overflows, vanishes or is computed otherwise.
func TestWhereFormulasChange(t *testing.T) {
	for i, ref := range []func(float32) float32{refExp, refTanh, refSigmoid} {
		for _, x := range []float32{88.722839, 88.376263, 0.34657359, 0.625, 9.01, 9.1, 10, 87.336548, 88, 89, 103.9} {
			for _, x := range []float32{x, -x} {
				var src, dst, want [2001]float32
				for i := range src {
					src[i] = math.Float32frombits(math.Float32bits(x) + uint32(i) - 1000)
					want[i] = ref(src[i])
				}
				functions[i].run(dst[:], src[:])
				same(t, want[:], dst[:], "%s about %v", functions[i].name, x)
			}
		}
	}
}

// TestTanhIsOdd: the bits of tanh(-x) are those of tanh(x) but for the sign.
func TestTanhIsOdd(t *testing.T) {
	var x, y [2]float32
	for bits := uint32(0); bits < 0x7f800000; bits += 9973 {
		x = [2]float32{math.Float32frombits(bits), -math.Float32frombits(bits)}
		Tanh(y[:], x[:])
		same(t, []float32{-y[0]}, y[1:], "tanh(%v)", x[1])
	}
}

// TestLogAndGELU compares with float64: the logarithm, and the relative error of GELU that the comment of tail32 states.
func TestLogAndGELU(t *testing.T) {
	var x, y [1]float32
	for bits := uint32(0x00800000); bits < 0x7f800000; bits += 9973 {
		x[0] = math.Float32frombits(bits)
		Log(y[:], x[:])
		require.LessOrEqual(t, ulps(y[0], math.Log(float64(x[0]))), 2.0, "ln(%v)", x[0])
	}
	normal := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	one := []float32{1}
	for x[0] = -12; x[0] < 12; x[0] += 1. / 1024 {
		v := float64(x[0])
		off := 1e-6 + v*v/2*1e-7
		GELU(y[:], x[:])
		require.InDelta(t, v*normal(v), y[0], off*math.Abs(v)*normal(v), "GELU(%v)", v)
		GELUGrad(y[:], one, x[:])
		require.InDelta(t, normal(v)+v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi), y[0], 1e-6, "GELU'(%v)", v)
	}
	in := []float32{0, inf, -inf, nan, math.MaxFloat32, -math.MaxFloat32}
	out := make([]float32, len(in))
	GELU(out, in)
	same(t, []float32{0, inf, 0, nan, math.MaxFloat32, 0}, out, "GELU of %v", in)
	GELUGrad(out, []float32{1, 1, 1, 1, 1, 1}, in)
	same(t, []float32{0.5, 1, 0, nan, 1, 0}, out, "GELU' of %v", in)
	Log(out, []float32{0, inf, -inf, nan, 1, negative})
	same(t, []float32{-inf, inf, nan, nan, 0, -inf}, out, "logarithms")
}
