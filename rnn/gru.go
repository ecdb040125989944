package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// GRUConfig says what a [GRU] is made of. Input and Hidden must be given.
type GRUConfig struct {
	Input         int  // features of a step
	Hidden        int  // units of each layer
	Layers        int  // stacked layers; 0: one
	Bidirectional bool // a second direction that reads each sequence from its end
	NoBias        bool // no bias_ih and bias_hh

	// ResetBefore applies the reset gate before the recurrent product, as the original does, and not after it, as
	// PyTorch and cuDNN do: Keras' reset_after=False, ONNX' linear_before_reset=0.
	ResetBefore bool

	// These are probabilities, 0 or more and less than 1: see Regularisation in the package's text.
	Dropout          float32 // of what a layer above the first reads
	RecurrentDropout float32 // of the state as the recurrent product reads it, the same units all through a sequence
	WeightDropout    float32 // of the elements of weight_hh
	Zoneout          float32 // that a unit keeps its state for a step

	Init Init // first values of the weights; the zero value is Glorot
}

// GRU is the gated recurrent unit (Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder"),
// PyTorch's nn.GRU. With the rows of its weights in the order r, z, n,
//
//	r   = sigmoid(W_ir·x_t + b_ir + W_hr·h_(t-1) + b_hr)
//	z   = sigmoid(W_iz·x_t + b_iz + W_hz·h_(t-1) + b_hz)
//	n   = tanh(W_in·x_t + b_in + r*(W_hn·h_(t-1) + b_hn))
//	h_t = (1-z)*n + z*h_(t-1)
//
// or, with ResetBefore, n = tanh(W_in·x_t + b_in + W_hn·(r*h_(t-1)) + b_hn). In a stack, the x_t of a layer is the h_t
// of the one below.
type GRU struct{ stack }

// NewGRU makes the weights in p. It panics with a [*autograd.UsageError] if the configuration cannot be,
// and as [autograd.Params.New] does.
func NewGRU(p *autograd.Params, c GRUConfig) *GRU {
	make := func(s config) cell {
		if c.ResetBefore {
			return resetBeforeCell{gruCell{s.hidden}}
		}
		return resetAfterCell{gruCell{s.hidden}}
	}
	return &GRU{newStack(p, make, config{kind: "rnn.GRU", input: c.Input, hidden: c.Hidden, layers: c.Layers,
		bidirectional: c.Bidirectional, noBias: c.NoBias, init: c.Init,
		dropout: c.Dropout, recurrent: c.RecurrentDropout, weight: c.WeightDropout, zone: c.Zoneout})}
}

// gruCell's rows of z and of dz are n, r, z and a fourth part: the recurrent product of n where the reset comes after
// it, and r*h where it comes before. In dz, so the gates of the input are the first three and those of
// the state the last three.
type gruCell struct{ hidden int }

type (
	resetAfterCell  struct{ gruCell }
	resetBeforeCell struct{ gruCell }
)

func (gruCell) gates() int      { return 3 }
func (gruCell) hasC() bool      { return false }
func (gruCell) forgetGate() int { return -1 }
func (c gruCell) trace() int    { return 4 * c.hidden }
func (c gruCell) slopes() int   { return 4 * c.hidden }

// units is so many of them, from first on, of the rows of z or dz.
func (c gruCell) units(v []float32, first, n int) kernel.Block {
	return part(v, 4*c.hidden, first*c.hidden, n*c.hidden)
}

func (c gruCell) state(h []float32) kernel.Block {
	return kernel.Block{Data: h, Stride: c.hidden, Cols: c.hidden}
}

func (c resetAfterCell) packForward(w *weights, hh []float32, p *forwardPack) {
	n, in := c.hidden, w.ih.Value.Dim(1)
	joined(&p.w, w, hh, 0, 2*n)
	transposed(&p.ih, w.ih.Value.Data(), in, 2*n, n)
	transposed(&p.hh, hh, n, 2*n, n)
	if w.biasIH != nil {
		w.sumOfBiases(&p.bias)
		p.biasIH, p.biasHH = w.biasIH.Value.Data()[2*n:], w.biasHH.Value.Data()[2*n:]
	}
}

func (c resetAfterCell) packBackward(w *weights, hh []float32, p *backwardPack) { w.packBoth(hh, p) }

func (c resetAfterCell) forward(p *forwardPack, m moment) {
	n := c.hidden
	kernel.Affine(m.z[n:], 4*n, m.rows, p.bias, m.x, m.h, &p.w)
	kernel.Affine(m.z, 4*n, m.rows, p.biasIH, m.x, kernel.Block{}, &p.ih)
	kernel.Affine(m.z[3*n:], 4*n, m.rows, p.biasHH, m.h, kernel.Block{}, &p.hh)
	for at := 0; at < m.rows*n; at += n {
		kernel.GRU(m.z[4*at:][:4*n], m.before[at:], m.y[at:][:n])
	}
}

