//go:build !noasm

package kernel

// affine is [Affine], or [GemmRows] if add is true. row is the row of B that multiplies the first column of X.
func affine(c []float32, ldc, m int, bias []float32, add bool, x, h Block, row int, b *Matrix) {
	if m == 0 || b.N == 0 {
		return
	}
	_ = c[(m-1)*ldc+b.N-1]
	x.check(m)
	h.check(m)
	if m <= tileRows() {
		few(c, ldc, m, bias, add, x, h, row, b)
		return
	}
	if x.Cols+h.Cols <= blockK {
		affineBlock(c, ldc, m, bias, add, x, h, row, b)
		return
	}
	w := takeWorkspace()
	for _, part := range [2]Block{x, h} {
		if part.Cols == 0 {
			continue
		}
		depth := blocks(part.Cols, blockK)
		for k := 0; k < part.Cols; k += depth {
			cols := min(depth, part.Cols-k)
			for i := 0; i < m; i += blockRows {
				rows := min(blockRows, m-i)
				a := Block{Data: part.Data[i*part.Stride+k:], Stride: part.Stride, Cols: cols}
				if b.N >= copyColumns {
					a = w.copyRows(a, rows)
				}
				affineBlock(c[i*ldc:], ldc, rows, bias, add, a, Block{}, row, b)
			}
			row += cols
			add = true
		}
	}
	w.giveBack()
}

// check panics if b has less than m rows.
func (b Block) check(m int) {
	if b.Cols > 0 {
		_ = b.Data[(m-1)*b.Stride+b.Cols-1]
	}
}

// affineBlock is affine for one block: panel after panel of B, each with all tiles of rows.
func affineBlock(c []float32, ldc, m int, bias []float32, add bool, x, h Block, row int, b *Matrix) {
	rows, tall, short := balanced(m, tileRows())
	p := product{ldc: 4 * ldc, ldx: 4 * x.Stride, kx: x.Cols, ldh: 4 * h.Stride, kh: h.Cols}
	if add {
		p.ldi = p.ldc
	}
	for j := 0; j < b.N; j += b.panel {
		if b.N-j < b.panel {
			p.setColumns(b.N - j)
			if p.narrow() {
				rows, tall, short = balanced(m, narrowRows)
			}
		}
		p.b = &b.data[j*b.K+row*b.width(j)]
		p.lines = 0
		if after := j + b.panel; after < b.N && len(b.data) >= fetchFrom && lanes == 8 && tall+short >= fetchTiles {
			width := b.width(after)
			p.fetch(b.data[after*b.K+row*width:][:(p.kx+p.kh)*width], tall+short)
		}
		// Two calls: the tall tiles, and below them the short ones.
		for i, height, tiles := 0, rows, tall; i < m; i, height, tiles = i+height*tiles, height-1, short {
			p.c, p.x, p.h = &c[i*ldc+j], at(x.Data, i*x.Stride), at(h.Data, i*h.Stride)
			p.init = at(bias, j)
			if add {
				p.init = p.c
			}
			p.rows, p.tiles = height, tiles
			p.gemm()
		}
	}
}

// few is affine for one tile of rows, panels(m) panels of B at a time. Each panel is used once.
func few(c []float32, ldc, m int, bias []float32, add bool, x, h Block, row int, b *Matrix) {
	p := product{rows: m, ldc: 4 * ldc, panel: 4 * b.panel * b.K,
		x: at(x.Data, 0), ldx: 4 * x.Stride, kx: x.Cols, h: at(h.Data, 0), ldh: 4 * h.Stride, kh: h.Cols}
	if add {
		p.ldi = p.ldc
	}
	group := panels(m) * b.panel
	last := (b.N - 1) / group * group
	for i := 0; i <= last; i += group {
		j := i
		if x.Back || h.Back {
			j = last - i
		}
		for end := min(j+group, b.N); j < end; {
			n := end - j
			// The row offset in a narrow last panel differs from the offset in whole panels, so it goes by itself.
			if narrow := n % b.panel; row > 0 && n > b.panel {
				n -= narrow
			}
			p.setColumns(n)
			p.c, p.b, p.init = &c[j], &b.data[j*b.K+row*b.width(j)], at(bias, j)
			if add {
				p.init = p.c
			}
			p.few()
			j += n
		}
	}
}
