// Package kernel is the arithmetic of the library: matrix products, activations, gates, reductions and optimizer steps,
// as plain functions on []float32.
//
// Layers call these functions and have no such loops of their own. The doc comment of a function is its scalar loop, and
// the portable version is that loop. There every product is rounded to float32 before it is added (float32(a*b) + c), because some
// compilers would fuse the two; so all platforms give the same bits. Every element of a matrix product is one sum in
// which k ascends, whatever the tile.
//
// On amd64 with AVX-512, or with AVX2 and FMA, most functions run in assembly, which internal/kernel/gen writes. There a
// product and the addition after it are rounded once (fused multiply-add), in the same order: one chain per element, k
// ascending, which rests in C where a large product is cut. So the two instruction sets give the same bits, which differ
// from the bits of the portable version. The instruction set is chosen when a program starts. The environment variable
// GODEBUG excludes sets (cpu.avx512f=off, cpu.avx2=off), and a build with -tags noasm has no assembly. There is none for
// other processors, such as arm64: the portable version runs there, and no control register is touched.
//
// To the assembly denormal numbers are zero: a denormal operand counts as 0, and a result that would be denormal is 0, with its sign. Gradients that vanish
// would otherwise become denormal, and some processors take a hundred times as long for such numbers. The functions that only move numbers leave them as they
// are: Matrix.SetRows, Bernoulli, MaxColumns. The portable version computes with denormal numbers, as all Go code does. Each function of the assembly sets the
// processor to this mode, and back to Go's before it returns, also for one row, whose bits so are those of the same row in a batch.
//
// Only Alloc, Matrix.Reset and large products allocate; the products keep the memory into which they pack. Nothing starts
// a goroutine, and nothing checks shapes, which is the task of the callers. The matrix products check that the last
// element of each operand exists, since the assembly would read past it. Matrices are row-major; a leading dimension
// (lda, ldb, ldc) is the distance between the starts of two rows, in elements.
package kernel

import "unsafe"

// Align is the alignment, in bytes, of the memory that Alloc returns: a cache line, and the width of the widest vector
// register.
const Align = 64

// Alloc returns n zeros whose address is a multiple of Align.
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
