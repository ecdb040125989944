package autograd

import (
	"fmt"
	"slices"
	"sort"

	"github.com/unroll-go/unroll/tensor"
)

// Where a number became NaN or infinite. Nothing looks for such numbers while all is well: the loss and, in a training
// step, the norm of the gradient tell that there is one, because NaN and infinity spread. Only then are the values on
// the tape searched, and the backward pass repeated.

// Checker is an operation that knows more about its numbers than the shapes of its outputs tell, such as a recurrent
// layer that computes many steps.
//
// In the backward pass such an operation may name the place, too: if [Tape.Checking] reports true, the numbers of its
// Backward are finite on entry and not on return, and Backward may call [Tape.Fail] with the place as a [*DataError].
type Checker interface {
	Op
	// NotFinite returns the place of the first NaN or infinite number that the operation read or computed forward, or
	// nil if it finds none. Its text follows the words "the first on the tape is", for example "NaN, element 3 of the
	// input of recurrent layer rnn".
	NotFinite() *DataError
}

func (s *slot[T]) notFinite() *DataError {
	if c, ok := any(s.op).(Checker); ok {
		return c.NotFinite()
	}
	return nil
}

// Checking reports whether the run, or its backward pass, is repeated to find where a number became NaN or infinite
// ([Tape.Repeat], [Tape.NotFinite]), or whether a function runs again for its backward pass ([Recompute]). A model or an operation that changes anything outside of the tape leaves that out
// then, as rnn.State.Set does; [Tape.Preserve] is for changes of numbers in other runs.
func (t *Tape) Checking() bool { return t.checking }

// Repeat is [Tape.Start] for a run that repeats an earlier one with the same seed. [Tape.Checking] reports true until the
// next run.
func (t *Tape) Repeat(seed uint64, g *Grads) {
	t.Start(seed, g)
	t.checking = true
}

// NotFinite returns nil if all gradients that the run's [Node.Backward] computed are finite. Otherwise it returns an
// error that wraps [ErrNotFinite] and a [*DataError], and names the operation in whose backward pass a gradient first
// became NaN or infinite, the gradient and its row, and also the first NaN or infinite value of the forward pass, if
// there is one. The gradients of the weights are then zero.
//
// NotFinite repeats the backward pass several times, so it is meant for the rare case that [Grads.Norm] is NaN or
// infinite. Call it before the weights change. It panics with a [*UsageError] if Backward has not run or returned an
// error.
func (t *Tape) NotFinite() error {
	if !t.done || t.err != nil {
		panic(&UsageError{Where: "autograd.Tape.NotFinite", What: "called without a Backward that returned no error"})
	}
	was := t.checking
	defer func() { t.checking = was }()
	t.checking = false // but for the backward pass of one operation, so that it alone names a place
	// A gradient that is NaN or infinite stays so, so the number of operations after which there is one can be found by
	// bisection.
	n := sort.Search(t.recorded+1, func(n int) bool {
		t.backwardAgain(n)
		return t.gradNotFinite() != nil
	})
	switch {
	case n > t.recorded:
		t.backwardAgain(t.recorded)
		return nil
	case n == 0:
		t.err = fmt.Errorf("autograd: gradient is %w: the loss was scaled by %v", ErrNotFinite, t.rootGrad)
	default:
		t.backwardAgain(n - 1)
		t.checking = true
		t.backwardOf(t.recorded - n)
		t.addWeightGrads()
		t.err = t.backwardError(t.ops[t.recorded-n].(fmt.Stringer).String())
	}
	t.grads.Clear()
	return t.err
}

// backwardAgain sets all gradients to zero and repeats the last count operations of the backward pass.
func (t *Tape) backwardAgain(count int) {
	t.grads.Clear()
	for _, n := range t.nodes[t.run%generations][:t.count] {
		if own := t.buffers[n.place].grad; len(n.grad) > 0 && len(own) > 0 && &n.grad[0] == &own[0] {
			n.grad = nil // otherwise it is the gradient of a weight
		}
	}
	t.backward(count)
}

