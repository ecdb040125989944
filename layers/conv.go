package layers

import (
	"fmt"
	"math"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Conv1D is a convolution over time, PyTorch's Conv1d, of a time-major sequence x [T,B,In] to y [T',B,Out]:
//
//	y[t,b,o] = bias[o] + sum over taps j and channels c of weight[o,c,j] * x[t*Stride + j*Dilation - PadLeft, b, group + c]
//
// T' = (T + PadLeft + PadRight - Dilation*(Width-1) - 1)/Stride + 1, rounded down. Steps of x outside of 0 to T-1 are zeros, or
// mirrored. c counts the In/Groups channels of the group that o belongs to, and group is the first of them.
//
// With 16 channels or more in a group, each tap is a sum of its own over its channels, and these are added to the bias in the order of the
// taps: short sums round less. With fewer channels, all is one sum, in the order of the taps and, within a tap, of the channels.
// The order does not depend on T and B, so a [Conv1DStream] gives the bits of Forward.
type Conv1D struct {
	Weight *autograd.Param // "weight" [Out, In/Groups, Width]
	Bias   *autograd.Param // "bias" [Out]; nil without a bias

	c     Conv1DConfig // with its defaults filled in
	packs *autograd.Derived[convPacks]
}

// Conv1DConfig describes a [Conv1D]. Only the sizes are required.
type Conv1DConfig struct {
	// In and Out are the numbers of channels of the input and of the output.
	In, Out int
	// Width is the number of taps, PyTorch's kernel_size.
	Width int
	// Stride is the number of input steps from one output step to the next, and Dilation the number from one tap to the next. 0
	// means 1.
	Stride, Dilation int
	// Groups divides the channels into groups: an output channel reads the In/Groups input channels of its own group. 0 means 1.
	// Groups equal to In and Out is a depthwise convolution.
	Groups int
	// PadLeft and PadRight are the numbers of steps added before the first step and after the last. PyTorch's padding=n is n on
	// both sides.
	PadLeft, PadRight int
	// Mirrored takes the added steps from the sequence, mirrored at its first and last step, which are not repeated: PyTorch's
	// padding_mode="reflect". Otherwise they are zeros. A mirrored sequence must be longer than either padding.
	Mirrored bool
	// Causal is PadLeft = Dilation*(Width-1) and PadRight = 0 in zeros: no output step depends on later input steps.
	Causal bool
	// NoBias leaves out the bias.
	NoBias bool
	// Init fills the weight; nil means PyTorch's uniform distribution from -1/sqrt(In/Groups*Width) to 1/sqrt(In/Groups*Width).
	Init autograd.Init
}

// NewConv1D makes the weights in p: "weight", and "bias" filled with zeros. It panics with a [*autograd.ShapeError] if a size is
// not positive, with a [*autograd.UsageError] if the configuration contradicts itself, and as [autograd.Params.New] does.
func NewConv1D(p *autograd.Params, c Conv1DConfig) *Conv1D {
	for _, n := range []*int{&c.Stride, &c.Dilation, &c.Groups} {
		if *n == 0 {
			*n = 1
		}
	}
	wrong := func(format string, args ...any) {
		panic(&autograd.UsageError{Where: "layers.NewConv1D", What: fmt.Sprintf(format, args...)})
	}
	switch {
	case c.In < 1 || c.Out < 1 || c.Width < 1:
		panic(&autograd.ShapeError{Where: "layers.NewConv1D", Got: fmt.Sprintf("In %d, Out %d and Width %d", c.In, c.Out, c.Width), Want: "at least 1 each"})
	case c.Stride < 1 || c.Dilation < 1 || c.PadLeft < 0 || c.PadRight < 0:
		wrong("Stride %d, Dilation %d, PadLeft %d and PadRight %d, want none below 0", c.Stride, c.Dilation, c.PadLeft, c.PadRight)
	case c.Groups < 1 || c.In%c.Groups != 0 || c.Out%c.Groups != 0:
		wrong("%d groups of %d and %d channels, want a number that divides both", c.Groups, c.In, c.Out)
	case c.Causal && (c.Mirrored || c.PadLeft > 0 || c.PadRight > 0):
		wrong("Causal together with another padding")
	case c.Causal:
		c.PadLeft = c.Dilation * (c.Width - 1)
	}
	in, out := c.In/c.Groups, c.Out/c.Groups // of a group
	init := c.Init
	if init == nil {
		init = autograd.Uniform(1 / math.Sqrt(float64(in*c.Width)))
	}
	l := &Conv1D{Weight: p.New("weight", init, c.Out, in, c.Width), c: c}
	if !c.NoBias {
		l.Bias = p.New("bias", autograd.Zeros, c.Out)
	}
	l.packs = autograd.NewDerived(p, func(packs *convPacks) { packs.set(l.Weight.Value.Data(), c.Groups, in, out, c.Width) })
	return l
}

