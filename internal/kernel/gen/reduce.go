package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// places is the number of partial sums, or maxima, of a reduction. Element i goes to place i%16. At the end the places are
// joined in halves: those 8 apart, then 4, 2 and 1.
const places = 16

// sixteen loads the sixteen numbers at m. If there are masks, lanes outside of them are fill.
func sixteen(m Mem, masks []Op, fill Mem) vec {
	all := fresh(places / set.lanes)
	if masks == nil || fill == number(0) {
		along(m, all, masks, load)
		return all
	}
	for i, r := range all {
		at := m.Offset(4 * set.lanes * i)
		if set.lanes == 16 {
			VBROADCASTSS(fill, r)
			VMOVUPS(at, masks[i], r)
		} else {
			VMASKMOVPS(at, masks[i], r)
		}
	}
	if set.lanes == 8 {
		return all.whereElse(masks, all.copies(fill))
	}
	return all
}

// filled returns sixteen places that are m.
func filled(m Mem) vec { return fresh(places / set.lanes).copies(m) }

// rows emits a loop that runs body for every sixteen of n numbers, and with masks for the rest. It moves the pointers
// base on.
func rows(id string, n Register, base []Register, body func(masks []Op)) {
	left := GP64()
	MOVQ(n, left)
	while(id, left, places, func() {
		body(nil)
		for _, r := range base {
			ADDQ(Imm(4*places), r)
		}
	})
	JZ(LabelRef(id + "_end"))
	body(masksOf(left, places/set.lanes))
	Label(id + "_end")
}

// tree joins the 8 lanes of y with op.
func tree(y VecVirtual, op func(ops ...Op)) Register {
	x, high := XMM(), XMM()
	VEXTRACTF128(Imm(1), y, high)
	op(high, y.AsX(), x)
	VPERMILPS(Imm(0x4e), x, high) // lanes 2 and 3
	op(high, x, x)
	VPERMILPS(Imm(0xb1), x, high) // lane 1
	op(high, x, x)
	return x
}

// join joins sixteen places with op.
func join(all vec, op func(ops ...Op)) Register {
	y := YMM()
	if len(all) == 2 {
		op(all[1], all[0], y)
	} else {
		VEXTRACTF32X8(Imm(1), all[0], y)
		op(y, all[0].AsY(), y)
	}
	return tree(y, op)
}

// doubles returns the sixteen numbers at m in float64, in places/doubleLanes() registers. Lanes outside of the masks are 0.
func doubles(m Mem, masks []Op) []VecVirtual {
	if masks != nil {
		return widened(sixteen(m, masks, number(0)))
	}
	all := make([]VecVirtual, places/doubleLanes())
	for i := range all {
		all[i] = register(set.lanes)
		VCVTPS2PD(m.Offset(4*doubleLanes()*i), all[i])
	}
	return all
}

// doubleLanes is the number of float64 in a register.
func doubleLanes() int { return set.lanes / 2 }

// widened returns the numbers of v in float64, in two registers for each of v.
func widened(v vec) (all []VecVirtual) {
	for _, r := range v {
		low, high := register(set.lanes), register(set.lanes)
		if set.lanes == 16 {
			half := YMM()
			VEXTRACTF32X8(Imm(1), r, half)
			VCVTPS2PD(r.AsY(), low)
			VCVTPS2PD(half, high)
		} else {
			half := XMM()
			VEXTRACTF128(Imm(1), r, half)
			VCVTPS2PD(r.AsX(), low)
			VCVTPS2PD(half, high)
		}
		all = append(all, low, high)
	}
	return all
}

// doubleSums returns sixteen places in float64 that are 0.
func doubleSums() []VecVirtual {
	acc := make([]VecVirtual, places/doubleLanes())
	for i := range acc {
		acc[i] = register(set.lanes)
		VXORPS(acc[i], acc[i], acc[i])
	}
	return acc
}

// joinDoubles joins sixteen places in float64.
func joinDoubles(acc []VecVirtual) VecVirtual {
	y := YMM()
	if set.lanes == 16 {
		VADDPD(acc[1], acc[0], acc[0])
		VEXTRACTF64X4(Imm(1), acc[0], y)
		VADDPD(y, acc[0].AsY(), y)
	} else {
		VADDPD(acc[2], acc[0], acc[0])
		VADDPD(acc[3], acc[1], acc[1])
		VADDPD(acc[1], acc[0], y)
	}
	low, high := XMM(), XMM()
	VEXTRACTF128(Imm(1), y, high)
	VADDPD(high, y.AsX(), low)
	VPERMILPD(Imm(1), low, high)
	VADDPD(high, low, low)
	return low
}

