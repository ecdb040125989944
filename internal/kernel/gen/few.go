package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panels returns the number of panels that few goes through side by side for a tile of so many rows. They have enough
// independent sums to hide the latency of an addition.
func panels(rows int) int {
	if rows <= len(set.panels) {
		return set.panels[rows-1]
	}
	return 1
}

// few emits C = init + [X | H]*B for one tile of C, up to panels(rows) panels side by side. p.units is the number of
// columns, in units of eight. Nothing is prefetched: each element of B is read once, in order, which processors foresee.
func few() {
	p := productFunction("few", "computes one tile of rows of C, of several panels: C = init + [X | H]*B.")
	choose("rows", p.load("rows"), 2, set.rows)
	for rows := 1; rows <= set.rows; rows++ {
		id := fmt.Sprint("rows", rows)
		Label(id)
		most := panels(rows) * set.lanes / 4
		choose(id+"_units", p.load("units"), 1, most-1)
		for u := most; u > 0; u-- {
			id := fmt.Sprint(id, "_units", u)
			Label(id)
			fewTile(p, id, rows, u)
			JMP(LabelRef("end"))
		}
	}
	end()
}

// fewTile emits few for one size of tile.
func fewTile(p product, id string, rows, u int) {
	t := newTile(rows, units(u), func() Op { return mask(p.load("rest")) })
	t.all(newLines(rows, p.load("init"), p.load("ldi")), func(m Mem, mask, acc Op) { load(m, mask, acc) })
	b := newSide(p, u)
	for _, part := range []string{"x", "h"} {
		a, k := p.load(part), p.load("k"+part)
		from := newLines(rows, a, p.load("ld"+part))
		unrolled(id+"_"+part, k, 2,
			func(i int) {
				t.madd(func(v int) Mem { return b.at(v, i) }, func(r int) Mem { return from.row(r, 4*i) })
			},
			func(n int) {
				from.move(4 * n)
				b.move(n)
			})
	}
	t.all(newLines(rows, p.load("c"), p.load("ldc")), func(m Mem, mask, acc Op) { store(acc, mask, m) })
}

// side is panels of B side by side, of which the last one may be narrow.
type side struct {
	panel        Register   // distance of two panels
	seconds      []Register // addresses of panels 0, 2, 4, ...
	odd          Register   // address of the last panel if it is narrow
	last         int        // the last panel
	whole, short int        // bytes of a row of a panel, and of the last panel
}

// newSide loads the addresses of the panels of 8*u columns.
func newSide(p product, u int) *side {
	whole := 8 * set.lanes
	s := &side{seconds: []Register{p.load("b")}, last: (32*u - 1) / whole, whole: whole}
	s.short = 32*u - whole*s.last
	if s.last > 0 {
		s.panel = p.load("panel")
	}
	for i := 2; i <= s.last; i += 2 {
		next := GP64()
		LEAQ(Mem{Base: s.seconds[i/2-1], Index: s.panel, Scale: 2}, next)
		s.seconds = append(s.seconds, next)
	}
	if s.short < whole {
		odd := GP64()
		LEAQ(s.at(2*s.last, 0), odd)
		s.odd = odd
	}
	return s
}

// at returns register v of row i, counted from here.
func (s *side) at(v, i int) Mem {
	panel, disp := v/2, 4*set.lanes*(v%2)
	if s.odd != nil && panel == s.last {
		return Mem{Base: s.odd, Disp: disp + s.short*i}
	}
	m := Mem{Base: s.seconds[panel/2], Disp: disp + s.whole*i}
	if panel%2 == 1 {
		m.Index, m.Scale = s.panel, 1
	}
	return m
}

// move moves the addresses n rows on.
func (s *side) move(n int) {
	for _, r := range s.seconds {
		ADDQ(U32(s.whole*n), r)
	}
	if s.odd != nil {
		ADDQ(U32(s.short*n), s.odd)
	}
}
