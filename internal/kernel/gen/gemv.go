package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// gemvPanels is the number of panels that gemv goes through side by side. They have enough independent sums to hide the
// latency of an addition.
const gemvPanels = 5

// gemv emits C = init + [x | h]*B for one row of C, up to gemvPanels panels side by side. p.units is the number of
// columns, in units of eight.
func gemv() {
	p := productFunction("gemv", "computes one row of up to five panels: C = init + [x | h]*B.")
	most := gemvPanels * set.lanes / 4
	choose("units", p.load("units"), 1, most-1)
	for u := most; u > 0; u-- {
		id := fmt.Sprint("units", u)
		Label(id)
		acc := registers(units(u))
		last := len(acc) - 1
		m := mask(p.load("rest"))
		each := func(at Mem, f func(m Mem, mask, acc Op)) {
			for v, r := range acc {
				if to := at.Offset(4 * set.lanes * v); v == last {
					f(to, m, r)
				} else {
					f(to, nil, r)
				}
			}
		}
		each(Mem{Base: p.load("init")}, func(m Mem, mask, acc Op) { load(m, mask, acc) })
		// The addresses of panels 0, 2 and 4 are in registers, and that of the last panel if its rows are shorter.
		panel := p.load("panel")
		at := []Register{p.load("b")}
		for i := 2; i <= last/2; i += 2 {
			next := GP64()
			LEAQ(Mem{Base: at[i/2-1], Index: panel, Scale: 2}, next)
			at = append(at, next)
		}
		from := func(v int) Mem {
			m := Mem{Base: at[v/4], Disp: 4 * set.lanes * (v % 2)}
			if v/2%2 == 1 {
				m.Index, m.Scale = panel, 1
			}
			return m
		}
		whole := 4 * 2 * set.lanes
		short := 4*8*u - whole*(last/2)
		var odd Register
		if short < whole {
			odd = GP64()
			LEAQ(from(last&^1), odd)
		}
		for _, part := range []string{"x", "h"} {
			a, k := p.load(part), p.load("k"+part)
			loop(id+"_"+part, k, func() {
				x := register(set.lanes)
				VBROADCASTSS(Mem{Base: a}, x)
				for v, r := range acc {
					b := from(v)
					if odd != nil && v/2 == last/2 {
						b = Mem{Base: odd, Disp: b.Disp}
					}
					VFMADD231PS(b, resized(x, int(r.Size())/4), r)
				}
				ADDQ(Imm(4), a)
				for _, r := range at {
					ADDQ(U32(whole), r)
				}
				if odd != nil {
					ADDQ(U32(short), odd)
				}
			})
		}
		each(Mem{Base: p.load("c")}, func(m Mem, mask, acc Op) { store(acc, mask, m) })
		JMP(LabelRef("end"))
	}
	end()
}
