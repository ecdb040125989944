//go:build !noasm

package kernel

import "unsafe"

// Large products are cut into blocks for the caches: a panel of blockK rows of B and a tile of A stay in the L1 cache,
// blockRows rows of A in the L2 cache, and in GemmT blockT rows and columns of A. The cut does not change a bit of the
// result: each element of C is one chain of fused multiply-adds over k, which rests in C, exactly, between two blocks.
const (
	blockK    = 384
	blockRows = 288
	blockT    = 192
)

// fetchFrom is the size of B, in elements, from which on a tile fetches a part of the next panel. A smaller B stays in
// the L2 cache.
const fetchFrom = 1 << 18

// fetchTiles is the number of AVX2 tiles of rows from which on they fetch the next panel of a large B. Among fewer tiles a panel is
// read so soon that prefetches come too late and only hold up the sums; and AVX-512 gains nothing from them.
const fetchTiles = 8

// blocks returns the length of the parts into which n is cut: parts of at most most, as even as possible.
func blocks(n, most int) int {
	parts := (n + most - 1) / most
	return (n + parts - 1) / parts
}

// balanced cuts m rows into tiles of at most most rows, as even as possible: tall tiles of rows rows, then short tiles
// of rows-1.
func balanced(m, most int) (rows, tall, short int) {
	tiles := (m + most - 1) / most
	rows = (m + tiles - 1) / tiles
	short = rows*tiles - m
	return rows, tiles - short, short
}

// setColumns sets the width of the tiles of p to n columns, at most a panel, or panels(rows) panels for few.
func (p *product) setColumns(n int) {
	p.units = (n + 7) / 8
	p.rest = n - (8*p.units-1)/lanes*lanes
}

// narrow reports whether the tiles of p are at most one register wide, so that they may have narrowRows rows.
func (p *product) narrow() bool { return p.units > 0 && 8*p.units <= lanes }

// fetch divides the cache lines of panel among tiles tiles, each of which fetches its part.
func (p *product) fetch(panel []float32, tiles int) {
	p.next = uintptr(unsafe.Pointer(unsafe.SliceData(panel)))
	p.lines = len(panel)/16/tiles + 1
}

// at returns the address of v[i], or of zeros if v is empty.
func at(v []float32, i int) *float32 {
	if len(v) == 0 {
		return &zeroRow[0]
	}
	return &v[i]
}

// zeroRow is as long as the widest tile.
var zeroRow [5 * 32]float32
