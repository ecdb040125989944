package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// constants are the numbers in use, by their bits: with AVX2 in memory as often as a register has lanes; AVX-512's
// instructions spread one.
var constants = map[uint32]Mem{}

func bits(u uint32) Mem {
	m, ok := constants[u]
	if !ok {
		m = GLOBL(fmt.Sprintf("c%08x", u), RODATA|NOPTR)
		DATA(0, U32(u))
		for lane := 1; lane < set.lanes && set.lanes == 8; lane++ {
			DATA(4*lane, U32(u))
		}
		constants[u] = m
	}
	return m
}

func number(f float32) Mem { return bits(math.Float32bits(f)) }

// vec is registers that go through the same formula side by side: an operation is emitted for each of them in turn, so
// that of the instructions that a processor looks at together fewer wait for each other. Operations make new registers.
// An operand that is one register, or memory, meets all of them.
type vec []VecVirtual

// Asm makes a vec an operand of its operations.
func (v vec) Asm() string { return fmt.Sprint([]VecVirtual(v)) }

// fresh returns n registers.
func fresh(n int) vec {
	v := make(vec, n)
	for i := range v {
		v[i] = register(set.lanes)
	}
	return v
}

// part returns what of o meets register i of a vec.
func part(o Op, i int) Op {
	v, ok := o.(vec)
	switch {
	case !ok:
		return o
	case len(v) == 1:
		return v[0]
	}
	return v[i]
}

// emit emits op, or, if there is a constant among its operands and AVX-512 has to spread it, the form that does; once
// for each register of the last operand.
func emit(op, spreading func(ops ...Op), ops ...Op) {
	for _, o := range ops {
		if _, ok := o.(Mem); ok && set.lanes == 16 {
			op = spreading
		}
	}
	for i := range ops[len(ops)-1].(vec) {
		parts := make([]Op, len(ops))
		for j, o := range ops {
			parts[j] = part(o, i)
		}
		op(parts...)
	}
}

func binary(op, spreading func(ops ...Op), a Op, b vec) vec {
	r := fresh(len(b))
	emit(op, spreading, a, b, r)
	return r
}

func (v vec) add(o Op) vec { return binary(VADDPS, VADDPS_BCST, o, v) }
func (v vec) sub(o Op) vec { return binary(VSUBPS, VSUBPS_BCST, o, v) }
func (v vec) mul(o Op) vec { return binary(VMULPS, VMULPS_BCST, o, v) }
func (v vec) div(o Op) vec { return binary(VDIVPS, VDIVPS_BCST, o, v) }
func (v vec) and(o Op) vec { return binary(VANDPS, VANDPS_BCST, o, v) }
func (v vec) or(o Op) vec  { return binary(VORPS, VORPS_BCST, o, v) }
func (v vec) xor(o Op) vec { return binary(VXORPS, VXORPS_BCST, o, v) }

// plus adds whole numbers.
func (v vec) plus(o Op) vec { return binary(VPADDD, VPADDD_BCST, o, v) }

// shifted shifts v left.
func (v vec) shifted(by uint64) vec { return binary(VPSLLD, VPSLLD, Imm(by), v) }

// times returns v*a + b, rounded once.
func (v vec) times(a, b Op) vec {
	r := v.copies(b)
	emit(VFMADD231PS, VFMADD231PS_BCST, a, v, r)
	return r
}

// minus returns b - v*a, rounded once.
func (v vec) minus(a, b Op) vec {
	r := v.copies(b)
	emit(VFNMADD231PS, VFNMADD231PS_BCST, a, v, r)
	return r
}

// copies returns as many registers as v has, with what o is.
func (v vec) copies(o Op) vec {
	r := fresh(len(v))
	emit(VMOVAPS, func(ops ...Op) { VBROADCASTSS(ops[0], ops[1]) }, o, r)
	return r
}

// constant returns a register with what o is.
func constant(o Op) vec { return fresh(1).copies(o) }

// from returns o - v.
func (v vec) from(o Op) vec { return binary(VSUBPS, nil, v, v.copies(o)) }

