package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// pack emits the copy of kx rows, ldx bytes apart at x, to the rows of a panel at c, which have no gap between them. Zeros
// fill up the last register of a row.
func pack() {
	p := productFunction("pack", "copies kx rows of X to C, as a panel.")
	dst, src, stride, k := p.load("c"), p.load("x"), p.load("ldx"), p.load("kx")
	widths(p, "", false, func(id string, lanes []int, mask func() Op) {
		var m Op
		if mask != nil {
			m = mask()
		}
		loop(id+"_row", k, func() {
			at := 0
			for v, n := range lanes {
				r := register(n)
				if v == len(lanes)-1 {
					load(Mem{Base: src, Disp: at}, m, r)
				} else {
					load(Mem{Base: src, Disp: at}, nil, r)
				}
				VMOVUPS(r, Mem{Base: dst, Disp: at})
				at += 4 * n
			}
			ADDQ(stride, src)
			ADDQ(U32(at), dst)
		})
	})
	end()
}
