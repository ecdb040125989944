// Command gen writes the assembly of package kernel, one file for each instruction set. It is a module of its own, so
// that who uses the library never fetches what it needs. In internal/kernel:
//
//	go generate
package main

import (
	"flag"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set: the lanes of its registers, and how tall a tile of the matrix products is. A tile is two
// registers wide, and so is a panel of the right-hand side; a narrow one, of a last panel's columns, is one register wide and may be
// taller, which keeps as many additions going.
type isa struct {
	name         string
	lanes        int
	rows, narrow int // of a tile
	unroll       int // steps of k that a loop makes at a time
}

var sets = map[string]isa{
	"AVX2":   {"AVX2", 8, 6, 12, 4},
	"AVX512": {"AVX512", 16, 12, 12, 2},
}

// set is the one that is written.
var set isa

func main() {
	name := flag.String("isa", "", "instruction set: AVX2 or AVX512")
	flag.Parse()
	var ok bool
	if set, ok = sets[*name]; !ok {
		panic("unknown -isa " + *name)
	}
	ConstraintExpr("!noasm")
	gemm()
	gemmT()
	gemv()
	pack()
	elementwise()
	pixels()
	addColumns()
	softmax()
	sum("sum", "returns the sum of x.", false)
	sum("squares", "returns the sum of x*x.", true)
	Generate()
}

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

// loop runs body while counter, which it counts down, is positive.
func loop(name string, counter Register, body func()) {
	TESTQ(counter, counter)
	JLE(LabelRef(name + "_end"))
	Label(name)
	body()
	DECQ(counter)
	JNZ(LabelRef(name))
	Label(name + "_end")
}

// while runs body while counter is step or more, and counts it down by step. Flags tell of what is left of it, for a JZ.
func while(name string, counter Register, step int, body func()) {
	SUBQ(Imm(uint64(step)), counter)
	JL(LabelRef(name + "_rest"))
	Label(name)
	body()
	SUBQ(Imm(uint64(step)), counter)
	JGE(LabelRef(name))
	Label(name + "_rest")
	ADDQ(Imm(uint64(step)), counter)
}

// unrolled runs body(i), i below times, as often as counter says, and counts it down: next(n) moves on by n of them.
func unrolled(name string, counter Register, times int, body func(i int), next func(n int)) {
	while(name, counter, times, func() {
		for i := range times {
			body(i)
		}
		next(times)
	})
	loop(name+"_one", counter, func() {
		body(0)
		next(1)
	})
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

// named returns what a function is called.
func named(stem string) string { return stem + set.name }
