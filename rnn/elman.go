package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// ElmanConfig says what an [Elman] is made of. Input and Hidden must be given.
type ElmanConfig struct {
	Input  int  // features of a step
	Hidden int  // units of each layer
	Layers int  // stacked layers; 0: one
	ReLU   bool // max(0, .) in place of tanh
	Init   Init // first values of the weights; the zero value is Glorot
}

// Elman is the simple recurrent layer (Elman 1990, "Finding structure in time"), PyTorch's nn.RNN:
//
//	h_t = tanh(W_ih·x_t + b_ih + W_hh·h_(t-1) + b_hh)
//
// or, with ReLU, max(0, .) in place of tanh. In a stack, the x_t of a layer is the h_t of the one below.
type Elman struct{ stack }

// NewElman makes the weights in p. It panics with a [*autograd.UsageError] if the configuration cannot be,
// and as [autograd.Params.New] does.
func NewElman(p *autograd.Params, c ElmanConfig) *Elman {
	var f cell = tanhCell{}
	if c.ReLU {
		f = reluCell{}
	}
	return &Elman{newStack(p, "rnn.Elman", f, c.Input, c.Hidden, c.Layers, c.Init)}
}

// tanhCell and reluCell have one gate, whose sums z and values are both kept in the place of h.
type tanhCell struct{}

func (tanhCell) gates() int       { return 1 }
func (tanhCell) hasC() bool       { return false }
func (tanhCell) forgetGate() int  { return -1 }
func (tanhCell) forward(s moment) { kernel.Tanh(s.h, s.z) }

func (tanhCell) backward(dz, dh, _ []float32, s moment) { kernel.TanhGrad(dz, dh, s.h) }

type reluCell struct{ tanhCell }

func (reluCell) forward(s moment) { kernel.ReLU(s.h, s.z) }

func (reluCell) backward(dz, dh, _ []float32, s moment) { kernel.ReLUGrad(dz, dh, s.h) }
