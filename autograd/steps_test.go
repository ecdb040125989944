package autograd

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/tensor"
)

// dotSteps is y[u,b,t] = q[u,b]·k[t,b] for the valid t.
func dotSteps(queries, batch, n int, lengths []int, q, k complexes) complexes {
	steps := len(k) / (batch * n)
	y := make(complexes, queries*batch*steps)
	for u := range queries {
		for b := range batch {
			for t := range lengths[b] {
				y[(u*batch+b)*steps+t] = reference.Dot(q[(u*batch+b)*n:][:n], k[(t*batch+b)*n:][:n])
			}
		}
	}
	return y
}

// sumSteps is y[u,b] = sum over the valid t of w[u,b,t]*v[t,b].
func sumSteps(queries, batch, n int, lengths []int, w, v complexes) complexes {
	steps := len(v) / (batch * n)
	y := make(complexes, queries*batch*n)
	for u := range queries {
		for b := range batch {
			for t := range lengths[b] {
				for j := range n {
					y[(u*batch+b)*n+j] += w[(u*batch+b)*steps+t] * v[(t*batch+b)*n+j]
				}
			}
		}
	}
	return y
}

// TestSteps compares DotSteps and SumSteps and their gradients with the formulas; the padding is NaN.
func TestSteps(t *testing.T) {
	for _, c := range []struct {
		queries, batch, steps, n int // queries 0: one, without the dimension
		lengths                  []int
	}{
		{0, 3, 5, 4, []int{5, 0, 2}}, {0, 1, 1, 1, []int{1}}, {0, 2, 19, 33, nil}, {1, 2, 3, 5, []int{2, 3}},
		{4, 3, 6, 7, []int{1, 6, 0}}, {9, 2, 21, 17, nil}, {17, 1, 3, 40, []int{3}},
	} {
		queries, lengths := max(1, c.queries), c.lengths
		for range c.batch {
			if c.lengths == nil {
				lengths = append(lengths, c.steps)
			}
		}
		shape := func(last int) []int {
			if c.queries == 0 {
				return []int{c.batch, last}
			}
			return []int{c.queries, c.batch, last}
		}
		sequence := []int{c.steps, c.batch, c.n}
		for name, op := range map[string]struct {
			of    func(x, sequence *Node, lengths []int) *Node
			value func(queries, batch, n int, lengths []int, x, sequence complexes) complexes
			x, y  []int
		}{
			"DotSteps": {DotSteps, dotSteps, shape(c.n), shape(c.steps)},
			"SumSteps": {SumSteps, sumSteps, shape(c.steps), shape(c.n)},
		} {
			x, s, factors := drawn(standard, 1, op.x...), drawn(standard, 2, sequence...), drawn(standard, 3, op.y...)
			cx, cs := reference.Complex(x.Data()), reference.Complex(s.Data())
			value := func() complexes { return op.value(queries, c.batch, c.n, lengths, cx, cs) }
			loss := func() complex128 { return reference.Dot(value(), reference.Complex(factors.Data())) }
			dx, ds := reference.Gradient(loss, cx), reference.Gradient(loss, cs)
			for i := range s.Data() {
				if step, row := i/(c.batch*c.n), i/c.n%c.batch; step >= lengths[row] {
					s.Data()[i] = nan
				}
			}
			tape := NewTape(NewParams(1), 1)
			for wants := range 4 { // neither operand, the first, the second, both
				tape.Reset()
				a, b := tape.Input(x), tape.Input(s)
				if wants&1 != 0 {
					a = tape.Leaf(x)
				}
				if wants&2 != 0 {
					b = tape.Leaf(s)
				}
				y := op.of(a, b, c.lengths)
				require.Equal(t, op.y, y.Shape(), "%s %v", name, c)
				assert.LessOrEqual(t, reference.MaxRelErr(y.Data(), reference.Real(value())), 1e-6, "%s %v", name, c)
				assert.Equal(t, wants != 0, y.RequiresGrad())
				if wants == 0 {
					continue
				}
				require.NoError(t, Sum(Mul(y, tape.Input(factors))).Backward())
				assert.Equal(t, wants&1 != 0, a.Grad() != nil)
				assert.Equal(t, wants&2 != 0, b.Grad() != nil)
				if wants&1 != 0 {
					assert.LessOrEqual(t, reference.MaxRelErr(a.Grad(), dx), 2e-6, "%s %v", name, c)
				}
				if wants&2 != 0 {
					assert.LessOrEqual(t, reference.MaxRelErr(b.Grad(), ds), 2e-6, "%s %v", name, c)
				}
			}
			run := func() {
				tape.Reset()
				if err := Sum(op.of(tape.Leaf(x), tape.Leaf(s), c.lengths)).Backward(); err != nil {
					t.Error(err)
				}
			}
			for range 2 * generations {
				run()
			}
			assert.Zero(t, testing.AllocsPerRun(10, run), "%s %v", name, c)
		}
	}
}

