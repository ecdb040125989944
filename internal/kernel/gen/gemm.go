package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// fields of the Go type product, in its order, eight bytes each.
var fields = []string{"c", "ldc", "init", "ldi", "x", "ldx", "kx", "h", "ldh", "kh", "b", "panel", "rows", "tiles", "units", "rest", "step", "next", "lines"}

// product is the one parameter of the functions in this file, in a register.
type product struct{ Register }

func (p product) field(name string) Mem {
	for i, f := range fields {
		if f == name {
			return Mem{Base: p.Register, Disp: 8 * i}
		}
	}
	panic("no field " + name)
}

func (p product) load(name string) GPVirtual {
	r := GP64()
	MOVQ(p.field(name), r)
	return r
}

// function begins name(p), where p is a product as the Go compiler may see it.
func function(name, doc string) product {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(p *[%d]int)", len(fields)))
	Pragma("noescape")
	Doc(name + " " + doc)
	return product{param("p")}
}

// tile is rows of accumulators. Where there is a mask, it is for the last register of each row.
type tile struct {
	acc   [][]VecVirtual
	width int // of a row, in bytes
	mask  func() Op
}

func newTile(rows int, lanes []int, mask func() Op) *tile {
	t := &tile{mask: mask}
	for range rows {
		t.acc = append(t.acc, registers(lanes))
	}
	for _, n := range lanes {
		t.width += 4 * n
	}
	return t
}

// lines are the addresses of rows that begin at base, stride bytes apart: every third has a register.
type lines struct {
	stride Register
	thirds []Register
	rows   int
}

func newLines(rows int, base, stride Register) *lines {
	l := &lines{stride, []Register{base}, rows}
	for r := 3; r < rows; r += 3 {
		third := GP64()
		LEAQ(Mem{Base: l.thirds[r/3-1], Index: stride, Scale: 2}, third)
		ADDQ(stride, third)
		l.thirds = append(l.thirds, third)
	}
	return l
}

func (l *lines) row(r, disp int) Mem {
	m := Mem{Base: l.thirds[r/3], Disp: disp}
	if r%3 > 0 {
		m.Index, m.Scale = l.stride, uint8(r%3)
	}
	return m
}

func (l *lines) move(bytes int) {
	for _, r := range l.thirds {
		ADDQ(U32(bytes), r)
	}
}

// all calls f for each accumulator and where it belongs.
func (t *tile) all(at *lines, f func(m Mem, mask Op, acc Op)) {
	var mask Op
	if t.mask != nil {
		mask = t.mask()
	}
	for r, row := range t.acc {
		for v, acc := range row {
			if m := at.row(r, 4*set.lanes*v); v == len(row)-1 {
				f(m, mask, acc)
			} else {
				f(m, nil, acc)
			}
		}
	}
}

// madd adds a row of B, at b, times the number at a(r) to each row r of the tile.
func (t *tile) madd(b Mem, a func(r int) Mem) {
	row := make([]VecVirtual, len(t.acc[0]))
	for v, acc := range t.acc[0] {
		row[v] = register(int(acc.Size()) / 4)
		VMOVUPS(b.Offset(4*set.lanes*v), row[v])
	}
	for r, accs := range t.acc {
		x := register(set.lanes)
		VBROADCASTSS(a(r), x)
		for v, acc := range accs {
			VFMADD231PS(row[v], resized(x, int(acc.Size())/4), acc)
		}
	}
}

// choose jumps to the label of that stem and number where value is one of first to last.
func choose(stem string, value Register, first, last int) {
	for n := first; n <= last; n++ {
		CMPQ(value, Imm(uint64(n)))
		JE(LabelRef(fmt.Sprint(stem, n)))
	}
}

// heights emits body for tiles of each number of rows, p.rows, and for what widths says. Tiles taller than others are
// no wider than a register.
func heights(p product, body func(rows int, id string, lanes []int, mask func() Op)) {
	choose("rows", p.load("rows"), 2, set.narrow)
	for rows := 1; rows <= set.narrow; rows++ {
		id := fmt.Sprint("rows", rows)
		Label(id)
		widths(p, id+"_", rows > set.rows, func(id string, lanes []int, mask func() Op) { body(rows, id, lanes, mask) })
	}
}

// widths emits body for a whole panel, and for what the last panel may be: some times eight columns, the last register
// under a mask. p.units says which, 0 the whole panel. narrow leaves out what is wider than a register.
func widths(p product, stem string, narrow bool, body func(id string, lanes []int, mask func() Op)) {
	stem += "units"
	first, last := 0, set.lanes/4
	if narrow {
		first, last = 1, set.lanes/8
	}
	choose(stem, p.load("units"), first+1, last)
	for u := first; u <= last; u++ {
		id, lanes, m := fmt.Sprint(stem, u), units(u), func() Op { return mask(p.load("rest")) }
		if u == 0 {
			lanes, m = units(set.lanes/4), nil
		}
		Label(id)
		body(id, lanes, m)
		JMP(LabelRef("end"))
	}
}

// end is where bodies of choose go on.
func end() {
	Label("end")
	VZEROUPPER()
	RET()
}

