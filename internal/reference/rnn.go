package reference

import "slices"

// State is what a stack of layers remembers: H [layers*D,B,out] and C [layers*D,B,hidden], which is nil but for
// the LSTM. Direction d of layer k is at k*D + d, as in PyTorch.
type State struct{ H, C []complex128 }

// RNN is a stack of recurrent layers, the outputs of each the inputs of the next. With G gates, D directions
// and outputs of width out (H, or P with a projection), layer k has weight_ih_l{k} [G*H,in], weight_hh_l{k}
// [G*H,out], bias_ih_l{k} [G*H] and bias_hh_l{k} [G*H], where in is the number of features of x for layer 0 and
// D*out for the others. MinGRU has neither weight_hh nor bias_hh, and the IndRNN has weight_hh_l{k} [H] and no bias_hh. The zero values of the options are those of the plain layer.
type RNN struct {
	Cell           Cell
	Hidden, Layers int
	Weights        Weights

	// Bidirectional gives each layer a second direction, which goes through the steps from the last to the
	// first. Its weights end in _reverse: weight_ih_l0_reverse. Each direction begins with a state of its own; the
	// output of a layer at a step is [forward | reverse].
	Bidirectional bool
	// NoBias leaves out bias_ih and bias_hh.
	NoBias bool
	// Projection is the width P of the LSTM's h' = W_hr (o tanh(c')), with weight_hr_l{k} [P,H] (Sak et al.
	// 2014); 0: none.
	Projection int
	// Peephole adds p_i c and p_f c to the sums of the LSTM's gates i and f, and p_o c' to that of o (Gers &
	// Schmidhuber 2000). weight_peephole_l{k} [3*H] has p_i, p_f, p_o.
	Peephole bool
	// LayerNorm (Ba, Kiros & Hinton 2016) makes of the sums of an Elman layer, LSTM or GRU, over all G*H of them,
	//
	//	norm(W_ih x) weight_ln_ih + b_ih + norm(W_hh h) weight_ln_hh + b_hh
	//
	// with weight_ln_ih_l{k} and weight_ln_hh_l{k} [G*H]. In a GRU, the 2*H sums of r and z have a norm, and the H of n another one; where the
	// reset gate acts before the product, W_hn (r h) has the norm.
	LayerNorm bool

	// Lengths are the numbers of steps of the rows, 0 to T; nil: all have T. Of x nothing is read past the end
	// of a row, and its outputs there are 0. Its reverse direction begins at its last step; its final state is
	// that after the last step it takes, in a row without steps the one it started from.
	Lengths []int
	// Truncate k > 0 cuts the sequence into windows of k steps counted back from step T (the first
	// window may be shorter), the same in every layer, direction and row: h and c pass from window to window as
	// constants, so that no derivative reaches over a cut. The values are those of full BPTT (0). What a row
	// starts from passes no cut, wherever the row starts.
	Truncate int

	// Recurrent [Layers*D,B,out] multiplies h where weight_hh does, at every step; nil: none. A GRU's z h is not
	// touched.
	Recurrent []complex128
	// Between [Layers-1,T,B,D*out] multiplies the inputs of the layers above the first; nil: none.
	Between []complex128
	// ZoneH [Layers*D,T,B,out] and ZoneC [Layers*D,T,B,H] are zoneout's m (Krueger et al. 2017): the state after
	// step t, where a step makes h' and c' of h and c, is m h + (1-m) h' and m c + (1-m) c'; nil: none.
	ZoneH, ZoneC []complex128
}

// out is the width of h.
func (r RNN) out() int {
	if r.Projection > 0 {
		return r.Projection
	}
	return r.Hidden
}

func (r RNN) directions() int {
	if r.Bidirectional {
		return 2
	}
	return 1
}