// convPacks is the weight in the orders that the products read.
type convPacks struct {
	taps     []float32       // [Out][tap][channel]; of a depthwise convolution [tap][repeats][channel]
	forward  []kernel.Matrix // of each group: rows (tap, input channel), columns output channels
	backward []kernel.Matrix // of each group: rows (tap, output channel), columns input channels
}

// set computes p from the weight w [groups*out, in, width].
func (p *convPacks) set(w []float32, groups, in, out, width int) {
	if groups > 1 && in == 1 && out == 1 {
		n := repeats(groups)
		if p.taps == nil {
			p.taps = make([]float32, n*len(w))
		}
		for c := range groups {
			for j := range width {
				for i := range n {
					p.taps[(j*n+i)*groups+c] = w[c*width+j]
				}
			}
		}
		return
	}
	if p.taps == nil {
		p.taps, p.forward, p.backward = make([]float32, len(w)), make([]kernel.Matrix, groups), make([]kernel.Matrix, groups)
	}
	clear(p.taps)
	addTransposed(p.taps, w, groups*out, in, width)
	for q := range groups {
		taps := p.taps[q*out*width*in:]
		p.forward[q].Reset(width*in, out)
		p.forward[q].SetRowsT(0, width*in, taps, width*in)
		p.backward[q].Reset(width*out, in)
		for j := range width {
			p.backward[q].SetRows(j*out, out, taps[j*in:], width*in)
		}
	}
}

// repeats returns how often a depthwise convolution of so many channels keeps the weights of a tap one after the other, so that
// several rows are multiplied in one call.
func repeats(channels int) int { return max(1, 512/channels) }

// addTransposed adds n matrices src [rows,cols], each transposed, to the n matrices dst [cols,rows].
func addTransposed(dst, src []float32, n, rows, cols int) {
	for range n {
		for i := range rows {
			for j, v := range src[i*cols:][:cols] {
				dst[j*rows+i] += v
			}
		}
		dst, src = dst[rows*cols:], src[rows*cols:]
	}
}

// Config returns the configuration, with its defaults filled in but for Init.
func (l *Conv1D) Config() Conv1DConfig { return l.c }

// Steps returns the number T' of output steps for so many input steps. It is 0 if the padded sequence is shorter than the taps
// reach.
func (l *Conv1D) Steps(steps int) int {
	n := steps + l.c.PadLeft + l.c.PadRight - l.c.Dilation*(l.c.Width-1) - 1
	if n < 0 {
		return 0
	}
	return n/l.c.Stride + 1
}

// need returns the smallest number of input steps.
func (l *Conv1D) need() int {
	c := &l.c
	n := max(1, 1+c.Dilation*(c.Width-1)-c.PadLeft-c.PadRight)
	if c.Mirrored {
		n = max(n, 1+c.PadLeft, 1+c.PadRight)
	}
	return n
}

// Lengths appends to the slice to the number of output steps of each sequence of a batch with these lengths, and returns it.
// Forward reads what stands after the end of a short sequence: set it to zeros before ([autograd.MaskSteps]). The first
// Steps(n) outputs of a sequence of length n are then those of the sequence alone, unless Mirrored pads on the right.
func (l *Conv1D) Lengths(to, lengths []int) []int {
	for _, n := range lengths {
		to = append(to, l.Steps(n))
	}
	return to
}

// Forward convolves x [T,B,In] to [T',B,Out]. It panics with a [*autograd.ShapeError] if x has another shape or too few steps
// for one output step or for a mirrored padding.
func (l *Conv1D) Forward(x *autograd.Node) *autograd.Node {
	t, c := autograd.TapeOf(l.Weight.Name, x), &l.c
	shape := x.Shape()
	if need := l.need(); len(shape) != 3 || shape[2] != c.In || shape[0] < need {
		panic(&autograd.ShapeError{Where: l.Weight.Name, Got: fmt.Sprintf("input has shape %v", slices.Clone(shape)),
			Want: fmt.Sprintf("[T, B, %d] of at least %d steps", c.In, need)})
	}
	v := convolution{l, shape[0], shape[1], l.Steps(shape[0]), c.PadLeft, nil, t.Scratch(l.tapSize())}
	y := t.New(v.out, v.rows, c.Out)
	if v.wide() {
		if v.padded = x.Data(); v.copies() {
			v.padded = t.Scratch(v.size())
			v.pad(x.Data())
		}
	}
	v.forward(y.Data(), x.Data())
	if x.RequiresGrad() || learns(l.Weight) || learns(l.Bias) {
		autograd.Record(t, convOp{v, x, y}, y)
	}
	return y
}

type convOp struct {
	v    convolution
	x, y *autograd.Node
}

func (o convOp) String() string { return "layers.Conv1D " + o.v.Weight.Name }

