//go:build !noasm

package kernel

// product is the one argument of the assembly of the matrix products. internal/kernel/gen reads the offsets of the
// fields from this file, which therefore compiles without the rest of the package. Distances are in bytes.
type product struct {
	c     *float32 // first element of the first tile of C
	ldc   int      // from a row of C to the next one
	init  *float32 // start values of the first tile
	ldi   int      // from a row of start values to the next one; 0 repeats a bias
	x     *float32 // X
	ldx   int      // from a row of X to the next one
	kx    int      // columns of X; in gemmT and pack, rows
	h     *float32 // H, whose product with the rows of B after the first kx is added
	ldh   int      // from a row of H to the next one
	kh    int      // columns of H
	b     *float32 // panel of B
	panel int      // few: from this panel to the next one
	rows  int      // rows of a tile
	tiles int      // number of tiles, one below the other
	units int      // columns of a tile, in units of 8; 0 is a whole panel
	rest  int      // columns in the last register of a row
	step  int      // gemmT: from the columns of X for one tile to those for the next
	next  uintptr  // address in the next panel of B that a tile begins to fetch at; the assembly moves it on
	lines int      // cache lines of the next panel that each tile fetches
}
