package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// register returns a new vector register with that many lanes, 8 or 16.
func register(lanes int) VecVirtual {
	if lanes == 8 {
		return YMM()
	}
	return ZMM()
}

// units returns the lanes of each register that a row of 8*n columns takes: whole registers, and with AVX-512 and an odd n
// half a register at the end.
func units(n int) (lanes []int) {
	for n *= 8; n > 0; n -= set.lanes {
		lanes = append(lanes, min(n, set.lanes))
	}
	return lanes
}

// registers returns new registers with those numbers of lanes.
func registers(lanes []int) []VecVirtual {
	all := make([]VecVirtual, len(lanes))
	for i, n := range lanes {
		all[i] = register(n)
	}
	return all
}

// resized returns the part of r that has that many lanes, 8 or 16.
func resized(r VecVirtual, lanes int) Register {
	if lanes == 8 {
		return r.AsY()
	}
	return r.AsZ()
}

// param returns a register with the argument of that name.
func param(name string) GPVirtual {
	r := GP64()
	Load(Param(name), r)
	return r
}

// paramAddress returns the memory of the argument of that name.
func paramAddress(name string) Mem {
	at, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return at.Addr
}

// mask returns a mask of the first n lanes of a register, for an n from 0 to all.
func mask(n Register) Op { return masksOf(n, 1)[0] }

// masksOf returns the masks of the first n lanes of that many registers. There is one mask with AVX-512, in K1.
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

// masks is the table that maskTable wrote, nil before.
var masks *Mem

// maskTable returns the table of masks. With AVX2 it has sixteen lanes that are on, then sixteen that are off; with AVX-512
// it has the bit masks of the first 0, 1, ... 16 lanes.
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

// load loads r from m. In the lanes outside of the mask, if there is one, r is 0 and memory is not read.
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

// store stores r at m. In the lanes outside of the mask, if there is one, memory is not written.
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