func (o convOp) Backward() {
	dy, l := o.y.Grad(), o.v.Conv1D
	if dy == nil {
		return
	}
	t := o.y.Tape()
	if learns(l.Weight) {
		o.v.weightGrad(t, t.Grads().Of(l.Weight), dy, o.x.Data())
	}
	if learns(l.Bias) {
		kernel.AddColumns(t.Grads().Of(l.Bias), dy, l.c.Out, o.v.out*o.v.rows)
	}
	if o.x.RequiresGrad() {
		o.v.inputGrad(o.x.AccumulateGrad(), dy)
	}
}

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
		addTransposed(dw, folded, 1, c.Width, c.In)
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
	addTransposed(dw, sums, c.Out, c.Width, in)
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

// Conv1DStream is one sequence that a causal [Conv1D] reads step by step, from plain numbers and without a tape, as a part of an rnn.Chain. It
// owns its state and all memory and allocates nothing. Its outputs have the bits of Forward.
//
// A Conv1DStream is used by one goroutine at a time; any number of them may share the layer. It reads the weights as they are
// at each step, so an update of the weights must not run beside a Step.
type Conv1DStream struct {
	v    convolution
	past []float32 // the last reach steps at at*In, and what was before; whole rows
	at   int
	y    []float32
}

// NewStream returns a stream that begins with zeros. It panics with a [*autograd.UsageError] if the layer is not causal or its
// Stride is not 1.
func (l *Conv1D) NewStream() *Conv1DStream {
	c := &l.c
	if c.PadLeft != c.Dilation*(c.Width-1) || c.PadRight != 0 || c.Mirrored || c.Stride != 1 {
		panic(&autograd.UsageError{Where: l.Weight.Name, What: "only a causal convolution of Stride 1 runs step by step"})
	}
	s := &Conv1DStream{v: convolution{Conv1D: l, steps: c.PadLeft + 1, rows: 1, out: 1, tap: kernel.Alloc(l.tapSize())}, y: kernel.Alloc(c.Out)}
	s.past = kernel.Alloc(2 * (c.PadLeft + 1) * c.In)
	return s
}

// State returns the inputs that the next steps still read, [Dilation*(Width-1), In], the earliest first. It is the stream's own
// memory until the next Step. Set it to zeros to begin a new sequence; copy it to keep it, and copy it back to go on from there.
func (s *Conv1DStream) State() []float32 {
	in := s.v.c.In
	return s.past[s.at*in : (s.at+s.v.steps-1)*in]
}

// Step computes y [Out] of the next step from x [In]. y is good until the next Step. It panics with a [*autograd.ShapeError] if
// x has another length.
func (s *Conv1DStream) Step(x []float32) (y []float32) {
	in, reach := s.v.c.In, s.v.steps
	if len(x) != in {
		panic(&autograd.ShapeError{Where: s.v.Weight.Name, Got: fmt.Sprintf("a step of %d channels", len(x)), Want: fmt.Sprint(in)})
	}
	if s.at+reach > len(s.past)/in {
		copy(s.past, s.State())
		s.at = 0
	}
	window := s.past[s.at*in:][:reach*in]
	copy(window[(reach-1)*in:], x)
	if s.v.wide() {
		s.v.padded = window
	}
	s.v.forward(s.y, window)
	s.at++
	return s.y
}

// Conv1DWindow is a [Conv1D] of any configuration on one sequence after the other, all of the same number of steps, from plain numbers
// and without a tape: a part of an rnn.Chain that reads its input in windows. It owns all memory and allocates nothing. Its
// outputs have the bits of Forward. It keeps nothing from one window to the next.
//
// A Conv1DWindow is used by one goroutine at a time, as a [Conv1DStream] is.
type Conv1DWindow struct {
	v   convolution
	own []float32 // a window with padding
	y   []float32
}

// NewWindow returns the layer on windows of so many steps. It panics with a [*autograd.ShapeError] if they are too few.
func (l *Conv1D) NewWindow(steps int) *Conv1DWindow {
	if need := l.need(); steps < need {
		panic(&autograd.ShapeError{Where: l.Weight.Name, Got: fmt.Sprintf("windows of %d steps", steps), Want: fmt.Sprintf("at least %d", need)})
	}
	w := &Conv1DWindow{v: convolution{Conv1D: l, steps: steps, rows: 1, out: l.Steps(steps), left: l.c.PadLeft, tap: kernel.Alloc(l.tapSize())}}
	w.own, w.y = kernel.Alloc(w.v.size()), kernel.Alloc(w.v.out*l.c.Out)
	return w
}

// Step computes y [T',Out] from one window x [steps,In]. y is good until the next Step. It panics with a [*autograd.ShapeError]
// if x has another length.
func (w *Conv1DWindow) Step(x []float32) (y []float32) {
	v := &w.v
	if len(x) != v.steps*v.c.In {
		panic(&autograd.ShapeError{Where: v.Weight.Name, Got: fmt.Sprintf("a window of %d numbers", len(x)), Want: fmt.Sprintf("%d steps of %d", v.steps, v.c.In)})
	}
	if v.wide() {
		if v.padded = x; v.copies() {
			v.padded = w.own
			v.pad(x)
		}
	}
	v.forward(w.y, x)
	return w.y
}
