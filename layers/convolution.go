package layers

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// convolution is one use of a layer, on x [steps,rows,In] to y [out,rows,Out], with left steps added before x.
//
// If the taps of an output step lie side by side in memory, as they do in a batch of one row, all of them are one row of the
// left-hand side of a product: its rows overlap, and nothing is copied but for padding. Otherwise each tap is a product of its own.
type convolution struct {
	*Conv1D
	steps, rows, out, left int
	padded                 []float32 // if wide: x [rows, left+steps+right, In], with padding
	tap                    []float32 // memory of tapSize for the sums of one tap
}

// tapRows is how many rows of the output the sums of one tap are kept for, so that they stay in the cache.
const tapRows = 32

// tapSize returns the length of convolution.tap.
func (l *Conv1D) tapSize() int { return tapRows * l.c.Out / l.c.Groups }

// addTap adds to m rows of y, which lie ldy elements apart, the product of x and the rows of a pack for tap j.
func (v *convolution) addTap(y []float32, ldy, m int, x kernel.Block, j int, pack *kernel.Matrix) {
	if !v.separate() {
		kernel.GemmRows(y, ldy, m, x, j*x.Cols, pack)
		return
	}
	out := pack.N
	for i := 0; i < m; i += tapRows {
		n := min(tapRows, m-i)
		sums := v.tap[:n*out]
		clear(sums)
		kernel.GemmRows(sums, out, n, kernel.Block{Data: x.Data[i*x.Stride:], Stride: x.Stride, Cols: x.Cols}, j*x.Cols, pack)
		if ldy == out {
			kernel.Add(y[i*ldy:][:n*out], sums)
			continue
		}
		for k := range n {
			kernel.Add(y[(i+k)*ldy:][:out], sums[k*out:][:out])
		}
	}
}

// separate reports whether each tap is a sum of its own.
func (v *convolution) separate() bool { return v.c.Width > 1 && v.c.In/v.c.Groups >= 16 }

// wide reports whether the products take all taps at once. With several rows that costs a copy of x, which is worth it only
// where a single tap has few channels.
func (v *convolution) wide() bool {
	c := &v.c
	return c.Groups == 1 && (c.Dilation == 1 || c.Width == 1) && (v.rows == 1 || c.In < 16)
}

// copies reports whether v.padded is a copy of x, and not x itself.
func (v *convolution) copies() bool { return v.rows != 1 || v.c.PadLeft+v.c.PadRight > 0 }

// size returns the length of v.padded.
func (v *convolution) size() int { return v.rows * (v.steps + v.c.PadLeft + v.c.PadRight) * v.c.In }

// pad fills v.padded from x.
func (v *convolution) pad(x []float32) {
	in, left, n := v.c.In, v.c.PadLeft, v.steps+v.c.PadLeft+v.c.PadRight
	for b := range v.rows {
		row := v.padded[b*n*in:][:n*in]
		if v.rows == 1 {
			copy(row[left*in:], x[:v.steps*in])
		} else {
			for t := range v.steps {
				copy(row[(left+t)*in:][:in], x[(t*v.rows+b)*in:])
			}
		}
		for k := range left + v.c.PadRight {
			t := k
			if k >= left {
				t += v.steps
			}
			if from := v.source(t - left); from < 0 {
				clear(row[t*in:][:in])
			} else {
				copy(row[t*in:][:in], row[(left+from)*in:])
			}
		}
	}
}

// rowOf returns row b of v.padded.
func (v *convolution) rowOf(b int) []float32 {
	n := len(v.padded) / v.rows
	return v.padded[b*n:][:n]
}

// live returns the taps, the first inclusive and the last exclusive, outside of which all taps of all outputs read zeros of the
// padding.
func (v *convolution) live() (first, last int) {
	if v.c.Mirrored {
		return 0, v.c.Width
	}
	some := func(j int) bool { from, to := v.inside(j); return from < to }
	for last = v.c.Width; last > 0 && !some(last-1); last-- {
	}
	for ; first < last && !some(first); first++ {
	}
	return first, last
}

