package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// copies emits the functions that move or add a part of the columns of a matrix to a part of the columns of another.
func copies() {
	eachRow("copyRows", "computes dst = src for rows whose starts are strides, in bytes, apart. It moves numbers as they are, denormal ones too.", func(dst, src Mem, mask Op) {
		x := fresh(1)
		load(src, mask, x[0])
		store(x[0], mask, dst)
	})
	eachRow("addRows", "computes dst += src for rows whose starts are strides, in bytes, apart.", func(dst, src Mem, mask Op) {
		x, y := fresh(1), fresh(1)
		load(src, mask, x[0])
		load(dst, mask, y[0])
		store(y.add(x)[0], mask, dst)
	})
}

// eachRow emits a function of the rows of two matrices. body emits the computation for a register, or for less than one under a mask.
func eachRow(stem, doc string, body func(dst, src Mem, mask Op)) {
	function(stem, "func(dst *float32, dstStride int, src *float32, srcStride, rows, cols int)", doc)
	dst, dstStride, src, srcStride, rows := param("dst"), param("dstStride"), param("src"), param("srcStride"), param("rows")
	whole, rest, at := param("cols"), GP64(), GP64()
	MOVQ(whole, rest)
	ANDQ(Imm(uint64(set.lanes-1)), rest)
	SUBQ(rest, whole)
	last := mask(rest)
	loop("row", rows, func() {
		XORQ(at, at)
		to, from := Mem{Base: dst, Index: at, Scale: 4}, Mem{Base: src, Index: at, Scale: 4}
		Label("registers")
		CMPQ(at, whole)
		JGE(LabelRef("last"))
		body(to, from, nil)
		ADDQ(Imm(uint64(set.lanes)), at)
		JMP(LabelRef("registers"))
		Label("last")
		TESTQ(rest, rest)
		JZ(LabelRef("next"))
		body(to, from, last)
		Label("next")
		ADDQ(dstStride, dst)
		ADDQ(srcStride, src)
	})
	end()
}
