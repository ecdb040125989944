package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// LSTMConfig says what an [LSTM] is made of. Input and Hidden must be given.
type LSTMConfig struct {
	Input  int  // features of a step
	Hidden int  // units of each layer
	Layers int  // stacked layers; 0: one
	Init   Init // first values of the weights; the zero value is Glorot
}

// LSTM is the long short-term memory (Hochreiter & Schmidhuber 1997) with forget gates (Gers, Schmidhuber & Cummins
// 2000, "Learning to forget"), PyTorch's nn.LSTM. With the sums of the four gates in the order i, f, g, o,
//
//	z_t = W_ih·x_t + b_ih + W_hh·h_(t-1) + b_hh
//	i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)
//	g   = tanh(z_g)
//	c_t = f*c_(t-1) + i*g
//	h_t = o*tanh(c_t)
//
// In a stack, the x_t of a layer is the h_t of the one below. Its [Carry] and [State] have a C beside H.
type LSTM struct{ stack }

// NewLSTM makes the weights in p. It panics with a [*autograd.UsageError] if the configuration cannot be,
// and as [autograd.Params.New] does.
func NewLSTM(p *autograd.Params, c LSTMConfig) *LSTM {
	return &LSTM{newStack(p, "rnn.LSTM", lstmCell{}, c.Input, c.Hidden, c.Layers, c.Init)}
}

type lstmCell struct{}

func (lstmCell) gates() int      { return 4 }
func (lstmCell) hasC() bool      { return true }
func (lstmCell) forgetGate() int { return 1 }

func (lstmCell) forward(s moment) {
	for lo, h := 0, s.hidden; lo < len(s.h); lo += h {
		kernel.LSTM(s.z[4*lo:][:4*h], s.cPrev[lo:], s.c[lo:], s.tc[lo:], s.h[lo:][:h])
	}
}

func (lstmCell) backward(dz, dh, dc []float32, s moment) {
	for lo, h := 0, s.hidden; lo < len(dh); lo += h {
		kernel.LSTMGrad(dz[4*lo:][:4*h], dc[lo:], dh[lo:][:h], s.z[4*lo:], s.cPrev[lo:], s.tc[lo:])
	}
}
