package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// constants are the numbers in use, each eight times in memory, by their bits.
var constants = map[uint32]Mem{}

func bits(u uint32) Mem {
	m, ok := constants[u]
	if !ok {
		m = GLOBL(fmt.Sprintf("c%08x", u), RODATA|NOPTR)
		for lane := range 8 {
			DATA(4*lane, U32(u))
		}
		constants[u] = m
	}
	return m
}

func number(f float32) Mem { return bits(math.Float32bits(f)) }

// vec is a register with the operations that formulas are written in. Each makes a new one.
type vec struct{ VecVirtual }

func binary(op func(ops ...Op), a Op, b vec) vec {
	r := YMM()
	op(a, b, r)
	return vec{r}
}

func (v vec) add(o Op) vec { return binary(VADDPS, o, v) }
func (v vec) sub(o Op) vec { return binary(VSUBPS, o, v) }
func (v vec) mul(o Op) vec { return binary(VMULPS, o, v) }
func (v vec) div(o Op) vec { return binary(VDIVPS, o, v) }
func (v vec) and(o Op) vec { return binary(VANDPS, o, v) }
func (v vec) or(o Op) vec  { return binary(VORPS, o, v) }
func (v vec) xor(o Op) vec { return binary(VXORPS, o, v) }

// times returns v*a + b, rounded once.
func (v vec) times(a, b Op) vec {
	r := constant(b)
	VFMADD231PS(a, v, r)
	return r
}

// minus returns b - v*a, rounded once.
func (v vec) minus(a, b Op) vec {
	r := constant(b)
	VFNMADD231PS(a, v, r)
	return r
}

func constant(m Op) vec {
	r := YMM()
	VMOVAPS(m, r)
	return vec{r}
}

// least returns the smaller of v and limit, and NaN where v is.
func (v vec) least(limit Mem) vec {
	r := YMM()
	VMINPS(v, constant(limit), r)
	return vec{r}
}

func (v vec) most(limit Mem) vec {
	r := YMM()
	VMAXPS(v, constant(limit), r)
	return vec{r}
}

// notBelow returns a mask of what is positive or NaN.
func (v vec) notBelow() vec {
	r := YMM()
	VCMPPS(Imm(6), number(0), v, r) // not less or equal
	return vec{r}
}

var (
	one  = func() Mem { return number(1) }
	sign = func() Mem { return bits(1 << 31) }
)

// exp is exp32: the same polynomial and reduction, with fused multiply-adds. flush says that x may be so
// small that the result is 0 instead of a number below the normal ones.
func exp(x vec, flush bool) vec {
	limited := x.least(number(89)) // e^89 is infinite already
	if flush {
		limited = limited.most(number(-88))
	}
	n := vec{YMM()}
	VROUNDPS(Imm(1), limited.times(number(1.44269504088896341), number(0.5)), n) // down
	r := n.minus(number(0.693359375), limited)
	r = n.minus(number(-2.12194440e-4), r)
	p := r.times(number(1.9875691500e-4), number(1.3981999507e-3))
	for _, c := range []float32{8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		p = p.times(r, number(c))
	}
	p = p.times(r.mul(r), r).add(one())
	// Twice half of the exponent: 2^128 is no float32.
	whole, half, rest := YMM(), YMM(), YMM()
	VCVTPS2DQ(n, whole)
	VPSRAD(Imm(1), whole, half)
	VPSUBD(half, whole, rest)
	for _, e := range []VecVirtual{half, rest} {
		VPADDD(bits(127), e, e)
		VPSLLD(Imm(23), e, e)
		p = p.mul(e)
	}
	if flush {
		tiny, r := YMM(), YMM()
		VCMPPS(Imm(1), number(-87.33654785156250), x, tiny) // less than; false of NaN, which stays
		VANDNPS(p, tiny, r)
		p = vec{r}
	}
	return p
}

