package autograd

import (
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// TestMatMulOfWeights: weights and their transposes, of which packed copies are kept, give what other nodes of the same values
// give, also after the weights have changed, in a clone, and on several tapes at the same time.
func TestMatMulOfWeights(t *testing.T) {
	const k, n = 7, 5
	params := NewParams(1)
	w := params.New("w", Normal(1), k, n)
	x := drawn(Normal(1), 2, 3, k)
	model := func(tape *Tape, w func() *Node) (values, gradient []float32) {
		in := tape.Leaf(x)
		y := MatMul(in, w())
		back := MatMul(y, Transpose(w(), 0, 1))
		again := AddMatMul(y, back, Transpose(Transpose(w(), 0, 1), 1, 0))
		require.NoError(t, Mean(Mul(again, again)).Backward())
		return again.Data(), in.Grad()
	}
	check := func(params *Params) {
		w := params.Get("w")
		other := NewTape(NewParams(1), 1)
		plain := other.Leaf(w.Value)
		values, gradient := model(other, func() *Node { return plain })
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() {
				tape := NewTape(params, 1)
				for range 3 {
					tape.Reset()
					got, grad := model(tape, func() *Node { return tape.Param(w) })
					assert.Equal(t, values, got)
					assert.Equal(t, gradient, grad)
					assert.InEpsilonSlice(t, plain.Grad(), tape.Grads().Of(w), 1e-4)
				}
			})
		}
		wait.Wait()
	}
	clone := params.Clone()
	for range 3 {
		check(params)
		params.Update(func() {
			for i := range w.Value.Data() {
				w.Value.Data()[i] += 0.5
			}
		})
	}
	check(clone)
	clone.Update(func() { copy(clone.Get("w").Value.Data(), w.Value.Data()) })
	check(clone)
}

// TestMatMulOfBatchedWeights: a weight may be a batch of matrices, also of one, whose rows are few.
func TestMatMulOfBatchedWeights(t *testing.T) {
	for _, batch := range []int{1, 2} {
		params := NewParams(1)
		w, x := params.New("w", Normal(1), batch, 3, 4), drawn(Normal(1), 2, batch, 2, 3)
		results := func(tape *Tape, w *Node) [][]float32 {
			in := tape.Leaf(x)
			y := MatMul(in, w)
			back := MatMul(y, Transpose(w, 1, 2))
			require.NoError(t, Sum(Square(back)).Backward())
			return [][]float32{back.Data(), in.Grad(), w.Grad()}
		}
		tape, other := NewTape(params, 1), NewTape(params, 1)
		assert.Equal(t, results(other, other.Leaf(w.Value)), results(tape, tape.Param(w)), "%d matrices", batch)
	}
}

// TestTransposeOfAWeight is one node in a run, however often a cell asks for it.
func TestTransposeOfAWeight(t *testing.T) {
	params := NewParams(1)
	w, v := params.New("w", Normal(1), 2, 3), params.New("v", Normal(1), 3, 2)
	tape := NewTape(params, 1)
	for range 3 {
		tape.Reset()
		y := Transpose(tape.Param(w), 0, 1)
		assert.Same(t, y, Transpose(tape.Param(w), 1, 0))
		assert.NotSame(t, y, Transpose(tape.Param(v), 0, 1))
		assert.Equal(t, []int{3, 2}, y.Shape())
		require.NoError(t, Sum(Mul(y, tape.Param(v))).Backward())
		assert.Equal(t, tape.Param(v).Data(), Transpose(tape.View(tape.Grads().Of(w), 2, 3), 0, 1).Data(), "the gradient of w is the transpose of v")
		assert.Equal(t, y.Data(), tape.Grads().Of(v))
	}
}

