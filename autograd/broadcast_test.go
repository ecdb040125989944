package autograd

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/tensor"
)

// binaries are the operations that broadcast, and their formulas.
var binaries = map[string]struct {
	of    func(a, b *Node) *Node
	value func(a, b complex128) complex128
}{
	"Add": {Add, func(a, b complex128) complex128 { return a + b }},
	"Sub": {Sub, func(a, b complex128) complex128 { return a - b }},
	"Mul": {Mul, func(a, b complex128) complex128 { return a * b }},
	"Div": {Div, func(a, b complex128) complex128 { return a / b }},
}

// pairsOfShapes are shapes of two operands and of their result.
var pairsOfShapes = []struct{ a, b, y []int }{
	{[]int{3, 1}, []int{3, 5}, []int{3, 5}},
	{[]int{3, 5}, []int{3, 1}, []int{3, 5}},
	{[]int{5}, []int{3, 5}, []int{3, 5}},
	{[]int{3, 5}, []int{1, 5}, []int{3, 5}},
	{[]int{4, 1, 5}, []int{4, 3, 5}, []int{4, 3, 5}},
	{[]int{4, 3, 5}, []int{4, 1, 5}, []int{4, 3, 5}},
	{[]int{4, 3, 1}, []int{3, 1}, []int{4, 3, 1}},
	{[]int{4, 3, 1}, []int{4, 1, 5}, []int{4, 3, 5}},
	{[]int{4, 1}, []int{1, 5}, []int{4, 5}},
	{[]int{4, 1}, []int{5}, []int{4, 5}},
	{[]int{5}, []int{4, 1}, []int{4, 5}},
	{[]int{2, 1, 3, 1}, []int{4, 1, 5}, []int{2, 4, 3, 5}},
	{[]int{2, 3, 1, 1, 2}, []int{1, 3, 4, 5, 2}, []int{2, 3, 4, 5, 2}},
	{[]int{2, 2, 1, 1}, []int{2, 2, 3, 2}, []int{2, 2, 3, 2}},
	{[]int{1}, []int{2, 3}, []int{2, 3}},
	{[]int{2, 3}, []int{1}, []int{2, 3}},
	{[]int{2, 3}, []int{1, 1}, []int{2, 3}},
	{[]int{2, 3}, []int{}, []int{2, 3}},
	{[]int{}, []int{2, 3}, []int{2, 3}},
	{[]int{}, []int{1}, []int{1}},
	{[]int{1}, []int{}, []int{1}},
	{[]int{}, []int{}, []int{}},
	{[]int{5}, []int{1, 5}, []int{1, 5}},
	{[]int{1, 5}, []int{5}, []int{1, 5}},
	{[]int{1, 1, 1}, []int{1}, []int{1, 1, 1}},
	{[]int{2, 1, 1, 1, 1, 1, 1, 1, 1, 2}, []int{3, 1}, []int{2, 1, 1, 1, 1, 1, 1, 1, 3, 2}},
}

// at returns the place in x of shape shape of element i of a result of shape y, by the definition of broadcasting.
func at(shape, y []int, i int) int {
	place, size := 0, 1
	for d := len(y) - 1; d >= 0; d-- {
		k := i % y[d]
		i /= y[d]
		if own := d - (len(y) - len(shape)); own >= 0 {
			if shape[own] > 1 {
				place += k * size
			}
			size *= shape[own]
		}
	}
	return place
}

func TestBroadcast(t *testing.T) {
	for name, op := range binaries {
		for _, s := range pairsOfShapes {
			a, b := drawn(positive, 1, s.a...), drawn(positive, 2, s.b...)
			ca, cb := reference.Complex(a.Data()), reference.Complex(b.Data())
			value := func() (y complexes) {
				for i := range tensor.Size(s.y) {
					y = append(y, op.value(ca[at(s.a, s.y, i)], cb[at(s.b, s.y, i)]))
				}
				return y
			}
			factors := drawn(standard, 3, s.y...)
			loss := func() complex128 { return reference.Dot(value(), reference.Complex(factors.Data())) }
			da, db := reference.Gradient(loss, ca), reference.Gradient(loss, cb)
			tape := NewTape(NewParams(1), 1)
			for wants := range 4 { // neither operand, the first, the second, both
				tape.Reset()
				nodes := [2]*Node{tape.Input(a), tape.Input(b)}
				for i, v := range [2]*tensor.Tensor{a, b} {
					if wants&(i+1) != 0 {
						nodes[i] = tape.Leaf(v)
					}
				}
				y := op.of(nodes[0], nodes[1])
				require.True(t, slices.Equal(s.y, y.Shape()), "%s of %v and %v: %v", name, s.a, s.b, y.Shape())
				assert.LessOrEqual(t, reference.MaxRelErr(y.Data(), reference.Real(value())), 1e-6, "%s of %v and %v", name, s.a, s.b)
				assert.Equal(t, wants != 0, y.RequiresGrad())
				loss := Sum(Mul(y, tape.Input(factors)))
				if wants == 0 {
					assert.ErrorIs(t, loss.Backward(), ErrNoGradient)
					continue
				}
				require.NoError(t, loss.Backward())
				for i, want := range [2][]float64{da, db} {
					if wants&(i+1) == 0 {
						assert.Nil(t, nodes[i].Grad(), "%s of %v and %v, operand %d", name, s.a, s.b, i)
						continue
					}
					assert.LessOrEqual(t, reference.MaxRelErr(nodes[i].Grad(), want), 4e-6, "%s of %v and %v, operand %d", name, s.a, s.b, i)
				}
			}
		}
	}
}

