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
	transpose(p.taps, w, groups*out, in, width, false)
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

// transpose sets the n matrices dst [cols,rows] to the transposes of the n matrices src [rows,cols], or adds these.
func transpose(dst, src []float32, n, rows, cols int, add bool) {
	for k := range n {
		kernel.Transpose(dst[k*rows*cols:], src[k*rows*cols:], rows, cols, add)
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
