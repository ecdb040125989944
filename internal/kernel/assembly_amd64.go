//go:build !noasm

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go run -C gen . -isa AVX2 -out ../avx2_amd64.s -stubs ../avx2_stubs_amd64.go -pkg kernel
//go:generate go run -C gen . -isa AVX512 -out ../avx512_amd64.s -stubs ../avx512_stubs_amd64.go -pkg kernel
//go:generate go run -C gen . -dispatch ..

// lanes is the number of float32 in a register of the instruction set that runs, 0 if there is none.
var lanes = func() int {
	switch x := cpu.X86; {
	case x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512BW && x.HasFMA && x.HasAVX2:
		return 16
	case x.HasAVX2 && x.HasFMA:
		return 8
	}
	return 0
}()

// asm is the table of the instruction set that runs; it is empty if there is none.
var asm = map[int]assembly{8: {kernelsAVX2, packedProducts}, 16: {kernelsAVX512, packedProducts}}[lanes]

var packedProducts = matrixProducts{affine, packedGemmT, setRows}

const (
	// Larger products are cut so that a panel of blockK rows of B and a tile of A stay in the L1 cache, and blockRows
	// rows of A in the L2; the transposed ones so that blockT rows and columns of A do. Each element of C is one chain of
	// fused multiply-adds over k all the same: it rests in C, exactly, between two blocks. So the order never depends on
	// anything but the shape.
	blockK    = 384
	blockRows = 288
	blockT    = 192
	// A is read in place unless B has so many columns that it pays to copy it.
	copyColumns = 256

	// From so many elements on B is fetched into the L2 cache a panel ahead; a smaller one is there.
	fetchFrom = 1 << 18

	// Long rows are packed so many at a time: as many as a set of the cache has lines, which they may share.
	stretch = 8
)

// fetch has each of so many tiles fetch its part of the next panel.
func (p *product) fetch(panel []float32, tiles int) {
	p.next = uintptr(unsafe.Pointer(unsafe.SliceData(panel)))
	p.lines = len(panel)/16/tiles + 1
}

// columns says how wide C is from here on: no more than the assembly computes at once.
func (p *product) columns(n int) {
	p.units = (n + 7) / 8
	p.rest = n - (8*p.units-1)/lanes*lanes
}

// narrow reports whether that is at most a register, whose tiles may be taller.
func (p *product) narrow() bool { return p.units > 0 && 8*p.units <= lanes }

// at returns the address of v's element i, or of zeros where there is none.
func at(v []float32, i int) *float32 {
	if len(v) == 0 {
		return &zeroRow[0]
	}
	return &v[i]
}

var zeroRow [gemvPanels * 32]float32

// workspace is memory for packed operands.
type workspace struct{ a, b []float32 }

// idle are workspaces that nobody uses. A sync.Pool would empty itself.
var idle = make(chan *workspace, 64)

func takeWorkspace() *workspace {
	select {
	case w := <-idle:
		return w
	default:
		return new(workspace)
	}
}

func (w *workspace) giveBack() {
	select {
	case idle <- w:
	default:
	}
}

// atLeast returns *buffer, made longer if need be.
func atLeast(buffer *[]float32, n int) []float32 {
	if len(*buffer) < n {
		*buffer = Alloc(n)
	}
	return *buffer
}

// balanced cuts m rows into tiles of at most so many, as even as can be: more of rows, then less of rows-1.
func balanced(m, most int) (rows, more, less int) {
	tiles := (m + most - 1) / most
	rows = (m + tiles - 1) / tiles
	less = rows*tiles - m
	return rows, tiles - less, less
}

// blocks returns the size of the parts, of at most so many, that n is cut into, as even as can be.
func blocks(n, most int) int {
	parts := (n + most - 1) / most
	return (n + parts - 1) / parts
}

// affine is Affine, or GemmRows where add is set; row is the row of B that multiplies the first column of x.
func affine(c []float32, ldc, m int, bias []float32, add bool, x, h Block, row int, b *Matrix) {
	if m == 0 || b.N == 0 {
		return
	}
	_ = c[(m-1)*ldc+b.N-1]
	x.check(m)
	h.check(m)
	if m == 1 {
		gemv(c, bias, add, x, h, row, b)
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
				a := Block{part.Data[i*part.Stride+k:], part.Stride, cols}
				if b.N >= copyColumns {
					a = w.copy(a, rows)
				}
				affineBlock(c[i*ldc:], ldc, rows, bias, add, a, Block{}, row, b)
			}
			row += cols
			add = true
		}
	}
	w.giveBack()
}

// copy returns a copy of rows of a with a stride that the caches like.
func (w *workspace) copy(a Block, rows int) Block {
	to := Block{nil, (a.Cols+15)&^15 + 16, a.Cols}
	to.Data = atLeast(&w.a, rows*to.Stride)
	for i := range rows {
		copy(to.Data[i*to.Stride:][:a.Cols], a.Data[i*a.Stride:])
	}
	return to
}

func (b Block) check(m int) {
	if b.Cols > 0 {
		_ = b.Data[(m-1)*b.Stride+b.Cols-1]
	}
}

