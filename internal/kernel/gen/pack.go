package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// pack: rows of one panel. src's are stride bytes apart, dst's follow each other. units and rest say how wide they
// are, as in a product; zeros fill up the last register.
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
