package rnn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// cell is what makes a recurrence its own: the way from what a step reads to its state, and back. It does the
// products with the weights itself, for all rows of the batch at once.
type cell interface {
	gates() int      // G: rows of weight_ih for each unit
	hasC() bool      // a second state beside h
	forgetGate() int // the gate whose bias starts at 1; -1: none
	trace() int      // numbers a row that forward leaves in moment.z; 0: all is in moment.y
	slopes() int     // numbers a row that backward writes into dz

	packForward(w *weights, hh []float32, p *forwardPack)
	packBackward(w *weights, hh []float32, p *backwardPack)
	// forward computes m.y (and m.c, m.tc) from m.x, m.h and, where the cell needs it, m.before.
	forward(p *forwardPack, m moment)
	// backward computes dz, the gradients of the gates' sums, from dh, the gradient of m.y. dh becomes the gradient of
	// the state before (see [moment.back]); dc is the gradient of m.c that came from the step after and becomes that of
	// m.cBefore.
	backward(p *backwardPack, dz, dh, dc []float32, m moment)
	// input returns what of dz, times p.ih, is the gradient of the input.
	input(dz []float32) (x, h kernel.Block)
	// inputGrads adds what some rows of dz give to the gradients of the weights that x goes through, and of
	// the biases; z and x are those rows' own.
	inputGrads(g grads, rows int, dz, z []float32, x kernel.Block)
	// recurrentGrads does so for the weights that the state goes through; h and c are the states before the
	// rows, nil for zeros.
	recurrentGrads(g grads, rows int, dz, z, h, c []float32)
}

// moment is one direction of one layer at one step, all rows of the batch that have this step.
type moment struct {
	rows     int
	x, h     kernel.Block // what the products read: the input; the state before, none if it is zero
	before   []float32    // [rows, out]: the state before
	z        []float32    // [rows, trace]
	y        []float32    // [rows, out]: the state after
	cBefore  []float32    // [rows, H]: the second state
	c, tc    []float32    // [rows, H]: the second state after, and tanh of it
	spare    []float32    // [rows, H]: scratch
	through  bool         // backward is to compute the gradient of the state before
	products []float32    // [rows, out]: where, if not nil, that of h goes, apart from what reaches before otherwise
}

// back computes dz·w, the gradient that the recurrent product hands to the state before. It goes into dh, or, where
// direct says that dh holds a gradient of that state already, is added to it.
func (m *moment) back(dh []float32, dz kernel.Block, w *kernel.Matrix, direct bool) {
	switch {
	case m.products != nil:
		kernel.Affine(m.products, w.N, m.rows, nil, dz, kernel.Block{}, w)
		if !direct {
			clear(dh)
		}
	case direct:
		kernel.Gemm(dh, w.N, m.rows, dz, w)
	default:
		kernel.Affine(dh, w.N, m.rows, nil, dz, kernel.Block{}, w)
	}
}

// config is what the layers' configurations have in common.
type config struct {
	kind                                    string
	input, hidden, layers, projection       int
	bidirectional, noBias                   bool
	dropout, recurrent, weight, zone, zoneC float32
	forgetBias                              float32
	peephole, layerNorm                     bool
	init                                    Init
}

// stack is a layer of any cell: its weights, and what it does with a sequence.
type stack struct {
	name       string // for errors
	cell       cell
	input      int
	hidden     int
	out        int // width of h: hidden, or that of the projection
	layers     int
	directions int

	dropout, recurrent, weight, zone, zoneC float32

	weights  []weights // of each layer, each direction
	forward  *autograd.Derived[[]forwardPack]
	backward *autograd.Derived[[]backwardPack]
	own      chan *ownPacks // that no run uses
}

// weights are those of one direction of one layer; nil are those that it has not.
type weights struct {
	ih, hh, biasIH, biasHH       *autograd.Param
	hr, peephole, normIH, normHH *autograd.Param
}

func (w *weights) all() [8]*autograd.Param {
	return [8]*autograd.Param{w.ih, w.hh, w.biasIH, w.biasHH, w.hr, w.peephole, w.normIH, w.normHH}
}

// grads are their gradients; nil are those that nobody wants.
type grads struct{ ih, hh, biasIH, biasHH, hr, peephole, normIH, normHH []float32 }

func (w *weights) grads(of *autograd.Grads) (g grads) {
	to := [8]*[]float32{&g.ih, &g.hh, &g.biasIH, &g.biasHH, &g.hr, &g.peephole, &g.normIH, &g.normHH}
	for i, p := range w.all() {
		if p != nil && !p.Frozen {
			*to[i] = of.Of(p)
		}
	}
	return g
}