// inside returns the output steps, the first inclusive and the last exclusive, for which tap j reads a step of x.
func (v *convolution) inside(j int) (first, last int) {
	shift := j*v.c.Dilation - v.left // output step t reads input step t*Stride + shift
	first = min(v.out, max(0, (v.c.Stride-1-shift)/v.c.Stride))
	return first, max(first, min(v.out, floorDiv(v.steps-1-shift, v.c.Stride)+1))
}

// source returns the step of x that stands at step t, which may lie before or after x, or -1 if zeros stand there.
func (v *convolution) source(t int) int {
	switch {
	case t >= 0 && t < v.steps:
		return t
	case !v.c.Mirrored:
		return -1
	case t < 0:
		return -t
	}
	return 2*(v.steps-1) - t
}

// runs calls f for stretches that together are all outputs from step lo to step hi that tap j adds to: m rows of x and y that begin
// at the elements xAt and yAt and lie ldx and ldy elements apart.
func (v *convolution) runs(j, lo, hi int, f func(m, xAt, ldx, yAt, ldy int)) {
	c := &v.c
	shift := j*c.Dilation - v.left
	first, last := v.inside(j)
	first = min(max(first, lo), hi)
	last = min(max(last, first), hi)
	step := func(t, from int) { f(v.rows, from*v.rows*c.In, c.In, t*v.rows*c.Out, c.Out) }
	if c.Mirrored {
		for t := lo; t < hi; t++ {
			if t < first || t >= last {
				step(t, v.source(t*c.Stride+shift))
			}
		}
	}
	switch n := last - first; {
	case n == 0:
	case c.Stride == 1:
		f(n*v.rows, (first+shift)*v.rows*c.In, c.In, first*v.rows*c.Out, c.Out)
	case n < v.rows:
		for t := first; t < last; t++ {
			step(t, t*c.Stride+shift)
		}
	default:
		for b := range v.rows {
			f(n, ((first*c.Stride+shift)*v.rows+b)*c.In, c.Stride*v.rows*c.In, (first*v.rows+b)*c.Out, v.rows*c.Out)
		}
	}
}

// floorDiv returns a/b rounded down, for b above 0.
func floorDiv(a, b int) int {
	if a < 0 {
		return -((b - 1 - a) / b)
	}
	return a / b
}

// depthwise reports whether each channel is a group of its own, which no matrix product computes well.
func (v *convolution) depthwise() bool {
	return v.c.Groups > 1 && v.c.Groups == v.c.In && v.c.Groups == v.c.Out
}

// depthwiseRows computes dst += a*b for m rows of In channels, a depthwise convolution's sums. A distance of 0 between the rows of an
// operand says that it is a tap of convPacks.taps, or a gradient of that form: n rows that are repeated.
func (v *convolution) depthwiseRows(m int, dst []float32, ldd int, a []float32, lda int, b []float32, ldb int) {
	in, n := v.c.In, 1
	if (ldd == in || ldd == 0) && (lda == in || lda == 0) && (ldb == in || ldb == 0) {
		n = repeats(in)
	}
	for i := 0; i < m; i += n {
		size := min(n, m-i) * in
		kernel.AddMul(dst[i*ldd:][:size], a[i*lda:][:size], b[i*ldb:][:size])
	}
}

// group returns the channels of a group.
func (v *convolution) group() (in, out int) { return v.c.In / v.c.Groups, v.c.Out / v.c.Groups }

