package kernel

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAddColumns(t *testing.T) {
	for name, fill := range fills {
		t.Run(name, func(t *testing.T) {
			for _, rows := range append([]int{0}, lengths...) {
				for _, n := range lengths {
					mem := newMemory(t, uint64(rows*n))
					dst, a := mem.vector("dst", n, fill), mem.block("a", rows, n, fill)
					want := slices.Clone(dst)
					exact, size := make([]float64, n), make([]float64, n)
					for j := range n {
						exact[j], size[j] = float64(dst[j]), math.Abs(float64(dst[j]))
						for i := range rows {
							v := a.Data[i*a.Stride+j]
							want[j] = add(want[j], v)
							exact[j] += float64(v)
							size[j] += math.Abs(float64(v))
						}
					}
					AddColumns(dst, a.Data, a.Stride, rows)
					mem.check("dst")
					same(t, want, dst, "%d rows of %d", rows, n)
					for j := range exact {
						if name == "tame" {
							require.InDelta(t, exact[j], dst[j], float64(rows)*0x1p-24*size[j])
						}
					}
				}
			}
		})
	}
}

func TestNormAndSum(t *testing.T) {
	for name, fill := range fills {
		for _, n := range append([]int{0, 1000, 12_345}, lengths...) {
			mem := newMemory(t, uint64(n))
			x := mem.vector("x", n, fill)
			norm, sum, hypot, total, size := Norm(x), Sum(x), 0.0, 0.0, 0.0
			mem.check()
			for _, v := range x {
				hypot = math.Hypot(hypot, float64(v))
				total += float64(v)
				size += math.Abs(float64(v))
			}
			bits := func(want, got float64, what string) {
				if want == want || got == got {
					require.Equal(t, math.Float64bits(want), math.Float64bits(got), "%s of %d %s values: %g, want %g",
						what, n, name, got, want)
				}
			}
			bits(math.Sqrt(refSum(x, func(v float64) float64 { return v * v })), norm, "Norm")
			bits(refSum(x, func(v float64) float64 { return v }), sum, "Sum")
			if name == "tame" {
				require.InDelta(t, hypot, norm, 1e-12*hypot, "%d", n)
				require.InDelta(t, total, sum, 1e-12*size, "%d", n)
			}
		}
	}
}

// TestNormRange: squares of float32 neither overflow nor vanish in float64.
func TestNormRange(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 31, 1 << 16} {
		x := make([]float32, n)
		for _, v := range []float32{math.MaxFloat32, -math.MaxFloat32, 0x1p-126, 3, 0} {
			for i := range x {
				x[i] = v
			}
			want := math.Abs(float64(v)) * math.Sqrt(float64(n))
			assert.InDelta(t, want, Norm(x), 1e-12*want, "%d times %g", n, v)
			assert.InDelta(t, float64(v)*float64(n), Sum(x), 1e-12*want*float64(n), "%d times %g", n, v)
		}
		for _, place := range []int{0, n / 2, n - 1} {
			clear(x)
			x[place] = nan
			assert.True(t, math.IsNaN(Norm(x)) && math.IsNaN(Sum(x)), "NaN at %d of %d", place, n)
			x[place] = inf
			assert.True(t, math.IsInf(Norm(x), 1) && math.IsInf(Sum(x), 1), "Inf at %d of %d", place, n)
			x[place] = -inf
			assert.True(t, math.IsInf(Norm(x), 1) && math.IsInf(Sum(x), -1), "-Inf at %d of %d", place, n)
		}
	}
}

// TestSumKeepsSmallValues: what float32 would swallow.
func TestSumKeepsSmallValues(t *testing.T) {
	assert.Equal(t, 2.0, Sum([]float32{0x1p25, 1, 1, -0x1p25}))
	x := make([]float32, 1<<20)
	for i := range x {
		x[i] = 0.1
	}
	assert.Equal(t, float64(float32(0.1))*(1<<20), Sum(x))
}

// TestMaxColumns: the first NaN of a column, or else the first of its largest numbers, to the bit. Among denormal numbers and zeros, which are equal to the
// assembly, it is one of them.
func TestMaxColumns(t *testing.T) {
	for name, fill := range fills {
		for _, n := range lengths {
			for _, rows := range []int{1, 2, 5} {
				mem := newMemory(t, uint64(rows*n))
				x, dst := mem.vector("x", rows*n, fill), mem.vector("dst", n, walls)
				MaxColumns(dst, x, rows)
				mem.check("dst")
				want := make([]float32, n)
				for j := range want {
					want[j] = x[j]
					for k := 1; k < rows; k++ {
						if v := x[k*n+j]; want[j] == want[j] && (v != v || flush(v) > flush(want[j])) {
							want[j] = v
						}
					}
				}
				same(t, want, dst, "%d rows of %d %s numbers", rows, n, name)
			}
		}
	}
}

// TestMaxColumnsGrad: the gradient goes to the first element of a column that equals the maximum, or is NaN, to the bit.
func TestMaxColumnsGrad(t *testing.T) {
	for name, fill := range fills {
		for _, n := range lengths {
			for _, rows := range []int{1, 2, 5} {
				mem := newMemory(t, uint64(rows*n))
				x, dx := mem.vector("x", rows*n, fill), mem.vector("dx", rows*n, fill)
				y, grad := mem.vector("y", n, walls), mem.vector("grad", n, fill)
				for j := 0; j < n; j += 3 { // columns with two that are the largest
					copy(x[(rows-1)*n+j:][:1], x[j:])
				}
				MaxColumns(y, x, rows)
				want := slices.Clone(dx)
				for j := range n {
					found := false
					for k := range rows {
						switch v, d := x[k*n+j], &want[k*n+j]; {
						case !found && (v != v || flush(v) == flush(y[j])):
							*d, found = add(*d, grad[j]), true
						case lanes > 0:
							*d = add(*d, 0)
						}
					}
				}
				MaxColumnsGrad(dx, grad, x, y, rows)
				mem.check("dx", "x", "y")
				same(t, want, dx, "%d rows of %d %s numbers", rows, n, name)
			}
		}
	}
}