// under returns o / v.
func (v vec) under(o Op) vec { return binary(VDIVPS, nil, v, v.copies(o)) }

// least returns the smaller of v and limit, and NaN where v is.
func (v vec) least(limit Mem) vec { return binary(VMINPS, nil, v, v.copies(limit)) }

func (v vec) most(limit Mem) vec { return binary(VMAXPS, nil, v, v.copies(limit)) }

// Predicates of comparisons.
const (
	atLeast      = predicate(13)
	notLessEqual = predicate(6) // also of NaN
)

type predicate uint8

// is compares v with m. What it returns is good until the next comparison.
func (v vec) is(p predicate, m Mem) []Op {
	held := make([]Op, len(v))
	for i := range v {
		if set.lanes == 16 {
			held[i] = []Op{K2, K3, K4, K5}[i]
			VCMPPS_BCST(Imm(uint64(p)), m, v[i], held[i])
		} else {
			held[i] = YMM()
			VCMPPS(Imm(uint64(p)), m, v[i], held[i])
		}
	}
	return held
}

// where returns v in the lanes where a comparison held, else 0.
func (v vec) where(held []Op) vec {
	r := fresh(len(v))
	for i := range v {
		if set.lanes == 16 {
			VMOVAPS_Z(v[i], held[i], r[i])
		} else {
			VANDPS(held[i], v[i], r[i])
		}
	}
	return r
}

// whereElse returns v in the lanes where a comparison held, else other.
func (v vec) whereElse(held []Op, other vec) vec {
	r := fresh(len(held))
	for i := range r {
		if set.lanes == 16 {
			VBLENDMPS(part(v, i), part(other, i), held[i], r[i])
		} else {
			VBLENDVPS(held[i], part(v, i), part(other, i), r[i])
		}
	}
	return r
}

var (
	one  = func() Mem { return number(1) }
	sign = func() Mem { return bits(1 << 31) }
)

// horner turns v, the value of a polynomial's higher terms, into v*x + c, for one coefficient after the other.
func (v vec) horner(x vec, coefficients ...float32) vec {
	for _, c := range coefficients {
		v.andThen(x, number(c))
	}
	return v
}

// andThen turns v into v*x + o, rounded once.
func (v vec) andThen(x vec, o Op) { emit(VFMADD213PS, VFMADD213PS_BCST, o, x, v) }