// affineBlock is affine of x and h whose columns begin at that row of B.
func affineBlock(c []float32, ldc, m int, bias []float32, add bool, x, h Block, row int, b *Matrix) {
	rows, more, less := balanced(m, tileRows())
	p := product{ldc: 4 * ldc, ldx: 4 * x.Stride, kx: x.Cols, ldh: 4 * h.Stride, kh: h.Cols}
	if add {
		p.ldi = p.ldc
	}
	for j := 0; j < b.N; j += b.panel {
		if b.N-j < b.panel {
			p.columns(b.N - j)
			if p.narrow() {
				rows, more, less = balanced(m, narrowRows)
			}
		}
		p.b = &b.data[j*b.K+row*b.width(j)]
		p.lines = 0
		if after := j + b.panel; after < b.N && len(b.data) >= fetchFrom {
			width := b.width(after)
			p.fetch(b.data[after*b.K+row*width:][:(p.kx+p.kh)*width], more+less)
		}
		for i, tall, tiles := 0, rows, more; i < m; i, tall, tiles = i+tall*tiles, tall-1, less {
			p.c, p.x, p.h = &c[i*ldc+j], at(x.Data, i*x.Stride), at(h.Data, i*h.Stride)
			p.init = at(bias, j)
			if add {
				p.init = p.c
			}
			p.rows, p.tiles = tall, tiles
			p.gemm()
		}
	}
}

// gemv is one row of C, some panels at a time.
func gemv(c, bias []float32, add bool, x, h Block, row int, b *Matrix) {
	p := product{x: at(x.Data, 0), kx: x.Cols, h: at(h.Data, 0), kh: h.Cols, panel: 4 * b.panel * b.K}
	group := gemvPanels * b.panel
	for j, n := 0, 0; j < b.N; j += n {
		n = min(group, b.N-j)
		if narrow := n % b.panel; row > 0 && narrow > 0 && n > narrow {
			n -= narrow // in a narrow panel the row lies elsewhere
		}
		p.columns(n)
		p.c, p.b = &c[j], &b.data[j*b.K+row*b.width(j)]
		switch {
		case add:
			p.init = p.c
		case bias != nil:
			p.init = &bias[j]
		default:
			p.init = &zeroRow[0]
		}
		p.gemv()
	}
}

// packedGemmT is GemmT. B is packed; A is read in place unless that would be slow.
func packedGemmT(c []float32, ldc, m, n, k int, a []float32, lda int, b []float32, ldb int) {
	if m == 0 || n == 0 || k == 0 {
		return
	}
	_, _, _ = c[(m-1)*ldc+n-1], a[(k-1)*lda+m-1], b[(k-1)*ldb+n-1]
	w := takeWorkspace()
	depth, width, panel := blocks(k, blockT), blocks(m, blockT), 2*lanes
	// Strides of 1 KiB and its multiples would meet in a few lines of the cache.
	pack := n >= 2*copyColumns || lda%256 == 0
	if pack {
		depth = blocks(k, 256)
	}
	for l := 0; l < k; l += depth {
		d := min(depth, k-l)
		// Where A is one block, a panel of B is needed only once.
		next := 0
		if width < m {
			next = d
		}
		right := atLeast(&w.b, d*panel+next*n)
		for i := 0; i < m; i += width {
			cols := min(width, m-i)
			rows, more, less := balanced(cols, tileRows())
			p := product{ldc: 4 * ldc, ldx: 4 * lda, kx: d}
			var left []float32
			if pack {
				left, p.ldx = w.packLeft(a[l*lda+i:], lda, d, rows, more, less)
			}
			for j := 0; j < n; j += panel {
				if n-j < panel {
					p.columns(n - j)
					if p.narrow() && !pack {
						rows, more, less = balanced(cols, narrowRows)
					}
				}
				p.b = &right[j*next]
				if i == 0 {
					from := product{c: p.b, x: &b[l*ldb+j], ldx: 4 * ldb, kx: d, units: p.units, rest: p.rest}
					from.pack()
				}
				p.lines = 0
				if after := j + panel; i > 0 && after < n && d*n >= fetchFrom/2 {
					p.fetch(right[after*next:][:d*min(panel, (n-after+7)&^7)], more+less)
				}
				for at, first, tall, tiles := 0, 0, rows, more; at < cols; at, first, tall, tiles = at+tall*tiles, more, tall-1, less {
					p.c, p.rows, p.tiles = &c[(i+at)*ldc+j], tall, tiles
					if pack {
						p.x, p.step = &left[first*d*p.ldx/4], p.ldx*d
					} else {
						p.x, p.step = &a[l*lda+i+at], 4*tall
					}
					p.gemmT()
				}
			}
		}
	}
	w.giveBack()
}

// packLeft copies the columns of each tile to k rows of one or two registers, tile after tile. ldx is the distance from
// row to row then, in bytes.
func (w *workspace) packLeft(a []float32, lda, k, rows, more, less int) (left []float32, ldx int) {
	wide := (tileRows() + 7) &^ 7
	data := atLeast(&w.a, (more+less)*k*wide)
	for l := 0; l < k; l += stretch {
		p := product{ldx: 4 * lda, kx: min(stretch, k-l), units: wide / 8, rest: rows}
		for t, i := 0, 0; t < more+less; t++ {
			if t == more {
				p.rest--
			}
			p.c, p.x = &data[(t*k+l)*wide], &a[l*lda+i]
			p.pack()
			i += p.rest
		}
	}
	return data, 4 * wide
}

// setRows is Matrix.SetRows.
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
				p.columns(m.N - j)
			}
			p.c, p.x = &m.data[j*m.K+(row+k)*m.width(j)], &src[k*stride+j]
			p.pack()
		}
	}
}
