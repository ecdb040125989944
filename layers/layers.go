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

import "github.com/unroll-go/unroll/autograd"

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
