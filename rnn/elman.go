package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// ElmanConfig says what an [Elman] is made of. Input and Hidden must be given.
type ElmanConfig struct {
	Input         int  // features of a step
	Hidden        int  // units of each layer
	Layers        int  // stacked layers; 0: one
	Bidirectional bool // a second direction that reads each sequence from its end
	NoBias        bool // no bias_ih and bias_hh
	ReLU          bool // max(0, .) in place of tanh

	// Dropout, RecurrentDropout, WeightDropout and Zoneout are probabilities, 0 or more and less than 1: see
	// Regularisation in the package's text.
	Dropout          float32 // of what a layer above the first reads
	RecurrentDropout float32 // of the state as the recurrent product reads it, the same units all through a sequence
	WeightDropout    float32 // of the elements of weight_hh
	Zoneout          float32 // that a unit keeps its state for a step

	Init Init // first values of the weights; the zero value is Glorot
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
	make := func(s config) cell {
		if c.ReLU {
			return reluCell{elmanCell{s.hidden}}
		}
		return tanhCell{elmanCell{s.hidden}}
	}
	return &Elman{newStack(p, make, config{kind: "rnn.Elman", input: c.Input, hidden: c.Hidden, layers: c.Layers,
		bidirectional: c.Bidirectional, noBias: c.NoBias, init: c.Init,
		dropout: c.Dropout, recurrent: c.RecurrentDropout, weight: c.WeightDropout, zone: c.Zoneout})}
}

// elmanCell has one gate, whose sums and values are both kept in the place of h.
type elmanCell struct{ hidden int }

type (
	tanhCell struct{ elmanCell }
	reluCell struct{ elmanCell }
)

func (elmanCell) gates() int      { return 1 }
func (elmanCell) hasC() bool      { return false }
func (elmanCell) forgetGate() int { return -1 }
func (elmanCell) trace() int      { return 0 }
func (e elmanCell) slopes() int   { return e.hidden }

func (e elmanCell) packForward(w *weights, hh []float32, p *forwardPack) {
	joined(&p.w, w, hh, 0, e.hidden)
	w.sumOfBiases(&p.bias)
}

func (elmanCell) packBackward(w *weights, hh []float32, p *backwardPack) { w.packBoth(hh, p) }

func (e elmanCell) sums(p *forwardPack, m *moment) {
	kernel.Affine(m.y, e.hidden, m.rows, p.bias, m.x, m.h, &p.w)
}

func (e tanhCell) forward(p *forwardPack, m moment) {
	e.sums(p, &m)
	kernel.Tanh(m.y, m.y)
}

func (e reluCell) forward(p *forwardPack, m moment) {
	e.sums(p, &m)
	kernel.ReLU(m.y, m.y)
}

func (e tanhCell) backward(p *backwardPack, dz, dh, _ []float32, m moment) {
	kernel.TanhGrad(dz, dh, m.y)
	e.back(p, dz, dh, &m)
}

func (e reluCell) backward(p *backwardPack, dz, dh, _ []float32, m moment) {
	kernel.ReLUGrad(dz, dh, m.y)
	e.back(p, dz, dh, &m)
}

func (e elmanCell) back(p *backwardPack, dz, dh []float32, m *moment) {
	if m.through {
		m.back(dh, e.block(dz), &p.hh, false)
	}
}

func (e elmanCell) block(v []float32) kernel.Block {
	return kernel.Block{Data: v, Stride: e.hidden, Cols: e.hidden}
}

func (e elmanCell) input(dz []float32) (x, h kernel.Block) { return e.block(dz), kernel.Block{} }

func (e elmanCell) inputGrads(g grads, rows int, dz, _ []float32, x kernel.Block) {
	product(g.ih, rows, e.block(dz), x)
	columns(g.biasIH, rows, e.block(dz))
	columns(g.biasHH, rows, e.block(dz))
}

func (e elmanCell) recurrentGrads(g grads, rows int, dz, _, h, _ []float32) {
	if h != nil {
		product(g.hh, rows, e.block(dz), e.block(h))
	}
}

// product adds dzᵀ·x, summed over rows, to the gradient of a matrix; a nil one is not wanted.
func product(dW []float32, rows int, dz, x kernel.Block) {
	if dW != nil && rows > 0 {
		kernel.GemmT(dW, x.Cols, dz.Cols, x.Cols, rows, dz.Data, dz.Stride, x.Data, x.Stride)
	}
}

// columns adds dz, summed over rows, to the gradient of a bias; a nil one is not wanted.
func columns(dB []float32, rows int, dz kernel.Block) {
	if dB != nil {
		kernel.AddColumns(dB, dz.Data, dz.Stride, rows)
	}
}
