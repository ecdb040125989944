package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// gemm emits C = init + [X | H]*B for tiles of C, one below the other.
func gemm() {
	p := productFunction("gemm", "computes tiles: C = init + [X | H]*B.")
	c, init, x, h, tiles := p.load("c"), p.load("init"), p.load("x"), p.load("h"), p.load("tiles")
	heights(p, func(rows int, id string, lanes []int, mask func() Op) {
		t := newTile(rows, lanes, mask)
		Label(id + "_tile")
		stride := p.load("ldi")
		t.all(newLines(rows, init, stride), func(m Mem, mask, acc Op) { load(m, mask, acc) })
		IMUL3Q(Imm(uint64(rows)), stride, stride)
		ADDQ(stride, init)
		fetch(p, rows, c)
		fetchPanel(id, p)
		b := p.load("b")
		for _, part := range []struct {
			name string
			at   Register
		}{{"x", x}, {"h", h}} {
			a, stride, k := GP64(), p.load("ld"+part.name), p.load("k"+part.name)
			MOVQ(part.at, a)
			from := newLines(rows, a, stride)
			unrolled(id+"_"+part.name, k, set.unroll,
				func(i int) {
					t.madd(t.rowOf(b, i), func(r int) Mem { return from.row(r, 4*i) })
				},
				func(n int) {
					from.move(4 * n)
					ADDQ(U32(t.width*n), b)
				})
			IMUL3Q(Imm(uint64(rows)), stride, stride)
			ADDQ(stride, part.at)
		}
		stride = p.load("ldc")
		t.all(newLines(rows, c, stride), func(m Mem, mask, acc Op) { store(acc, mask, m) })
		IMUL3Q(Imm(uint64(rows)), stride, stride)
		ADDQ(stride, c)
		DECQ(tiles)
		JNZ(LabelRef(id + "_tile"))
	})
	end()
}

// gemmT emits C += Xᵀ*B for tiles of C, one below the other. From the columns of X for one tile to those for the next
// are p.step bytes.
func gemmT() {
	p := productFunction("gemmT", "computes tiles: C += transposed X * B.")
	c, x, tiles := p.load("c"), p.load("x"), p.load("tiles")
	heights(p, func(rows int, id string, lanes []int, mask func() Op) {
		t := newTile(rows, lanes, mask)
		Label(id + "_tile")
		ldc := p.load("ldc")
		t.all(newLines(rows, c, ldc), func(m Mem, mask, acc Op) { load(m, mask, acc) })
		fetch(p, rows, c)
		fetchPanel(id, p)
		a, lda, b, k := GP64(), p.load("ldx"), p.load("b"), p.load("kx")
		MOVQ(x, a)
		from := newLines(set.unroll, a, lda)
		next := func(n int) {
			for _, r := range from.thirds {
				if n == 1 {
					ADDQ(lda, r)
				} else {
					LEAQ(Mem{Base: r, Index: lda, Scale: uint8(n)}, r)
				}
			}
			ADDQ(U32(t.width*n), b)
		}
		unrolled(id+"_k", k, set.unroll,
			func(i int) {
				t.madd(t.rowOf(b, i), func(r int) Mem { return from.row(i, 4*r) })
			}, next)
		t.all(newLines(rows, c, ldc), func(m Mem, mask, acc Op) { store(acc, mask, m) })
		ADDQ(p.field("step"), x)
		IMUL3Q(Imm(uint64(rows)), ldc, ldc)
		ADDQ(ldc, c)
		DECQ(tiles)
		JNZ(LabelRef(id + "_tile"))
	})
	end()
}
