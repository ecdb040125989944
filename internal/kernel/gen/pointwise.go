package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// pointwise emits roots, absolute values, limits and the larger of two. A number that would only be moved is multiplied by 1, which makes it 0 if it is
// denormal.
func pointwise() {
	const magnitude = 1<<31 - 1
	each("sqrt", "computes dst = sqrt(src).", 1, "dst src", "", func(p *pass) {
		root := fresh(1)
		emit(VSQRTPS, nil, p.load("src"), root)
		p.store("dst", root)
	})
	each("sqrtGrad", "computes dst = grad/(2*y), and 0 where grad is 0.", 1, "dst grad y", "", func(p *pass) {
		grad, y := p.load("grad"), p.load("y")
		p.store("dst", grad.div(y.add(y)).where(grad.is(notEqual, number(0))))
	})
	each("abs", "computes dst = |src|.", 1, "dst src", "", func(p *pass) {
		p.store("dst", p.load("src").and(bits(magnitude)).mul(one()))
	})
	each("absGrad", "computes dst = grad with the sign of x, and 0 where x is 0 or NaN.", 1, "dst grad x", "", func(p *pass) {
		x := p.load("x")
		signed := p.load("grad").mul(one()).xor(x.and(sign()))
		p.store("dst", signed.where(x.and(bits(magnitude)).is(greater, number(0))))
	})
	each("limit", "computes dst = min(max(src, lo), hi), and NaN where src is NaN.", 1, "dst src", "lo hi", func(p *pass) {
		x := p.load("src")
		emit(VMAXPS, nil, x, p.numbers["lo"], x) // of NaN and a number, the first operand, here x, is the result
		emit(VMINPS, nil, x, p.numbers["hi"], x)
		p.store("dst", x.mul(one()))
	})
	each("limitGrad", "computes dst = grad where lo <= x <= hi, and 0 elsewhere.", 1, "dst grad x", "lo hi", func(p *pass) {
		x := p.load("x")
		grad := p.load("grad").mul(one()).where(x.is(atLeast, p.numbers["lo"]))
		p.store("dst", grad.where(x.is(atMost, p.numbers["hi"])))
	})
	extreme := func(stem, doc string, op func(ops ...Op)) {
		each(stem, doc, 1, "dst a b", "", func(p *pass) {
			a, b, y := p.load("a"), p.load("b"), fresh(1)
			emit(op, nil, a, b, y) // a if one of them is NaN
			p.store("dst", b.whereElse(b.is(unordered, b), y).mul(one()))
		})
	}
	extreme("maximum", "computes dst = max(a, b), and NaN where one of them is NaN.", VMAXPS)
	extreme("minimum", "computes dst = min(a, b), and NaN where one of them is NaN.", VMINPS)
	each("addWhereLarger", "computes dst += grad where a > b, and dst += grad/2 where a = b.", 1, "dst grad a b", "", func(p *pass) {
		grad, a, b := p.load("grad"), p.load("a"), p.load("b")
		whole := grad.where(a.is(greater, b))
		p.store("dst", p.load("dst").add(whole.or(grad.mul(number(0.5)).where(a.is(equal, b)))))
	})
}
