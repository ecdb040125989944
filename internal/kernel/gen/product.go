package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// product is the argument of the functions in this file: the Go type product, in memory.
type product struct{ Component }

// field returns where the field of that name is.
func (p product) field(name string) Mem {
	at, err := p.Field(name).Resolve()
	if err != nil {
		panic(err)
	}
	return at.Addr
}

func (p product) load(name string) GPVirtual {
	r := GP64()
	MOVQ(p.field(name), r)
	return r
}

// productFunction begins the function of that stem, whose argument is a product.
func productFunction(stem, doc string) product {
	function(stem, takesProduct, doc)
	return product{Dereference(Param("p"))}
}

// choose jumps to the label of that stem and number where value is one of first to last.
func choose(stem string, value Register, first, last int) {
	for n := first; n <= last; n++ {
		CMPQ(value, Imm(uint64(n)))
		JE(LabelRef(fmt.Sprint(stem, n)))
	}
}

// heights emits body for tiles of each number of rows, p.rows, and for what widths says. Tiles taller than others are
// no wider than a register.
func heights(p product, body func(rows int, id string, lanes []int, mask func() Op)) {
	choose("rows", p.load("rows"), 2, narrowRows)
	for rows := 1; rows <= narrowRows; rows++ {
		id := fmt.Sprint("rows", rows)
		Label(id)
		widths(p, id+"_", rows > set.rows, func(id string, lanes []int, mask func() Op) { body(rows, id, lanes, mask) })
	}
}

// widths emits body for a whole panel, and for what the last panel may be: some times eight columns, the last register
// under a mask. p.units says which, 0 the whole panel. narrow leaves out what is wider than a register.
func widths(p product, stem string, narrow bool, body func(id string, lanes []int, mask func() Op)) {
	stem += "units"
	first, last := 0, set.lanes/4
	if narrow {
		first, last = 1, set.lanes/8
	}
	choose(stem, p.load("units"), first+1, last)
	for u := first; u <= last; u++ {
		id, lanes, m := fmt.Sprint(stem, u), units(u), func() Op { return mask(p.load("rest")) }
		if u == 0 {
			lanes, m = units(set.lanes/4), nil
		}
		Label(id)
		body(id, lanes, m)
		JMP(LabelRef("end"))
	}
}