// sums emits the sums of x, x*x and x*y in float64.
func sums() {
	for _, s := range []struct {
		stem, arguments, doc string
		add                  func(d, e, acc VecVirtual)
	}{
		{"sum", "x *float32", "returns the sum of x.", func(d, _, acc VecVirtual) { VADDPD(d, acc, acc) }},
		{"squares", "x *float32", "returns the sum of x*x.", func(d, _, acc VecVirtual) { VFMADD231PD(d, d, acc) }},
		{"dot", "x, y *float32", "returns the sum of x*y.", func(d, e, acc VecVirtual) { VFMADD231PD(d, e, acc) }},
	} {
		function(s.stem, "func("+s.arguments+", n int) float64", s.doc)
		n, pointers := param("n"), []Register{param("x")}
		if s.stem == "dot" {
			pointers = append(pointers, param("y"))
		}
		acc := doubleSums()
		rows("loop", n, pointers, func(masks []Op) {
			d := doubles(Mem{Base: pointers[0]}, masks)
			e := d
			if len(pointers) > 1 {
				e = doubles(Mem{Base: pointers[1]}, masks)
			}
			for i := range acc {
				s.add(d[i], e[i], acc[i])
			}
		})
		Store(joinDoubles(acc), ReturnIndex(0))
		end()
	}
}

// addColumns emits the sums of columns. It goes down four registers of columns at a time, then one.
func addColumns() {
	function("addColumns", "func(dst, a *float32, stride, rows, n int)", "computes dst += the sum of a's rows, which are stride bytes apart.")
	dst, a, stride, n := param("dst"), param("a"), param("stride"), param("n")
	down := func(id string, count int, m Op) {
		acc, at, k := registers(units(count*set.lanes/8)), GP64(), param("rows")
		for v, r := range acc {
			load(Mem{Base: dst, Disp: 4 * set.lanes * v}, m, r)
		}
		MOVQ(a, at)
		loop(id, k, func() {
			for v, r := range acc {
				from := Mem{Base: at, Disp: 4 * set.lanes * v}
				if m == nil {
					VADDPS(from, r, r)
				} else {
					x := register(set.lanes)
					load(from, m, x)
					VADDPS(x, r, r)
				}
			}
			ADDQ(stride, at)
		})
		for v, r := range acc {
			store(r, m, Mem{Base: dst, Disp: 4 * set.lanes * v})
		}
	}
	for _, count := range []int{4, 1} {
		id, columns := fmt.Sprint("down", count), count*set.lanes
		while(id+"_next", n, columns, func() {
			down(id, count, nil)
			ADDQ(U32(4*columns), dst)
			ADDQ(U32(4*columns), a)
		})
	}
	JZ(LabelRef("end"))
	down("rest", 1, mask(n))
	end()
}

// larger emits a step of the largest numbers of columns. It moves numbers as they are, denormal ones too.
func larger() {
	each("larger", "sets dst to x where x is larger, or NaN; dst stays NaN.", 1, "dst x", "", func(p *pass) {
		x, most := p.load("x"), p.load("dst")
		next := x.whereElse(x.is(notLessEqual, most), most)
		p.store("dst", most.whereElse(most.is(unordered, most), next))
	})
}

// largestGrad emits the gradient of the largest numbers of columns. It goes down a register of columns at a time. What is left of the gradient is in
// left: all of a column's until the row of its largest number, and 0 after it.
func largestGrad() {
	function("largestGrad", "func(dx, grad, x, y *float32, stride, rows, n int)", "adds grad to dx where a column of x, whose rows and those of dx are stride bytes apart, first equals y or is NaN.")
	dx, grad, x, y, stride, n := param("dx"), param("grad"), param("x"), param("y"), param("stride"), param("n")
	down := func(id string, mask Op) {
		left, most, to, from, k := fresh(1), fresh(1), GP64(), GP64(), param("rows")
		load(Mem{Base: grad}, mask, left[0])
		load(Mem{Base: y}, mask, most[0])
		MOVQ(dx, to)
		MOVQ(x, from)
		loop(id, k, func() {
			v, d := fresh(1), fresh(1)
			load(Mem{Base: from}, mask, v[0])
			load(Mem{Base: to}, mask, d[0])
			here := left.where(v.is(equal, most)).or(left.where(v.is(unordered, v)))
			store(d.add(here)[0], mask, Mem{Base: to})
			VXORPS(here[0], left[0], left[0])
			ADDQ(stride, to)
			ADDQ(stride, from)
		})
	}
	while("columns", n, set.lanes, func() {
		down("down", nil)
		for _, p := range []Register{dx, grad, x, y} {
			ADDQ(U32(4*set.lanes), p)
		}
	})
	JZ(LabelRef("end"))
	down("rest", mask(n))
	end()
}
