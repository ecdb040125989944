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

// cell is what makes a recurrence its own: the way from the sums of its gates to its state, and back.
type cell interface {
	gates() int      // G: rows of the weights for each unit
	hasC() bool      // a second state beside h
	forgetGate() int // the gate whose bias starts at 1; -1: none
	// forward turns the sums s.z into the gates' values, in place, and into s.h (and s.c, s.tc).
	forward(s moment)
	// backward computes dz, the gradient of the sums, from dh. dc is the gradient of s.c that came from the
	// step after and becomes that of s.cPrev. dz may be dh where there is one gate.
	backward(dz, dh, dc []float32, s moment)
}

// moment is one layer at one step, all rows of the batch.
type moment struct {
	z        []float32 // [B, G*H]: the gates; the same memory as h where there is one
	h        []float32 // [B, H]
	cPrev, c []float32 // [B, H]: the second state before and after; nil if there is none
	tc       []float32 // [B, H]: tanh(c)
	hidden   int
}

// stack is a layer of any cell: its weights, and what it does with a sequence.
type stack struct {
	name          string // for errors
	cell          cell
	input, hidden int
	weights       []weights // a layer each
	forward       *autograd.Derived[[]forwardPack]
	backward      *autograd.Derived[[]backwardPack]
}

type weights struct{ ih, hh, biasIH, biasHH *autograd.Param }

// forwardPack is one layer's weights as its steps read them: [W_ih | W_hh] transposed, and the sum of the biases.
type forwardPack struct {
	w    kernel.Matrix // [in+H, G*H]
	bias []float32
}

// backwardPack is one layer's weights as the gradients of its input and of its state read them.
type backwardPack struct{ ih, hh kernel.Matrix } // [G*H, in], [G*H, H]

func newStack(p *autograd.Params, kind string, c cell, input, hidden, layers int, init Init) stack {
	if layers == 0 {
		layers = 1
	}
	name := strings.TrimSuffix(p.Prefix(), ".")
	if name == "" {
		name = kind
	}
	_, fits := tensor.TrySize([]int{c.gates(), hidden, max(input, hidden)})
	if input < 1 || hidden < 1 || layers < 1 || !fits || init < Glorot || init > Keras {
		panic(&autograd.UsageError{Where: name, What: fmt.Sprintf(
			"Input %d, Hidden %d, Layers %d, Init %d; want positive sizes that memory can hold and a known Init", input, hidden, layers, init)})
	}
	s := stack{name: name, cell: c, input: input, hidden: hidden}
	gates := c.gates() * hidden
	for l := range layers {
		in := input
		if l > 0 {
			in = hidden
		}
		ih, hh, biasIH, biasHH := s.inits(init, in)
		s.weights = append(s.weights, weights{
			ih:     p.New(fmt.Sprintf("weight_ih_l%d", l), ih, gates, in),
			hh:     p.New(fmt.Sprintf("weight_hh_l%d", l), hh, gates, hidden),
			biasIH: p.New(fmt.Sprintf("bias_ih_l%d", l), biasIH, gates),
			biasHH: p.New(fmt.Sprintf("bias_hh_l%d", l), biasHH, gates),
		})
	}
	s.forward = autograd.NewDerived(p, s.packForward)
	s.backward = autograd.NewDerived(p, s.packBackward)
	return s
}

func (s *stack) inits(init Init, in int) (ih, hh, biasIH, biasHH autograd.Init) {
	biasIH, biasHH = autograd.Zeros, autograd.Zeros
	if f := s.cell.forgetGate(); f >= 0 {
		biasIH = func(_ *rand.Rand, v *tensor.Tensor) {
			v.Zero()
			for j := range s.hidden {
				v.Data()[f*s.hidden+j] = 1
			}
		}
	}
	switch init {
	case PyTorch:
		u := autograd.Uniform(1 / math.Sqrt(float64(s.hidden)))
		return u, u, u, u
	case Keras:
		return autograd.GlorotUniform, autograd.Orthogonal, biasIH, biasHH
	default:
		joined := autograd.Uniform(math.Sqrt(6 / float64(in+s.hidden+s.cell.gates()*s.hidden)))
		return joined, joined, biasIH, biasHH
	}
}

