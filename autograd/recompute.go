package autograd

import (
	"errors"
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
)

// Recompute calls f with the inputs and returns its outputs, and keeps nothing else of f's computation in memory: Backward runs f
// again and then goes back through it (Chen et al. 2016, "Training deep nets with sublinear memory cost"; PyTorch's
// torch.utils.checkpoint). A model that computes a long sequence in windows, each by a Recompute, needs memory for the inputs and
// outputs of all windows and for the activations of one window; with the square root of T windows both grow as the square root of T.
// The price is the time of a second forward pass.
//
//	for each window of the sequence {
//		out := autograd.Recompute(t, func(t *autograd.Tape, in []*autograd.Node) []*autograd.Node {
//			y, end := layer.Forward(embedding.Lookup(t, ...), rnn.Options{Start: rnn.Carry{H: in[0], C: in[1]}})
//			return append(in[:0], loss.SparseSoftmaxCrossEntropy(head.Forward(y), labels), end.H, end.C)
//		}, carry.H, carry.C)
//		losses = append(losses, out[0])
//		carry = rnn.Carry{H: out[1], C: out[2]}
//	}
//	return autograd.JoinMeans(losses...)
//
// f runs on a tape of its own, which all calls share, and whose nodes are valid until f returns. f must use this tape and the nodes that
// it is handed, and no node of t. Inputs and outputs may be nil, as the C of a Carry without one; they stay nil. f may call Recompute on
// its tape in turn. The outputs keep their weights ([Node.SetWeight]). Backward does not run f again if no output has a gradient. On an
// inference tape Recompute is f(t, inputs).
//
// Outputs, gradients and random numbers have the bits that f(t, inputs) would give. There is one exception: if f uses the transpose
// of a weight elsewhere than as b of [MatMul] or [AddMatMul], the gradient of this weight is added in another order.
//
// When f runs again, it must compute the same outputs. So everything that f reads, besides its inputs and the weights, must stay as it
// is until Backward has run. An rnn.State is best read and set outside of f, with the Carry as an input and an output. A change to
// anything outside of the tape belongs outside, too, or must be left out in the second run, in which [Tape.Checking] reports true;
// rnn.State.Set within f does that.
//
// Recompute itself allocates nothing once the shapes repeat, if all calls on t run the same operations, as they do for windows. f may
// return its outputs in the memory of in, as above, which has room for four more nodes.
//
// Recompute panics with a [*UsageError] if an input is not on t, if an output is not on f's tape, or if it is called on t within f.
// Backward panics with a [*UsageError] if an output of the second run differs.
func Recompute(t *Tape, f func(t *Tape, in []*Node) []*Node, inputs ...*Node) []*Node {
	for _, n := range inputs {
		if n != nil && TapeOf(recomputing, n) != t {
			panic(&UsageError{Where: recomputing, What: "an input is on another tape"})
		}
	}
	in := t.list(len(inputs), spareOutputs)
	copy(in, inputs)
	if !t.training {
		return f(t, in)
	}
	o := recomputeOp{t: t, f: f, in: in, call: t.calls, draws: t.draws, weights: len(t.weights)}
	t.calls++
	inner := t.enter()
	defer inner.leave()
	outs := o.run(t.checking)
	t.draws = inner.draws
	t.weights = append(t.weights, inner.weights[o.weights:]...)
	o.out = t.list(len(outs), 0)
	requires := false
	for i, from := range outs {
		if from != nil {
			y := t.New(from.shape...)
			copy(y.data, from.data)
			y.requires = from.requires
			o.out[i], requires = y.scaled(from, 1), requires || y.requires
		}
	}
	if requires {
		Record(t, o)
		for _, y := range o.out {
			if y != nil {
				y.maker = t.recorded
			}
		}
	}
	results := t.list(len(outs), 0) // the caller may write to it
	copy(results, o.out)
	return results
}

const (
	recomputing  = "autograd.Recompute"
	spareOutputs = 4 // how many outputs more than inputs fit in the memory of the inputs
)

// recomputeOp is one call of Recompute.
type recomputeOp struct {
	t       *Tape
	f       func(*Tape, []*Node) []*Node
	in, out []*Node // on t
	call    int     // number of the call in the run

	draws   uint64 // number of calls of Rand before the call
	weights int    // number of calls of SetWeight before the call
}

func (o recomputeOp) String() string { return fmt.Sprintf("call %d of autograd.Recompute", o.call) }

