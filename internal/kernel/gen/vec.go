package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// constants are the constants in use, by their bits. AVX2 reads a constant as a whole register, so that it is in memory once
// per lane; instructions of AVX-512 broadcast one.
var constants = map[uint32]Mem{}

// bits returns the constant with those bits.
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

// number returns the constant f.
func number(f float32) Mem { return bits(math.Float32bits(f)) }

var (
	one  = func() Mem { return number(1) }
	sign = func() Mem { return bits(1 << 31) }
)

// vec is registers that go through the same formula side by side: an operation is emitted for each register in turn, so
// that neighbouring instructions do not wait for each other. The result of an operation is in new registers. An operand
// that is one register, or memory, is combined with every register of the vec.
type vec []VecVirtual

// Asm makes a vec an operand (an Op) of emit.
func (v vec) Asm() string { return fmt.Sprint([]VecVirtual(v)) }

// fresh returns n new registers.
func fresh(n int) vec {
	v := make(vec, n)
	for i := range v {
		v[i] = register(set.lanes)
	}
	return v
}

// part returns the operand that o is for register i of a vec.
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

// emit emits op once for each register of the last operand. If an operand is memory, and so a constant, AVX-512 needs the
// form of op that broadcasts it, spreading.
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

// binary returns the result of an operation on b and a.
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

// plus adds integers.
func (v vec) plus(o Op) vec { return binary(VPADDD, VPADDD_BCST, o, v) }

// shifted returns v, as integers, shifted left.
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

// horner sets v, the value of the higher terms of a polynomial, to v*x + c for each coefficient in turn.
func (v vec) horner(x vec, coefficients ...float32) vec {
	for _, c := range coefficients {
		v.andThen(x, number(c))
	}
	return v
}

// andThen sets v to v*x + o, rounded once.
func (v vec) andThen(x vec, o Op) { emit(VFMADD213PS, VFMADD213PS_BCST, o, x, v) }

// copies returns as many registers as v has, each a copy of o.
func (v vec) copies(o Op) vec {
	r := fresh(len(v))
	emit(VMOVAPS, func(ops ...Op) { VBROADCASTSS(ops[0], ops[1]) }, o, r)
	return r
}

// constant returns a register that is a copy of o.
func constant(o Op) vec { return fresh(1).copies(o) }

// spread returns a register whose lanes all are the first lane of x.
func spread(x Register) vec {
	v := fresh(1)
	VBROADCASTSS(x, v[0])
	return v
}

// from returns o - v.
func (v vec) from(o Op) vec { return binary(VSUBPS, nil, v, v.copies(o)) }

// under returns o / v.
func (v vec) under(o Op) vec { return binary(VDIVPS, nil, v, v.copies(o)) }

// least returns the smaller of v and limit, and NaN where v is NaN.
func (v vec) least(limit Mem) vec { return binary(VMINPS, nil, v, v.copies(limit)) }

// most returns the larger of v and limit, and NaN where v is NaN.
func (v vec) most(limit Mem) vec { return binary(VMAXPS, nil, v, v.copies(limit)) }

const (
	atLeast      = predicate(13)
	greater      = predicate(14)
	equal        = predicate(0)
	atMost       = predicate(2)
	unordered    = predicate(3) // true if one of the two is NaN
	notEqual     = predicate(4) // true for NaN
	notLess      = predicate(5) // true for NaN
	notLessEqual = predicate(6) // true for NaN
)

// predicate is the comparison of a VCMPPS, by its number.
type predicate uint8

// is compares v with o, a vec or a constant. The masks that it returns are valid until the next comparison.
func (v vec) is(p predicate, o Op) []Op {
	held := make([]Op, len(v))
	for i := range v {
		held[i] = YMM()
		if set.lanes == 16 {
			held[i] = []Op{K2, K3, K4, K5}[i]
		}
		compare := VCMPPS
		if _, ok := o.(Mem); ok && set.lanes == 16 {
			compare = VCMPPS_BCST
		}
		compare(Imm(uint64(p)), part(o, i), v[i], held[i])
	}
	return held
}

// where returns v in the lanes of the masks held, and 0 elsewhere.
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

// whereElse returns v in the lanes of the masks held, and other elsewhere.
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