// TestBroadcastOfLosses: a sum of two means is one, and goes back as one, whatever the ranks of their single values.
func TestBroadcastOfLosses(t *testing.T) {
	shapes := [][]int{{}, {1}, {1, 1}}
	for _, sa := range shapes {
		for _, sb := range shapes {
			tape := NewTape(NewParams(1), 1)
			a, b := tape.Leaf(tensor.Of([]float32{2}, sa...)), tape.Leaf(tensor.Of([]float32{3}, sb...))
			x, y := Scale(a, 1), Scale(b, 1)
			x.SetWeight(4)
			y.SetWeight(5)
			loss := Add(x, y)
			terms, err := loss.Terms(nil)
			require.NoError(t, err)
			require.Len(t, terms, 2, "%v and %v", sa, sb)
			require.NoError(t, loss.BackwardScaled(1, 10, 100))
			assert.Equal(t, []float32{10}, a.Grad(), "%v and %v", sa, sb)
			assert.Equal(t, []float32{100}, b.Grad(), "%v and %v", sa, sb)
		}
	}
}

func TestBroadcastOfNothing(t *testing.T) {
	for name, op := range binaries {
		for _, s := range []struct{ a, b, y []int }{
			{[]int{3, 0}, []int{3, 1}, []int{3, 0}},
			{[]int{3, 1}, []int{1, 0}, []int{3, 0}},
			{[]int{0, 1}, []int{1, 4}, []int{0, 4}},
			{[]int{0, 1}, []int{4}, []int{0, 4}},
			{[]int{0}, []int{1}, []int{0}},
			{[]int{2, 0, 3}, []int{2, 1, 1}, []int{2, 0, 3}},
		} {
			for range 2 {
				tape := NewTape(NewParams(1), 1)
				a, b := tape.Leaf(drawn(positive, 1, s.a...)), tape.Leaf(drawn(positive, 1, s.b...))
				y := op.of(a, b)
				require.Equal(t, s.y, y.Shape(), "%s of %v and %v", name, s.a, s.b)
				require.NoError(t, Sum(y).Backward())
				assert.Equal(t, make([]float32, len(b.Data())), b.Grad(), "%s of %v and %v", name, s.a, s.b)
				s.a, s.b = s.b, s.a
			}
		}
	}
}

func TestBroadcastAllocatesNothing(t *testing.T) {
	for name, op := range binaries {
		for _, s := range pairsOfShapes {
			if len(s.y) > 8 {
				continue // so many dimensions need memory for the shape
			}
			a, b := drawn(positive, 1, s.a...), drawn(positive, 2, s.b...)
			tape := NewTape(NewParams(1), 1)
			run := func() {
				tape.Reset()
				if err := Sum(op.of(tape.Leaf(a), tape.Leaf(b))).Backward(); err != nil {
					t.Error(err)
				}
			}
			for range 2 * generations {
				run()
			}
			assert.Zero(t, testing.AllocsPerRun(5, run), "%s of %v and %v", name, s.a, s.b)
		}
	}
}

func TestBroadcastOfWrongShapes(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	for name, op := range binaries {
		for _, s := range [][2][]int{{{2, 3}, {3, 2}}, {{2, 3}, {2}}, {{3}, {2, 2}}, {{2, 0}, {2, 3}}, {{2, 1, 3}, {4, 2, 2}}} {
			panicsAs[*ShapeError](t, fmt.Sprintf("autograd.%s: shapes %v and %v, want dimensions that are equal or 1, counted from the last", name, s[0], s[1]),
				func() { op.of(tape.Input(tensor.New(s[0]...)), tape.Input(tensor.New(s[1]...))) })
		}
	}
}

// BenchmarkBinary is a forward and a backward pass of the element-wise operations for pairs of shapes.
func BenchmarkBinary(b *testing.B) {
	for _, pair := range [][2][]int{{{1, 32}, {1, 32}}, {{38, 150}, {38, 150}}, {{28, 38, 150}, {150}}, {{38, 150}, {1}}, {{38, 1}, {38, 150}}, {{28, 38, 150}, {28, 1, 150}}} {
		x, y := drawn(positive, 1, pair[0]...), drawn(positive, 2, pair[1]...)
		for _, name := range []string{"Add", "Sub", "Mul", "Div"} {
			b.Run(fmt.Sprintf("%s/%v%v", name, pair[0], pair[1]), func(b *testing.B) {
				tape := NewTape(NewParams(1), 1)
				for b.Loop() {
					tape.Reset()
					out := binaries[name].of(tape.Leaf(x), tape.Leaf(y))
					out.AccumulateGrad()
					tape.ops[tape.recorded-1].Backward()
				}
			})
		}
	}
}