// Forward runs x [T,B,in] through the layers, from the given state (zero value: zeros), which it leaves
// as it is. It returns the outputs of the last layer at all steps, [T,B,D*out], and the state after them.
func (r RNN) Forward(x []complex128, batch int, start State) (y []complex128, end State) {
	features := len(r.Weights.get("weight_ih_l0")) / (r.Cell.gates() * r.Hidden)
	steps := len(x) / (batch * features)
	mustHave("x", len(x), steps*batch*features)
	states := r.Layers * r.directions() * batch
	r.check(steps, batch, states)

	h, c := begin("start.H", start.H, states*r.out()), begin("start.C", start.C, states*r.Hidden)
	y = x
	for k := range r.Layers {
		if k > 0 && r.Between != nil {
			y = times(y, r.Between[(k-1)*len(y):])
		}
		y = r.layer(k, y, features, steps, batch, State{h, c})
		features = r.directions() * r.out()
	}
	if r.Cell != LSTM {
		c = nil
	}
	return y, State{h, c}
}

// layer runs x [T,B,in] through layer k and returns its outputs [T,B,D*out]. It carries its part of the state
// in place.
func (r RNN) layer(k int, x []complex128, features, steps, batch int, state State) (y []complex128) {
	out, directions := r.out(), r.directions()
	y = make([]complex128, steps*batch*directions*out)
	for d := range directions {
		w, kd := r.direction(k, d, features), k*directions+d
		for row := range batch {
			h, c := state.H[(kd*batch+row)*out:][:out], state.C[(kd*batch+row)*r.Hidden:][:r.Hidden]
			length := steps
			if r.Lengths != nil {
				length = r.Lengths[row]
			}
			for i := range length {
				t, from := i, i // the cut between this step and the one before it is at from
				if d == 1 {
					t, from = length-1-i, length-i
				}
				if i > 0 && r.Truncate > 0 && (steps-from)%r.Truncate == 0 {
					cut(h)
					cut(c)
				}
				hRead := h
				if r.Recurrent != nil {
					hRead = times(h, r.Recurrent[(kd*batch+row)*out:])
				}
				hNext, cNext := w.step(x[(t*batch+row)*features:][:features], hRead, h, c)
				at := (kd*steps+t)*batch + row
				if r.ZoneH != nil {
					zoneout(hNext, h, r.ZoneH[at*out:])
				}
				if r.ZoneC != nil {
					zoneout(cNext, c, r.ZoneC[at*r.Hidden:])
				}
				copy(h, hNext)
				copy(c, cNext)
				copy(y[((t*batch+row)*directions+d)*out:], h)
			}
		}
	}
	return y
}

// check panics where an option does not fit the cell or the sizes.
func (r RNN) check(steps, batch, states int) {
	if r.Cell != LSTM && (r.Projection > 0 || r.Peephole || r.ZoneC != nil) || !r.Cell.matrix() && r.LayerNorm || r.Cell == MinGRU && r.Recurrent != nil {
		panic("reference: an option that the cell does not have")
	}
	if r.Lengths != nil {
		mustHave("Lengths", len(r.Lengths), batch)
		if slices.Min(r.Lengths) < 0 || slices.Max(r.Lengths) > steps {
			panic("reference: Lengths are not of 0 to T steps")
		}
	}
	for _, mask := range []struct {
		name string
		v    []complex128
		n    int
	}{
		{"Recurrent", r.Recurrent, states * r.out()},
		{"Between", r.Between, (r.Layers - 1) * steps * batch * r.directions() * r.out()},
		{"ZoneH", r.ZoneH, states * steps * r.out()},
		{"ZoneC", r.ZoneC, states * steps * r.Hidden},
	} {
		if mask.v != nil {
			mustHave(mask.name, len(mask.v), mask.n)
		}
	}
}

// begin returns a copy of a start state, or zeros if there is none.
func begin(name string, given []complex128, n int) []complex128 {
	if given == nil {
		return make([]complex128, n)
	}
	mustHave(name, len(given), n)
	return slices.Clone(given)
}

// times returns v times the first of the masks, element by element.
func times(v, mask []complex128) []complex128 {
	z := make([]complex128, len(v))
	for i, x := range v {
		z[i] = x * mask[i]
	}
	return z
}

// zoneout makes m before + (1-m) next of next.
func zoneout(next, before, m []complex128) {
	for i := range next {
		next[i] = m[i]*before[i] + (1-m[i])*next[i]
	}
}

// cut makes constants of the values.
func cut(z []complex128) {
	for i, x := range z {
		z[i] = complex(real(x), 0)
	}
}
