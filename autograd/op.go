package autograd

import (
	"fmt"
	"slices"
)

// Op is an operation that was computed forward and can be differentiated backward. Backward reads the gradients of the
// outputs ([Node.Grad]) and ADDS to the gradients of the inputs ([Node.AccumulateGrad]) and weights ([Grads.Of]). If
// the gradient of an output is nil, no gradient flows through this output. If an Op has a method String, error messages
// call the operation by that name.
type Op interface{ Backward() }

// Record puts an operation on the tape so that [Node.Backward] calls the operation's Backward, and marks its outputs
// outs as needing a gradient. On an inference tape Record does nothing. The library's operations and your own are
// recorded in the same way: compute the output, and call Record if an input or a weight needs a gradient.
//
// T should be a struct and not a pointer to a struct: the next run then reuses the operation's memory on the tape, and
// nothing is allocated. Record panics with a [*UsageError] if an output is on another tape.
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

// slot holds one operation on the tape. The next run reuses a slot if its operation at the same place has the same
// type.
type slot[T Op] struct{ op T }

func (s *slot[T]) Backward() { s.op.Backward() }

func (s *slot[T]) String() string {
	if named, ok := any(s.op).(fmt.Stringer); ok {
		return named.String()
	}
	return fmt.Sprintf("%T", s.op)
}

// Backward computes the gradients of the loss n, a node with one value, with respect to all nodes and weights that n
// was computed from and that need a gradient. It may be called once in a run.
//
// Backward returns the error of the run ([Tape.Fail]) if there is one. It returns an error that wraps [ErrNotFinite]
// and names the first NaN or infinite value on the tape if n is NaN or infinite, and an error that wraps
// [ErrNoGradient] if n depends on nothing that needs a gradient. Backward does not look whether the gradients are
// finite: see [Tape.NotFinite]. With any error the gradients of the weights are zero.
// Backward panics with a [*UsageError] if it is called a second time, on an inference tape or after the weights were
// changed, and with a [*ShapeError] if n does not have exactly one value.
func (n *Node) Backward() error { return n.BackwardScaled(1) }

// BackwardScaled is [Node.Backward] of scale*n. If n is a sum of means ([Node.Terms]), terms may hold one further
// factor for each mean: BackwardScaled then computes the gradient of the sum over i of scale*terms[i]*mean[i]. It
// panics as Backward does, and also with a [*UsageError] if there are factors but not exactly one for each mean.
func (n *Node) BackwardScaled(scale float32, terms ...float32) error {
	n.check()
	n.single("autograd.Node.Backward")
	t := n.tape
	switch {
	case !t.training:
		panic(&UsageError{Where: "autograd.Node.Backward", What: "called on an inference tape"})
	case t.outer != nil:
		panic(&UsageError{Where: "autograd.Node.Backward", What: "called within the function of a Recompute; let the function return the loss"})
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
		t.Fail(t.lossNotFinite(v))
	}
	if t.err == nil && !n.requires && n.counts() {
		t.Fail(fmt.Errorf("autograd: %w", ErrNoGradient))
	}
	if t.err == nil {
		t.root, t.rootGrad = n, scale
		checking := t.checking
		t.checking = false // NotFinite asks the operations for a place, not this pass
		t.backward(t.recorded)
		t.checking = checking
	}
	if t.err != nil {
		t.grads.Clear()
	}
	return t.err
}

// backward seeds the gradient of the loss and calls the Backward of the last count operations, from the last to the first.
func (t *Tape) backward(count int) {
	t.root.AccumulateGrad()[0] += t.rootGrad
	for i := range count {
		t.backwardOf(t.recorded - 1 - i)
	}
	t.addWeightGrads()
}

// backwardOf calls the Backward of operation i, and gives the scratch memory that it took back.
func (t *Tape) backwardOf(i int) {
	taken, ints := t.taken, t.intsUsed
	t.ops[i].Backward()
	t.taken, t.intsUsed = taken, ints
}

// describe returns a phrase for error messages that says how a node came onto the tape.
func (t *Tape) describe(n *Node) string {
	if n.maker > 0 {
		return "the output of " + t.ops[n.maker-1].(fmt.Stringer).String()
	}
	if p := t.paramOf(n); p != nil {
		return "weight " + p.Name
	}
	return "an input"
}

// paramOf returns the weight whose values the node holds ([Tape.Param]), or nil for other nodes.
func (t *Tape) paramOf(n *Node) *Param {
	i := slices.IndexFunc(t.set.params, func(p *Param) bool { return &p.Value.Data()[0] == &n.data[0] })
	if i < 0 {
		return nil
	}
	return t.set.params[i]
}

// TapeOf returns the tape that the nodes are on, for an operation called where in error messages. It skips nil nodes.
// TapeOf panics with a [*UsageError] if a node belongs to an earlier run, if the nodes are on different tapes or if all
// nodes are nil.
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
