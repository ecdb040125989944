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

// assembly is the functions of an instruction set; nil is one that the portable version stands for. Where
// a function takes pointers, n is the number of elements.
type assembly struct {
	affine  func(c []float32, ldc, m int, bias []float32, add bool, x, h Block, row int, b *Matrix)
	gemmT   func(c []float32, ldc, m, n, k int, a []float32, lda int, b []float32, ldb int)
	setRows func(m *Matrix, row, rows int, src []float32, stride int)

	exp, tanh, sigmoid, relu func(dst, src *float32, n int)
	tanhGrad, reluGrad       func(dst, grad, y *float32, n int)
	lstm                     func(z, cPrev, c, tc, h *float32, gap, n int)
	lstmGrad                 func(z, dz, cPrev, tc, dc, dh *float32, gap, n int)
	lstmPeephole             func(z, p, cPrev, c, tc, h *float32, gap, n int)
	lstmPeepholeGrad         func(z, dz, p, cPrev, tc, dc, dh *float32, gap, n int)
	gru, gruUpdate           func(z, hPrev, h *float32, gap, n int)
	gruReset                 func(z, hPrev *float32, gap, n int)
	gruGrad, gruUpdateGrad   func(z, dz, hPrev, dh *float32, gap, n int)
	gruResetGrad             func(z, dz, hPrev *float32, gap, n int)
	bernoulli                func(dst *float32, hit, miss float32, x, high, limit uint32, n int)
	mul                      func(dst, x, y *float32, n int)
	blend                    func(dst, a, b, m *float32, n int)
	add                      func(dst, x *float32, n int)
	addMul                   func(dst, x, y *float32, n int)
	scale                    func(dst *float32, s float32, n int)
	addScaled                func(dst, x *float32, s float32, n int)
	pixels                   func(dst *float32, stride int, src *uint8, rows, cols int)
	addColumns               func(dst, a *float32, stride, rows, n int)
	sum, squares             func(x *float32, n int) float64
	softmax                  func(dst, src *float32, n int) (top, sum float32)
	adam                     func(w, g, m, v *float32, beta1, rest1, beta2, rest2, step, root, eps float32, n int)
}
