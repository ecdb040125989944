package layers

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Dense is a fully connected layer, PyTorch's Linear:
//
//	y = x·Wᵀ + b
type Dense struct {
	Weight *autograd.Param // "weight" [out, in]
	Bias   *autograd.Param // "bias" [out]; nil without a bias

	forward, backward *autograd.Derived[kernel.Matrix] // Wᵀ and W, packed
}

// DenseConfig describes a [Dense]. Only the sizes are required.
type DenseConfig struct {
	// In and Out are the numbers of features of the input and of the output.
	In, Out int
	// NoBias leaves out the bias b.
	NoBias bool
	// Init fills the weight W [out, in]; nil means [autograd.GlorotUniform].
	Init autograd.Init
}

// NewDense makes a layer with a bias: it is NewDenseWith(p, DenseConfig{In: in, Out: out}).
func NewDense(p *autograd.Params, in, out int) *Dense {
	return NewDenseWith(p, DenseConfig{In: in, Out: out})
}

// NewDenseWith makes the weights in p: "weight", and "bias" filled with zeros. It panics with a [*autograd.ShapeError] if In
// or Out is not positive, and as [autograd.Params.New] does.
func NewDenseWith(p *autograd.Params, c DenseConfig) *Dense {
	if c.Init == nil {
		c.Init = autograd.GlorotUniform
	}
	in, out := c.In, c.Out
	d := &Dense{Weight: p.New("weight", c.Init, out, in)}
	if !c.NoBias {
		d.Bias = p.New("bias", autograd.Zeros, out)
	}
	d.forward = autograd.NewDerived(p, func(m *kernel.Matrix) {
		m.Reset(in, out)
		m.SetRowsT(0, in, d.Weight.Value.Data(), in)
	})
	d.backward = autograd.NewDerived(p, func(m *kernel.Matrix) {
		m.Reset(out, in)
		m.SetRows(0, out, d.Weight.Value.Data(), in)
	})
	return d
}

// In returns the number of features of the input.
func (d *Dense) In() int { return d.Weight.Value.Dim(1) }

// Out returns the number of features of the output.
func (d *Dense) Out() int { return d.Weight.Value.Dim(0) }

// Forward applies the layer to the last dimension of x: [..., in] -> [..., out]. It panics with a [*autograd.ShapeError] if
// the last dimension of x is not in.
func (d *Dense) Forward(x *autograd.Node) *autograd.Node {
	t := autograd.TapeOf(d.Weight.Name, x)
	in, out, rows := d.In(), d.Out(), 1
	shape := x.Shape()
	if len(shape) == 0 || shape[len(shape)-1] != in {
		panic(&autograd.ShapeError{Where: d.Weight.Name,
			Got: fmt.Sprintf("input has shape %v", append([]int(nil), shape...)), Want: fmt.Sprintf("[..., %d]", in)})
	}
	var room [8]int
	outer := append(room[:0], shape[:len(shape)-1]...)
	for _, n := range outer {
		rows *= n
	}
	y := t.New(append(outer, out)...)
	kernel.Affine(y.Data(), out, rows, valuesOf(d.Bias), kernel.Block{Data: x.Data(), Stride: in, Cols: in}, kernel.Block{}, d.forward.Get())
	if x.RequiresGrad() || learns(d.Weight) || learns(d.Bias) {
		autograd.Record(t, denseOp{d, x, y, rows}, y)
	}
	return y
}

// valuesOf returns the values of a weight that a layer may do without, such as a bias, and nil if it does.
func valuesOf(p *autograd.Param) []float32 {
	if p == nil {
		return nil
	}
	return p.Value.Data()
}

// learns reports whether a layer has the weight and its gradient is wanted.
func learns(p *autograd.Param) bool { return p != nil && !p.Frozen }

type denseOp struct {
	d    *Dense
	x, y *autograd.Node
	rows int
}

func (o denseOp) String() string { return "layers.Dense " + o.d.Weight.Name }

func (o denseOp) Backward() {
	dy := o.y.Grad()
	if dy == nil {
		return
	}
	in, out, grads := o.d.In(), o.d.Out(), o.y.Tape().Grads()
	if learns(o.d.Weight) {
		kernel.GemmT(grads.Of(o.d.Weight), in, out, in, o.rows, dy, out, o.x.Data(), in)
	}
	if learns(o.d.Bias) {
		kernel.AddColumns(grads.Of(o.d.Bias), dy, out, o.rows)
	}
	if o.x.RequiresGrad() {
		kernel.Gemm(o.x.AccumulateGrad(), in, o.rows, kernel.Block{Data: dy, Stride: out, Cols: out}, o.d.backward.Get())
	}
}
