package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// mantissa returns p and n of e^x = p * 2^n, with the polynomial of exp32. n is shifted to the exponent of a float32.
func mantissa(x vec) (p, exponent vec) {
	magic := number(3 << 22) // adding it to a small number rounds that to an integer, in the last bits
	t := x.times(number(1.44269504088896341), magic)
	n := t.sub(magic)
	r := n.minus(number(0.693359375), x)
	emit(VFNMADD231PS, VFNMADD231PS_BCST, number(-2.12194440e-4), n, r)
	square := r.mul(r)
	p = x.copies(number(1.9875691500e-4)).horner(r, 1.3981999507e-3)
	p.andThen(square, x.copies(number(8.3334519073e-3)).horner(r, 4.1665795894e-2))
	p.andThen(square, x.copies(number(1.6666665459e-1)).horner(r, 5.0000001201e-1))
	p.andThen(square, r)
	return p.add(one()), t.shifted(23)
}

// exp returns e^x: exp32 with fused multiply-adds.
func exp(x vec) vec {
	p, n := mantissa(x)
	// 2^n is added to the exponent, where the result is a normal number.
	p = p.plus(n).where(x.is(atLeast, bits(0xc2aeac4f))) // the float32 after -126 ln 2
	// Beyond the float32 before 128 ln 2 the result is infinite, or NaN.
	return x.add(bits(0x7f800000)).whereElse(x.is(notLessEqual, bits(0x42b17217)), p)
}

// tanh returns tanh(x): tanh32 with fused multiply-adds.
func tanh(x vec) vec {
	size := func() vec { return x.and(bits(1<<31 - 1)) }
	limited := binary(VMINPS, VMINPS_BCST, number(10), size()) // tanh(10) rounds to 1
	p, n := mantissa(limited.add(limited))
	large := p.plus(n).add(one()).under(number(2)).from(one())
	z := x.mul(x)
	small := x.copies(number(-5.70498872745e-3)).horner(z, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1).mul(z)
	small.andThen(x, x)
	// The sign is missing in large, and in small for x = -0.
	return large.whereElse(size().is(atLeast, number(0.625)), small).or(x.and(sign()))
}

// sigmoid returns 1/(1 + e^-x): sigmoid32 with fused multiply-adds.
func sigmoid(x vec) vec {
	p, n := mantissa(x.xor(sign()).least(number(89)).most(number(-88)))
	// As an exponent, 2^128 is infinite and 2^-127 is zero.
	return p.mul(n.plus(one())).add(one()).under(one())
}

// sigmoidSlope returns y*(1-y), the derivative of a sigmoid whose value is y.
func sigmoidSlope(y vec) vec { return y.from(one()).mul(y) }

// tanhSlope returns 1-y*y, the derivative of a hyperbolic tangent whose value is y.
func tanhSlope(y vec) vec { return y.minus(y, one()) }

// positive returns max(x, 0), and NaN where x is NaN.
func positive(x vec) vec { return x.where(x.is(notLessEqual, number(0))) }

// log returns the natural logarithm of x: log32 with fused multiply-adds.
func log(x vec) vec {
	n := binary(VPSUBD, VPSUBD_BCST, bits(rootOfHalf), x)
	n = binary(VPSRAD, VPSRAD, Imm(23), n)
	m := binary(VPSUBD, nil, n.shifted(23), x).sub(one())
	e := fresh(len(n))
	emit(VCVTDQ2PS, nil, n, e)
	z := m.mul(m)
	p := x.copies(number(7.0376836292e-2)).horner(m, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
		2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1).mul(m).mul(z)
	emit(VFMADD231PS, VFMADD231PS_BCST, number(-2.12194440e-4), e, p)
	emit(VFNMADD231PS, VFNMADD231PS_BCST, number(0.5), z, p)
	y := e.times(number(0.693359375), m.add(p))
	y = x.whereElse(x.is(notLess, bits(0x7f800000)), y) // infinite, or NaN
	y = y.whereElse(x.is(notLessEqual, number(0)), x.copies(bits(0x7fc00000)))
	return x.copies(bits(0xff800000)).whereElse(x.is(equal, number(0)), y)
}

// rootOfHalf has the bits of sqrt(1/2).
const rootOfHalf = 0x3f3504f3

// tail returns x, limited to 16, and the probability that a number of the standard normal distribution is larger than |x|: tail32 with fused multiply-adds.
func tail(x vec) (limited, q vec) {
	limited = x.least(number(16)).most(number(-16))
	a := limited.and(bits(1<<31 - 1))
	t := a.times(number(0.35355339059), a.copies(one())).under(one())
	p := a.copies(number(0.17087277)).horner(t, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223)
	return limited, exp(a.mul(a).minus(number(0.5), p)).mul(t).mul(number(0.5))
}

// activations emits the activation functions and their gradients.
func activations() {
	each("exp", "computes dst = e^src.", 2, "dst src", "", func(p *pass) {
		p.store("dst", exp(p.load("src")))
	})
	each("tanh", "computes dst = tanh(src).", 2, "dst src", "", func(p *pass) {
		p.store("dst", tanh(p.load("src")))
	})
	each("sigmoid", "computes dst = 1/(1+e^-src).", 2, "dst src", "", func(p *pass) {
		p.store("dst", sigmoid(p.load("src")))
	})
	each("tanhGrad", "computes dst = grad*(1-y*y).", 1, "dst grad y", "", func(p *pass) {
		p.store("dst", tanhSlope(p.load("y")).mul(p.load("grad")))
	})
	each("relu", "computes dst = max(src, 0).", 1, "dst src", "", func(p *pass) {
		p.store("dst", positive(p.load("src")))
	})
	each("reluGrad", "computes dst = grad where y is not 0 or less, else 0.", 1, "dst grad y", "", func(p *pass) {
		grad := p.load("grad").mul(one()) // a denormal gradient becomes 0
		p.store("dst", grad.where(p.load("y").is(notLessEqual, number(0))))
	})
	each("sigmoidGrad", "computes dst = grad*y*(1-y).", 1, "dst grad y", "", func(p *pass) {
		p.store("dst", sigmoidSlope(p.load("y")).mul(p.load("grad")))
	})
	each("log", "computes dst = ln(src).", 1, "dst src", "", func(p *pass) {
		p.store("dst", log(p.load("src")))
	})
	each("gelu", "computes dst = src*P(X <= src), X of the standard normal distribution.", 1, "dst src", "", func(p *pass) {
		x := p.load("src")
		limited, q := tail(x)
		p.store("dst", limited.and(bits(1<<31-1)).minus(q, positive(x)))
	})
	each("geluGrad", "computes dst = grad*(P(X <= x) + x*density(x)).", 1, "dst grad x", "", func(p *pass) {
		x, q := tail(p.load("x"))
		density := exp(x.mul(x).mul(number(-0.5))).mul(number(0.39894228040143268))
		below := q.from(one()).whereElse(x.is(greater, number(0)), q)
		p.store("dst", x.times(density, below).mul(p.load("grad")))
	})
}
