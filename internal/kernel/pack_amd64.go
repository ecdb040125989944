//go:build !noasm

package kernel

const (
	// copyColumns is the number of columns of B from which on a copy of A pays; for fewer, A is read in place.
	copyColumns = 256

	// stretch is the number of rows of a wide matrix that are packed at a time: the number of lines in a set of the
	// L1 cache, all of which a column of these rows may need.
	stretch = 8
)

// setRows is [Matrix.SetRows].
func setRows(m *Matrix, row, rows int, src []float32, stride int) {
	if rows == 0 || m.N == 0 {
		return
	}
	_ = src[(rows-1)*stride+m.N-1]
	together := rows
	if m.N >= copyColumns {
		together = stretch
	}
	for k := 0; k < rows; k += together {
		p := product{ldx: 4 * stride, kx: min(together, rows-k)}
		for j := 0; j < m.N; j += m.panel {
			if m.N-j < m.panel {
				p.setColumns(m.N - j)
			}
			p.c, p.x = &m.data[j*m.K+(row+k)*m.width(j)], &src[k*stride+j]
			p.pack()
		}
	}
}

// copyRows copies the first rows of a to w.a, with a stride that does not map all rows to the same sets of the caches.
func (w *workspace) copyRows(a Block, rows int) Block {
	to := Block{Stride: (a.Cols+15)&^15 + 16, Cols: a.Cols}
	to.Data = atLeast(&w.a, rows*to.Stride)
	for i := range rows {
		copy(to.Data[i*to.Stride:][:a.Cols], a.Data[i*a.Stride:])
	}
	return to
}

// packLeft copies k rows of A to w.a, tile after tile of columns: tall tiles of cols columns, then short tiles of
// cols-1. In the copy, a row of a tile takes one register; ldx is the distance from a row to the next, in bytes.
func (w *workspace) packLeft(a []float32, lda, k, cols, tall, short int) (left []float32, ldx int) {
	wide := (tileRows() + 7) &^ 7
	data := atLeast(&w.a, (tall+short)*k*wide)
	for l := 0; l < k; l += stretch {
		p := product{ldx: 4 * lda, kx: min(stretch, k-l), units: wide / 8, rest: cols}
		for t, i := 0, 0; t < tall+short; t++ {
			if t == tall {
				p.rest--
			}
			p.c, p.x = &data[(t*k+l)*wide], &a[l*lda+i]
			p.pack()
			i += p.rest
		}
	}
	return data, 4 * wide
}
