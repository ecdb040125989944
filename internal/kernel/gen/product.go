package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// product is the argument of the matrix functions: the fields of the Go type product, at the offsets that its declaration
// in ../product_amd64.go gives.
type product struct{ Component }

// field returns the memory of the field of that name.
func (p product) field(name string) Mem {
	at, err := p.Field(name).Resolve()
	if err != nil {
		panic(err)
	}
	return at.Addr
}

// load returns a register with the value of the field of that name.
func (p product) load(name string) GPVirtual {
	r := GP64()
	MOVQ(p.field(name), r)
	return r
}

// productFunction begins the function of that stem and returns its argument.
func productFunction(stem, doc string) product {
	function(stem, takesProduct, doc)
	return product{Dereference(Param("p"))}
}

// choose jumps to the label stem+n where value is n, for n from first to last. For another value the code after it runs.
func choose(stem string, value Register, first, last int) {
	for n := first; n <= last; n++ {
		CMPQ(value, Imm(uint64(n)))
		JE(LabelRef(fmt.Sprint(stem, n)))
	}
}

// heights emits body for tiles of every number of rows, which p.rows selects, and of the widths of widths. Tiles of more
// than set.rows rows are at most one register wide.
func heights(p product, body func(rows int, id string, lanes []int, mask func() Op)) {
	choose("rows", p.load("rows"), 2, narrowRows)
	for rows := 1; rows <= narrowRows; rows++ {
		id := fmt.Sprint("rows", rows)
		Label(id)
		widths(p, id+"_", rows > set.rows, func(id string, lanes []int, mask func() Op) { body(rows, id, lanes, mask) })
	}
}

// widths emits body for every width of a panel, which p.units selects: 0 is a whole panel; 1 and more are the multiples
// of eight columns that the last panel may have, where the last register has a mask. If narrow, only the widths of at
// most one register are emitted.
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
