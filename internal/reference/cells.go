package reference

import (
	"fmt"
	"math/cmplx"
)

// Cell is the recurrence of a layer: what one step does to the state of one row. With
// a = W_ih x + b_ih and b = W_hh h + b_hh, which have a part for each gate:
type Cell int

const (
	// ElmanTanh (Elman 1990) has one part: h' = tanh(a + b).
	ElmanTanh Cell = iota
	// ElmanReLU is h' = max(0, a + b).
	ElmanReLU
	// LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000) has parts i, f, g, o
	// in PyTorch's order:
	//
	//	i = sigmoid(a_i + b_i)    f = sigmoid(a_f + b_f)    g = tanh(a_g + b_g)    o = sigmoid(a_o + b_o)
	//	c' = f c + i g
	//	h' = o tanh(c')
	LSTM
	// GRU is PyTorch's, whose reset gate acts after the product (Cho et al. 2014 have it before). It has
	// parts r, z, n:
	//
	//	r = sigmoid(a_r + b_r)    z = sigmoid(a_z + b_z)    n = tanh(a_n + r b_n)
	//	h' = (1 - z) n + z h
	GRU
	// GRUResetBefore is the GRU of Cho et al. 2014, with n = tanh(a_n + W_hn (r h) + b_hn).
	GRUResetBefore
	// MinGRU (Feng et al. 2024) has no W_hh. It has parts z, n:
	//
	//	z = sigmoid(a_z)    h' = (1 - z) h + z a_n
	MinGRU
	// IndRNNReLU (Li et al. 2018) has one part, and a vector w_hh [H] in place of W_hh: h' = max(0, a + w_hh h).
	IndRNNReLU
	// IndRNNTanh is h' = tanh(a + w_hh h).
	IndRNNTanh
)

// gates is the number of parts of a and b.
func (cell Cell) gates() int {
	switch cell {
	case LSTM:
		return 4
	case GRU, GRUResetBefore:
		return 3
	case MinGRU:
		return 2
	}
	return 1
}

// matrix reports whether W_hh is a matrix, which has a bias; MinGRU has no weight_hh, and the IndRNN's is a vector.
func (cell Cell) matrix() bool { return cell < MinGRU }

// sums are W v + bias, or with a scale norm(W v) scale + bias.
type sums struct{ weight, scale, bias []complex128 }

func (s sums) of(v []complex128) []complex128 {
	z := Dense(v, s.weight, make([]complex128, len(s.bias)))
	if s.scale != nil {
		z = times(norm(z), s.scale)
	}
	for i, b := range s.bias {
		z[i] += b
	}
	return z
}

// rows are rows from to to of the sums, which a norm takes by themselves.
func (s sums) rows(from, to int) sums {
	cols := len(s.weight) / len(s.bias)
	part := sums{weight: s.weight[from*cols : to*cols], bias: s.bias[from:to]}
	if s.scale != nil {
		part.scale = s.scale[from:to]
	}
	return part
}

// norm returns (v - mean) / sqrt(variance + 1e-5), with the variance (1/n) sum of (v - mean)²: the layer
// normalization of Ba, Kiros & Hinton 2016.
func norm(v []complex128) []complex128 {
	n := complex(float64(len(v)), 0)
	var mean, variance complex128
	for _, x := range v {
		mean += x / n
	}
	for _, x := range v {
		variance += (x - mean) * (x - mean) / n
	}
	normed := make([]complex128, len(v))
	for i, x := range v {
		normed[i] = (x - mean) / cmplx.Sqrt(variance+1e-5)
	}
	return normed
}

// direction is one direction of a layer. Weights of options that are off are nil, biases zero.
type direction struct {
	cell     Cell
	hidden   int
	ih, hh   sums
	perUnit  []complex128 // IndRNN's w_hh
	hr       []complex128 // LSTM's projection
	peephole []complex128 // p_i, p_f, p_o
}

