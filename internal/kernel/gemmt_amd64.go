//go:build !noasm

package kernel

// packedGemmT is [GemmT] with a packed B. A is read in place, unless B is wide or the rows of A would meet in a few sets
// of the cache; then A is packed too.
func packedGemmT(c []float32, ldc, m, n, k int, a []float32, lda int, b []float32, ldb int) {
	if m == 0 || n == 0 || k == 0 {
		return
	}
	_, _, _ = c[(m-1)*ldc+n-1], a[(k-1)*lda+m-1], b[(k-1)*ldb+n-1]
	w := takeWorkspace()
	depth, width, panel := blocks(k, blockT), blocks(m, blockT), 2*lanes
	pack := n >= 2*copyColumns || lda%256 == 0 // 256 floats are 1 KiB
	if pack {
		depth = blocks(k, 256)
	}
	for l := 0; l < k; l += depth {
		d := min(depth, k-l)
		// If A is cut into several blocks of columns, all panels of B are kept for the later blocks, next floats per
		// column. If not, each panel is used once, and the following panel takes its place.
		next := 0
		if width < m {
			next = d
		}
		right := atLeast(&w.b, d*panel+next*n)
		for i := 0; i < m; i += width {
			cols := min(width, m-i)
			rows, tall, short := balanced(cols, tileRows())
			p := product{ldc: 4 * ldc, ldx: 4 * lda, kx: d}
			var left []float32
			if pack {
				left, p.ldx = w.packLeft(a[l*lda+i:], lda, d, rows, tall, short)
			}
			for j := 0; j < n; j += panel {
				if n-j < panel {
					p.setColumns(n - j)
					if p.narrow() && !pack {
						rows, tall, short = balanced(cols, narrowRows)
					}
				}
				p.b = &right[j*next]
				if i == 0 {
					from := product{c: p.b, x: &b[l*ldb+j], ldx: 4 * ldb, kx: d, units: p.units, rest: p.rest}
					from.pack()
				}
				p.lines = 0
				if after := j + panel; i > 0 && after < n && d*n >= fetchFrom/2 {
					p.fetch(right[after*next:][:d*min(panel, (n-after+7)&^7)], tall+short)
				}
				// Two calls: the tall tiles, and below them the short ones.
				for at, first, height, tiles := 0, 0, rows, tall; at < cols; at, first, height, tiles = at+height*tiles, tall, height-1, short {
					p.c, p.rows, p.tiles = &c[(i+at)*ldc+j], height, tiles
					if pack {
						p.x, p.step = &left[first*d*p.ldx/4], p.ldx*d
					} else {
						p.x, p.step = &a[l*lda+i+at], 4*height
					}
					p.gemmT()
				}
			}
		}
	}
	w.giveBack()
}