// TestManyProductsOfAWeight: a weight that is used at many steps gets the same gradient as in one product over the rows of all steps,
// also where the number of steps is no multiple of the rows that are collected.
func TestManyProductsOfAWeight(t *testing.T) {
	params := NewParams(1)
	w := params.New("w", Normal(1), 5, 7)
	for _, size := range [][2]int{{1, 1}, {1, 3}, {127, 1}, {129, 1}, {300, 1}, {50, 3}, {9, fewRows}, {9, fewRows + 1}} {
		steps, rows := size[0], size[1]
		x := drawn(Normal(1), 2, steps*rows, 5)
		gradient := func(steps int, transposed bool) []float32 {
			tape := NewTape(params, 1)
			sum := tape.Input(tensor.New(1))
			rows := x.Dim(0) / steps
			for i := range steps {
				b := tape.Param(w)
				if transposed { // transposed twice: a node other than the weight collects the rows
					b = Transpose(Transpose(b, 0, 1), 0, 1)
				}
				sum = Add(sum, Sum(Square(MatMul(tape.Input(tensor.Of(x.Data()[i*rows*5:][:rows*5], rows, 5)), b))))
			}
			require.NoError(t, sum.Backward())
			return tape.Grads().Of(w)
		}
		want := gradient(1, false)
		for i, got := range [][]float32{gradient(steps, false), gradient(steps, true)} {
			assert.InDeltaSlice(t, want, got, 1e-5*float64(slices.Max(want)-slices.Min(want)), "%d steps of %d rows, %d", steps, rows, i)
		}
	}
}

// TestNotFiniteProductOfAWeight: the search names the operation whose product made the gradient of a weight infinite, although the product
// is put off, and in nested calls of Recompute.
func TestNotFiniteProductOfAWeight(t *testing.T) {
	params := NewParams(1)
	w, v := params.New("w", Constant(1e-3), 2, 2), params.New("v", Constant(1), 2, 2)
	steps := func(t *Tape, in []*Node) []*Node {
		h := AddMatMul(in[0], MatMul(in[0], t.Param(v)), t.Param(v))
		y := Scale(AddMatMul(h, t.Input(tensor.Of([]float32{1e20, 2e20}, 1, 2)), t.Param(w)), 1e20)
		return append(in[:0], Sum(MatMul(y, Transpose(t.Param(v), 0, 1))))
	}
	nested := func(t *Tape, f func(t *Tape, in []*Node) []*Node, in ...*Node) []*Node {
		return Recompute(t, func(t *Tape, in []*Node) []*Node { return Recompute(t, f, in...) }, in...)
	}
	for want, call := range map[string]caller{
		"through autograd.AddMatMul, is +Inf":                                                                   plain,
		"through call 0 of autograd.Recompute, is in autograd.AddMatMul: +Inf":                                  Recompute,
		"through call 0 of autograd.Recompute, is in call 0 of autograd.Recompute: in autograd.AddMatMul: +Inf": nested,
	} {
		tape := NewTape(params, 1)
		require.NoError(t, call(tape, steps, tape.Leaf(tensor.Of([]float32{1, 2}, 1, 2)))[0].Backward())
		assert.EqualError(t, tape.NotFinite(), "autograd: gradient is not finite; the first in the backward pass, "+want+", element 0 of the gradient of weight w of shape [2 2]")
	}
}

// TestProductsAfterAPanic: the rows of a backward pass that panicked do not reach the next run.
func TestProductsAfterAPanic(t *testing.T) {
	params := NewParams(1)
	w := params.New("w", Normal(1), 2, 2)
	gradient := func(tape *Tape, fail bool) []float32 {
		tape.Reset()
		x := tape.Leaf(drawn(Normal(1), 2, 3, 2))
		if fail {
			x = failing(x)
		}
		loss := Sum(Square(MatMul(x, tape.Param(w))))
		assert.Equal(t, fail, Try(func() { require.NoError(t, loss.Backward()) }) != nil)
		return tape.Grads().Of(w)
	}
	tape := NewTape(params, 1)
	gradient(tape, true)
	assert.Equal(t, gradient(NewTape(params, 1), false), gradient(tape, false))
}

// failing returns a node in whose backward pass the operation panics.
func failing(x *Node) *Node {
	y := x.tape.View(x.data, x.shape...)
	Record(x.tape, failingOp{}, y)
	return y
}

type failingOp struct{}

func (failingOp) Backward() { panic("no gradient") }
