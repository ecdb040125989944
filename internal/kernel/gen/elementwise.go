package main

import ()

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
}
