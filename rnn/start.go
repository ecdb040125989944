package rnn

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Start is a state that sequences start from and that is learned with the weights: one for all rows.
//
//	start := rnn.NewStart(params.In("start"), cell)
//	h, _ := cell.Last(x, rnn.Options{Start: start.Carry(tape, batch)})
//
// A [State] for streaming begins with it by state.Set(start.Carry(tape, rows), 0).
type Start struct{ h, c *autograd.Param }

// NewStart makes the weights h0 [Layers*Dirs, Out] and, for an LSTM, c0 [Layers*Dirs, Hidden] in p: zeros at first. It
// panics as [autograd.Params.New] does.
func NewStart(p *autograd.Params, of Layer) *Start {
	one := of.NewState(1)
	s := &Start{h: p.New("h0", autograd.Zeros, one.H.Dim(0), one.H.Dim(2))}
	if one.C != nil {
		s.c = p.New("c0", autograd.Zeros, one.C.Dim(0), one.C.Dim(2))
	}
	return s
}

// Carry puts the state on a tape for so many rows, for Options.Start and Step. It panics with a
// [*autograd.UsageError] if that is not positive.
func (s *Start) Carry(t *autograd.Tape, batch int) (c Carry) {
	if batch < 1 {
		panic(&autograd.UsageError{Where: s.h.Name, What: fmt.Sprintf("a start for %d rows, want at least 1", batch)})
	}
	c.H = repeated(t, s.h, batch)
	if s.c != nil {
		c.C = repeated(t, s.c, batch)
	}
	return c
}

// repeated returns p [k, n] for all rows of a batch, [k, B, n].
func repeated(t *autograd.Tape, p *autograd.Param, batch int) *autograd.Node {
	from := t.Param(p)
	k, n := p.Value.Dim(0), p.Value.Dim(1)
	y := t.New(k, batch, n)
	for i := range k * batch {
		copy(y.Data()[i*n:][:n], from.Data()[i/batch*n:])
	}
	if from.RequiresGrad() {
		autograd.Record(t, repeatOp{from, y}, y)
	}
	return y
}

type repeatOp struct{ from, y *autograd.Node }

func (o repeatOp) String() string { return "rnn.Start" }

func (o repeatOp) Backward() {
	grad := o.y.Grad()
	if grad == nil {
		return
	}
	to, shape := o.from.AccumulateGrad(), o.y.Shape()
	k, batch, n := shape[0], shape[1], shape[2]
	for i := range k {
		kernel.AddColumns(to[i*n:][:n], grad[i*batch*n:], n, batch)
	}
}
