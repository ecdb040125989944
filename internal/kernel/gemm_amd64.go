//go:build !noasm

package kernel

import "golang.org/x/sys/cpu"

//go:generate sh -c "cd gen && go run . -out ../kernel_amd64.s -stubs ../kernel_stubs_amd64.go -pkg kernel"

// haveAVX2 chooses the kernels, once.
var haveAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA

const (
	lanes     = 8 // float32 in a register
	panelAVX2 = 16
	tileRows  = 6

	// Larger products are cut so that a panel of kc rows of B stays in the L1 cache and rows x kc of A in the
	// L2. Each element of C is one chain of fused multiply-adds over k all the same: it rests in C, exactly,
	// between two blocks. Both are constants, so that the order never depends on anything but the shape.
	blockK    = 384
	blockRows = 96
)

// masks[8-n:] begins with n lanes switched on.
var masks = [2 * lanes]int32{-1, -1, -1, -1, -1, -1, -1, -1}

// tail returns the mask of what is left of n elements after whole registers.
func tail(n int) *int32 { return &masks[lanes-n%lanes] }

var zeroRow [panelAVX2]float32

type gemmFunc = func(c *float32, ldc int, init *float32, ldi int, x *float32, ldx int, kx int, h *float32, ldh int, kh int, b *float32, tiles int, mask *int32)

type gemmTFunc = func(c *float32, ldc int, a *float32, lda int, b *float32, ldb int, k int, tiles int, mask *int32)

// By rows less one, and by width: 16 columns; 9 to 16; 1 to 8.
var (
	gemmTiles = [tileRows][3]gemmFunc{
		{gemm1x16, gemm1x16m, gemm1x8m}, {gemm2x16, gemm2x16m, gemm2x8m}, {gemm3x16, gemm3x16m, gemm3x8m},
		{gemm4x16, gemm4x16m, gemm4x8m}, {gemm5x16, gemm5x16m, gemm5x8m}, {gemm6x16, gemm6x16m, gemm6x8m},
	}
	gemmTTiles = [tileRows][3]gemmTFunc{
		{gemmT1x16, gemmT1x16m, gemmT1x8m}, {gemmT2x16, gemmT2x16m, gemmT2x8m}, {gemmT3x16, gemmT3x16m, gemmT3x8m},
		{gemmT4x16, gemmT4x16m, gemmT4x8m}, {gemmT5x16, gemmT5x16m, gemmT5x8m}, {gemmT6x16, gemmT6x16m, gemmT6x8m},
	}
)

// shapeOf returns which kernel computes the columns from j on of n, and the mask of its last register.
func shapeOf(j, n int) (kind int, mask *int32) {
	switch rest := n - j; {
	case rest >= panelAVX2:
		return 0, nil
	case rest > lanes:
		return 1, &masks[2*lanes-rest]
	default:
		return 2, &masks[lanes-rest]
	}
}

// balanced cuts m rows into tiles of at most tileRows, as even as can be: more of rows+1, then less of rows.
func balanced(m int) (rows, more, less int) {
	tiles := (m + tileRows - 1) / tileRows
	rows = m / tiles
	more = m % tiles
	return rows, more, tiles - more
}

// affineAVX2 is Affine where init is a row of biases, and Gemm where add is set.
func affineAVX2(c []float32, ldc, m int, bias []float32, add bool, x, h Block, b *Matrix) {
	if m == 0 || b.N == 0 {
		return
	}
	_ = c[(m-1)*ldc+b.N-1]
	x.check(m)
	h.check(m)
	if m == 1 {
		gemv(c[:b.N], bias, add, x, h, b)
		return
	}
	if x.Cols+h.Cols <= blockK {
		blockAVX2(c, ldc, m, bias, add, x, h, 0, b)
		return
	}
	row := 0
	for _, part := range [2]Block{x, h} {
		for k := 0; k < part.Cols; k += blockK {
			cols := min(blockK, part.Cols-k)
			blockAVX2(c, ldc, m, bias, add, Block{part.Data[k:], part.Stride, cols}, Block{}, row, b)
			row += cols
			add = true
		}
	}
}

