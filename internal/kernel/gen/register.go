package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// register returns a new one with that many lanes, 8 or 16.
func register(lanes int) VecVirtual {
	if lanes == 8 {
		return YMM()
	}
	return ZMM()
}

// units returns the registers of n times eight columns: full ones, and half a one for what is left.
func units(n int) (lanes []int) {
	for n *= 8; n > 0; n -= set.lanes {
		lanes = append(lanes, min(n, set.lanes))
	}
	return lanes
}

func registers(lanes []int) []VecVirtual {
	all := make([]VecVirtual, len(lanes))
	for i, n := range lanes {
		all[i] = register(n)
	}
	return all
}

// resized returns r as a register of that many lanes.
func resized(r VecVirtual, lanes int) Register {
	if lanes == 8 {
		return r.AsY()
	}
	return r.AsZ()
}

func param(name string) GPVirtual {
	r := GP64()
	Load(Param(name), r)
	return r
}

// mask returns what names the first n lanes of a register, n from 0 to all.
func mask(n Register) Op { return masksOf(n, 1)[0] }

// masksOf returns what names the first n of the lanes of so many registers.
func masksOf(n Register, registers int) []Op {
	table, at := GP64(), GP64()
	LEAQ(maskTable(), table)
	if set.lanes == 16 {
		KMOVW(Mem{Base: table, Index: n, Scale: 2}, K1)
		return []Op{K1}
	}
	MOVQ(n, at)
	NEGQ(at)
	all := make([]Op, registers)
	for i := range all {
		m := YMM()
		VMOVDQU(Mem{Base: table, Index: at, Scale: 4, Disp: 64 + 32*i}, m)
		all[i] = m
	}
	return all
}

var masks *Mem

// maskTable is, with AVX2, sixteen lanes that are on and sixteen that are off; with AVX-512, the bits of 0 lanes, of 1, of 2...
func maskTable() Mem {
	if masks == nil {
		m := GLOBL("masks", RODATA|NOPTR)
		masks = &m
		for i := range 32 {
			if set.lanes == 8 {
				DATA(4*i, U32(uint32(int32(i-16)>>31)))
			} else if i <= 16 {
				DATA(2*i, U16(1<<i-1))
			}
		}
	}
	return *masks
}

// load and store move a register; under a mask, if there is one, which leaves zeros, or the memory, elsewhere.
func load(m Mem, mask Op, r Op) {
	switch {
	case mask == nil:
		VMOVUPS(m, r)
	case mask == Op(K1):
		VMOVUPS_Z(m, K1, r)
	default:
		VMASKMOVPS(m, mask, r)
	}
}

func store(r Op, mask Op, m Mem) {
	switch {
	case mask == nil:
		VMOVUPS(r, m)
	case mask == Op(K1):
		VMOVUPS(r, K1, m)
	default:
		VMASKMOVPS(r, mask, m)
	}
}
