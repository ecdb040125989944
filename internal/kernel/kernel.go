// Package kernel is the arithmetic of the library: matrix products, activations,
// gates, reductions and the Adam update, as plain functions on []float32.
//
// Layers call this package and nobody else's loops. The doc of a function is its scalar loop, and the
// portable version is that loop: every product is rounded to float32 before it is added (float32(a*b) + c),
// so that a compiler that fuses multiply and add on one platform gives the bits of one that does not. Every
// output element of a matrix product has one accumulator and k ascends, whatever the tile.
//
// On amd64 with AVX-512, or with AVX2 and FMA, the functions run in assembly, which internal/kernel/gen writes. There a
// product and the addition after it are rounded once (fused multiply-add); the order is the same: one chain an
// element, k ascending, which rests in C where a large product is cut. So the bits of the two are the same, but not
// those of the portable version. Which one runs is settled when a program starts; the environment variable GODEBUG
// rules sets out (cpu.avx512f=off, cpu.avx2=off), and -tags noasm builds without any.
//
// But for Alloc, Matrix.Reset and the memory into which large products are packed, which is kept, nothing in here
// allocates, and nothing starts a goroutine or checks shapes: the callers have. The matrix products check that their
// last element is there, because the assembly would not notice. Matrices are row-major; a leading dimension (lda,
// ldb, ldc) is the distance between the starts of two rows, in elements.
package kernel

import "unsafe"

// Align is the alignment, in bytes, of the memory that Alloc hands out: a cache
// line, and the width of the widest vector register.
const Align = 64

// Alloc returns n zeros that start on an Align boundary.
func Alloc(n int) []float32 {
	const lane = Align / 4
	raw := make([]float32, n+lane)
	skip := 0
	if off := uintptr(unsafe.Pointer(&raw[0])) % Align; off != 0 {
		skip = int(Align-off) / 4
	}
	return raw[skip : skip+n : skip+n]
}

// assembly is what computes in the place of the portable version. Where a function is nil, the portable version runs.
type assembly struct {
	kernels // written by internal/kernel/gen
	matrixProducts
}

// matrixProducts are the functions that cut matrices into the tiles that the assembly computes.
type matrixProducts struct {
	affine  func(c []float32, ldc, m int, bias []float32, add bool, x, h Block, row int, b *Matrix)
	gemmT   func(c []float32, ldc, m, n, k int, a []float32, lda int, b []float32, ldb int)
	setRows func(m *Matrix, row, rows int, src []float32, stride int)
}