// forwardPack is the weights as the steps read them, transposed: most cells have [W_ih | W_hh] in one matrix, and
// the sum of the biases.
type forwardPack struct {
	w        kernel.Matrix // [in+out, G*H]
	bias     []float32
	ih, hh   kernel.Matrix // of gates whose two products are not one sum
	biasIH   []float32
	biasHH   []float32
	hr       kernel.Matrix // [H, out]
	peephole []float32
	normIH   []float32
	normHH   []float32
}

// backwardPack is the weights as the gradients of the input and of the state read them.
type backwardPack struct {
	ih, hh         kernel.Matrix // [G*H, in], [G*H, out]
	new            kernel.Matrix // the GRU's gate n, where its product comes after the others
	hr             kernel.Matrix // [out, H]
	peephole       []float32
	normIH, normHH []float32
}

// ownPacks is a run's own packs: of weights of which some are dropped.
type ownPacks struct {
	forward  []forwardPack
	backward []backwardPack
}

func newStack(p *autograd.Params, f func(c config) cell, c config) stack {
	if c.layers == 0 {
		c.layers = 1
	}
	name := strings.TrimSuffix(p.Prefix(), ".")
	if name == "" {
		name = c.kind
	}
	s := stack{name: name, cell: f(c), input: c.input, hidden: c.hidden, out: c.hidden, layers: c.layers, directions: 1,
		dropout: c.dropout, recurrent: c.recurrent, weight: c.weight, zone: c.zone, zoneC: c.zoneC}
	if c.projection != 0 {
		s.out = c.projection
	}
	if c.bidirectional {
		s.directions = 2
	}
	c.check(name, s.cell.gates())
	for l := range c.layers {
		for d := range s.directions {
			in, suffix := c.input, fmt.Sprintf("_l%d", l)
			if l > 0 {
				in = s.directions * s.out
			}
			if d > 0 {
				suffix += "_reverse"
			}
			s.weights = append(s.weights, s.newWeights(p, c, in, suffix))
		}
	}
	s.forward = autograd.NewDerived(p, func(packs *[]forwardPack) { s.packForward(packs, nil) })
	s.backward = autograd.NewDerived(p, func(packs *[]backwardPack) { s.packBackward(packs, nil) })
	s.own = make(chan *ownPacks, 64)
	return s
}

func (c config) check(name string, gates int) {
	fail := func(format string, args ...any) {
		panic(&autograd.UsageError{Where: name, What: fmt.Sprintf(format, args...)})
	}
	_, fits := tensor.TrySize([]int{gates, c.hidden, 2, max(c.input, c.hidden)})
	if c.input < 1 || c.hidden < 1 || c.layers < 1 || !fits || c.init < Glorot || c.init > Keras {
		fail("Input %d, Hidden %d, Layers %d, Init %d; want positive sizes that memory can hold and a known Init",
			c.input, c.hidden, c.layers, c.init)
	}
	if c.projection < 0 || c.projection >= c.hidden {
		fail("Projection is %d, want less than Hidden, %d, or 0 for none", c.projection, c.hidden)
	}
	for _, rate := range []struct {
		name string
		p    float32
	}{{"Dropout", c.dropout}, {"RecurrentDropout", c.recurrent}, {"WeightDropout", c.weight}, {"Zoneout", c.zone}, {"ZoneoutCell", c.zoneC}} {
		if !(rate.p >= 0 && rate.p < 1) {
			fail("%s is %v, want 0 or more and less than 1", rate.name, rate.p)
		}
	}
	if c.forgetBias != 0 && c.noBias {
		fail("ForgetBias is %v, but NoBias leaves no bias", c.forgetBias)
	}
}

func (s *stack) newWeights(p *autograd.Params, c config, in int, suffix string) (w weights) {
	gates := s.cell.gates() * s.hidden
	ih, hh, biasIH, biasHH := s.inits(c, in)
	w.ih = p.New("weight_ih"+suffix, ih, gates, in)
	w.hh = p.New("weight_hh"+suffix, hh, gates, s.out)
	if !c.noBias {
		w.biasIH = p.New("bias_ih"+suffix, biasIH, gates)
		w.biasHH = p.New("bias_hh"+suffix, biasHH, gates)
	}
	if c.projection != 0 {
		w.hr = p.New("weight_hr"+suffix, one(c.init, s.hidden, autograd.GlorotUniform), s.out, s.hidden)
	}
	if c.peephole {
		w.peephole = p.New("weight_peephole"+suffix, one(c.init, s.hidden, autograd.Zeros), 3*s.hidden)
	}
	if c.layerNorm {
		w.normIH = p.New("weight_ln_ih"+suffix, autograd.Constant(1), gates)
		w.normHH = p.New("weight_ln_hh"+suffix, autograd.Constant(1), gates)
	}
	return w
}

