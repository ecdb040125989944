package rnn

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Stepper computes one step of one sequence from plain numbers, without a tape: y, of the step, from x. y is the stepper's own memory; it is good until the
// next Step, and must not be changed. [Stream], layers.DenseStream and [Pointwise] are steppers, and so is a [Chain] of them.
type Stepper interface {
	Step(x []float32) (y []float32)
}

// Chain is a stepper of steppers: each reads what the one before it computed.
type Chain []Stepper

// Step takes x through the chain.
func (c Chain) Step(x []float32) []float32 {
	for _, s := range c {
		x = s.Step(x)
	}
	return x
}

// Pointwise is a function of each element as a part of a [Chain], such as [Tanh] or [Sigmoid].
func Pointwise(f func(dst, src []float32)) Stepper { return &pointwise{f: f} }

type pointwise struct {
	f func(dst, src []float32)
	y []float32
}

func (p *pointwise) Step(x []float32) []float32 {
	if len(p.y) != len(x) {
		p.y = make([]float32, len(x))
	}
	p.f(p.y, x)
	return p.y
}

// Stream is one sequence that a recurrent layer reads step by step, with nothing around it: it owns the state and all memory, takes and gives plain
// numbers, records nothing and allocates nothing. Its outputs have the bits of [Elman.Step]. [Elman.NewStream] makes one. For many sequences at
// once, one step for any of them is faster: see [State.CarryRows].
//
// A Stream is used by one goroutine at a time; any number of them may share the layer. It reads the weights as they are at each step, so an update of the
// weights must not run beside a Step.
type Stream struct {
	s      *stack
	states [2]*State  // before and after a step, in turn
	frames [2][]Frame // of each layer, for a step that begins with states[0] or states[1]
	turn   int        // states[turn] is the present one
}

// NewStream returns a stream that begins with zeros. It panics with a [*autograd.UsageError] if the layer is bidirectional.
func (s *stack) NewStream() *Stream {
	if s.directions > 1 {
		panic(&autograd.UsageError{Where: s.name, What: notStepByStep})
	}
	p, sums := &s.plan, kernel.Alloc(s.plan.kept)
	st := &Stream{s: s, states: [2]*State{s.NewState(1), s.NewState(1)}}
	for turn := range st.frames {
		before, after := st.states[turn].data(), st.states[1-turn].data()
		in := kernel.Block{Stride: s.Input, Cols: s.Input} // of the first layer: each step's x
		for k := range s.Layers {
			f := Frame{plan: p, rows: 1, back: turn == 1, in: in, sums: sums, vectors: vectors{weights: s.weights[k]}}
			f.setStates(k, before, after)
			in = kernel.Block{Data: f.h, Stride: p.State, Cols: p.State}
			st.frames[turn] = append(st.frames[turn], f)
		}
	}
	return st
}

// State returns the stream's state as a [State] of one row that shares its memory until the next Step. Change it to continue from elsewhere, as with
// [State.Zero] for a new sequence; copy it to keep it.
func (st *Stream) State() *State { return st.states[st.turn] }

// Step computes the output of the next step, y [H_out], from x [Input]. It panics with a [*autograd.ShapeError] if x has another length.
func (st *Stream) Step(x []float32) (y []float32) {
	s, frames := st.s, st.frames[st.turn]
	if len(x) != s.Input {
		panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("a step of %d features", len(x)), Want: fmt.Sprint(s.Input)})
	}
	packs := *s.forward.Get()
	frames[0].in.Data = x
	for k := range frames {
		f := &frames[k]
		s.plan.forward(&packs[k], f, false)
		if s.Zoneout > 0 {
			kernel.BlendConst(f.h, f.h, f.hBefore, s.Zoneout)
		}
		if s.ZoneoutCell > 0 {
			kernel.BlendConst(f.c, f.c, f.cBefore, s.ZoneoutCell)
		}
	}
	st.turn = 1 - st.turn
	return frames[len(frames)-1].h
}