// mantissa returns exp32's polynomial for x, and n shifted to where the exponent is: e^x = p * 2^n.
func mantissa(x vec) (p, exponent vec) {
	magic := number(3 << 22) // what is added to it is rounded to a whole number, in its last bits
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

// exp is exp32 with fused multiply-adds.
func exp(x vec) vec {
	p, n := mantissa(x)
	// 2^n goes into the exponent, for an n that leaves it a normal number.
	p = p.plus(n).where(x.is(atLeast, bits(0xc2aeac4f))) // the number after -126 ln 2
	// Beyond the number before 128 ln 2 it is infinite, or NaN.
	return x.add(bits(0x7f800000)).whereElse(x.is(notLessEqual, bits(0x42b17217)), p)
}

func tanh(x vec) vec {
	size := func() vec { return x.and(bits(1<<31 - 1)) }
	limited := binary(VMINPS, VMINPS_BCST, number(10), size()) // tanh(10) is 1
	p, n := mantissa(limited.add(limited))
	large := p.plus(n).add(one()).under(number(2)).from(one())
	z := x.mul(x)
	small := x.copies(number(-5.70498872745e-3)).horner(z, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1).mul(z)
	small.andThen(x, x)
	return large.whereElse(size().is(atLeast, number(0.625)), small).or(x.and(sign())) // of large, and of -0
}

func sigmoid(x vec) vec {
	p, n := mantissa(x.xor(sign()).least(number(89)).most(number(-88)))
	// 2^128 is infinite here, and 2^-127 zero.
	return p.mul(n.plus(one())).add(one()).under(one())
}

// pass is one loop over n elements of some arrays, side registers at a time, or what is less than one under a mask.
type pass struct {
	at    map[string]Mem
	side  int
	masks []Op // nil: all of the registers
}

// along runs f for each register of v, its place from m on, and its mask, if there are some.
func along(m Mem, v vec, masks []Op, f func(m Mem, mask, r Op)) {
	for i, r := range v {
		var mask Op
		if masks != nil {
			mask = masks[i]
		}
		f(m.Offset(4*set.lanes*i), mask, r)
	}
}

func (p *pass) load(name string) vec {
	v := fresh(p.side)
	along(p.at[name], v, p.masks, load)
	return v
}

func (p *pass) store(name string, v vec) { put(v, p.masks, p.at[name]) }

// each emits name(arrays... *float32, numbers... float32, n int), that treats side registers at a time. An array "z4"
// stands for four, each gap bytes after the one before: z0 to z3. body computes with numbers, in every lane, in registers.
func each(stem, doc string, side int, arrays, scalars []string, body func(p *pass, s map[string]vec)) {
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
	TEXT(named(stem), NOSPLIT, signature+"n int)")
	Pragma("noescape")
	Doc(named(stem) + " " + doc)
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
		one := a[:len(a)-1]
		p.at[one+"0"] = Mem{Base: base}
		p.at[one+"1"] = Mem{Base: base, Index: stride, Scale: 1}
		p.at[one+"2"] = Mem{Base: base, Index: stride, Scale: 2}
		p.at[one+"3"] = Mem{Base: last}
	}
	numbers := map[string]vec{}
	for _, s := range scalars {
		x := XMM()
		Load(Param(s), x)
		numbers[s] = spread(x)
	}
	n := param("n")
	for p.side = side; ; p.side = 1 {
		step := p.side * set.lanes
		while(fmt.Sprint("loop", p.side), n, step, func() {
			body(p, numbers)
			for _, r := range pointers {
				ADDQ(U32(4*step), r)
			}
		})
		if p.side == 1 {
			break
		}
	}
	JZ(LabelRef("end"))
	p.masks = masksOf(n, 1)
	body(p, numbers)
	Label("end")
	VZEROUPPER()
	RET()
}