func (b Block) check(m int) {
	if b.Cols > 0 {
		_ = b.Data[(m-1)*b.Stride+b.Cols-1]
	}
}

func (b Block) at(row int) *float32 {
	if b.Cols == 0 {
		return &zeroRow[0]
	}
	return &b.Data[row*b.Stride]
}

// blockAVX2 is affineAVX2 for no more than blockK columns of x and h, which begin at that row of B.
func blockAVX2(c []float32, ldc, m int, bias []float32, add bool, x, h Block, row int, b *Matrix) {
	for i := 0; i < m; i += blockRows {
		height := min(blockRows, m-i)
		rows, more, less := balanced(height)
		for j := 0; j < b.N; j += panelAVX2 {
			kind, mask := shapeOf(j, b.N)
			panel := &b.data[j*b.K+row*b.width(j)]
			init, ldi := &zeroRow[0], 0
			if bias != nil {
				init = &bias[j]
			}
			at := i
			for _, part := range [2]struct{ rows, tiles int }{{rows + 1, more}, {rows, less}} {
				if part.tiles == 0 {
					continue
				}
				to := &c[at*ldc+j]
				if add {
					init, ldi = to, ldc
				}
				gemmTiles[part.rows-1][kind](to, 4*ldc, init, 4*ldi, x.at(at), 4*x.Stride, x.Cols, h.at(at), 4*h.Stride, h.Cols, panel, part.tiles, mask)
				at += part.rows * part.tiles
			}
		}
	}
}

// gemv is one row of C: up to ten registers of it at a time.
func gemv(c, bias []float32, add bool, x, h Block, b *Matrix) {
	const group = 5 * panelAVX2
	var sums [group]float32
	for j := 0; j < b.N; j += group {
		n := min(group, b.N-j)
		switch {
		case add:
			copy(sums[:], c[j:])
		case bias != nil:
			copy(sums[:], bias[j:])
		default:
			clear(sums[:])
		}
		gemvGroup((n+lanes-1)/lanes, &sums[0], x.at(0), x.Cols, h.at(0), h.Cols, &b.data[j*b.K], 4*panelAVX2*b.K)
		copy(c[j:j+n], sums[:])
	}
}

func gemvGroup(vectors int, c, x *float32, kx int, h *float32, kh int, b *float32, panel int) {
	switch vectors {
	case 1:
		gemv1(c, x, kx, h, kh, b, panel)
	case 2:
		gemv2(c, x, kx, h, kh, b, panel)
	case 3:
		gemv3(c, x, kx, h, kh, b, panel)
	case 4:
		gemv4(c, x, kx, h, kh, b, panel)
	case 5:
		gemv5(c, x, kx, h, kh, b, panel)
	case 6:
		gemv6(c, x, kx, h, kh, b, panel)
	case 7:
		gemv7(c, x, kx, h, kh, b, panel)
	case 8:
		gemv8(c, x, kx, h, kh, b, panel)
	case 9:
		gemv9(c, x, kx, h, kh, b, panel)
	default:
		gemv10(c, x, kx, h, kh, b, panel)
	}
}

func gemmTAVX2(c []float32, ldc, m, n, k int, a []float32, lda int, b []float32, ldb int) {
	if m == 0 || n == 0 || k == 0 {
		return
	}
	_, _, _ = c[(m-1)*ldc+n-1], a[(k-1)*lda+m-1], b[(k-1)*ldb+n-1]
	rows, more, less := balanced(m)
	for l := 0; l < k; l += blockK {
		depth := min(blockK, k-l)
		for j := 0; j < n; j += panelAVX2 {
			kind, mask := shapeOf(j, n)
			at := 0
			for _, part := range [2]struct{ rows, tiles int }{{rows + 1, more}, {rows, less}} {
				if part.tiles == 0 {
					continue
				}
				gemmTTiles[part.rows-1][kind](&c[at*ldc+j], 4*ldc, &a[l*lda+at], 4*lda, &b[l*ldb+j], 4*ldb, depth, part.tiles, mask)
				at += part.rows * part.tiles
			}
		}
	}
}
