package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// LSTMConfig says what an [LSTM] is made of. Input and Hidden must be given.
type LSTMConfig struct {
	Input         int  // features of a step
	Hidden        int  // units of each layer
	Layers        int  // stacked layers; 0: one
	Bidirectional bool // a second direction that reads each sequence from its end
	NoBias        bool // no bias_ih and bias_hh

	// Projection is the width of h where that is less than Hidden: h_t = W_hr·(o*tanh(c_t)) (Sak, Senior & Beaufays
	// 2014), PyTorch's proj_size. 0: none.
	Projection int
	// Peephole lets the gates see the second state (Gers & Schmidhuber 2000, "Recurrent nets that time and count").
	Peephole bool
	// LayerNorm normalises the two products of the gates (Ba, Kiros & Hinton 2016, "Layer normalization"). Sequences that
	// begin with frames of zeros make its gradient explode: see [LSTM].
	LayerNorm bool
	// ForgetBias is the first value of the forget gate's bias_ih; its bias_hh begins at 0 then. 0: as Init says.
	ForgetBias float32

	// These are probabilities, 0 or more and less than 1: see Regularisation in the package's text.
	Dropout          float32 // of what a layer above the first reads
	RecurrentDropout float32 // of the state as the recurrent product reads it, the same units all through a sequence
	WeightDropout    float32 // of the elements of weight_hh
	Zoneout          float32 // that an h keeps its value for a step
	ZoneoutCell      float32 // that a c does

	Init Init // first values of the weights; the zero value is Glorot
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
//
// With Peephole, z_i and z_f get p_i*c_(t-1) and p_f*c_(t-1), and z_o gets p_o*c_t: weight_peephole_l0 [3*Hidden] is
// p_i, p_f, p_o. With Projection, h_t = W_hr·(o*tanh(c_t)): weight_hr_l0 [Projection, Hidden]. With LayerNorm,
//
//	z_t = norm(W_ih·x_t)*w_ih + b_ih + norm(W_hh·h_(t-1))*w_hh + b_hh
//
// where norm takes the mean from all 4*Hidden sums of a row and divides by sqrt(variance + 1e-5); the gains w_ih and w_hh
// are weight_ln_ih_l0 and weight_ln_hh_l0 [4*Hidden]. c_t is not normalised.
//
// LayerNorm is sensitive to leading frames of zeros, such as the blank rows at the top of a picture. As long as x_t, h_(t-1) and
// the biases are all 0, norm divides by sqrt(1e-5), and backpropagation through such a step multiplies the gradient of h by up
// to 0.25/sqrt(1e-5) = 79 times the norm of the rows of W_hh for the gate g. With 64 units and Init Glorot that is a factor of
// about 50 a step: after some 20 such steps the gradient overflows and is NaN, although the loss is finite. Any of these
// helps: biases that are not 0 (Init PyTorch); noise of 0.001 on the input, or an h_0 that is not 0; padding at the
// end of a sequence, with Options.Lengths, in place of padding at its beginning. optim.ClipNorm helps while the gradient is
// finite, that is, for few such frames.
type LSTM struct{ stack }

// NewLSTM makes the weights in p. It panics with a [*autograd.UsageError] if the configuration cannot be,
// and as [autograd.Params.New] does.
func NewLSTM(p *autograd.Params, c LSTMConfig) *LSTM {
	make := func(s config) cell {
		f := lstmCell{hidden: s.hidden, out: s.hidden, peephole: s.peephole, norm: s.layerNorm}
		if s.projection != 0 {
			f.projected, f.out = true, s.projection
		}
		return f
	}
	return &LSTM{newStack(p, make, config{kind: "rnn.LSTM", input: c.Input, hidden: c.Hidden, layers: c.Layers,
		bidirectional: c.Bidirectional, noBias: c.NoBias, init: c.Init,
		projection: c.Projection, peephole: c.Peephole, layerNorm: c.LayerNorm, forgetBias: c.ForgetBias,
		dropout: c.Dropout, recurrent: c.RecurrentDropout, weight: c.WeightDropout, zone: c.Zoneout, zoneC: c.ZoneoutCell})}
}

// lstmCell's row of z is the four gates; then, where they are normalised, the two products and what normalised
// each (mean and 1/deviation); then, where it is projected, o*tanh(c). Its row of dz is the gradients of the gates' sums;
// then those of the two products; then that of h.
type lstmCell struct {
	hidden, out               int
	peephole, norm, projected bool
}

func (lstmCell) gates() int      { return 4 }
func (lstmCell) hasC() bool      { return true }
func (lstmCell) forgetGate() int { return 1 }

const (
	normEps   = 1e-5
	normStats = 4 // numbers that normalised a row
)

// unprojected is where o*tanh(c) begins in a row of z.
func (c lstmCell) unprojected() int {
	if c.norm {
		return 12*c.hidden + normStats
	}
	return 4 * c.hidden
}

func (c lstmCell) trace() int {
	if c.projected {
		return c.unprojected() + c.hidden
	}
	return c.unprojected()
}

// ofH is where the gradient of h begins in a row of dz.
func (c lstmCell) ofH() int {
	if c.norm {
		return 12 * c.hidden
	}
	return 4 * c.hidden
}

func (c lstmCell) slopes() int {
	if c.projected {
		return c.ofH() + c.out
	}
	return c.ofH()
}

func (c lstmCell) packForward(w *weights, hh []float32, p *forwardPack) {
	gates := 4 * c.hidden
	if c.norm {
		transposed(&p.ih, w.ih.Value.Data(), w.ih.Value.Dim(1), 0, gates)
		transposed(&p.hh, hh, c.out, 0, gates)
		p.normIH, p.normHH = w.normIH.Value.Data(), w.normHH.Value.Data()
		if w.biasIH != nil {
			p.biasIH, p.biasHH = w.biasIH.Value.Data(), w.biasHH.Value.Data()
		} else if p.biasIH == nil {
			p.biasIH = make([]float32, gates)
			p.biasHH = p.biasIH
		}
	} else {
		joined(&p.w, w, hh, 0, gates)
		w.sumOfBiases(&p.bias)
	}
	if c.projected {
		transposed(&p.hr, w.hr.Value.Data(), c.hidden, 0, c.out)
	}
	if c.peephole {
		p.peephole = w.peephole.Value.Data()
	}
}

func (c lstmCell) packBackward(w *weights, hh []float32, p *backwardPack) {
	w.packBoth(hh, p)
	if c.projected {
		straight(&p.hr, w.hr.Value.Data(), c.hidden, 0, c.out)
	}
	if c.peephole {
		p.peephole = w.peephole.Value.Data()
	}
	if c.norm {
		p.normIH, p.normHH = w.normIH.Value.Data(), w.normHH.Value.Data()
	}
}

// part is n columns, from first on, of the rows of v that are stride apart.
func part(v []float32, stride, first, n int) kernel.Block {
	return kernel.Block{Data: v[first:], Stride: stride, Cols: n}
}

func (c lstmCell) forward(p *forwardPack, m moment) {
	n, stride := c.hidden, c.trace()
	if c.norm {
		kernel.Affine(m.z[4*n:], stride, m.rows, nil, m.x, kernel.Block{}, &p.ih)
		kernel.Affine(m.z[8*n:], stride, m.rows, nil, m.h, kernel.Block{}, &p.hh)
	} else {
		kernel.Affine(m.z, stride, m.rows, p.bias, m.x, m.h, &p.w)
	}
	for i := range m.rows {
		z := m.z[i*stride:][:stride]
		if c.norm {
			c.normalise(p, z, m.spare)
		}
		at := i * n
		var h []float32
		if c.projected {
			h = z[c.unprojected():][:n]
		} else {
			h = m.y[at:][:n]
		}
		if c.peephole {
			kernel.LSTMPeephole(z[:4*n], p.peephole, m.cBefore[at:], m.c[at:], m.tc[at:], h)
		} else {
			kernel.LSTM(z[:4*n], m.cBefore[at:], m.c[at:], m.tc[at:], h)
		}
	}
	if c.projected {
		kernel.Affine(m.y, c.out, m.rows, nil, part(m.z, stride, c.unprojected(), n), kernel.Block{}, &p.hr)
	}
}

// normalise makes the gates' sums of one row from its two products.
func (c lstmCell) normalise(p *forwardPack, z, spare []float32) {
	n := 4 * c.hidden
	stats := z[3*n:][:normStats]
	stats[0], stats[1] = kernel.LayerNorm(z[:n], z[n:2*n], p.normIH, p.biasIH, normEps)
	stats[2], stats[3] = kernel.LayerNorm(spare[:n], z[2*n:3*n], p.normHH, p.biasHH, normEps)
	kernel.Add(z[:n], spare[:n])
}

func (c lstmCell) backward(p *backwardPack, dz, dh, dc []float32, m moment) {
	n, stride, slopes := c.hidden, c.trace(), c.slopes()
	du := dh
	if c.projected {
		du = m.spare
		for i := range m.rows {
			copy(dz[i*slopes+c.ofH():][:c.out], dh[i*c.out:])
		}
		kernel.Affine(du, n, m.rows, nil, kernel.Block{Data: dh, Stride: c.out, Cols: c.out}, kernel.Block{}, &p.hr)
	}
	for i := range m.rows {
		at, z, d := i*n, m.z[i*stride:][:stride], dz[i*slopes:][:slopes]
		if c.peephole {
			kernel.LSTMPeepholeGrad(d[:4*n], dc[at:], du[at:][:n], z, p.peephole, m.cBefore[at:], m.tc[at:])
		} else {
			kernel.LSTMGrad(d[:4*n], dc[at:], du[at:][:n], z, m.cBefore[at:], m.tc[at:])
		}
		if c.norm {
			g := 4 * n
			clear(d[g : 3*g])
			kernel.LayerNormGrad(d[g:2*g], nil, nil, d[:g], z[g:2*g], p.normIH, z[3*g], z[3*g+1])
			kernel.LayerNormGrad(d[2*g:3*g], nil, nil, d[:g], z[2*g:3*g], p.normHH, z[3*g+2], z[3*g+3])
		}
	}
	if m.through {
		m.back(dh, c.ofProduct(dz, 8), &p.hh, false)
	}
}

// ofProduct is the gradient of the sums, or, where they are normalised, that of the product that begins at so many units
// of a row.
func (c lstmCell) ofProduct(dz []float32, units int) kernel.Block {
	if !c.norm {
		units = 0
	}
	return part(dz, c.slopes(), units*c.hidden, 4*c.hidden)
}

func (c lstmCell) input(dz []float32) (x, h kernel.Block) { return c.ofProduct(dz, 4), kernel.Block{} }

func (c lstmCell) inputGrads(g grads, rows int, dz, z []float32, x kernel.Block) {
	product(g.ih, rows, c.ofProduct(dz, 4), x)
	sums := part(dz, c.slopes(), 0, 4*c.hidden)
	columns(g.biasIH, rows, sums)
	columns(g.biasHH, rows, sums)
	if c.projected {
		product(g.hr, rows, part(dz, c.slopes(), c.ofH(), c.out), part(z, c.trace(), c.unprojected(), c.hidden))
	}
	if !c.norm {
		return
	}
	n := 4 * c.hidden
	for i := range rows {
		z, d := z[i*c.trace():], dz[i*c.slopes():]
		if g.normIH != nil {
			normGain(g.normIH, d[:n], z[n:2*n], z[3*n], z[3*n+1])
		}
		if g.normHH != nil {
			normGain(g.normHH, d[:n], z[2*n:3*n], z[3*n+2], z[3*n+3])
		}
	}
}

// normGain adds what one row gives to the gradient of a gain.
func normGain(dw, grad, x []float32, mean, rstd float32) {
	kernel.LayerNormGrad(nil, dw, nil, grad, x, dw, mean, rstd)
}

func (c lstmCell) recurrentGrads(g grads, rows int, dz, z, h, cBefore []float32) {
	if h != nil {
		product(g.hh, rows, c.ofProduct(dz, 8), kernel.Block{Data: h, Stride: c.out, Cols: c.out})
	}
	if g.peephole == nil {
		return
	}
	n := c.hidden
	for i := range rows {
		z, d := z[i*c.trace():], dz[i*c.slopes():]
		// The c that the gate o saw, f*cBefore + i*g, is made again: zoneout may have changed the one that was kept.
		di, df, do := g.peephole[:n], g.peephole[n:2*n], g.peephole[2*n:]
		for j := range n {
			seen := float32(z[j] * z[2*n+j])
			if cBefore != nil {
				before := cBefore[i*n+j]
				di[j] += float32(d[j] * before)
				df[j] += float32(d[n+j] * before)
				seen += float32(z[n+j] * before)
			}
			do[j] += float32(d[3*n+j] * seen)
		}
	}
}