func elementwise() {
	each("exp", "computes dst = e^src.", 2, []string{"dst", "src"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", exp(p.load("src")))
	})
	each("tanh", "computes dst = tanh(src).", 2, []string{"dst", "src"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", tanh(p.load("src")))
	})
	each("sigmoid", "computes dst = 1/(1+e^-src).", 2, []string{"dst", "src"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", sigmoid(p.load("src")))
	})
	each("tanhGrad", "computes dst = grad*(1-y*y).", 1, []string{"dst", "grad", "y"}, nil, func(p *pass, _ map[string]vec) {
		y := p.load("y")
		p.store("dst", y.minus(y, one()).mul(p.load("grad")))
	})
	each("relu", "computes dst = max(src, 0).", 1, []string{"dst", "src"}, nil, func(p *pass, _ map[string]vec) {
		x := p.load("src")
		p.store("dst", x.where(x.is(notLessEqual, number(0))))
	})
	each("reluGrad", "computes dst = grad where y is not 0 or less, else 0.", 1, []string{"dst", "grad", "y"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", p.load("grad").where(p.load("y").is(notLessEqual, number(0))))
	})
	each("lstm", "computes the gates z0 to z3 in place, c, tc and h.", 2, []string{"z4", "cPrev", "c", "tc", "h"}, nil, func(p *pass, _ map[string]vec) {
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
	each("lstmGrad", "computes the gradients d0 to d3 of the gates' sums, and dc.", 1, []string{"z4", "d4", "cPrev", "tc", "dc", "dh"}, nil, func(p *pass, _ map[string]vec) {
		dh, o, tc := p.load("dh"), p.load("z3"), p.load("tc")
		p.store("d3", dh.mul(tc).mul(slope(o)))
		dc := dh.mul(o).times(tc.minus(tc, one()), p.load("dc"))
		i, f, g := p.load("z0"), p.load("z1"), p.load("z2")
		p.store("d0", dc.mul(g).mul(slope(i)))
		p.store("d1", dc.mul(p.load("cPrev")).mul(slope(f)))
		p.store("d2", dc.mul(i).mul(g.minus(g, one())))
		p.store("dc", dc.mul(f))
	})
	each("lstmPeephole", "is lstm whose gates 0, 1 and 3 see c, scaled by p0 to p2.", 2, []string{"z4", "p4", "cPrev", "c", "tc", "h"}, nil, func(p *pass, _ map[string]vec) {
		before := p.load("cPrev")
		i := sigmoid(p.load("p0").times(before, p.load("z0")))
		p.store("z0", i)
		g := tanh(p.load("z2"))
		p.store("z2", g)
		ig := i.mul(g)
		f := sigmoid(p.load("p1").times(before, p.load("z1")))
		p.store("z1", f)
		c := f.times(before, ig)
		p.store("c", c)
		o := sigmoid(p.load("p2").times(c, p.load("z3")))
		p.store("z3", o)
		tc := tanh(c)
		p.store("tc", tc)
		p.store("h", o.mul(tc))
	})
	each("lstmPeepholeGrad", "computes the gradients d0 to d3 of the gates' sums, and dc.", 1, []string{"z4", "d4", "p4", "cPrev", "tc", "dc", "dh"}, nil, func(p *pass, _ map[string]vec) {
		dh, o, tc := p.load("dh"), p.load("z3"), p.load("tc")
		d3 := dh.mul(tc).mul(slope(o))
		p.store("d3", d3)
		dc := dh.mul(o).times(tc.minus(tc, one()), p.load("dc"))
		dc = d3.times(p.load("p2"), dc)
		i, f, g := p.load("z0"), p.load("z1"), p.load("z2")
		d0 := dc.mul(g).mul(slope(i))
		p.store("d0", d0)
		d1 := dc.mul(p.load("cPrev")).mul(slope(f))
		p.store("d1", d1)
		p.store("d2", dc.mul(i).mul(g.minus(g, one())))
		p.store("dc", d1.times(p.load("p1"), d0.times(p.load("p0"), dc.mul(f))))
	})
	gru()
	bernoulli()
	each("mul", "computes dst = x*y.", 1, []string{"dst", "x", "y"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", p.load("x").mul(p.load("y")))
	})
	each("blend", "computes dst = (1-m)*a + m*b.", 1, []string{"dst", "a", "b", "m"}, nil, func(p *pass, _ map[string]vec) {
		m := p.load("m")
		p.store("dst", m.times(p.load("b"), m.from(one()).mul(p.load("a"))))
	})
	each("add", "computes dst += x.", 1, []string{"dst", "x"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", p.load("dst").add(p.load("x")))
	})
	each("addMul", "computes dst += x*y.", 1, []string{"dst", "x", "y"}, nil, func(p *pass, _ map[string]vec) {
		p.store("dst", p.load("x").times(p.load("y"), p.load("dst")))
	})
	each("scale", "computes dst *= s.", 1, []string{"dst"}, []string{"s"}, func(p *pass, s map[string]vec) {
		p.store("dst", p.load("dst").mul(s["s"]))
	})
	each("addScaled", "computes dst += s*x.", 1, []string{"dst", "x"}, []string{"s"}, func(p *pass, s map[string]vec) {
		p.store("dst", p.load("x").times(s["s"], p.load("dst")))
	})
	each("adam", "computes a step of Adam.", 1, []string{"w", "grad", "m", "v"},
		[]string{"beta1", "rest1", "beta2", "rest2", "step", "root", "eps"}, func(p *pass, s map[string]vec) {
			g := p.load("grad")
			m := g.mul(s["rest1"])
			m = p.load("m").times(s["beta1"], m)
			p.store("m", m)
			v := g.mul(g).mul(s["rest2"])
			v = p.load("v").times(s["beta2"], v)
			p.store("v", v)
			deep := fresh(len(v))
			emit(VSQRTPS, nil, v, deep)
			deep = deep.times(s["root"], s["eps"])
			p.store("w", p.load("w").sub(m.mul(s["step"]).div(deep)))
		})
}

// slope returns that of a sigmoid where its value is y.
func slope(y vec) vec { return y.from(one()).mul(y) }

// gru's arrays z0 to z3 are the gates n, r and u, and m.
func gru() {
	update := func(p *pass, n, u vec) {
		p.store("z0", n)
		p.store("h", p.load("hPrev").sub(n).times(u, n))
	}
	each("gru", "computes the gates z0 to z2 in place, and h.", 2, []string{"z4", "hPrev", "h"}, nil, func(p *pass, _ map[string]vec) {
		r := sigmoid(p.load("z1"))
		p.store("z1", r)
		n := tanh(r.times(p.load("z3"), p.load("z0")))
		u := sigmoid(p.load("z2"))
		p.store("z2", u)
		update(p, n, u)
	})
	each("gruReset", "computes the gates z1 and z2 in place, and z3.", 2, []string{"z4", "hPrev"}, nil, func(p *pass, _ map[string]vec) {
		r := sigmoid(p.load("z1"))
		p.store("z1", r)
		p.store("z2", sigmoid(p.load("z2")))
		p.store("z3", r.mul(p.load("hPrev")))
	})
	each("gruUpdate", "computes z0 in place, and h.", 2, []string{"z4", "hPrev", "h"}, nil, func(p *pass, _ map[string]vec) {
		update(p, tanh(p.load("z0")), p.load("z2"))
	})
	// updateGrad returns the gradient of n's sum.
	updateGrad := func(p *pass) vec {
		dh, n, u := p.load("dh"), p.load("z0"), p.load("z2")
		dn := dh.mul(u.from(one())).mul(n.minus(n, one()))
		p.store("d0", dn)
		p.store("d2", dh.mul(p.load("hPrev").sub(n)).mul(slope(u)))
		p.store("dh", dh.mul(u))
		return dn
	}
	each("gruGrad", "computes the gradients d0 to d2 of the gates' sums, that of z3, and dh.", 1, []string{"z4", "d4", "hPrev", "dh"}, nil, func(p *pass, _ map[string]vec) {
		dn, r := updateGrad(p), p.load("z1")
		p.store("d1", dn.mul(p.load("z3")).mul(slope(r)))
		p.store("d3", dn.mul(r))
	})
	each("gruUpdateGrad", "computes d0, d2 and dh.", 1, []string{"z4", "d4", "hPrev", "dh"}, nil, func(p *pass, _ map[string]vec) {
		updateGrad(p)
	})
	each("gruResetGrad", "computes d1, and d3 in place.", 1, []string{"z4", "d4", "hPrev"}, nil, func(p *pass, _ map[string]vec) {
		dm, r := p.load("d3"), p.load("z1")
		p.store("d1", dm.mul(p.load("hPrev")).mul(slope(r)))
		p.store("d3", dm.mul(r))
	})
}

// pixels reads eight or sixteen bytes at a time; what is left of a row goes together with the bytes before it.
func pixels() {
	TEXT(named("pixels"), NOSPLIT, "func(dst *float32, stride int, src *uint8, rows, cols int)")
	Pragma("noescape")
	Doc(named("pixels") + " computes dst = src/255 for rows of at least a register of bytes; dst's rows are stride bytes apart.")
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
	VZEROUPPER()
	RET()
}

// bernoulli hashes the numbers of the elements.
func bernoulli() {
	TEXT(named("bernoulli"), NOSPLIT, "func(dst *float32, hit, miss float32, x, high, limit uint32, n int)")
	Pragma("noescape")
	Doc(named("bernoulli") + " sets dst to hit where the hash of x, x+1, x+2... is below limit, whose highest bit is turned, else to miss.")
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
	Label("end")
	VZEROUPPER()
	RET()
}
