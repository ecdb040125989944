package rnn

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/length"
	"github.com/unroll-go/unroll/tensor"
)

// Out returns the number of features of an output, the last dimension of the y of Forward: Dirs*H_out, where H_out is Hidden,
// or Projection for an LSTM that has a projection. It is the input width of the layer that comes next.
func (s *stack) Out() int { return s.directions * s.plan.State }

// NewState returns a state of zeros for a batch of so many rows. It panics with a [*autograd.UsageError] if batch is not positive.
func (s *stack) NewState(batch int) *State {
	if batch < 1 {
		panic(&autograd.UsageError{Where: s.name, What: fmt.Sprintf("NewState for %d rows, want at least 1", batch)})
	}
	st := &State{H: tensor.New(len(s.weights), batch, s.plan.State)}
	if s.plan.C {
		st.C = tensor.New(len(s.weights), batch, s.plan.Hidden)
	}
	return st
}

// Forward is sequence to sequence: x [T,B,Input] gives y [T,B,Out], the outputs of all steps, and the
// state after the last one. It panics with a [*autograd.ShapeError] if x, the start or the lengths do not fit, and with
// a [*autograd.UsageError] if the options cannot be.
func (s *stack) Forward(x *autograd.Node, o Options) (y *autograd.Node, end Carry) {
	t, steps, batch := s.sequence(x, o.Start)
	return s.run(t, x, steps, batch, o, true)
}

// Last is sequence to vector: x [T,B,Input] gives h [B,Out], the output of each row's last step (of the
// reverse direction, that of its first), and the state there. It computes what Forward does, and to train on the last
// output alone it costs less memory and time. It panics as Forward does.
func (s *stack) Last(x *autograd.Node, o Options) (h *autograd.Node, end Carry) {
	t, steps, batch := s.sequence(x, o.Start)
	return s.run(t, x, steps, batch, o, false)
}

const notStepByStep = "a bidirectional layer cannot go step by step: its reverse direction begins at the end"

// Step is one step, for streaming: x [B,Input] and the state before give y [B,Out] and the state after. It
// panics as Forward does, and with a [*autograd.UsageError] if the layer is bidirectional.
func (s *stack) Step(x *autograd.Node, before Carry) (y *autograd.Node, next Carry) {
	t := s.tapeOf(x, before)
	shape := x.Shape()
	if s.directions > 1 {
		panic(&autograd.UsageError{Where: s.name, What: notStepByStep})
	}
	if len(shape) != 2 || shape[0] < 1 {
		panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("input has shape %v", append([]int(nil), shape...)),
			Want: fmt.Sprintf("[B, %d] with at least one row", s.Input)})
	}
	s.checkFeatures(shape[1])
	return s.run(t, x, 1, shape[0], Options{Start: before}, false)
}

// tapeOf returns the tape of a call. It panics with a [*autograd.UsageError] if there is no input or the start is on another tape.
func (s *stack) tapeOf(x *autograd.Node, start Carry) *autograd.Tape {
	if x == nil {
		return autograd.TapeOf(s.name, nil)
	}
	return autograd.TapeOf(s.name, x, start.H, start.C)
}

func (s *stack) sequence(x *autograd.Node, start Carry) (t *autograd.Tape, steps, batch int) {
	t = s.tapeOf(x, start)
	shape := x.Shape()
	if len(shape) != 3 || shape[0] < 1 || shape[1] < 1 {
		panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("input has shape %v", append([]int(nil), shape...)),
			Want: fmt.Sprintf("[T, B, %d] with at least one step and one row", s.Input)})
	}
	s.checkFeatures(shape[2])
	return t, shape[0], shape[1]
}

func (s *stack) checkFeatures(n int) {
	if n != s.Input {
		panic(&autograd.ShapeError{Where: s.weights[0][s.plan.input.terms[0].weight].Name,
			Got: fmt.Sprintf("input has %d features", n), Want: fmt.Sprint(s.Input)})
	}
}

func (s *stack) checkOptions(o Options, steps, batch int) {
	start := o.Start
	switch {
	case start.H == nil && start.C == nil:
	case start.H == nil || (start.C != nil) != s.plan.C:
		panic(&autograd.UsageError{Where: s.name, What: "the start is that of another kind of layer: its H or C is missing or not wanted"})
	}
	for i, n := range [2]*autograd.Node{start.H, start.C} {
		if n == nil {
			continue
		}
		width := [2]int{s.plan.State, s.plan.Hidden}[i]
		if shape := n.Shape(); len(shape) != 3 || shape[0] != len(s.weights) || shape[1] != batch || shape[2] != width {
			panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("start has shape %v", append([]int(nil), shape...)),
				Want: fmt.Sprintf("[%d, %d, %d]", len(s.weights), batch, width)})
		}
	}
	if o.Truncate < 0 {
		panic(&autograd.UsageError{Where: s.name, What: fmt.Sprintf("Truncate is %d, want 0 or more", o.Truncate)})
	}
	length.Check(s.name, o.Lengths, batch, steps)
}
