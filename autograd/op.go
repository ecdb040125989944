package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/tensor"
)

// Op is an operation that was run forward and can be run backward. Backward reads the gradients of
// its outputs ([Node.Grad], nil where there is none: then there is nothing to do) and ADDS to those of
// its inputs ([Node.AccumulateGrad]) and weights ([Grads.Of]). An Op that has a String method is
// named by it in error messages.
type Op interface{ Backward() }

// Record puts an operation on the tape, so that [Node.Backward] calls its Backward, and marks outs, its
// outputs, as wanting a gradient. On an inference tape it does nothing. A user's own operation comes in
// through the same door as the library's: compute the output, and record it if an input wants a gradient.
//
// T should be a struct, not a pointer to one: its place on the tape is then used again by the next run
// and nothing is allocated.
func Record[T Op](t *Tape, op T, outs ...*Node) {
	if !t.training {
		return
	}
	if t.recorded == len(t.ops) {
		t.ops = append(t.ops, nil)
	}
	if s, ok := t.ops[t.recorded].(*slot[T]); ok {
		s.op = op
	} else {
		t.ops[t.recorded] = &slot[T]{op}
	}
	t.recorded++
	for _, n := range outs {
		if n.check(); n.tape != t {
			panic(&UsageError{Where: "autograd.Record", What: "an output is on another tape"})
		}
		n.requires, n.maker = true, t.recorded
	}
}

// slot keeps an op on the tape; its memory is reused by an op of the same type.
type slot[T Op] struct{ op T }

func (s *slot[T]) Backward() { s.op.Backward() }

func (s *slot[T]) String() string {
	if named, ok := any(s.op).(fmt.Stringer); ok {
		return named.String()
	}
	return fmt.Sprintf("%T", s.op)
}

// Backward computes the gradients of n, a loss of one value, with respect to everything that it was computed from.
// It is called once a run. It returns the run's error ([Tape.Fail]); one that wraps [ErrNotFinite] and tells where the
// first such value is if n is NaN or infinite; or [ErrNoGradient]. The gradients of the weights are zero then. It
// panics with a [*UsageError] when called a second time, on an inference tape or after weights were changed,
// and with a [*ShapeError] if n has more than one value.
func (n *Node) Backward() error { return n.BackwardScaled(1) }

// BackwardScaled is Backward of scale times n. Of a loss that is a sum of means ([Node.Terms]), terms are further factors,
// one for each mean: the gradient is the one of the sum over them of scale*terms[i]*mean[i]. It panics, too, with a
// [*UsageError] if there are factors, but not one for each mean.
func (n *Node) BackwardScaled(scale float32, terms ...float32) error {
	n.check()
	n.single("autograd.Node.Backward")
	t := n.tape
	switch {
	case !t.training:
		panic(&UsageError{Where: "autograd.Node.Backward", What: "called on an inference tape"})
	case t.done:
		panic(&UsageError{Where: "autograd.Node.Backward", What: "called a second time in one run; Reset the tape and run the model again"})
	case t.version != t.set.version.Load():
		panic(&UsageError{Where: "autograd.Node.Backward", What: "weights were changed since the run began; Reset the tape and run the model again"})
	}
	if len(terms) > 0 {
		scale = n.scaleTerms(scale, terms)
	}
	t.done = true
	if v := n.data[0]; t.err == nil && v-v != 0 {
		t.Fail(t.notFinite(v))
	}
	if t.err == nil && !n.requires && n.counts() {
		t.Fail(fmt.Errorf("autograd: %w", ErrNoGradient))
	}
	if t.err == nil {
		n.AccumulateGrad()[0] += scale
		for _, op := range slices.Backward(t.ops[:t.recorded]) {
			taken, ints := t.taken, t.intsUsed
			op.Backward()
			t.taken, t.intsUsed = taken, ints
		}
	}
	if t.err != nil {
		t.grads.Clear()
	}
	return t.err
}

// notFinite returns the error for a loss of value v. It tells where the first value that is NaN or infinite stands on the
// tape.
func (t *Tape) notFinite(v float32) error {
	for _, n := range t.nodes[t.run%generations][:t.count] {
		i := slices.IndexFunc(n.data, func(v float32) bool { return v-v != 0 })
		if i < 0 {
			continue
		}
		first := &DataError{Text: fmt.Sprintf("%v, element %d of %s of shape %v", n.data[i], i, t.origin(n), n.shape)}
		if len(n.shape) > 1 && t.weight(n) == nil {
			first.Rows = tensor.Size(n.shape[:min(2, len(n.shape)-1)])
			first.Row = i / (len(n.data) / first.Rows)
		}
		return fmt.Errorf("autograd: %w: %v; the first on the tape is %w", ErrNotFinite, v, first)
	}
	return fmt.Errorf("autograd: %w: %v", ErrNotFinite, v)
}

// origin tells where a node comes from.
func (t *Tape) origin(n *Node) string {
	if n.maker > 0 {
		return "the output of " + t.ops[n.maker-1].(fmt.Stringer).String()
	}
	if p := t.weight(n); p != nil {
		return "weight " + p.Name
	}
	return "an input"
}

// weight returns the weight that a node of [Tape.Param] holds, nil for other nodes.
func (t *Tape) weight(n *Node) *Param {
	i := slices.IndexFunc(t.set.params, func(p *Param) bool { return &p.Value.Data()[0] == &n.data[0] })
	if i < 0 {
		return nil
	}
	return t.set.params[i]
}

// TapeOf returns the tape that the nodes are on, for an operation named where. Nil nodes are passed
// over. It panics with a [*UsageError] if one is of an earlier run, if they are on different tapes or if all are nil.
func TapeOf(where string, nodes ...*Node) *Tape {
	var t *Tape
	for _, n := range nodes {
		if n == nil {
			continue
		}
		n.check()
		if t != nil && t != n.tape {
			panic(&UsageError{Where: where, What: "operands are on different tapes"})
		}
		t = n.tape
	}
	if t == nil {
		panic(&UsageError{Where: where, What: "the input is nil"})
	}
	return t
}
