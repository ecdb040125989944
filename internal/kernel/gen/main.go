// Command gen writes the assembly of package kernel. It is a module of its own, so that who uses the
// library never fetches what it needs. In internal/kernel:
//
//	go generate
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!noasm")
	for rows := 1; rows <= 6; rows++ {
		for _, w := range []width{{16, false}, {16, true}, {8, true}} {
			gemm(rows, w)
			gemmT(rows, w)
		}
	}
	for vectors := 1; vectors <= 10; vectors++ {
		gemv(vectors)
	}
	elementwise()
	Generate()
}

// width is the number of columns of a tile, and whether only those that a mask names are read and written:
// the mask is for the last eight columns.
type width struct {
	columns int
	masked  bool
}

func (w width) String() string {
	if w.masked {
		return fmt.Sprintf("%dm", w.columns)
	}
	return fmt.Sprint(w.columns)
}

func (w width) vectors() int { return w.columns / 8 }

// tile is rows of accumulators.
type tile struct {
	w   width
	acc [][]VecVirtual
}

func newTile(rows int, w width) *tile {
	t := &tile{w: w}
	for range rows {
		row := make([]VecVirtual, w.vectors())
		for v := range row {
			row[v] = YMM()
		}
		t.acc = append(t.acc, row)
	}
	return t
}

// lines returns the addresses of rows that begin at base, stride bytes apart. third gets base+3*stride where
// there are more than three.
func lines(rows int, base, stride, third Register) []Mem {
	if rows > 3 {
		LEAQ(Mem{Base: base, Index: stride, Scale: 2}, third)
		ADDQ(stride, third)
	}
	all := []Mem{{Base: base}, {Base: base, Index: stride, Scale: 1}, {Base: base, Index: stride, Scale: 2},
		{Base: third}, {Base: third, Index: stride, Scale: 1}, {Base: third, Index: stride, Scale: 2}}
	return all[:rows]
}

func (t *tile) load(from []Mem, mask Op) {
	for r, m := range from {
		for v, acc := range t.acc[r] {
			if t.w.masked && v == t.w.vectors()-1 {
				VMASKMOVPS(m.Offset(32*v), mask, acc)
			} else {
				VMOVUPS(m.Offset(32*v), acc)
			}
		}
	}
}

func (t *tile) store(to []Mem, mask Op) {
	for r, m := range to {
		for v, acc := range t.acc[r] {
			if t.w.masked && v == t.w.vectors()-1 {
				VMASKMOVPS(acc, mask, m.Offset(32*v))
			} else {
				VMOVUPS(acc, m.Offset(32*v))
			}
		}
	}
}

// madd adds a row of b, once a row of the tile times the number at that row's address.
func (t *tile) madd(a []Mem, b []VecVirtual) {
	for r, m := range a {
		x := YMM()
		VBROADCASTSS(m, x)
		for v, acc := range t.acc[r] {
			VFMADD231PS(b[v], x, acc)
		}
	}
}