func TestStepsOfNothing(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	of := func(shape ...int) *Node { return tape.Leaf(drawn(standard, 1, shape...)) }
	var loss []*Node
	for _, y := range []*Node{
		DotSteps(of(2, 3), of(0, 2, 3), nil), DotSteps(of(2, 0), of(4, 2, 0), nil), DotSteps(of(0, 3), of(4, 0, 3), nil),
		DotSteps(of(0, 2, 3), of(4, 2, 3), nil), DotSteps(of(2, 3), of(4, 2, 3), []int{0, 0}),
		SumSteps(of(2, 0), of(0, 2, 3), nil), SumSteps(of(2, 4), of(4, 2, 0), nil), SumSteps(of(0, 2, 4), of(4, 2, 3), nil),
		SumSteps(of(2, 4), of(4, 2, 3), []int{0, 0}),
	} {
		for _, v := range y.Data() {
			assert.Zero(t, v)
		}
		loss = append(loss, Sum(y))
	}
	require.NoError(t, Sum(Concat(0, loss...)).Backward())
}

func TestStepsOfWrongShapes(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	of := func(shape ...int) *Node { return tape.Input(tensor.New(shape...)) }
	for want, f := range map[string]func(){
		"autograd.DotSteps: query of shape [2 3] and keys of shape [5 2 4], want [B,N] or [U,B,N], and [T,B,N]":     func() { DotSteps(of(2, 3), of(5, 2, 4), nil) },
		"autograd.DotSteps: query of shape [3 4] and keys of shape [5 2 4], want [B,N] or [U,B,N], and [T,B,N]":     func() { DotSteps(of(3, 4), of(5, 2, 4), nil) },
		"autograd.DotSteps: query of shape [4] and keys of shape [5 2 4], want [B,N] or [U,B,N], and [T,B,N]":       func() { DotSteps(of(4), of(5, 2, 4), nil) },
		"autograd.DotSteps: query of shape [2 4] and keys of shape [2 4], want [B,N] or [U,B,N], and [T,B,N]":       func() { DotSteps(of(2, 4), of(2, 4), nil) },
		"autograd.DotSteps: 1 lengths, want 2, one a row":                                                           func() { DotSteps(of(2, 4), of(5, 2, 4), []int{1}) },
		"autograd.SumSteps: weights of shape [2 4] and values of shape [5 2 4], want [B,T] or [U,B,T], and [T,B,N]": func() { SumSteps(of(2, 4), of(5, 2, 4), nil) },
		"autograd.SumSteps: weights of shape [3 5] and values of shape [5 2 4], want [B,T] or [U,B,T], and [T,B,N]": func() { SumSteps(of(3, 5), of(5, 2, 4), nil) },
		"autograd.SumSteps: weights of shape [5] and values of shape [5 2 4], want [B,T] or [U,B,T], and [T,B,N]":   func() { SumSteps(of(5), of(5, 2, 4), nil) },
		"autograd.SumSteps: row 1 has length 6, want 0 to 5, the steps of the input":                                func() { SumSteps(of(2, 5), of(5, 2, 4), []int{1, 6}) },
	} {
		panicsAs[*ShapeError](t, want, f)
	}
}
