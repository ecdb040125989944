package reference

import (
	"fmt"
	"slices"
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
)

func (cell Cell) gates() int {
	if cell == LSTM {
		return 4
	}
	return 1
}

// step writes the next state over h and c, which only the LSTM has.
func (cell Cell) step(a, b, h, c []complex128) {
	for j, n := 0, len(h); j < n; j++ {
		switch cell {
		case ElmanTanh:
			h[j] = tanh(a[j] + b[j])
		case ElmanReLU:
			h[j] = relu(a[j] + b[j])
		case LSTM:
			i := sigmoid(a[j] + b[j])
			f := sigmoid(a[n+j] + b[n+j])
			g := tanh(a[2*n+j] + b[2*n+j])
			o := sigmoid(a[3*n+j] + b[3*n+j])
			c[j] = f*c[j] + i*g
			h[j] = o * tanh(c[j])
		}
	}
}

// State is what a stack of layers remembers: [layers,B,H], C nil but for the LSTM.
type State struct{ H, C []complex128 }

// RNN is a stack of recurrent layers, the outputs of each the inputs of the next. With G gates, layer k has
// weight_ih_l{k} [G*H,in], weight_hh_l{k} [G*H,H], bias_ih_l{k} [G*H] and bias_hh_l{k} [G*H], where in is the
// number of features of x for layer 0 and H for the others.
type RNN struct {
	Cell           Cell
	Hidden, Layers int
	Weights        Weights
	// Truncate k > 0 cuts the sequence into windows of k steps counted back from its last step (the first
	// window may be shorter), the same in every layer: h and c pass from window to window as constants, so
	// that no derivative reaches back over a cut. The values are those of full BPTT (0).
	Truncate int
}

// Forward runs x [T,B,in] through the layers, from the given state (zero value: zeros), which it leaves
// as it is. It returns the outputs of the last layer at all steps, [T,B,H], and the state after the last.
func (r RNN) Forward(x []complex128, batch int, start State) (y []complex128, end State) {
	n := batch * r.Hidden // a layer's state
	h, c := r.begin("start.H", start.H, n), r.begin("start.C", start.C, n)
	y = x
	for k := range r.Layers {
		weight := func(name string) []complex128 { return r.Weights.get(fmt.Sprintf("%s_l%d", name, k)) }
		y = r.layer(y, weight, batch, h[k*n:][:n], c[k*n:][:n])
	}
	if r.Cell != LSTM {
		c = nil
	}
	return y, State{h, c}
}

// layer runs x [T,B,in] through one layer and returns its outputs [T,B,H]. It carries the state in h and c [B,H].
func (r RNN) layer(x []complex128, weight func(string) []complex128, batch int, h, c []complex128) (y []complex128) {
	width := r.Cell.gates() * r.Hidden
	a := Dense(x, weight("weight_ih"), weight("bias_ih"))
	steps := len(a) / (batch * width)
	mustHave("layer: W_ih x + b_ih", len(a), steps*batch*width)
	for t := range steps {
		if t > 0 && r.Truncate > 0 && (steps-t)%r.Truncate == 0 {
			cut(h)
			cut(c)
		}
		b := Dense(h, weight("weight_hh"), weight("bias_hh"))
		for row := range batch {
			at, from := (t*batch+row)*width, row*r.Hidden
			r.Cell.step(a[at:][:width], b[row*width:][:width], h[from:][:r.Hidden], c[from:][:r.Hidden])
		}
		y = append(y, h...)
	}
	return y
}

// begin returns a copy of a start state, or zeros if there is none.
func (r RNN) begin(name string, given []complex128, n int) []complex128 {
	if given == nil {
		return make([]complex128, r.Layers*n)
	}
	mustHave(name, len(given), r.Layers*n)
	return slices.Clone(given)
}

// cut makes constants of the values.
func cut(z []complex128) {
	for i, x := range z {
		z[i] = complex(real(x), 0)
	}
}
