package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Fused is a recurrent layer of a [FusedCell] of your own. It has all that the other layers have.
type Fused struct{ stack }

var _ Layer = (*Fused)(nil)

// NewFused makes the weights of a cell in p. It panics with a [*autograd.UsageError] if the configuration cannot be or the parts of the cell do not
// fit each other, and as [autograd.Params.New] does.
func NewFused(p *autograd.Params, cell FusedCell, c FusedConfig) *Fused {
	return &Fused{newStack(p, cell, c)}
}

// Tanh computes dst[i] = tanh(src[i]) as the cells of this package do, many elements at a time. dst may be src.
func Tanh(dst, src []float32) { kernel.Tanh(dst, src) }

// Sigmoid computes dst[i] = 1/(1+e^-src[i]) likewise.
func Sigmoid(dst, src []float32) { kernel.Sigmoid(dst, src) }
