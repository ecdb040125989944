package rnn

import (
	"fmt"
	"slices"

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
// state after the last one, or before the steps of Options.Overlap. It panics with a [*autograd.ShapeError] if x, a state, the lengths or
// the resets do not fit, and with a [*autograd.UsageError] if the options cannot be.
func (s *stack) Forward(x *autograd.Node, o Options) (y *autograd.Node, end Carry) {
	t, shape := s.checkInput(x, o.Start, 3, "[T, B, %d] with at least one step and one row")
	return s.run(t, x, shape[0], shape[1], o, true)
}

// Last is sequence to vector: x [T,B,Input] gives h [B,Out], the output of each row's last step (of the
// reverse direction, that of its first), and the state there. It computes what Forward does, and to train on the last
// output alone it costs less memory and time. It panics as Forward does.
func (s *stack) Last(x *autograd.Node, o Options) (h *autograd.Node, end Carry) {
	t, shape := s.checkInput(x, o.Start, 3, "[T, B, %d] with at least one step and one row")
	return s.run(t, x, shape[0], shape[1], o, false)
}

const notStepByStep = "a bidirectional layer cannot go step by step: its reverse direction begins at the end"

// Step is one step, for streaming: x [B,Input] and the state before give y [B,Out] and the state after. It
// panics as Forward does, and with a [*autograd.UsageError] if the layer is bidirectional.
func (s *stack) Step(x *autograd.Node, before Carry) (y *autograd.Node, next Carry) {
	if s.directions > 1 {
		panic(&autograd.UsageError{Where: s.name, What: notStepByStep})
	}
	t, shape := s.checkInput(x, before, 2, "[B, %d] with at least one row")
	return s.run(t, x, 1, shape[0], Options{Start: before}, false)
}

// checkInput returns the tape of a call and the shape of x. It panics with a [*autograd.UsageError] if there is no input or the start is on another
// tape, and with a [*autograd.ShapeError] if x does not have so many dimensions, has no rows or steps, or has another number of features than the
// layer reads. want is the shape in words.
func (s *stack) checkInput(x *autograd.Node, start Carry, dims int, want string) (*autograd.Tape, []int) {
	t, shape := autograd.TapeOf(s.name, x), x.Shape()
	autograd.TapeOf(s.name, x, start.H, start.C)
	if len(shape) != dims || slices.Contains(shape[:dims-1], 0) {
		panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("input has shape %v", slices.Clone(shape)), Want: fmt.Sprintf(want, s.Input)})
	}
	if n := shape[dims-1]; n != s.Input {
		weight := s.weights[0][s.plan.input.terms[0].weight].Name
		panic(&autograd.ShapeError{Where: weight, Got: fmt.Sprintf("input has %d features", n), Want: fmt.Sprint(s.Input)})
	}
	return t, shape
}

// checkOptions panics with a [*autograd.ShapeError] or a [*autograd.UsageError] if the options do not fit x [steps, B, Input].
func (s *stack) checkOptions(o Options, steps, batch int) {
	s.checkStart("start", o.Start, batch)
	s.checkStart("ResetTo", o.ResetTo, batch)
	for _, option := range [3]struct {
		name string
		n    int
	}{{"Truncate", o.Truncate}, {"Recompute", o.Recompute}, {"MemoryBudget", o.MemoryBudget}} {
		if option.n < 0 {
			panic(&autograd.UsageError{Where: s.name, What: fmt.Sprintf("%s is %d, want 0 or more", option.name, option.n)})
		}
	}
	if o.Overlap < 0 || o.Overlap > steps {
		panic(&autograd.UsageError{Where: s.name, What: fmt.Sprintf("Overlap is %d, want 0 to %d, the steps of the input", o.Overlap, steps)})
	}
	if o.Overlap > 0 && s.directions > 1 {
		panic(&autograd.UsageError{Where: s.name,
			What: "Overlap with a bidirectional layer: its reverse direction begins at the end, so no state goes on to the next call"})
	}
	if n := len(o.Resets); o.Resets != nil && n != steps*batch {
		panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("%d Resets", n),
			Want: fmt.Sprintf("%d, for %d steps of %d rows", steps*batch, steps, batch)})
	}
	length.Check(s.name, o.Lengths, batch, steps)
}

// checkStart panics if a state is not one for the layer and so many rows. what names it.
func (s *stack) checkStart(what string, start Carry, batch int) {
	h, c := start.H, start.C
	if (h != nil || c != nil) && (h == nil || (c != nil) != s.plan.C) {
		panic(&autograd.UsageError{Where: s.name, What: "the " + what + " is that of another kind of layer: its H or C is missing or not wanted"})
	}
	for i, n := range [2]*autograd.Node{h, c} {
		if n == nil {
			continue
		}
		if shape, want := n.Shape(), [3]int{len(s.weights), batch, s.plan.states[i]}; !slices.Equal(shape, want[:]) {
			panic(&autograd.ShapeError{Where: s.name, Got: fmt.Sprintf("%s has shape %v", what, slices.Clone(shape)),
				Want: fmt.Sprintf("[%d, %d, %d]", want[0], want[1], want[2])})
		}
	}
}
