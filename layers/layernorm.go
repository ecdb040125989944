package layers

import (
	"fmt"
	"math"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// LayerNorm normalises each row of x, along the last dimension, to mean 0 and variance 1, and then scales and shifts it (Ba,
// Kiros & Hinton 2016, "Layer Normalization", arXiv:1607.06450); PyTorch's LayerNorm:
//
//	y = (x - mean(x)) / sqrt(var(x) + Eps) * weight + bias
//
// var(x) is the mean of the squares of x-mean(x).
//
// # Rows without variance
//
// The layer multiplies a row's gradient by weight/sqrt(var(x) + Eps). In a row whose values are all equal, such as a frame
// of zeros before a recording begins, var(x) is 0 and the factor is up to 1/sqrt(Eps): 316 for the default Eps of 1e-5. With
// some leading frames of zeros, or with several such layers one after the other, the gradient can explode. What helps: trim
// such frames, standardise the features so that silence is not a constant row, choose a larger Eps (1e-3 limits the factor
// to 32), and clip the norm of the gradient (optim.ClipNorm).
type LayerNorm struct {
	Weight *autograd.Param // "weight" [features]
	Bias   *autograd.Param // "bias" [features]
	Eps    float64         // added to the variance, above 0; 1e-5 from NewLayerNorm
}

// NewLayerNorm makes the weights in p: "weight" filled with ones and "bias" with zeros, and sets Eps to 1e-5. It panics with
// a [*autograd.ShapeError] if features is not positive, and as [autograd.Params.New] does.
func NewLayerNorm(p *autograd.Params, features int) *LayerNorm {
	return &LayerNorm{p.New("weight", autograd.Constant(1), features), p.New("bias", autograd.Zeros, features), 1e-5}
}

// Forward applies the layer to each row of x, [..., features]. It panics with a [*autograd.ShapeError] if the last dimension
// of x is not features, and with a [*autograd.UsageError] if Eps is not finite or not above 0 as a float32: a row whose
// values are all equal would become NaN.
func (l *LayerNorm) Forward(x *autograd.Node) *autograd.Node {
	t := autograd.TapeOf(l.Weight.Name, x)
	shape, n := x.Shape(), l.Weight.Value.Len()
	if len(shape) == 0 || shape[len(shape)-1] != n {
		panic(&autograd.ShapeError{Where: l.Weight.Name, Got: fmt.Sprintf("input has shape %v", slices.Clone(shape)), Want: fmt.Sprintf("[..., %d]", n)})
	}
	if !(float32(l.Eps) > 0 && l.Eps <= math.MaxFloat32) {
		panic(&autograd.UsageError{Where: l.Weight.Name, What: fmt.Sprintf("Eps is %v, want above 0 as a float32 and finite", l.Eps)})
	}
	rows := len(x.Data()) / n
	o := layerNormOp{l, x, t.New(shape...), t.Scratch(rows), t.Scratch(rows)}
	for i := range rows {
		o.mean[i], o.rstd[i] = kernel.LayerNorm(o.y.Data()[i*n:][:n], x.Data()[i*n:][:n], l.Weight.Value.Data(), l.Bias.Value.Data(), l.Eps)
	}
	if x.RequiresGrad() || !l.Weight.Frozen || !l.Bias.Frozen {
		autograd.Record(t, o, o.y)
	}
	return o.y
}

type layerNormOp struct {
	l          *LayerNorm
	x, y       *autograd.Node
	mean, rstd []float32
}

func (o layerNormOp) String() string { return "layers.LayerNorm " + o.l.Weight.Name }

func (o layerNormOp) Backward() {
	dy := o.y.Grad()
	if dy == nil {
		return
	}
	w, grads := o.l.Weight.Value.Data(), o.y.Tape().Grads()
	var dx, dw, db []float32
	if o.x.RequiresGrad() {
		dx = o.x.AccumulateGrad()
	}
	if !o.l.Weight.Frozen {
		dw = grads.Of(o.l.Weight)
	}
	if !o.l.Bias.Frozen {
		db = grads.Of(o.l.Bias)
	}
	n := len(w)
	for i := range o.mean {
		var row []float32
		if dx != nil {
			row = dx[i*n:][:n]
		}
		kernel.LayerNormGrad(row, dw, db, dy[i*n:][:n], o.x.Data()[i*n:][:n], w, o.mean[i], o.rstd[i])
	}
}