func tanh(x vec) vec {
	a := x.and(bits(1<<31 - 1))
	e := exp(a.add(a), false)
	large := constant(one()).sub(constant(number(2)).div(e.add(one())))
	z := x.mul(x)
	p := z.times(number(-5.70498872745e-3), number(2.06390887954e-2))
	for _, c := range []float32{-5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1} {
		p = p.times(z, number(c))
	}
	small := p.mul(z).times(x, x)
	isSmall, r := YMM(), YMM()
	VCMPPS(Imm(1), number(0.625), a, isSmall)
	VBLENDVPS(isSmall, small, large, r)
	return vec{r}.or(x.and(sign())) // of large, and of -0
}

func sigmoid(x vec) vec {
	return constant(one()).div(exp(x.xor(sign()), true).add(one()))
}

// pass is one loop over n elements of some arrays, eight at a time, and the rest under a mask.
type pass struct {
	at   map[string]Mem
	mask Op // nil: all eight
}

func (p *pass) load(name string) vec {
	r := YMM()
	if p.mask != nil {
		VMASKMOVPS(p.at[name], p.mask, r)
	} else {
		VMOVUPS(p.at[name], r)
	}
	return vec{r}
}

func (p *pass) store(name string, v vec) {
	if p.mask != nil {
		VMASKMOVPS(v, p.mask, p.at[name])
	} else {
		VMOVUPS(v, p.at[name])
	}
}

// each emits name(arrays... *float32, numbers... float32, n int, mask *int32). An array "z4" stands for four,
// each gap bytes after the one before: z0 to z3. body computes with numbers, eight times each, in registers.
func each(name, doc string, arrays, scalars []string, body func(p *pass, s map[string]vec)) {
	signature, gap := "func(", false
	for _, a := range arrays {
		gap = gap || a[len(a)-1] == '4'
		signature += a + " *float32, "
	}
	for _, s := range scalars {
		signature += s + " float32, "
	}
	if gap {
		signature += "gap int, "
	}
	TEXT(name, NOSPLIT, signature+"n int, mask *int32)")
	Pragma("noescape")
	Doc(name + " " + doc)
	p := &pass{at: map[string]Mem{}}
	var pointers []Register
	var stride Register
	if gap {
		stride = param("gap")
	}
	for _, a := range arrays {
		base := param(a)
		pointers = append(pointers, base)
		if a[len(a)-1] != '4' {
			p.at[a] = Mem{Base: base}
			continue
		}
		last := GP64()
		LEAQ(Mem{Base: base, Index: stride, Scale: 2}, last)
		ADDQ(stride, last)
		pointers = append(pointers, last)
		stem := a[:len(a)-1]
		p.at[stem+"0"] = Mem{Base: base}
		p.at[stem+"1"] = Mem{Base: base, Index: stride, Scale: 1}
		p.at[stem+"2"] = Mem{Base: base, Index: stride, Scale: 2}
		p.at[stem+"3"] = Mem{Base: last}
	}
	numbers := map[string]vec{}
	for _, s := range scalars {
		x, r := XMM(), YMM()
		Load(Param(s), x)
		VBROADCASTSS(x, r)
		numbers[s] = vec{r}
	}
	n := param("n")
	Label("loop")
	CMPQ(n, Imm(8))
	JL(LabelRef("tail"))
	body(p, numbers)
	for _, r := range pointers {
		ADDQ(Imm(32), r)
	}
	SUBQ(Imm(8), n)
	JMP(LabelRef("loop"))
	Label("tail")
	TESTQ(n, n)
	JZ(LabelRef("end"))
	m := YMM()
	VMOVDQU(Mem{Base: param("mask")}, m)
	p.mask = m
	body(p, numbers)
	Label("end")
	VZEROUPPER()
	RET()
}

