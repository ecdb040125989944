package kernel

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// products calls f with the sizes m, k, n of matrix products: all small ones, large ones with every tail, every
// width of each number of rows that go through several panels, and of more rows, sums long enough to be cut, and those of the examples.
func products(f func(m, k, n int)) {
	small, large, wide := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16}, []int{1, 28, 75, 151}, 170
	if testing.Short() {
		small, large, wide = []int{1, 2, 3, 5, 8}, []int{9, 31}, 40
	}
	for _, list := range [][]int{small, large} {
		for _, m := range list {
			for _, k := range list {
				for _, n := range list {
					f(m, k, n)
				}
			}
		}
	}
	for n := range wide {
		for _, m := range []int{1, 2, 3, 4, 5, 10} {
			f(m, 5, n+1)
		}
	}
	for _, k := range []int{384, 385, 800, 1201} {
		f(1, k, 21)
		f(7, k, 13)
	}
	f(38, 178, 150)
	f(203, 31, 150)
}

// checkProduct asserts that got is C + A·B: the bits of refProduct, and within the error bound of k products
// added in float32, (k+1)·2^-24 of the sum of their magnitudes.
func checkProduct(t *testing.T, got, c []float32, ldc, m, n, k int, a, b func(i, j int) float32, bounded bool) {
	t.Helper()
	want := slices.Clone(c)
	refProduct(want, ldc, m, n, k, a, b)
	same(t, want, got, "m %d, k %d, n %d", m, k, n)
	if !bounded {
		return
	}
	for i := range m {
		for j := range n {
			exact := float64(c[i*ldc+j])
			size := math.Abs(exact)
			for l := range k {
				p := float64(a(i, l)) * float64(b(l, j))
				exact += p
				size += math.Abs(p)
			}
			if d := math.Abs(float64(got[i*ldc+j]) - exact); d > float64(k+1)*0x1p-24*size {
				require.Failf(t, "inexact", "m %d, k %d, n %d: (%d,%d) is off by %g", m, k, n, i, j, d)
			}
		}
	}
}

func TestAffine(t *testing.T) {
	for name, fill := range fills {
		t.Run(name, func(t *testing.T) {
			products(func(m, k, n int) {
				mem := newMemory(t, uint64(m*k*n))
				split := mem.r.IntN(k + 1) // columns of X; H has the others
				x, h := mem.block("x", m, split, fill), mem.block("h", m, k-split, fill)
				if split == k {
					h = Block{}
				}
				w := mem.block("w", k, n, fill)
				var b Matrix
				b.Reset(k, n)
				b.SetRows(0, k, w.Data, w.Stride)
				var bias []float32
				if mem.r.IntN(3) > 0 {
					bias = mem.vector("bias", n, fill)
				}
				ldc := n + mem.r.IntN(4)
				c := mem.matrix("c", m, n, ldc, walls)
				start := slices.Clone(c)
				for i := range m {
					for j := range n {
						start[i*ldc+j] = 0
					}
					copy(start[i*ldc:], bias)
				}
				Affine(c, ldc, m, bias, x, h, &b)
				mem.check("c")
				joined := func(i, l int) float32 {
					if l < split {
						return x.Data[i*x.Stride+l]
					}
					return h.Data[i*h.Stride+l-split]
				}
				checkProduct(t, c, start, ldc, m, n, k, joined, rowMajor(w.Data, w.Stride), name == "tame")
				parts := slices.Clone(start)
				Affine(parts, ldc, m, bias, x, Block{}, &b)
				GemmRows(parts, ldc, m, h, split, &b)
				same(t, c, parts, "in two parts: m %d, k %d + %d, n %d", m, split, k-split, n)
			})
		})
	}
}

func TestGemm(t *testing.T) {
	for name, fill := range fills {
		t.Run(name, func(t *testing.T) {
			products(func(m, k, n int) {
				mem := newMemory(t, uint64(m*k*n))
				a, w := mem.block("a", m, k, fill), mem.block("w", n, k, fill)
				var b Matrix
				b.Reset(k, n)
				b.SetRowsT(0, k, w.Data, w.Stride)
				ldc := n + mem.r.IntN(4)
				c := mem.matrix("c", m, n, ldc, fill)
				start := slices.Clone(c)
				Gemm(c, ldc, m, a, &b)
				mem.check("c")
				checkProduct(t, c, start, ldc, m, n, k, rowMajor(a.Data, a.Stride), transposed(w.Data, w.Stride), name == "tame")
			})
		})
	}
}

func TestGemmT(t *testing.T) {
	for name, fill := range fills {
		t.Run(name, func(t *testing.T) {
			products(func(m, k, n int) {
				mem := newMemory(t, uint64(m*k*n))
				a, b := mem.block("a", k, m, fill), mem.block("b", k, n, fill)
				ldc := n + mem.r.IntN(4)
				c := mem.matrix("c", m, n, ldc, fill)
				start := slices.Clone(c)
				GemmT(c, ldc, m, n, k, a.Data, a.Stride, b.Data, b.Stride)
				mem.check("c")
				checkProduct(t, c, start, ldc, m, n, k, transposed(a.Data, a.Stride), rowMajor(b.Data, b.Stride), name == "tame")
			})
		})
	}
}

// TestEmptyProducts: no rows, or nothing to add.
func TestEmptyProducts(t *testing.T) {
	mem := newMemory(t, 1)
	x, bias, c := mem.block("x", 3, 5, tame), mem.vector("bias", 7, tame), mem.matrix("c", 3, 7, 9, tame)
	var b Matrix
	b.Reset(5, 7)
	b.SetRows(0, 5, mem.matrix("w", 5, 7, 7, tame), 7)
	Affine(c, 9, 0, bias, x, Block{}, &b)
	Gemm(c, 9, 0, x, &b)
	Gemm(c, 9, 3, Block{}, &b)
	GemmT(c, 9, 0, 7, 3, nil, 0, x.Data, x.Stride)
	GemmT(c, 9, 3, 7, 0, nil, 3, nil, 7)
	mem.check() // not even c

	Affine(c, 9, 3, bias, Block{}, Block{}, &b)
	mem.check("c")
	for i := range 3 {
		same(t, bias, c[i*9:][:7], "the bias alone")
	}
	Affine(c, 9, 3, nil, Block{}, Block{}, &b)
	for i := range 3 {
		same(t, make([]float32, 7), c[i*9:][:7], "nothing at all")
	}
}

// TestProductsUseTheFirstRows: B may have more rows than the operand has columns; the first ones count, as
// in a first step, where h is zero.
func TestProductsUseTheFirstRows(t *testing.T) {
	for _, n := range lengths {
		mem := newMemory(t, uint64(n))
		x, w := mem.block("x", 13, 9, tame), mem.block("w", 9, n, tame)
		var short, long Matrix
		short.Reset(9, n)
		short.SetRows(0, 9, w.Data, w.Stride)
		long.Reset(9+31, n)
		long.SetRows(0, 9, w.Data, w.Stride)
		long.SetRows(9, 31, mem.matrix("rest", 31, n, n, walls), n)
		want, got := Alloc(13*n), Alloc(13*n)
		Affine(want, n, 13, nil, x, Block{}, &short)
		Affine(got, n, 13, nil, x, Block{}, &long)
		same(t, want, got, "Affine, n %d", n)
		Gemm(want, n, 13, x, &short)
		Gemm(got, n, 13, x, &long)
		same(t, want, got, "Gemm, n %d", n)
	}
}
