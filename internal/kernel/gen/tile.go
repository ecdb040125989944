package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tile is the accumulators of a tile of C, by row. mask, if not nil, loads the mask of the last register of each row.
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

// all calls f for each accumulator, with its address in the rows at and its mask.
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

// madd adds a row of B, times the number at a(r), to each row r of the tile. Register v of the row of B is at b(v).
func (t *tile) madd(b func(v int) Mem, a func(r int) Mem) {
	spread := func(r int) VecVirtual {
		x := register(set.lanes)
		VBROADCASTSS(a(r), x)
		return x
	}
	add := func(b Op, x, acc VecVirtual) { VFMADD231PS(b, resized(x, int(acc.Size())/4), acc) }
	load := func(v int) Op {
		r := register(int(t.acc[0][v].Size()) / 4)
		VMOVUPS(b(v), r)
		return r
	}
	switch n := len(t.acc[0]); {
	case len(t.acc) == 1:
		x := spread(0)
		for v, acc := range t.acc[0] {
			add(b(v), x, acc)
		}
	case len(t.acc) < n: // the numbers of A take fewer registers than the row of B
		x := make([]VecVirtual, len(t.acc))
		for r := range x {
			x[r] = spread(r)
		}
		for v := range n {
			row := load(v)
			for r, accs := range t.acc {
				add(row, x[r], accs[v])
			}
		}
	default:
		row := make([]Op, n)
		for v := range row {
			row[v] = load(v)
		}
		for r, accs := range t.acc {
			x := spread(r)
			for v, acc := range accs {
				add(row[v], x, acc)
			}
		}
	}
}

// rowOf returns where the registers of row i of the panel at b are.
func (t *tile) rowOf(b Register, i int) func(v int) Mem {
	return func(v int) Mem { return Mem{Base: b, Disp: t.width*i + 4*set.lanes*v} }
}

// lines are the addresses of rows that begin at base, stride bytes apart. Every third address has a register.
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

// row returns the memory disp bytes after the beginning of row r.
func (l *lines) row(r, disp int) Mem {
	m := Mem{Base: l.thirds[r/3], Disp: disp}
	if r%3 > 0 {
		m.Index, m.Scale = l.stride, uint8(r%3)
	}
	return m
}

// move moves all rows on by that many bytes.
func (l *lines) move(bytes int) {
	for _, r := range l.thirds {
		ADDQ(U32(bytes), r)
	}
}

// fetch prefetches the tile of C below the tile at c.
func fetch(p product, rows int, c Register) {
	stride, next := p.load("ldc"), GP64()
	IMUL3Q(Imm(uint64(rows)), stride, next)
	ADDQ(c, next)
	l := newLines(rows, next, stride)
	for r := range rows {
		for at := 0; at < 8*set.lanes; at += 64 {
			PREFETCHT0(l.row(r, at))
		}
		PREFETCHT0(l.row(r, 8*set.lanes-4)) // if the row does not begin at a cache line, its end is in one more
	}
}

// fetchPanel prefetches p.lines lines of the next panel of B, at p.next, and moves p.next on.
func fetchPanel(id string, p product) {
	next, lines := p.load("next"), p.load("lines")
	loop(id+"_fetch", lines, func() {
		PREFETCHT1(Mem{Base: next})
		ADDQ(U32(64), next)
	})
	MOVQ(next, p.field("next"))
}
