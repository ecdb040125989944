package main

import (
	. "github.com/mmcloughlin/avo/build"
)

// elementwise emits sums and products of elements.
func elementwise() {
	each("mul", "computes dst = x*y.", 1, "dst x y", "", func(p *pass) {
		p.store("dst", p.load("x").mul(p.load("y")))
	})
	each("blend", "computes dst = (1-m)*a + m*b.", 1, "dst a b m", "", func(p *pass) {
		m := p.load("m")
		p.store("dst", m.times(p.load("b"), m.from(one()).mul(p.load("a"))))
	})
	each("add", "computes dst += x.", 1, "dst x", "", func(p *pass) {
		p.store("dst", p.load("dst").add(p.load("x")))
	})
	each("addMul", "computes dst += x*y.", 1, "dst x y", "", func(p *pass) {
		p.store("dst", p.load("x").times(p.load("y"), p.load("dst")))
	})
	each("scale", "computes dst *= s.", 1, "dst", "s", func(p *pass) {
		p.store("dst", p.load("dst").mul(p.numbers["s"]))
	})
	each("addScaled", "computes dst += s*x.", 1, "dst x", "s", func(p *pass) {
		p.store("dst", p.load("x").times(p.numbers["s"], p.load("dst")))
	})
	each("plus", "computes dst = x+y.", 1, "dst x y", "", func(p *pass) {
		p.store("dst", p.load("x").add(p.load("y")))
	})
	each("sub", "computes dst = x-y.", 1, "dst x y", "", func(p *pass) {
		p.store("dst", p.load("x").sub(p.load("y")))
	})
	each("div", "computes dst = x/y.", 1, "dst x y", "", func(p *pass) {
		p.store("dst", p.load("x").div(p.load("y")))
	})
	each("scaled", "computes dst = s*x.", 1, "dst x", "s", func(p *pass) {
		p.store("dst", p.load("x").mul(p.numbers["s"]))
	})
	each("plusScaled", "computes dst = x + s*y.", 1, "dst x y", "s", func(p *pass) {
		p.store("dst", p.load("y").times(p.numbers["s"], p.load("x")))
	})
	each("addConstant", "computes dst += s.", 1, "dst", "s", func(p *pass) {
		p.store("dst", p.load("dst").add(p.numbers["s"]))
	})
	each("blendConst", "computes dst = rest*a + m*b.", 1, "dst a b", "rest m", func(p *pass) {
		p.store("dst", p.load("b").times(p.numbers["m"], p.load("a").mul(p.numbers["rest"])))
	})
	each("clamp", "computes x = min(max(x, -limit), limit).", 1, "x", "limit", func(p *pass) {
		limit, x := p.numbers["limit"], p.load("x")
		emit(VMAXPS, nil, x, limit.xor(sign()), x) // of NaN and a number, the first operand, here x, is the result
		emit(VMINPS, nil, x, limit, x)
		p.store("x", x)
	})
}