// forward computes y from x, or from v.padded if wide.
func (v *convolution) forward(y, x []float32) {
	c, packs := &v.c, v.packs.Get()
	if bias := valuesOf(v.Bias); bias == nil {
		clear(y)
	} else {
		for at := 0; at < len(y); at += c.Out {
			copy(y[at:], bias)
		}
	}
	in, out := v.group()
	if v.padded != nil {
		first, last := v.live()
		for b := range v.rows {
			x, y := v.rowOf(b), y[b*c.Out:]
			if !v.separate() {
				kernel.GemmRows(y, v.rows*c.Out, v.out, kernel.Block{Data: x[first*in:], Stride: c.Stride * in, Cols: (last - first) * in}, first*in, &packs.forward[0])
				continue
			}
			for j := first; j < last; j++ {
				v.addTap(y, v.rows*c.Out, v.out, kernel.Block{Data: x[j*in:], Stride: c.Stride * in, Cols: in}, j, &packs.forward[0])
			}
		}
		return
	}
	if v.depthwise() {
		// Some steps with all taps before the next steps, so that their part of y stays in the cache.
		n := max(1, 4096/max(1, v.rows*c.In))
		for lo := 0; lo < v.out; lo += n {
			for j := range c.Width {
				v.runs(j, lo, min(v.out, lo+n), func(m, xAt, ldx, yAt, ldy int) {
					v.depthwiseRows(m, y[yAt:], ldy, x[xAt:], ldx, packs.taps[j*repeats(c.In)*c.In:], 0)
				})
			}
		}
		return
	}
	for j := range c.Width {
		v.runs(j, 0, v.out, func(m, xAt, ldx, yAt, ldy int) {
			for q := range c.Groups {
				if m > 0 {
					v.addTap(y[yAt+q*out:], ldy, m, kernel.Block{Data: x[xAt+q*in:], Stride: ldx, Cols: in}, j, &packs.forward[q])
				}
			}
		})
	}
}

// weightGrad adds to dw, the gradient of the weight. It first adds up the gradient in the order of convPacks.taps.
func (v *convolution) weightGrad(t *autograd.Tape, dw, dy, x []float32) {
	c := &v.c
	if v.depthwise() {
		size := repeats(c.In) * c.In
		sums, folded := t.Scratch(c.Width*size), t.Scratch(len(dw))
		clear(sums)
		clear(folded)
		for j := range c.Width {
			tap := sums[j*size:][:size]
			v.runs(j, 0, v.out, func(m, xAt, ldx, yAt, ldy int) { v.depthwiseRows(m, tap, 0, x[xAt:], ldx, dy[yAt:], ldy) })
			kernel.AddColumns(folded[j*c.In:][:c.In], tap, c.In, repeats(c.In))
		}
		kernel.Transpose(dw, folded, c.Width, c.In, true)
		return
	}
	in, out := v.group()
	width := c.Width * in // of a row of sums
	sums := t.Scratch(len(dw))
	clear(sums)
	if v.padded != nil {
		for b := range v.rows {
			kernel.GemmT(sums, width, c.Out, width, v.out, dy[b*c.Out:], v.rows*c.Out, v.rowOf(b), c.Stride*c.In)
		}
	} else {
		for j := range c.Width {
			v.runs(j, 0, v.out, func(m, xAt, ldx, yAt, ldy int) {
				for q := range c.Groups {
					if m > 0 {
						kernel.GemmT(sums[q*out*width+j*in:], width, out, in, m, dy[yAt+q*out:], ldy, x[xAt+q*in:], ldx)
					}
				}
			})
		}
	}
	transpose(dw, sums, c.Out, c.Width, in, true)
}

// inputGrad adds to dx.
func (v *convolution) inputGrad(dx, dy []float32) {
	c, packs := &v.c, v.packs.Get()
	in, out := v.group()
	for j := range c.Width {
		v.runs(j, 0, v.out, func(m, xAt, ldx, yAt, ldy int) {
			switch {
			case v.depthwise():
				v.depthwiseRows(m, dx[xAt:], ldx, dy[yAt:], ldy, packs.taps[j*repeats(c.In)*c.In:], 0)
			case m > 0:
				for q := range c.Groups {
					kernel.GemmRows(dx[xAt+q*in:], ldx, m, kernel.Block{Data: dy[yAt+q*out:], Stride: ldy, Cols: out}, j*out, &packs.backward[q])
				}
			}
		})
	}
}
