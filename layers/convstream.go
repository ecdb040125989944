package layers

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Conv1DStream is one sequence that a causal [Conv1D] reads step by step, from plain numbers and without a tape, as a part of an rnn.Chain. It
// owns its state and all memory and allocates nothing. Its outputs have the bits of Forward.
//
// A Conv1DStream is used by one goroutine at a time; any number of them may share the layer. It reads the weights as they are
// at each step, so an update of the weights must not run beside a Step.
type Conv1DStream struct {
	v    convolution
	past []float32 // the last reach steps at at*In, and what was before; whole rows
	at   int
	y    []float32
}

// NewStream returns a stream that begins with zeros. It panics with a [*autograd.UsageError] if the layer is not causal or its
// Stride is not 1.
func (l *Conv1D) NewStream() *Conv1DStream {
	c := &l.c
	if c.PadLeft != c.Dilation*(c.Width-1) || c.PadRight != 0 || c.Mirrored || c.Stride != 1 {
		panic(&autograd.UsageError{Where: l.Weight.Name, What: "only a causal convolution of Stride 1 runs step by step"})
	}
	s := &Conv1DStream{v: convolution{Conv1D: l, steps: c.PadLeft + 1, rows: 1, out: 1, tap: kernel.Alloc(l.tapSize())}, y: kernel.Alloc(c.Out)}
	s.past = kernel.Alloc(2 * (c.PadLeft + 1) * c.In)
	return s
}

// State returns the inputs that the next steps still read, [Dilation*(Width-1), In], the earliest first. It is the stream's own
// memory until the next Step. Set it to zeros to begin a new sequence; copy it to keep it, and copy it back to go on from there.
func (s *Conv1DStream) State() []float32 {
	in := s.v.c.In
	return s.past[s.at*in : (s.at+s.v.steps-1)*in]
}

// Step computes y [Out] of the next step from x [In]. y is good until the next Step. It panics with a [*autograd.ShapeError] if
// x has another length.
func (s *Conv1DStream) Step(x []float32) (y []float32) {
	in, reach := s.v.c.In, s.v.steps
	if len(x) != in {
		panic(&autograd.ShapeError{Where: s.v.Weight.Name, Got: fmt.Sprintf("a step of %d channels", len(x)), Want: fmt.Sprint(in)})
	}
	if s.at+reach > len(s.past)/in {
		copy(s.past, s.State())
		s.at = 0
	}
	window := s.past[s.at*in:][:reach*in]
	copy(window[(reach-1)*in:], x)
	if s.v.wide() {
		s.v.padded = window
	}
	s.v.forward(s.y, window)
	s.at++
	return s.y
}

// Conv1DWindow is a [Conv1D] of any configuration on one sequence after the other, all of the same number of steps, from plain numbers
// and without a tape: a part of an rnn.Chain that reads its input in windows. It owns all memory and allocates nothing. Its
// outputs have the bits of Forward. It keeps nothing from one window to the next.
//
// A Conv1DWindow is used by one goroutine at a time, as a [Conv1DStream] is.
type Conv1DWindow struct {
	v   convolution
	own []float32 // a window with padding
	y   []float32
}

// NewWindow returns the layer on windows of so many steps. It panics with a [*autograd.ShapeError] if they are too few.
func (l *Conv1D) NewWindow(steps int) *Conv1DWindow {
	if need := l.need(); steps < need {
		panic(&autograd.ShapeError{Where: l.Weight.Name, Got: fmt.Sprintf("windows of %d steps", steps), Want: fmt.Sprintf("at least %d", need)})
	}
	w := &Conv1DWindow{v: convolution{Conv1D: l, steps: steps, rows: 1, out: l.Steps(steps), left: l.c.PadLeft, tap: kernel.Alloc(l.tapSize())}}
	w.own, w.y = kernel.Alloc(w.v.size()), kernel.Alloc(w.v.out*l.c.Out)
	return w
}

// Step computes y [T',Out] from one window x [steps,In]. y is good until the next Step. It panics with a [*autograd.ShapeError]
// if x has another length.
func (w *Conv1DWindow) Step(x []float32) (y []float32) {
	v := &w.v
	if len(x) != v.steps*v.c.In {
		panic(&autograd.ShapeError{Where: v.Weight.Name, Got: fmt.Sprintf("a window of %d numbers", len(x)), Want: fmt.Sprintf("%d steps of %d", v.steps, v.c.In)})
	}
	if v.wide() {
		if v.padded = x; v.copies() {
			v.padded = w.own
			v.pad(x)
		}
	}
	v.forward(w.y, x)
	return w.y
}