// one is PyTorch's rule where init says so, else other.
func one(init Init, hidden int, other autograd.Init) autograd.Init {
	if init == PyTorch {
		return autograd.Uniform(1 / math.Sqrt(float64(hidden)))
	}
	return other
}

func (s *stack) inits(c config, in int) (ih, hh, biasIH, biasHH autograd.Init) {
	bias := one(c.init, s.hidden, autograd.Zeros)
	biasIH, biasHH = bias, bias
	if f := s.cell.forgetGate(); f >= 0 && (c.init != PyTorch || c.forgetBias != 0) {
		forget := c.forgetBias
		if forget == 0 {
			forget = 1
		}
		with := func(value float32) autograd.Init {
			return func(r *rand.Rand, v *tensor.Tensor) {
				bias(r, v)
				for j := range s.hidden {
					v.Data()[f*s.hidden+j] = value
				}
			}
		}
		biasIH, biasHH = with(forget), with(0)
	}
	switch c.init {
	case PyTorch:
		return bias, bias, biasIH, biasHH
	case Keras:
		return autograd.GlorotUniform, autograd.Orthogonal, biasIH, biasHH
	default:
		joined := autograd.Uniform(math.Sqrt(6 / float64(in+s.out+s.cell.gates()*s.hidden)))
		return joined, joined, biasIH, biasHH
	}
}

// packForward packs all weights. hh, if not nil, is the recurrent matrices that take the place of the weights.
func (s *stack) packForward(packs *[]forwardPack, hh []float32) {
	if *packs == nil {
		*packs = make([]forwardPack, len(s.weights))
	}
	for k := range s.weights {
		s.cell.packForward(&s.weights[k], s.recurrentMatrix(k, hh), &(*packs)[k])
	}
}

func (s *stack) packBackward(packs *[]backwardPack, hh []float32) {
	if *packs == nil {
		*packs = make([]backwardPack, len(s.weights))
	}
	for k := range s.weights {
		s.cell.packBackward(&s.weights[k], s.recurrentMatrix(k, hh), &(*packs)[k])
	}
}

func (s *stack) recurrentMatrix(k int, hh []float32) []float32 {
	own := s.weights[k].hh.Value.Data()
	if hh == nil {
		return own
	}
	return hh[k*len(own):][:len(own)]
}

// sumOfBiases leaves the sum of both biases in *to, nil if there are none.
func (w *weights) sumOfBiases(to *[]float32) {
	if w.biasIH != nil {
		*to = append((*to)[:0], w.biasIH.Value.Data()...)
		kernel.Add(*to, w.biasHH.Value.Data())
	}
}

// joined packs rows first to first+n of [W_ih | W_hh], transposed.
func joined(to *kernel.Matrix, w *weights, hh []float32, first, n int) {
	in, out := w.ih.Value.Dim(1), w.hh.Value.Dim(1)
	to.Reset(in+out, n)
	to.SetRowsT(0, in, w.ih.Value.Data()[first*in:], in)
	to.SetRowsT(in, out, hh[first*out:], out)
}

// transposed packs rows first to first+n of a matrix, transposed; straight packs them as they are.
func transposed(to *kernel.Matrix, from []float32, cols, first, n int) {
	to.Reset(cols, n)
	to.SetRowsT(0, cols, from[first*cols:], cols)
}

func straight(to *kernel.Matrix, from []float32, cols, first, n int) {
	to.Reset(n, cols)
	to.SetRows(0, n, from[first*cols:], cols)
}

// packBoth packs the two matrices as the gradients of input and state read them: all that most cells need.
func (w *weights) packBoth(hh []float32, p *backwardPack) {
	in, out, gates := w.ih.Value.Dim(1), w.hh.Value.Dim(1), w.ih.Value.Dim(0)
	straight(&p.ih, w.ih.Value.Data(), in, 0, gates)
	straight(&p.hh, hh, out, 0, gates)
}

