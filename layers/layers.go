// Package layers holds the layers that keep no state between steps. (Recurrent ones are in package rnn.)
//
// A layer is a small immutable struct of weights, made once under a prefix of an
// [autograd.Params] and used on any tape of that Params, by many goroutines at once. Its Forward takes and
// returns nodes; whether that trains is the tape's matter.
//
//	head := layers.NewDense(params.In("head"), 150, 10) // makes head.weight, head.bias
//	logits := head.Forward(h)                            // [B,150] -> [B,10]
//
// Names and layouts of weights are PyTorch's. An activation is a function of package autograd, and a layer as [Func]:
//
//	mlp := layers.Sequential{
//		layers.NewDense(params.In("0"), 28, 64),
//		layers.Func(autograd.GELU),
//		layers.Dropout{P: 0.2},
//		layers.NewDense(params.In("3"), 64, 10),
//	}
package layers

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Layer is what all layers of this package but [Embedding], whose input are no numbers, share.
type Layer interface {
	Forward(x *autograd.Node) *autograd.Node
}

var _ = []Layer{(*Dense)(nil), (*LayerNorm)(nil), Dropout{}, Func(nil), Sequential(nil)}

// Func is a function as a layer, such as an activation: layers.Func(autograd.Tanh).
type Func func(x *autograd.Node) *autograd.Node

// Forward calls f.
func (f Func) Forward(x *autograd.Node) *autograd.Node { return f(x) }

// Sequential is layers one after the other. PyTorch names the weights of its Sequential by their places: make layer i
// in params.In("i") to read and write its files.
type Sequential []Layer

// Forward hands x through all layers.
func (s Sequential) Forward(x *autograd.Node) *autograd.Node {
	for _, l := range s {
		x = l.Forward(x)
	}
	return x
}

// Dropout is [autograd.Dropout] as a layer: in training, each element is 0 with probability P.
type Dropout struct{ P float32 }

// Forward applies the layer to x of any shape. It panics with a [*autograd.UsageError] if P is not within [0, 1).
func (d Dropout) Forward(x *autograd.Node) *autograd.Node { return autograd.Dropout(x, d.P) }

// Embedding is a table of vectors, one for each token of a vocabulary; PyTorch's Embedding.
type Embedding struct {
	Weight *autograd.Param // "weight" [vocabulary, features]
}

// NewEmbedding makes the table in p, from the normal distribution of deviation 1 as PyTorch does. It panics with a
// [*autograd.ShapeError] if a size is not positive, and as [autograd.Params.New] does.
func NewEmbedding(p *autograd.Params, vocabulary, features int) *Embedding {
	return &Embedding{p.New("weight", autograd.Normal(1), vocabulary, features)}
}

// Forward returns the vectors of ids, time-major as dataset.Batch.IDs, for a batch of so many rows: [T,B,features]
// where T = len(ids)/batch. An id outside the vocabulary fails the run ([autograd.Tape.Fail]). ids is borrowed until
// Backward has run. It panics with a [*autograd.ShapeError] if ids are not whole steps.
func (e *Embedding) Forward(t *autograd.Tape, ids []int32, batch int) *autograd.Node {
	if batch < 1 || len(ids)%batch != 0 {
		panic(&autograd.ShapeError{Where: e.Weight.Name, Got: fmt.Sprintf("%d ids", len(ids)), Want: fmt.Sprintf("whole steps of a batch of %d", batch)})
	}
	y := autograd.Gather(t.Param(e.Weight), ids)
	return autograd.Reshape(y, len(ids)/batch, batch, e.Weight.Value.Dim(1))
}

// LayerNorm normalises each row, the last dimension, to mean 0 and variance 1, and then scales and shifts it (Ba,
// Kiros & Hinton 2016, "Layer Normalization", arXiv:1607.06450); PyTorch's LayerNorm:
//
//	y = (x - mean(x)) / sqrt(var(x) + Eps) * weight + bias
//
// var(x) is the mean of the squares of x-mean(x).
type LayerNorm struct {
	Weight *autograd.Param // "weight" [features]
	Bias   *autograd.Param // "bias" [features]
	Eps    float64         // 1e-5 unless set
}

// NewLayerNorm makes the weights in p: "weight" one, "bias" zero. It panics with a [*autograd.ShapeError] if features is
// not positive, and as [autograd.Params.New] does.
func NewLayerNorm(p *autograd.Params, features int) *LayerNorm {
	return &LayerNorm{p.New("weight", autograd.Constant(1), features), p.New("bias", autograd.Zeros, features), 1e-5}
}

// Forward applies the layer to each row of x, [..., features]. It panics with a [*autograd.ShapeError] if the last dimension
// is another.
func (l *LayerNorm) Forward(x *autograd.Node) *autograd.Node {
	t := autograd.TapeOf(l.Weight.Name, x)
	shape, n := x.Shape(), l.Weight.Value.Len()
	if len(shape) == 0 || shape[len(shape)-1] != n {
		panic(&autograd.ShapeError{Where: l.Weight.Name, Got: fmt.Sprintf("input has shape %v", slices.Clone(shape)), Want: fmt.Sprintf("[..., %d]", n)})
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