// enter returns the tape on which the functions of t's Recompute calls run. It belongs to the caller until leave.
func (t *Tape) enter() *Tape {
	if t.inner == nil {
		t.inner = newTrainingTape(t.set)
		t.inner.outer = t
	}
	if t.inner.busy {
		panic(&UsageError{Where: recomputing, What: "called on the outer tape within the function of a Recompute; call it on the tape that the function is handed"})
	}
	t.inner.busy = true
	return t.inner
}

// outermost returns the tape that begins the runs: t, or the tape on which Recompute was called first.
func (t *Tape) outermost() *Tape {
	for t.outer != nil {
		t = t.outer
	}
	return t
}

// leave ends the run of an inner tape. Its nodes are no longer valid.
func (t *Tape) leave() {
	t.busy = false
	t.run++
}

// run calls f on the inner tape, which continues the random numbers and the weights of means that t had before the call. An input of f
// shares its values and its gradient with the node on t.
func (o recomputeOp) run(checking bool) []*Node {
	t, inner := o.t, o.t.inner
	inner.rewind()
	inner.grads, inner.seed, inner.stream, inner.draws = t.grads, t.seed, t.stream, o.draws
	inner.weights = append(inner.weights, t.weights[:o.weights]...)
	inner.checking = checking
	in := inner.list(len(o.in), spareOutputs)
	for i, x := range o.in {
		if x != nil {
			n := inner.View(x.data, x.shape...)
			n.outer, n.requires = x, x.requires
			n.weight, n.flipped = x.weight, x.flipped
			n.origin, n.terms, n.nonlinearOp = x.origin, x.terms, x.nonlinearOp
			in[i] = n
		}
	}
	outs := o.f(inner, in)
	for _, n := range outs {
		if n != nil && TapeOf(recomputing, n) != inner {
			panic(&UsageError{Where: recomputing, What: "an output is not on the tape that the function was handed"})
		}
	}
	if inner.err != nil {
		t.Fail(fmt.Errorf("%v: %w", o, inner.err))
	}
	return outs
}

// again calls f once more. It panics if f computes something else than at first.
func (o recomputeOp) again() []*Node {
	outs := o.run(true)
	equal := func(a, b float32) bool { return a == b || a != a && b != b }
	if !slices.EqualFunc(outs, o.out, func(a, b *Node) bool {
		if a == nil || b == nil {
			return a == b
		}
		return a.requires == b.requires && slices.Equal(a.shape, b.shape) && slices.EqualFunc(a.data, b.data, equal)
	}) {
		panic(&UsageError{Where: o.String(), What: "the function computed other outputs when Backward ran it again; " +
			"what it reads must not change before Backward has run, such as a state, which is better an input"})
	}
	return outs
}

func (o recomputeOp) Backward() {
	if !slices.ContainsFunc(o.out, func(y *Node) bool { return y != nil && y.grad != nil }) {
		return
	}
	inner := o.t.enter()
	defer inner.leave()
	outs := o.again()
	inner.checking, inner.loss, inner.scales = o.t.checking, o.t.loss, o.t.scales
	for i, y := range o.out {
		if y != nil && y.grad != nil && y.requires {
			kernel.Add(outs[i].AccumulateGrad(), y.grad)
		}
	}
	for i := inner.recorded - 1; i >= 0; i-- {
		if inner.backwardOf(i); inner.checking {
			if inner.outermost().addWeightGrads(); o.tellGrad(i) {
				return
			}
		}
	}
}

// tellGrad reports whether a gradient is NaN or infinite after the Backward of operation i of the inner tape, and names the place then.
func (o recomputeOp) tellGrad(i int) bool {
	inner := o.t.inner
	var e *DataError
	if !errors.As(inner.err, &e) {
		if e = inner.gradNotFinite(); e == nil {
			return false
		}
		if value := inner.valueNotFinite(); value != nil {
			value.Text = e.Text + "; the first in its forward pass is " + value.Text
			e = value
		}
	}
	o.t.Fail(&DataError{Text: fmt.Sprintf("in %v: %s", inner.ops[i], e.Text), Row: e.Row, Rows: e.Rows})
	return true
}

// NotFinite runs f again and returns the place of the first NaN or infinite number, or nil.
func (o recomputeOp) NotFinite() *DataError {
	inner := o.t.enter()
	defer inner.leave()
	o.again()
	e := inner.valueNotFinite()
	if e != nil {
		e.Text += ", in " + o.String()
	}
	return e
}
