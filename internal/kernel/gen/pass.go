package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// pass is one loop over the n elements of some arrays, side registers of each array at a time, or less than one register
// under a mask.
type pass struct {
	at      map[string]Mem // memory of the next elements, by array
	numbers map[string]vec // arguments that are one number, in every lane of a register
	side    int
	masks   []Op // nil: whole registers
}

// along calls f for each register of v, with its place from m on, and with its mask if there are masks.
func along(m Mem, v vec, masks []Op, f func(m Mem, mask, r Op)) {
	for i, r := range v {
		var mask Op
		if masks != nil {
			mask = masks[i]
		}
		f(m.Offset(4*set.lanes*i), mask, r)
	}
}

// load returns the next elements of an array.
func (p *pass) load(name string) vec {
	v := fresh(p.side)
	along(p.at[name], v, p.masks, load)
	return v
}

// store stores v as the next elements of an array.
func (p *pass) store(name string, v vec) { put(v, p.masks, p.at[name]) }

// put stores v at dst, under the masks if there are any.
func put(v vec, masks []Op, dst Mem) {
	along(dst, v, masks, func(m Mem, mask, r Op) { store(r, mask, m) })
}

// each emits the function of that stem, whose arguments are arrays, numbers and the number of elements n. body emits the
// computation for side registers of each array, and for one. The names of the arrays, and of the numbers, are separated
// by spaces. The name gates4 declares an array gates of up to four blocks, gap bytes from one to the next, which body
// calls gates0 to gates3.
func each(stem, doc string, side int, arrays, numbers string, body func(p *pass)) {
	pointers, scalars := strings.Fields(arrays), strings.Fields(numbers)
	signature, blocks := "func(", false
	for _, a := range pointers {
		array, four := strings.CutSuffix(a, "4")
		blocks = blocks || four
		signature += array + " *float32, "
	}
	for _, s := range scalars {
		signature += s + " float32, "
	}
	if blocks {
		signature += "gap int, "
	}
	function(stem, signature+"n int)", doc)
	p := &pass{at: map[string]Mem{}, numbers: map[string]vec{}}
	var moving []Register
	var gap Register
	if blocks {
		gap = param("gap")
	}
	for _, a := range pointers {
		array, four := strings.CutSuffix(a, "4")
		base := param(array)
		moving = append(moving, base)
		if !four {
			p.at[array] = Mem{Base: base}
			continue
		}
		last := GP64()
		LEAQ(Mem{Base: base, Index: gap, Scale: 2}, last)
		ADDQ(gap, last)
		moving = append(moving, last)
		p.at[array+"0"] = Mem{Base: base}
		p.at[array+"1"] = Mem{Base: base, Index: gap, Scale: 1}
		p.at[array+"2"] = Mem{Base: base, Index: gap, Scale: 2}
		p.at[array+"3"] = Mem{Base: last}
	}
	for _, s := range scalars {
		x := XMM()
		Load(Param(s), x)
		p.numbers[s] = spread(x)
	}
	n := param("n")
	for p.side = side; ; p.side = 1 {
		step := p.side * set.lanes
		while(fmt.Sprint("loop", p.side), n, step, func() {
			body(p)
			for _, r := range moving {
				ADDQ(U32(4*step), r)
			}
		})
		if p.side == 1 {
			break
		}
	}
	JZ(LabelRef("end"))
	p.masks = masksOf(n, 1)
	body(p)
	end()
}
