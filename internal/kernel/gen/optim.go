package main

import (
	. "github.com/mmcloughlin/avo/build"
)

// optimizers emits the steps of the optimizers.
func optimizers() {
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
	// average returns the running average name of x, which it stores.
	average := func(p *pass, name, decay, rest string, x vec) vec {
		v := p.load(name).times(p.numbers[decay], x.mul(p.numbers[rest]))
		p.store(name, v)
		return v
	}
	// quotient stores u = g/(sqrt(v)+eps).
	quotient := func(p *pass, g, v vec) {
		root := fresh(len(v))
		emit(VSQRTPS, nil, v, root)
		p.store("u", g.div(root.add(p.numbers["eps"])))
	}
	each("scaleByRMS", "computes v = decay*v + rest*g*g and u = g/(sqrt(v)+eps).", 1, "u grad v", "decay rest eps", func(p *pass) {
		g := p.load("grad")
		quotient(p, g, average(p, "v", "decay", "rest", g.mul(g)))
	})
	each("scaleByDeviation", "computes the averages v of g*g and m of g, and u = g/(sqrt(max(v-m*m, 0))+eps).", 1, "u grad v m", "decay rest eps", func(p *pass) {
		g := p.load("grad")
		v, m := average(p, "v", "decay", "rest", g.mul(g)), average(p, "m", "decay", "rest", g)
		quotient(p, g, m.minus(m, v).most(number(0)))
	})
	each("lion", "computes a step of Lion.", 1, "w grad m", "beta1 rest1 beta2 rest2 rate", func(p *pass) {
		g, w := p.load("grad"), p.load("w")
		c := p.load("m").times(p.numbers["beta1"], g.mul(p.numbers["rest1"]))
		moved := w.sub(c.and(sign()).or(p.numbers["rate"]))
		p.store("w", moved.whereElse(c.and(bits(1<<31-1)).is(greater, number(0)), w.add(c))) // where c is 0 or NaN, w+c
		average(p, "m", "beta2", "rest2", g)
	})
	each("momentum", "computes b = decay*b + rest*g and w += rate*b.", 1, "w grad b", "decay rest rate", func(p *pass) {
		b := p.load("grad").times(p.numbers["rest"], p.load("b").mul(p.numbers["decay"]))
		p.store("b", b)
		p.store("w", b.times(p.numbers["rate"], p.load("w")))
	})
	each("nesterov", "computes b = decay*b + rest*g and w += rate*g + ahead*b.", 1, "w grad b", "decay rest rate ahead", func(p *pass) {
		g := p.load("grad")
		b := g.times(p.numbers["rest"], p.load("b").mul(p.numbers["decay"]))
		p.store("b", b)
		p.store("w", b.times(p.numbers["ahead"], g.times(p.numbers["rate"], p.load("w"))))
	})
}
