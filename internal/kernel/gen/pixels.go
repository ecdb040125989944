package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// pixels emits the conversion of bytes, a register of float32 at a time. The last register of a row ends where the row
// ends and overlaps the one before.
func pixels() {
	function("pixels", "func(dst *float32, stride int, src *uint8, rows, cols int)", "computes dst = src/255 for rows of at least a register of bytes; dst's rows are stride bytes apart.")
	dst, stride, src, rows, cols := param("dst"), param("stride"), param("src"), param("rows"), param("cols")
	last, at := GP64(), GP64()
	MOVQ(cols, last)
	SUBQ(Imm(uint64(set.lanes)), last)
	white := constant(number(255))
	convert := func(at Register) {
		x := fresh(1)
		VPMOVZXBD(Mem{Base: src, Index: at, Scale: 1}, x[0])
		VCVTDQ2PS(x[0], x[0])
		store(x.div(white)[0], nil, Mem{Base: dst, Index: at, Scale: 4})
	}
	loop("row", rows, func() {
		XORQ(at, at)
		Label("bytes")
		CMPQ(at, last)
		JGE(LabelRef("rest"))
		convert(at)
		ADDQ(Imm(uint64(set.lanes)), at)
		JMP(LabelRef("bytes"))
		Label("rest")
		convert(last)
		ADDQ(cols, src)
		ADDQ(stride, dst)
	})
	end()
}
