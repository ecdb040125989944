package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// bernoulli emits the hash of the elements' numbers, and the choice between hit and miss.
func bernoulli() {
	function("bernoulli", "func(dst *float32, hit, miss float32, x, high, limit uint32, n int)", "sets dst to hit where the hash of x, x+1, x+2... is below limit, whose highest bit is turned, else to miss.")
	number := func(name string) vec {
		low, v := XMM(), fresh(1)
		if name == "hit" || name == "miss" {
			Load(Param(name), low)
		} else {
			g := GP32()
			Load(Param(name), g)
			VMOVD(g, low)
		}
		VPBROADCASTD(low, v[0])
		return v
	}
	dst, n := param("dst"), param("n")
	hit, miss, high, limit := number("hit"), number("miss"), number("high"), number("limit")
	lanes := GLOBL("lanes", RODATA|NOPTR)
	for i := range set.lanes {
		DATA(4*i, U32(uint32(i)))
	}
	x := fresh(1)
	emit(VPADDD, VPADDD, lanes, number("x"), x)
	folded := func(v vec, by uint64) vec { return v.xor(binary(VPSRLD, VPSRLD, Imm(by), v)) }
	times := func(v vec, by uint32) vec { return binary(VPMULLD, VPMULLD_BCST, bits(by), v) }
	body := func(mask Op) {
		const hash1, hash2 = 0x21f0aaad, 0xd35a2d97
		v := times(folded(x, 16), hash1)
		v = times(folded(v, 15), hash2)
		v = times(folded(v, 15).xor(high), hash1)
		v = folded(v, 16).xor(sign())
		var below Op = K2
		if set.lanes == 8 {
			below = YMM()
		}
		VPCMPGTD(v[0], limit[0], below)
		store(hit.whereElse([]Op{below}, miss)[0], mask, Mem{Base: dst})
	}
	while("loop", n, set.lanes, func() {
		body(nil)
		emit(VPADDD, VPADDD_BCST, bits(uint32(set.lanes)), x, x)
		ADDQ(U32(4*set.lanes), dst)
	})
	JZ(LabelRef("end"))
	body(mask(n))
	end()
}
