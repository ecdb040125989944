package rnn

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
)

// Start is an initial state that is trained with the weights, the same for all rows.
//
//	start := rnn.NewStart(params.In("start"), layer)
//	h, _ := layer.Last(x, rnn.Options{Start: start.Carry(tape, batch)})
//
// Either part may be frozen ([autograd.Param.Frozen]) while the other is trained. A stream begins with the trained state after
// state.Set(start.Carry(tape, rows), 0).
type Start struct{ h, c *autograd.Param }

// NewStart makes the weights h0 [Layers*Dirs, H_out] and, for a layer with a second state, c0 [Layers*Dirs, Hidden] in p. Their first values are
// zeros. It panics as [autograd.Params.New] does.
func NewStart(p *autograd.Params, layer Layer) *Start {
	one := layer.NewState(1)
	s := &Start{h: p.New("h0", autograd.Zeros, one.H.Dim(0), one.H.Dim(2))}
	if one.C != nil {
		s.c = p.New("c0", autograd.Zeros, one.C.Dim(0), one.C.Dim(2))
	}
	return s
}

// Carry puts the state on a tape, repeated for each row of a batch, for Options.Start and Step. It panics with a
// [*autograd.UsageError] if batch is not positive.
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

// repeated returns p [k, width] repeated for each row of a batch, [k, B, width].
func repeated(t *autograd.Tape, p *autograd.Param, batch int) *autograd.Node {
	k, width := p.Value.Dim(0), p.Value.Dim(1)
	zeros := t.New(k, batch, width)
	clear(zeros.Data())
	return autograd.Add(zeros, autograd.Reshape(t.Param(p), k, 1, width))
}