func elementwise() {
	each("expAVX2", "computes dst = e^src.", []string{"dst", "src"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", exp(p.load("src"), true))
	})
	each("tanhAVX2", "computes dst = tanh(src).", []string{"dst", "src"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", tanh(p.load("src")))
	})
	each("sigmoidAVX2", "computes dst = 1/(1+e^-src).", []string{"dst", "src"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", sigmoid(p.load("src")))
	})
	each("tanhGradAVX2", "computes dst = grad*(1-y*y).", []string{"dst", "grad", "y"}, nil, func(p *pass, _ map[string]vec) {
		y := p.load("y")
		p.store("dst", y.minus(y, one()).mul(p.load("grad")))
	})
	each("reluAVX2", "computes dst = max(src, 0).", []string{"dst", "src"}, nil, func(p *pass, _ map[string]vec) {
		x := p.load("src")
		p.store("dst", x.and(x.notBelow()))
	})
	each("reluGradAVX2", "computes dst = grad where y is not 0 or less, else 0.", []string{"dst", "grad", "y"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", p.load("grad").and(p.load("y").notBelow()))
	})
	each("lstmAVX2", "computes the gates z0 to z3 in place, c, tc and h.", []string{"z4", "cPrev", "c", "tc", "h"}, nil, func(p *pass, _ map[string]vec) {
		i := sigmoid(p.load("z0"))
		p.store("z0", i)
		g := tanh(p.load("z2"))
		p.store("z2", g)
		ig := i.mul(g)
		f := sigmoid(p.load("z1"))
		p.store("z1", f)
		c := f.times(p.load("cPrev"), ig)
		p.store("c", c)
		tc := tanh(c)
		p.store("tc", tc)
		o := sigmoid(p.load("z3"))
		p.store("z3", o)
		p.store("h", o.mul(tc))
	})
	each("lstmGradAVX2", "computes the gradients d0 to d3 of the gates' sums, and dc.", []string{"z4", "d4", "cPrev", "tc", "dc", "dh"}, nil, func(p *pass, _ map[string]vec) {
		dh, o, tc := p.load("dh"), p.load("z3"), p.load("tc")
		slope := func(y vec) vec { return constant(one()).sub(y).mul(y) }
		p.store("d3", dh.mul(tc).mul(slope(o)))
		dc := dh.mul(o).times(tc.minus(tc, one()), p.load("dc"))
		i, f, g := p.load("z0"), p.load("z1"), p.load("z2")
		p.store("d0", dc.mul(g).mul(slope(i)))
		p.store("d1", dc.mul(p.load("cPrev")).mul(slope(f)))
		p.store("d2", dc.mul(i).mul(g.minus(g, one())))
		p.store("dc", dc.mul(f))
	})
	each("addAVX2", "computes dst += x.", []string{"dst", "x"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", p.load("dst").add(p.load("x")))
	})
	each("addMulAVX2", "computes dst += x*y.", []string{"dst", "x", "y"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", p.load("x").times(p.load("y"), p.load("dst")))
	})
	each("scaleAVX2", "computes dst *= s.", []string{"dst"}, []string{"s"}, func(p *pass, s map[string]vec) {
		p.store("dst", p.load("dst").mul(s["s"]))
	})
	each("addScaledAVX2", "computes dst += s*x.", []string{"dst", "x"}, []string{"s"}, func(p *pass, s map[string]vec) {
		p.store("dst", p.load("x").times(s["s"], p.load("dst")))
	})
	each("adamAVX2", "computes a step of Adam.", []string{"w", "grad", "m", "v"},
		[]string{"beta1", "rest1", "beta2", "rest2", "step", "root", "eps"}, func(p *pass, s map[string]vec) {
			g := p.load("grad")
			m := g.mul(s["rest1"])
			m = p.load("m").times(s["beta1"], m)
			p.store("m", m)
			v := g.mul(g).mul(s["rest2"])
			v = p.load("v").times(s["beta2"], v)
			p.store("v", v)
			deep := vec{YMM()}
			VSQRTPS(v, deep)
			deep = deep.times(s["root"], s["eps"])
			p.store("w", p.load("w").sub(m.mul(s["step"]).div(deep)))
		})
}