func (s *stack) packForward(packs *[]forwardPack) {
	if *packs == nil {
		*packs = make([]forwardPack, len(s.weights))
	}
	gates := s.cell.gates() * s.hidden
	for l, w := range s.weights {
		p, in := &(*packs)[l], w.ih.Value.Dim(1)
		p.w.Reset(in+s.hidden, gates)
		p.w.SetRowsT(0, in, w.ih.Value.Data(), in)
		p.w.SetRowsT(in, s.hidden, w.hh.Value.Data(), s.hidden)
		p.bias = append(p.bias[:0], w.biasIH.Value.Data()...)
		kernel.Add(p.bias, w.biasHH.Value.Data())
	}
}

func (s *stack) packBackward(packs *[]backwardPack) {
	if *packs == nil {
		*packs = make([]backwardPack, len(s.weights))
	}
	gates := s.cell.gates() * s.hidden
	for l, w := range s.weights {
		p, in := &(*packs)[l], w.ih.Value.Dim(1)
		p.ih.Reset(gates, in)
		p.ih.SetRows(0, gates, w.ih.Value.Data(), in)
		p.hh.Reset(gates, s.hidden)
		p.hh.SetRows(0, gates, w.hh.Value.Data(), s.hidden)
	}
}

// NewState returns a state of zeros for a batch of so many rows. It panics with a [*autograd.UsageError] if
// that is not positive.
func (s *stack) NewState(batch int) *State {
	if batch < 1 {
		panic(&autograd.UsageError{Where: s.name, What: fmt.Sprintf("NewState for %d rows, want at least 1", batch)})
	}
	st := &State{H: tensor.New(len(s.weights), batch, s.hidden)}
	if s.cell.hasC() {
		st.C = tensor.New(len(s.weights), batch, s.hidden)
	}
	return st
}

// Forward is sequence to sequence: x [T,B,Input] gives y [T,B,Hidden], the outputs of all steps, and the
// state after the last one. It panics with a [*autograd.ShapeError] if x or the start is of another shape.
func (s *stack) Forward(x *autograd.Node, o Options) (y *autograd.Node, end Carry) {
	steps, batch := s.sequence(x)
	return s.run(x, steps, batch, o, true)
}

// Last is sequence to vector: x [T,B,Input] gives h [B,Hidden], the output of the last step, and the state
// after it. It computes what Forward does, and to train on the last output alone it costs less memory and
// time. It panics as Forward does.
func (s *stack) Last(x *autograd.Node, o Options) (h *autograd.Node, end Carry) {
	steps, batch := s.sequence(x)
	return s.run(x, steps, batch, o, false)
}

// Step is one step, for streaming: x [B,Input] and the state before give y [B,Hidden] and the state after. It
// panics as Forward does.
func (s *stack) Step(x *autograd.Node, before Carry) (y *autograd.Node, next Carry) {
	autograd.TapeOf(s.name, x)
	shape := x.Shape()
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

func (s *stack) checkStart(start Carry, batch int) {
	switch {
	case start.H == nil && start.C == nil:
	case start.H == nil || (start.C != nil) != s.cell.hasC():
		panic(&autograd.UsageError{Where: s.name, What: "the start is that of another kind of layer: its H or C is missing or not wanted"})
	}
	for _, n := range [2]*autograd.Node{start.H, start.C} {
		if n == nil {
			continue
		}
		if shape := n.Shape(); len(shape) != 3 || shape[0] != len(s.weights) || shape[1] != batch || shape[2] != s.hidden {
			panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("start has shape %v", append([]int(nil), shape...)),
				Want: fmt.Sprintf("[%d, %d, %d]", len(s.weights), batch, s.hidden)})
		}
	}
}

// learns reports whether any weight does.
func (s *stack) learns() bool {
	for _, w := range s.weights {
		if !w.ih.Frozen || !w.hh.Frozen || !w.biasIH.Frozen || !w.biasHH.Frozen {
			return true
		}
	}
	return false
}
