package kernel

// Matrix is the right-hand side B [K,N] of products, packed once for many products. It is stored as panels of columns,
// one after the other, each row-major. For the assembly a panel is two registers wide, and the last panel is filled up
// with zeros to a multiple of 8 columns; for the portable version there is one panel, of all columns. After Reset, set
// all rows with SetRows or SetRowsT.
type Matrix struct {
	K, N  int
	panel int // columns of a panel
	data  []float32
}

// Block is the left-hand side of a product, which is not packed: Cols columns of a row-major matrix whose rows start
// Stride elements apart. The zero Block has no columns and adds nothing. With Back, a product of few rows goes from the last
// columns of B to the first, with the same bits: if every other product does, the columns that the one before read last are still in the cache.
type Block struct {
	Data         []float32
	Stride, Cols int
	Back         bool
}

// Reset makes m a matrix [k,n]. It reuses the memory of m if that is large enough. Every row must be set afterwards.
func (m *Matrix) Reset(k, n int) {
	m.K, m.N, m.panel = k, n, n
	if lanes > 0 {
		m.panel = 2 * lanes
	}
	last := (n - 1) / m.panel * m.panel
	size := k * (last + m.width(last))
	if cap(m.data) < size {
		m.data = Alloc(size)
	}
	m.data = m.data[:size]
	clear(m.data[k*last:])
}

// width returns the length of the rows of the panel that begins at column j.
func (m *Matrix) width(j int) int { return min(m.panel, (m.N-j+7)&^7) }

// SetRows sets rows row to row+rows to the row-major src [rows,N].
//
//	B[row+k][j] = src[k*stride+j]
func (m *Matrix) SetRows(row, rows int, src []float32, stride int) {
	if asm.setRows != nil {
		asm.setRows(m, row, rows, src, stride)
		return
	}
	width := m.width(0)
	for k := range rows {
		copy(m.data[(row+k)*width:][:m.N], src[k*stride:])
	}
}

// SetRowsT sets rows row to row+rows to the transpose of the row-major src [N,rows].
//
//	B[row+k][j] = src[j*stride+k]
func (m *Matrix) SetRowsT(row, rows int, src []float32, stride int) {
	const strip = 32 // rows of B; their part of a panel stays in the cache
	for first := 0; first < m.N; first += m.panel {
		width, cols := m.width(first), min(m.panel, m.N-first)
		for k0 := 0; k0 < rows; k0 += strip {
			panel := m.data[first*m.K+(row+k0)*width:]
			for j := range cols {
				for k, v := range src[(first+j)*stride+k0:][:min(strip, rows-k0)] {
					panel[k*width+j] = v
				}
			}
		}
	}
}

// Transpose sets dst [cols,rows] to the transpose of src [rows,cols], or adds it to dst: dst[j*rows+i] = src[i*cols+j]. It goes through blocks whose lines
// stay in the cache.
func Transpose(dst, src []float32, rows, cols int, add bool) {
	const block = 16
	for first := 0; first < rows; first += block {
		end := min(first+block, rows)
		for j := range cols {
			to := dst[j*rows:][:rows][first:end]
			at := first*cols + j
			if add {
				for i := range to {
					to[i] += src[at]
					at += cols
				}
				continue
			}
			for i := range to {
				to[i] = src[at]
				at += cols
			}
		}
	}
}
