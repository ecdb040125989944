package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// layerNorm emits layer normalisation of a row: the mean, the deviation and the result, a pass each. With add the result is added to y.
func layerNorm(stem, doc string, add bool) {
	function(stem, "func(y, x, w, b *float32, eps float64, n int) (mean, rstd float32)", doc)
	n := param("n")
	count, total := XMM(), XMM()
	VCVTSI2SDQ(n, count, count)

	x, sums := param("x"), doubleSums()
	rows("mean", n, []Register{x}, func(masks []Op) {
		for i, d := range doubles(Mem{Base: x}, masks) {
			VADDPD(d, sums[i], sums[i])
		}
	})
	VDIVSD(count, joinDoubles(sums), total)
	VCVTSD2SS(total, total, total)
	Store(total, Return("mean"))
	mean := spread(total)

	x, sums = param("x"), doubleSums()
	rows("deviation", n, []Register{x}, func(masks []Op) {
		d := sixteen(Mem{Base: x}, masks, number(0)).sub(mean)
		if masks != nil {
			d = d.where(masks)
		}
		for i, e := range widened(d) {
			VFMADD231PD(e, e, sums[i])
		}
	})
	unit := XMM()
	VDIVSD(count, joinDoubles(sums), total)
	VADDSD(paramAddress("eps"), total, total)
	VSQRTSD(total, total, total)
	MOVQ(U32(1), n)
	VCVTSI2SDQ(n, unit, unit)
	VDIVSD(total, unit, total)
	VCVTSD2SS(total, total, total)
	Store(total, Return("rstd"))
	rstd := spread(total)

	n, x = param("n"), param("x")
	y, w, b := param("y"), param("w"), param("b")
	rows("normal", n, []Register{x, y, w, b}, func(masks []Op) {
		at := func(r Register) vec { return sixteen(Mem{Base: r}, masks, number(0)) }
		normal := at(x).sub(mean).mul(rstd).times(at(w), at(b))
		if add {
			normal = normal.add(at(y))
		}
		put(normal, masks, Mem{Base: y})
	})
	end()
}

// layerNormGrad emits the gradients of layer normalisation of a row. A first pass computes the sums, and the gradients of w and b if they are wanted, a
// second pass the gradient of x, which with add is added to dx.
func layerNormGrad(stem, doc string, add bool) {
	function(stem, "func(dx, dw, db, grad, x, w *float32, mean, rstd float32, n int)", doc)
	n := param("n")
	// next returns register i of the next numbers of an array.
	next := func(base Register, i int, masks []Op) (v vec) {
		v = fresh(1)
		var mask Op
		if masks != nil {
			mask = masks[i]
		}
		load(Mem{Base: base, Disp: 4 * set.lanes * i}, mask, v[0])
		return v
	}
	// put stores register i.
	put := func(v vec, base Register, i int, masks []Op) {
		var mask Op
		if masks != nil {
			mask = masks[i]
		}
		store(v[0], mask, Mem{Base: base, Disp: 4 * set.lanes * i})
	}
	x, w, grad, dw, db := param("x"), param("w"), param("grad"), param("dw"), param("db")
	// normal returns register i of the next numbers of x, normalised, of grad, and of w*grad.
	normal := func(i int, masks []Op) (normal, d, g vec) {
		d = next(grad, i, masks)
		return next(x, i, masks).sub(lanesOf("mean")).mul(lanesOf("rstd")), d, next(w, i, masks).mul(d)
	}
	sums, dots := doubleSums(), doubleSums()
	rows("sums", n, []Register{x, w, grad, dw, db}, func(masks []Op) {
		for i := range places / set.lanes {
			id := fmt.Sprint("whole", i)
			if masks != nil {
				id = fmt.Sprint("rest", i)
			}
			normal, d, g := normal(i, masks)
			// The pointers move on: the arguments tell whether they were nil.
			CMPQ(paramAddress("dw"), Imm(0))
			JE(LabelRef(id + "_db"))
			put(normal.times(d, next(dw, i, masks)), dw, i, masks)
			Label(id + "_db")
			CMPQ(paramAddress("db"), Imm(0))
			JE(LabelRef(id + "_sums"))
			put(d.add(next(db, i, masks)), db, i, masks)
			Label(id + "_sums")
			g64, n64 := widened(g), widened(normal)
			for j := range g64 {
				VADDPD(g64[j], sums[2*i+j], sums[2*i+j])
				VFMADD231PD(g64[j], n64[j], dots[2*i+j])
			}
		}
	})
	dx := param("dx")
	TESTQ(dx, dx)
	JZ(LabelRef("end"))
	count := XMM()
	VCVTSI2SDQ(n, count, count)
	average := func(acc []VecVirtual) vec {
		total := XMM()
		VDIVSD(count, joinDoubles(acc), total)
		VCVTSD2SS(total, total, total)
		return spread(total)
	}
	m, dot := average(sums), average(dots)
	rstd := lanesOf("rstd")
	Load(Param("x"), x)
	Load(Param("w"), w)
	Load(Param("grad"), grad)
	rows("gradient", n, []Register{x, w, grad, dx}, func(masks []Op) {
		for i := range places / set.lanes {
			normal, _, g := normal(i, masks)
			if d := normal.minus(dot, g.sub(m)); add {
				put(d.times(rstd, next(dx, i, masks)), dx, i, masks)
			} else {
				put(d.mul(rstd), dx, i, masks)
			}
		}
	})
	end()
}

// lanesOf returns a register whose lanes all are the argument of that name.
func lanesOf(name string) vec {
	v := fresh(1)
	VBROADCASTSS(paramAddress(name), v[0])
	return v
}
