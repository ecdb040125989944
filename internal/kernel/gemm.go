package kernel

// Affine computes C = bias + X·B[:X.Cols] + H·B[X.Cols:] for the m rows of C [m,N], X [m,X.Cols] and H [m,H.Cols]. A
// recurrent layer calls it for a step, and a dense layer with the zero Block as H. A nil bias is zeros.
//
//	for i := range m { for j := range b.N {
//		s := bias[j]
//		for k := range x.Cols { s += x[i][k] * b[k][j] }
//		for k := range h.Cols { s += h[i][k] * b[x.Cols+k][j] }
//		c[i*ldc+j] = s
//	} }
//
// C must not overlap the operands.
func Affine(c []float32, ldc, m int, bias []float32, x, h Block, b *Matrix) {
	if asm.affine != nil {
		asm.affine(c, ldc, m, bias, false, x, h, 0, b)
		return
	}
	for i := range m {
		row := c[i*ldc:][:b.N]
		if bias == nil {
			clear(row)
		} else {
			copy(row, bias)
		}
	}
	gemm(c, ldc, m, x, 0, b)
	gemm(c, ldc, m, h, x.Cols, b)
}

// Gemm computes C += A·B for the m rows of C [m,N] and A [m,A.Cols], summed in the order of [Affine].
func Gemm(c []float32, ldc, m int, a Block, b *Matrix) { GemmRows(c, ldc, m, a, 0, b) }

// GemmRows computes C += A·B[row:row+A.Cols] for the m rows of C and A, summed in the order of [Affine]: Affine of X
// alone, followed by GemmRows of H from row X.Cols on, gives the same bits as Affine of X and H.
func GemmRows(c []float32, ldc, m int, a Block, row int, b *Matrix) {
	if a.Cols == 0 {
		return
	}
	if asm.affine != nil {
		asm.affine(c, ldc, m, nil, true, a, Block{}, row, b)
		return
	}
	gemm(c, ldc, m, a, row, b)
}

// GemmT computes C += Aᵀ·B for row-major C [m,n], A [k,m] and B [k,n], none of them packed. It is the product of the
// gradient of weights, where k counts the rows of all steps.
//
//	for i := range m { for j := range n {
//		for l := range k { c[i*ldc+j] += a[l*lda+i] * b[l*ldb+j] }
//	} }
//
// C must not overlap the operands.
func GemmT(c []float32, ldc, m, n, k int, a []float32, lda int, b []float32, ldb int) {
	if asm.gemmT != nil {
		asm.gemmT(c, ldc, m, n, k, a, lda, b, ldb)
		return
	}
	gemmT(c, ldc, m, n, k, a, lda, b, ldb)
}

// gemm is the portable version of [GemmRows].
func gemm(c []float32, ldc, m int, a Block, row int, b *Matrix) {
	for i := range m {
		addRows(c[i*ldc:][:b.N], a.Data[i*a.Stride:][:a.Cols], 1, b.data[row*b.N:], b.N)
	}
}

// gemmT is the portable version of [GemmT]. It goes through k in strips, so that the rows of B of a strip, which every row
// of C needs, stay in the L1 cache.
func gemmT(c []float32, ldc, m, n, k int, a []float32, lda int, b []float32, ldb int) {
	const strip = 32
	for l := 0; l < k; l += strip {
		rows := min(strip, k-l)
		for i := range m {
			addRows(c[i*ldc:][:n], a[l*lda+i:][:(rows-1)*lda+1], lda, b[l*ldb:], ldb)
		}
	}
}

// addRows adds x[0]·B[0], x[step]·B[1], ... to c, in that order, with four rows of B in one pass over c. A tile of sums
// in registers would load and store less, but the compiler spills registers or checks bounds there, and it is no faster.
func addRows(c, x []float32, step int, b []float32, ldb int) {
	for ; len(x) > 3*step; x, b = x[min(4*step, len(x)):], b[min(4*ldb, len(b)):] {
		x0, x1, x2, x3 := x[0], x[step], x[2*step], x[3*step]
		b0, b1, b2, b3 := b[:len(c)], b[ldb:][:len(c)], b[2*ldb:][:len(c)], b[3*ldb:][:len(c)]
		for j, s := range c {
			s += float32(x0 * b0[j])
			s += float32(x1 * b1[j])
			s += float32(x2 * b2[j])
			s += float32(x3 * b3[j])
			c[j] = s
		}
	}
	for ; len(x) > 0; x, b = x[min(step, len(x)):], b[min(ldb, len(b)):] {
		x0, b0 := x[0], b[:len(c)]
		for j := range c {
			c[j] += float32(x0 * b0[j])
		}
	}
}
