package main

import (
	. "github.com/mmcloughlin/avo/build"
)

// adam emits a step of Adam.
func adam() {
	each("adam", "computes a step of Adam.", 1, "w grad m v", "beta1 rest1 beta2 rest2 step root eps", func(p *pass) {
		g := p.load("grad")
		m := g.mul(p.numbers["rest1"])
		m = p.load("m").times(p.numbers["beta1"], m)
		p.store("m", m)
		v := g.mul(g).mul(p.numbers["rest2"])
		v = p.load("v").times(p.numbers["beta2"], v)
		p.store("v", v)
		deep := fresh(len(v))
		emit(VSQRTPS, nil, v, deep)
		deep = deep.times(p.numbers["root"], p.numbers["eps"])
		p.store("w", p.load("w").sub(m.mul(p.numbers["step"]).div(deep)))
	})
}