// direction returns direction d of layer k, whose input has so many features.
func (r RNN) direction(k, d, features int) direction {
	weight := func(name string, n int) []complex128 {
		name = fmt.Sprintf("%s_l%d", name, k)
		if d == 1 {
			name += "_reverse"
		}
		w := r.Weights.get(name)
		mustHave(name, len(w), n)
		return w
	}
	bias := func(name string, n int) []complex128 {
		if r.NoBias {
			return make([]complex128, n)
		}
		return weight(name, n)
	}
	rows := r.Cell.gates() * r.Hidden
	w := direction{cell: r.Cell, hidden: r.Hidden}
	w.ih.weight, w.ih.bias = weight("weight_ih", rows*features), bias("bias_ih", rows)
	switch {
	case r.Cell.matrix():
		w.hh.weight, w.hh.bias = weight("weight_hh", rows*r.out()), bias("bias_hh", rows)
	case r.Cell != MinGRU:
		w.perUnit = weight("weight_hh", r.Hidden)
	}
	if r.LayerNorm {
		w.ih.scale, w.hh.scale = weight("weight_ln_ih", rows), weight("weight_ln_hh", rows)
	}
	if r.Projection > 0 {
		w.hr = weight("weight_hr", r.Projection*r.Hidden)
	}
	if r.Peephole {
		w.peephole = weight("weight_peephole", 3*r.Hidden)
	}
	return w
}

// sums returns a and b of one row. A norm takes the parts r and z of a GRU together and the part n by itself; where the reset gate acts before
// the product, b_n is W_hn (r h) + b_hn.
func (w direction) sums(x, hRead []complex128) (a, b []complex128) {
	n := w.hidden
	switch w.cell {
	case GRU:
		return append(w.ih.rows(0, 2*n).of(x), w.ih.rows(2*n, 3*n).of(x)...), append(w.hh.rows(0, 2*n).of(hRead), w.hh.rows(2*n, 3*n).of(hRead)...)
	case GRUResetBefore:
		a, b = append(w.ih.rows(0, 2*n).of(x), w.ih.rows(2*n, 3*n).of(x)...), w.hh.rows(0, 2*n).of(hRead)
		reset := make([]complex128, n)
		for j := range n {
			reset[j] = sigmoid(a[j]+b[j]) * hRead[j]
		}
		return a, append(b, w.hh.rows(2*n, 3*n).of(reset)...)
	case MinGRU:
		return w.ih.of(x), nil
	case IndRNNReLU, IndRNNTanh:
		return w.ih.of(x), times(w.perUnit, hRead)
	}
	return w.ih.of(x), w.hh.of(hRead)
}

// step returns the state of one row after a step that reads x; c is the LSTM's alone. W_hh reads hRead,
// which is h but for a mask on it.
func (w direction) step(x, hRead, h, c []complex128) (hNext, cNext []complex128) {
	n := w.hidden
	a, b := w.sums(x, hRead)
	hNext, cNext = make([]complex128, n), make([]complex128, len(c))
	for j := range n {
		switch w.cell {
		case ElmanTanh, IndRNNTanh:
			hNext[j] = tanh(a[j] + b[j])
		case ElmanReLU, IndRNNReLU:
			hNext[j] = relu(a[j] + b[j])
		case LSTM:
			var pi, pf, po complex128
			if w.peephole != nil {
				pi, pf, po = w.peephole[j], w.peephole[n+j], w.peephole[2*n+j]
			}
			i := sigmoid(a[j] + b[j] + pi*c[j])
			f := sigmoid(a[n+j] + b[n+j] + pf*c[j])
			g := tanh(a[2*n+j] + b[2*n+j])
			cNext[j] = f*c[j] + i*g
			o := sigmoid(a[3*n+j] + b[3*n+j] + po*cNext[j])
			hNext[j] = o * tanh(cNext[j])
		case GRU, GRUResetBefore:
			r := sigmoid(a[j] + b[j])
			z := sigmoid(a[n+j] + b[n+j])
			if w.cell == GRUResetBefore {
				r = 1 // it has acted
			}
			hNext[j] = (1-z)*tanh(a[2*n+j]+r*b[2*n+j]) + z*h[j]
		case MinGRU:
			z := sigmoid(a[j])
			hNext[j] = (1-z)*h[j] + z*a[n+j]
		}
	}
	if w.hr != nil {
		hNext = Dense(hNext, w.hr, make([]complex128, len(w.hr)/n))
	}
	return hNext, cNext
}