// NewState returns a state of zeros for a batch of so many rows. It panics with a [*autograd.UsageError] if
// that is not positive.
func (s *stack) NewState(batch int) *State {
	if batch < 1 {
		panic(&autograd.UsageError{Where: s.name, What: fmt.Sprintf("NewState for %d rows, want at least 1", batch)})
	}
	st := &State{H: tensor.New(len(s.weights), batch, s.out)}
	if s.cell.hasC() {
		st.C = tensor.New(len(s.weights), batch, s.hidden)
	}
	return st
}

// Forward is sequence to sequence: x [T,B,Input] gives y [T,B,Dirs*Out], the outputs of all steps, and the
// state after the last one. It panics with a [*autograd.ShapeError] if x, the start or the lengths do not fit, and with
// a [*autograd.UsageError] if the options cannot be.
func (s *stack) Forward(x *autograd.Node, o Options) (y *autograd.Node, end Carry) {
	steps, batch := s.sequence(x)
	return s.run(x, steps, batch, o, true)
}

// Last is sequence to vector: x [T,B,Input] gives h [B,Dirs*Out], the output of each row's last step (of the
// reverse direction, that of its first), and the state there. It computes what Forward does, and to train on the last
// output alone it costs less memory and time. It panics as Forward does.
func (s *stack) Last(x *autograd.Node, o Options) (h *autograd.Node, end Carry) {
	steps, batch := s.sequence(x)
	return s.run(x, steps, batch, o, false)
}

// Step is one step, for streaming: x [B,Input] and the state before give y [B,Out] and the state after. It
// panics as Forward does, and with a [*autograd.UsageError] if the layer is bidirectional.
func (s *stack) Step(x *autograd.Node, before Carry) (y *autograd.Node, next Carry) {
	autograd.TapeOf(s.name, x)
	shape := x.Shape()
	if s.directions > 1 {
		panic(&autograd.UsageError{Where: s.name, What: "a bidirectional layer cannot go step by step: its reverse direction begins at the end"})
	}
	if len(shape) != 2 || shape[0] < 1 {
		panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("input has shape %v", append([]int(nil), shape...)),
			Want: fmt.Sprintf("[B, %d] with at least one row", s.input)})
	}
	s.checkFeatures(shape[1])
	return s.run(x, 1, shape[0], Options{Start: before}, false)
}

func (s *stack) sequence(x *autograd.Node) (steps, batch int) {
	autograd.TapeOf(s.name, x)
	shape := x.Shape()
	if len(shape) != 3 || shape[0] < 1 || shape[1] < 1 {
		panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("input has shape %v", append([]int(nil), shape...)),
			Want: fmt.Sprintf("[T, B, %d] with at least one step and one row", s.input)})
	}
	s.checkFeatures(shape[2])
	return shape[0], shape[1]
}

func (s *stack) checkFeatures(n int) {
	if n != s.input {
		panic(&autograd.ShapeError{Where: s.weights[0].ih.Name, Got: fmt.Sprintf("input has %d features", n), Want: fmt.Sprint(s.input)})
	}
}

func (s *stack) checkOptions(o Options, steps, batch int) {
	start := o.Start
	switch {
	case start.H == nil && start.C == nil:
	case start.H == nil || (start.C != nil) != s.cell.hasC():
		panic(&autograd.UsageError{Where: s.name, What: "the start is that of another kind of layer: its H or C is missing or not wanted"})
	}
	for i, n := range [2]*autograd.Node{start.H, start.C} {
		if n == nil {
			continue
		}
		width := [2]int{s.out, s.hidden}[i]
		if shape := n.Shape(); len(shape) != 3 || shape[0] != len(s.weights) || shape[1] != batch || shape[2] != width {
			panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("start has shape %v", append([]int(nil), shape...)),
				Want: fmt.Sprintf("[%d, %d, %d]", len(s.weights), batch, width)})
		}
	}
	if o.Truncate < 0 {
		panic(&autograd.UsageError{Where: s.name, What: fmt.Sprintf("Truncate is %d, want 0 or more", o.Truncate)})
	}
	if o.Lengths == nil {
		return
	}
	if len(o.Lengths) != batch {
		panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("%d lengths", len(o.Lengths)), Want: fmt.Sprintf("%d, one a row", batch)})
	}
	for row, n := range o.Lengths {
		if n < 0 || n > steps {
			panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("row %d has length %d", row, n), Want: fmt.Sprintf("0 to %d, the steps of the input", steps)})
		}
	}
}

// learns reports whether any weight does.
func (s *stack) learns() bool {
	for k := range s.weights {
		for _, p := range s.weights[k].all() {
			if p != nil && !p.Frozen {
				return true
			}
		}
	}
	return false
}
