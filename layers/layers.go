// Package layers holds the layers without a state between steps. Recurrent layers are in package rnn.
//
// A layer is a small immutable struct of weights. It is made once under a prefix of an [autograd.Params] and used on any
// tape of that Params, by many goroutines at once. Its Forward takes nodes and returns nodes; the tape decides between
// training and inference.
//
//	head := layers.NewDense(params.In("head"), 150, 10) // makes head.weight, head.bias
//	logits := head.Forward(h)                            // [B,150] -> [B,10]
//
// Names and layouts of weights are PyTorch's. The activations are functions of package autograd; [Func] makes a layer of
// one:
//
//	mlp := layers.Sequential{
//		layers.NewDense(params.In("0"), 28, 64),
//		layers.Func(autograd.GELU),
//		layers.Dropout{P: 0.2},
//		layers.NewDense(params.In("3"), 64, 10),
//	}
//
// [Conv1D] reads a window of steps at once, and a causal one also runs step by step; [MaxPool1D] and
// [AvgPool1D] shorten a sequence. [Embedding] turns tokens into vectors, and an [Attention] summarises a sequence for a query.
package layers

import "github.com/unroll-go/unroll/autograd"

// Layer is a layer of one input and one output, such as a part of a [Sequential]. An [Embedding], whose input is tokens, and
// an [Attention], which has several inputs, are no Layers.
type Layer interface {
	Forward(x *autograd.Node) *autograd.Node
}

var _ = []Layer{(*Dense)(nil), (*Conv1D)(nil), MaxPool1D{}, AvgPool1D{}, (*LayerNorm)(nil), Dropout{}, Func(nil), Sequential(nil)}

// Func makes a layer of a function, such as an activation: layers.Func(autograd.Tanh).
type Func func(x *autograd.Node) *autograd.Node

// Forward calls f.
func (f Func) Forward(x *autograd.Node) *autograd.Node { return f(x) }

// Sequential applies its layers one after the other. PyTorch names the weights of a Sequential by the places of its layers:
// make the layer at place 2 in params.In("2") to read and write PyTorch's files.
type Sequential []Layer

// Forward applies all layers to x, in order.
func (s Sequential) Forward(x *autograd.Node) *autograd.Node {
	for _, l := range s {
		x = l.Forward(x)
	}
	return x
}

// Dropout applies [autograd.Dropout]: in training, each element is set to 0 with probability P and the others are divided by
// 1-P.
type Dropout struct{ P float32 }

// Forward applies the layer to x of any shape. It panics with a [*autograd.UsageError] if P is not within [0, 1).
func (d Dropout) Forward(x *autograd.Node) *autograd.Node { return autograd.Dropout(x, d.P) }