func vectors(n int) []VecVirtual {
	all := make([]VecVirtual, n)
	for i := range all {
		all[i] = YMM()
	}
	return all
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

// gemm: tiles of rows x columns, one below the other.
func gemm(rows int, w width) {
	TEXT(fmt.Sprintf("gemm%dx%v", rows, w), NOSPLIT,
		"func(c *float32, ldc int, init *float32, ldi int, x *float32, ldx int, kx int, h *float32, ldh int, kh int, b *float32, tiles int, mask *int32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("gemm%dx%v computes tiles of %d rows and %d columns: C = init + [X | H]*B. Strides are in bytes.", rows, w, rows, w.columns))
	c, ldc, init, ldi := param("c"), param("ldc"), param("init"), param("ldi")
	x, h, tiles := param("x"), param("h"), param("tiles")
	third, a, stride, b, k := GP64(), GP64(), GP64(), GP64(), GP64()
	t := newTile(rows, w)
	mask := func() Op {
		if !w.masked {
			return nil
		}
		p, m := GP64(), YMM()
		Load(Param("mask"), p)
		VMOVDQU(Mem{Base: p}, m)
		return m
	}
	Label("tile")
	t.load(lines(rows, init, ldi, third), mask())
	Load(Param("b"), b)
	for _, part := range []struct {
		name, stride, k string
		at              Register
	}{{"x", "ldx", "kx", x}, {"h", "ldh", "kh", h}} {
		MOVQ(part.at, a)
		Load(Param(part.stride), stride)
		Load(Param(part.k), k)
		from := lines(rows, a, stride, third)
		loop(part.name+"_loop", k, func() {
			row := vectors(w.vectors())
			for v, r := range row {
				VMOVUPS(Mem{Base: b, Disp: 32 * v}, r)
			}
			t.madd(from, row)
			ADDQ(U8(4), a)
			if rows > 3 {
				ADDQ(U8(4), third)
			}
			ADDQ(U8(4*w.columns), b)
		})
		// On to the next tile's rows.
		IMUL3Q(U8(rows), stride, stride)
		ADDQ(stride, part.at)
	}
	t.store(lines(rows, c, ldc, third), mask())
	for _, p := range []struct{ at, stride Register }{{c, ldc}, {init, ldi}} {
		IMUL3Q(U8(rows), p.stride, third)
		ADDQ(third, p.at)
	}
	DECQ(tiles)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// gemmT: tiles of rows x columns, one below the other, A and B in place.
func gemmT(rows int, w width) {
	TEXT(fmt.Sprintf("gemmT%dx%v", rows, w), NOSPLIT,
		"func(c *float32, ldc int, a *float32, lda int, b *float32, ldb int, k int, tiles int, mask *int32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("gemmT%dx%v computes tiles of %d rows and %d columns: C += transposed A * B. Strides are in bytes.", rows, w, rows, w.columns))
	c, ldc, a, lda, ldb, tiles := param("c"), param("ldc"), param("a"), param("lda"), param("ldb"), param("tiles")
	third, at, b, k := GP64(), GP64(), GP64(), GP64()
	t := newTile(rows, w)
	var mask Op
	if w.masked {
		p, m := GP64(), YMM()
		Load(Param("mask"), p)
		VMOVDQU(Mem{Base: p}, m)
		mask = m
	}
	Label("tile")
	to := lines(rows, c, ldc, third)
	t.load(to, mask)
	MOVQ(a, at)
	Load(Param("b"), b)
	Load(Param("k"), k)
	from := make([]Mem, rows)
	for r := range from {
		from[r] = Mem{Base: at, Disp: 4 * r}
	}
	loop("k_loop", k, func() {
		row := vectors(w.vectors())
		for v, r := range row {
			if m := (Mem{Base: b, Disp: 32 * v}); w.masked && v == len(row)-1 {
				VMASKMOVPS(m, mask, r)
			} else {
				VMOVUPS(m, r)
			}
		}
		t.madd(from, row)
		ADDQ(lda, at)
		ADDQ(ldb, b)
	})
	t.store(to, mask)
	ADDQ(U8(4*rows), a)
	IMUL3Q(U8(rows), ldc, third)
	ADDQ(third, c)
	DECQ(tiles)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// gemv: one row, several panels of 16 columns at once; the last is one of 8 if the number of vectors is odd.
func gemv(count int) {
	TEXT(fmt.Sprintf("gemv%d", count), NOSPLIT,
		"func(c *float32, x *float32, kx int, h *float32, kh int, b *float32, panel int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("gemv%d computes one row of %d columns: c += [x | h]*B, panels of B panel bytes apart.", count, 8*count))
	c, b, panel := param("c"), param("b"), param("panel")
	acc := vectors(count)
	for v, r := range acc {
		VMOVUPS(Mem{Base: c, Disp: 32 * v}, r)
	}
	// p2 is two panels on, p4 four.
	p2, p4, odd := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: b, Index: panel, Scale: 2}, p2)
	LEAQ(Mem{Base: p2, Index: panel, Scale: 2}, p4)
	starts := []Mem{{Base: b}, {Base: b, Index: panel, Scale: 1}, {Base: p2}, {Base: p2, Index: panel, Scale: 1}, {Base: p4}}
	if count%2 == 1 {
		LEAQ(starts[count/2], odd)
	}
	for _, part := range []struct{ name, at, k string }{{"x_loop", "x", "kx"}, {"h_loop", "h", "kh"}} {
		at, k := param(part.at), param(part.k)
		loop(part.name, k, func() {
			x := YMM()
			VBROADCASTSS(Mem{Base: at}, x)
			for v, r := range acc {
				m := starts[v/2].Offset(32 * (v % 2))
				if count%2 == 1 && v == count-1 {
					m = Mem{Base: odd}
				}
				VFMADD231PS(m, x, r)
			}
			ADDQ(U8(4), at)
			ADDQ(U8(64), b)
			if count > 4 {
				ADDQ(U8(64), p2)
			}
			if count > 8 {
				ADDQ(U8(64), p4)
			}
			if count%2 == 1 {
				ADDQ(U8(32), odd)
			}
		})
	}
	for v, r := range acc {
		VMOVUPS(r, Mem{Base: c, Disp: 32 * v})
	}
	VZEROUPPER()
	RET()
}