func (c resetAfterCell) backward(p *backwardPack, dz, dh, _ []float32, m moment) {
	n := c.hidden
	for at := 0; at < m.rows*n; at += n {
		kernel.GRUGrad(dz[4*at:][:4*n], dh[at:][:n], m.z[4*at:], m.before[at:])
	}
	if m.through {
		m.back(dh, c.units(dz, 1, 3), &p.hh, true)
	}
}

func (c gruCell) input(dz []float32) (x, h kernel.Block) { return c.units(dz, 1, 2), c.units(dz, 0, 1) }

func (c gruCell) inputGrads(g grads, rows int, dz, _ []float32, x kernel.Block) {
	if g.ih != nil {
		product(g.ih, rows, c.units(dz, 1, 2), x)
		product(g.ih[2*c.hidden*x.Cols:], rows, c.units(dz, 0, 1), x)
	}
	if g.biasIH != nil {
		columns(g.biasIH[:2*c.hidden], rows, c.units(dz, 1, 2))
		columns(g.biasIH[2*c.hidden:], rows, c.units(dz, 0, 1))
	}
}

func (c resetAfterCell) inputGrads(g grads, rows int, dz, z []float32, x kernel.Block) {
	c.gruCell.inputGrads(g, rows, dz, z, x)
	columns(g.biasHH, rows, c.units(dz, 1, 3))
}

func (c resetAfterCell) recurrentGrads(g grads, rows int, dz, _, h, _ []float32) {
	if h != nil {
		product(g.hh, rows, c.units(dz, 1, 3), c.state(h))
	}
}

func (c resetBeforeCell) packForward(w *weights, hh []float32, p *forwardPack) {
	n := c.hidden
	joined(&p.w, w, hh, 0, 2*n)
	joined(&p.hh, w, hh, 2*n, n)
	if w.biasIH != nil {
		w.sumOfBiases(&p.bias)
		p.biasHH = p.bias[2*n:]
	}
}

func (c resetBeforeCell) packBackward(w *weights, hh []float32, p *backwardPack) {
	straight(&p.ih, w.ih.Value.Data(), w.ih.Value.Dim(1), 0, 3*c.hidden)
	straight(&p.hh, hh, c.hidden, 0, 2*c.hidden)
	straight(&p.new, hh, c.hidden, 2*c.hidden, c.hidden)
}

// read is row i of the state as the products read it.
func (c gruCell) read(m *moment, i int) []float32 {
	if m.h.Cols == 0 {
		return m.before[i*c.hidden:][:c.hidden] // which is zero too
	}
	return m.h.Data[i*c.hidden:][:c.hidden]
}

func (c resetBeforeCell) forward(p *forwardPack, m moment) {
	n := c.hidden
	kernel.Affine(m.z[n:], 4*n, m.rows, p.bias, m.x, m.h, &p.w)
	for i := range m.rows {
		kernel.GRUReset(m.z[4*n*i:][:4*n], c.read(&m, i))
	}
	kernel.Affine(m.z, 4*n, m.rows, p.biasHH, m.x, c.units(m.z, 3, 1), &p.hh)
	for at := 0; at < m.rows*n; at += n {
		kernel.GRUUpdate(m.z[4*at:][:4*n], m.before[at:], m.y[at:][:n])
	}
}

func (c resetBeforeCell) backward(p *backwardPack, dz, dh, _ []float32, m moment) {
	n := c.hidden
	for at := 0; at < m.rows*n; at += n {
		kernel.GRUUpdateGrad(dz[4*at:][:4*n], dh[at:][:n], m.z[4*at:], m.before[at:])
	}
	kernel.Affine(dz[3*n:], 4*n, m.rows, nil, c.units(dz, 0, 1), kernel.Block{}, &p.new)
	for i := range m.rows {
		kernel.GRUResetGrad(dz[4*n*i:][:4*n], m.z[4*n*i:], c.read(&m, i))
	}
	if !m.through {
		return
	}
	m.back(dh, c.units(dz, 1, 2), &p.hh, true)
	to := dh
	if m.products != nil {
		to = m.products
	}
	for i := range m.rows {
		kernel.Add(to[i*n:][:n], dz[4*n*i+3*n:][:n])
	}
}

func (c resetBeforeCell) inputGrads(g grads, rows int, dz, z []float32, x kernel.Block) {
	c.gruCell.inputGrads(g, rows, dz, z, x)
	if g.biasHH != nil {
		columns(g.biasHH[:2*c.hidden], rows, c.units(dz, 1, 2))
		columns(g.biasHH[2*c.hidden:], rows, c.units(dz, 0, 1))
	}
}

func (c resetBeforeCell) recurrentGrads(g grads, rows int, dz, z, h, _ []float32) {
	if g.hh == nil || h == nil {
		return // r*h is zero too
	}
	product(g.hh, rows, c.units(dz, 1, 2), c.state(h))
	product(g.hh[2*c.hidden*c.hidden:], rows, c.units(dz, 0, 1), c.units(z, 3, 1))
}