// fetch begins to bring the tile of C below the one at c into the cache.
func fetch(p product, rows int, c Register) {
	stride, next := p.load("ldc"), GP64()
	IMUL3Q(Imm(uint64(rows)), stride, next)
	ADDQ(c, next)
	l := newLines(rows, next, stride)
	for r := range rows {
		for at := 0; at < 8*set.lanes; at += 64 {
			PREFETCHT0(l.row(r, at))
		}
		PREFETCHT0(l.row(r, 8*set.lanes-4)) // the end of a row that does not begin where a line does
	}
}

// fetchPanel begins to bring some lines of the panel after this one into the cache, and moves on.
func fetchPanel(id string, p product) {
	next, lines := p.load("next"), p.load("lines")
	loop(id+"_fetch", lines, func() {
		PREFETCHT1(Mem{Base: next})
		ADDQ(U32(64), next)
	})
	MOVQ(next, p.field("next"))
}

// gemm: tiles one below the other, C = init + [X | H]*B.
func gemm() {
	p := function(named("gemm"), "computes tiles: C = init + [X | H]*B.")
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
					t.madd(Mem{Base: b, Disp: t.width * i}, func(r int) Mem { return from.row(r, 4*i) })
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

// gemmT: tiles one below the other, C += Xᵀ*B. The columns of X that belong to the next tile are step bytes on.
func gemmT() {
	p := function(named("gemmT"), "computes tiles: C += transposed X * B.")
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
				t.madd(Mem{Base: b, Disp: t.width * i}, func(r int) Mem { return from.row(i, 4*r) })
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

// gemvPanels is the number of panels that gemv goes through side by side: enough chains of additions to wait for none.
const gemvPanels = 5

// gemv: one row of C, up to five panels side by side, C = init + [x | h]*B. p.units says how many times eight columns.
func gemv() {
	p := function(named("gemv"), "computes one row of up to five panels: C = init + [x | h]*B.")
	most := gemvPanels * set.lanes / 4
	choose("units", p.load("units"), 1, most-1)
	for u := most; u > 0; u-- {
		id := fmt.Sprint("units", u)
		Label(id)
		acc := registers(units(u))
		last := len(acc) - 1
		m := mask(p.load("rest"))
		each := func(at Mem, f func(m Mem, mask, acc Op)) {
			for v, r := range acc {
				if to := at.Offset(4 * set.lanes * v); v == last {
					f(to, m, r)
				} else {
					f(to, nil, r)
				}
			}
		}
		each(Mem{Base: p.load("init")}, func(m Mem, mask, acc Op) { load(m, mask, acc) })
		// Panels 0, 2 and 4 have a register, and the last one too if its rows are shorter.
		panel := p.load("panel")
		at := []Register{p.load("b")}
		for i := 2; i <= last/2; i += 2 {
			next := GP64()
			LEAQ(Mem{Base: at[i/2-1], Index: panel, Scale: 2}, next)
			at = append(at, next)
		}
		from := func(v int) Mem {
			m := Mem{Base: at[v/4], Disp: 4 * set.lanes * (v % 2)}
			if v/2%2 == 1 {
				m.Index, m.Scale = panel, 1
			}
			return m
		}
		whole := 4 * 2 * set.lanes
		short := 4*8*u - whole*(last/2)
		var odd Register
		if short < whole {
			odd = GP64()
			LEAQ(from(last&^1), odd)
		}
		for _, part := range []string{"x", "h"} {
			a, k := p.load(part), p.load("k"+part)
			loop(id+"_"+part, k, func() {
				x := register(set.lanes)
				VBROADCASTSS(Mem{Base: a}, x)
				for v, r := range acc {
					b := from(v)
					if odd != nil && v/2 == last/2 {
						b = Mem{Base: odd, Disp: b.Disp}
					}
					VFMADD231PS(b, resized(x, int(r.Size())/4), r)
				}
				ADDQ(Imm(4), a)
				for _, r := range at {
					ADDQ(U32(whole), r)
				}
				if odd != nil {
					ADDQ(U32(short), odd)
				}
			})
		}
		each(Mem{Base: p.load("c")}, func(m Mem, mask, acc Op) { store(acc, mask, m) })
		JMP(LabelRef("end"))
	}
	end()
}

// pack: rows of one panel. src's are stride bytes apart, dst's follow each other. units and rest say how wide they
// are, as in a product; zeros fill up the last register.
func pack() {
	p := function(named("pack"), "copies kx rows of X to C, as a panel.")
	dst, src, stride, k := p.load("c"), p.load("x"), p.load("ldx"), p.load("kx")
	widths(p, "", false, func(id string, lanes []int, mask func() Op) {
		var m Op
		if mask != nil {
			m = mask()
		}
		loop(id+"_row", k, func() {
			at := 0
			for v, n := range lanes {
				r := register(n)
				if v == len(lanes)-1 {
					load(Mem{Base: src, Disp: at}, m, r)
				} else {
					load(Mem{Base: src, Disp: at}, nil, r)
				}
				VMOVUPS(r, Mem{Base: dst, Disp: at})
				at += 4 * n
			}
			ADDQ(stride, src)
			ADDQ(U32(at), dst)
		})
	})
	end()
}