// backwardError returns the error for a gradient that became NaN or infinite in the backward pass of an operation. If
// the operation did not name the place, the error names the gradient, and the first value of the forward pass, whose
// row is then the better guess.
func (t *Tape) backwardError(operation string) error {
	first := fmt.Sprintf("the first in the backward pass, through %s, is", operation)
	if t.err != nil {
		return fmt.Errorf("autograd: gradient is %w; %s %w", ErrNotFinite, first, t.err)
	}
	grad := t.gradNotFinite()
	if value := t.valueNotFinite(); value != nil {
		return fmt.Errorf("autograd: gradient is %w; %s %s; the first in the forward pass is %w", ErrNotFinite, first, grad.Text, value)
	}
	return fmt.Errorf("autograd: gradient is %w; %s %w", ErrNotFinite, first, grad)
}

// lossNotFinite returns the error for a loss of value v that is NaN or infinite.
func (t *Tape) lossNotFinite(v float32) error {
	if first := t.valueNotFinite(); first != nil {
		return fmt.Errorf("autograd: loss is %w: %v; the first on the tape is %w", ErrNotFinite, v, first)
	}
	return fmt.Errorf("autograd: loss is %w: %v", ErrNotFinite, v)
}

// valueNotFinite returns the place of the first NaN or infinite value of the forward pass, or nil. Weights come first,
// because layers read them without a node. A [Checker] that computed a bad output knows what it read, so its word
// counts more than an input before it, which may be bad only in padding.
func (t *Tape) valueNotFinite() (first *DataError) {
	for _, p := range t.set.params {
		if i := indexNotFinite(p.Value.Data()); i >= 0 {
			return &DataError{Text: describeElement(p.Value.Data(), i, "weight "+p.Name, p.Value.Shape())}
		}
	}
	for _, n := range t.nodes[t.run%generations][:t.count] {
		i := indexNotFinite(n.data)
		if i < 0 || first != nil && n.maker == 0 {
			continue
		}
		if n.maker > 0 {
			if told := t.ops[n.maker-1].(interface{ notFinite() *DataError }).notFinite(); told != nil {
				return told
			}
		}
		if first == nil {
			first = n.element(n.data, i, "")
		}
		if n.maker > 0 {
			return first
		}
	}
	return first
}

// gradNotFinite returns the place of a NaN or infinite gradient, of a node if there is one, or nil.
func (t *Tape) gradNotFinite() *DataError {
	for _, n := range t.nodes[t.run%generations][:t.count] {
		if i := indexNotFinite(n.grad); i >= 0 {
			return n.element(n.grad, i, "the gradient of ")
		}
	}
	for _, p := range t.set.params {
		if i := indexNotFinite(t.grads.Of(p)); i >= 0 {
			return &DataError{Text: describeElement(t.grads.Of(p), i, "the gradient of weight "+p.Name, p.Value.Shape())}
		}
	}
	return nil
}

// element describes element i of v, the values or the gradient of n, with its row.
func (n *Node) element(v []float32, i int, of string) *DataError {
	e := &DataError{Text: describeElement(v, i, of+n.tape.describe(n), n.shape)}
	if len(n.shape) > 1 && n.tape.paramOf(n) == nil {
		e.Rows = tensor.Size(n.shape[:min(2, len(n.shape)-1)])
		e.Row = i / (len(v) / e.Rows)
	}
	return e
}

// describeElement says what element i of v is.
func describeElement(v []float32, i int, of string, shape []int) string {
	return fmt.Sprintf("%v, element %d of %s of shape %v", v[i], i, of, shape)
}

// indexNotFinite returns the index of the first NaN or infinite element, or -1.
func indexNotFinite(v []float32) int {
	return slices.IndexFunc(v, func(v float32) bool { return v-v != 0 })
}
