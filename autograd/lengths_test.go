package autograd

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/tensor"
)

// ofLengths are the operations over sequences of different lengths. valid reports whether element i of x is one that counts.
var ofLengths = map[string]struct {
	shape   []int
	lengths []int
	build   func(x *Node, lengths []int) *Node
	valid   func(i int) bool
	value   func(in complexes) complexes
	y       []int
}{
	"MaskedSoftmax": {[]int{3, 19}, []int{19, 0, 7}, MaskedSoftmax,
		func(i int) bool { return i%19 < []int{19, 0, 7}[i/19] }, maskedRows(19, 19, 0, 7), []int{3, 19}},
	"MaskedSoftmax of queries": {[]int{2, 3, 5}, []int{4, 5, 1}, MaskedSoftmax,
		func(i int) bool { return i%5 < []int{4, 5, 1}[i/5%3] }, maskedRows(5, 4, 5, 1), []int{2, 3, 5}},
	"MaskedSoftmax of one row": {[]int{6}, []int{4}, MaskedSoftmax, func(i int) bool { return i < 4 }, maskedRows(6, 4), []int{6}},
	"MaskedSoftmax causal": {[]int{2, 4, 4}, []int{1, 2, 3, 4}, MaskedSoftmax,
		func(i int) bool { return i%4 <= i/4%4 }, maskedRows(4, 1, 2, 3, 4), []int{2, 4, 4}},
	"MaskedSoftmax of all": {[]int{3, 4}, nil, MaskedSoftmax, func(int) bool { return true }, maskedRows(4, 4), []int{3, 4}},
	"MeanSteps": {[]int{5, 3, 4}, []int{2, 5, 0}, MeanSteps,
		func(i int) bool { return i/12 < []int{2, 5, 0}[i/4%3] }, meanSteps(5, 4, 2, 5, 0), []int{3, 4}},
	"MeanSteps of numbers": {[]int{4, 2}, []int{3, 1}, MeanSteps,
		func(i int) bool { return i/2 < []int{3, 1}[i%2] }, meanSteps(4, 1, 3, 1), []int{2}},
	"MeanSteps of maps": {[]int{3, 2, 2, 3}, []int{3, 2}, MeanSteps,
		func(i int) bool { return i/12 < []int{3, 2}[i/6%2] }, meanSteps(3, 6, 3, 2), []int{2, 2, 3}},
	"MaskSteps": {[]int{4, 3, 5}, []int{2, 0, 4}, MaskSteps,
		func(i int) bool { return i/15 < []int{2, 0, 4}[i/5%3] }, maskSteps(15, 5, 2, 0, 4), []int{4, 3, 5}},
	"MaskSteps of numbers": {[]int{4, 2}, []int{3, 1}, MaskSteps,
		func(i int) bool { return i/2 < []int{3, 1}[i%2] }, maskSteps(2, 1, 3, 1), []int{4, 2}},
	"MaskSteps of all": {[]int{4, 2}, nil, MaskSteps, func(int) bool { return true }, maskSteps(2, 1, 4, 4), []int{4, 2}},
	"MeanSteps of all": {[]int{5, 2, 3}, nil, MeanSteps, func(int) bool { return true }, meanSteps(5, 3, 5, 5), []int{2, 3}},
}

// maskedRows is the softmax over the first of each n elements; the lengths repeat.
func maskedRows(n int, lengths ...int) func(in complexes) complexes {
	return func(in complexes) (y complexes) {
		for lo := 0; lo < len(in); lo += n {
			valid := lengths[lo/n%len(lengths)]
			y = append(append(y, softmax(in[lo:lo+valid])...), make(complexes, n-valid)...)
		}
		return y
	}
}

func meanSteps(steps, width int, lengths ...int) func(in complexes) complexes {
	return func(in complexes) complexes {
		y := make(complexes, len(lengths)*width)
		for i, z := range in {
			if step, at := i/len(y), i%len(y); step < lengths[at/width] {
				y[at] += z / complex(float64(lengths[at/width]), 0)
			}
		}
		return y
	}
}

// maskSteps keeps the valid steps of size elements, width a row.
func maskSteps(size, width int, lengths ...int) func(in complexes) complexes {
	return func(in complexes) complexes {
		y := make(complexes, len(in))
		for i, z := range in {
			if i/size < lengths[i%size/width] {
				y[i] = z
			}
		}
		return y
	}
}

func TestLengths(t *testing.T) {
	for name, c := range ofLengths {
		t.Run(name, func(t *testing.T) {
			x := drawn(standard, 1, c.shape...)
			in := reference.Complex(x.Data())
			factors := drawn(standard, 2, c.y...)
			gradient := reference.Gradient(func() complex128 { return reference.Dot(c.value(in), reference.Complex(factors.Data())) }, in)
			tape := NewTape(NewParams(1), 1)
			for run, padding := range []float32{0, float32(math.NaN()), float32(math.Inf(1))} {
				for i := range x.Data() {
					if !c.valid(i) {
						x.Data()[i] = padding
						assert.Zero(t, gradient[i])
					}
				}
				tape.Reset()
				leaf := tape.Leaf(x)
				y := c.build(leaf, c.lengths)
				assert.Equal(t, c.y, y.Shape())
				assert.LessOrEqual(t, reference.MaxRelErr(y.Data(), reference.Real(c.value(in))), 1e-6, "run %d", run)
				assert.True(t, y.RequiresGrad())
				require.NoError(t, Sum(Mul(y, tape.Input(factors))).Backward())
				assert.LessOrEqual(t, reference.MaxRelErr(leaf.Grad(), gradient), 2e-6, "run %d", run)
				assert.False(t, c.build(tape.Input(x), c.lengths).RequiresGrad())
			}
			allocs := func() {
				tape.Reset()
				if err := Sum(c.build(tape.Leaf(x), c.lengths)).Backward(); err != nil {
					t.Error(err)
				}
			}
			for range 2 * generations {
				allocs()
			}
			assert.Zero(t, testing.AllocsPerRun(10, allocs))
		})
	}
}

func TestLengthsOfNothing(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	of := func(shape ...int) *Node { return tape.Leaf(tensor.New(shape...)) }
	for _, y := range []*Node{
		MaskedSoftmax(of(2, 0), []int{0, 0}), MaskedSoftmax(of(0, 3), []int{}), MaskedSoftmax(of(0), []int{0}),
		MeanSteps(of(0, 2, 3), []int{0, 0}), MeanSteps(of(0, 2, 3), nil), MeanSteps(of(3, 0, 2), []int{}), MeanSteps(of(3, 2, 0), []int{1, 2}),
		MaskSteps(of(0, 2, 3), []int{0, 0}), MaskSteps(of(3, 0, 2), []int{}), MaskSteps(of(3, 2, 0), []int{1, 2}),
	} {
		for _, v := range y.Data() {
			assert.Zero(t, v)
		}
	}
	require.NoError(t, Sum(MeanSteps(of(0, 2, 3), nil)).Backward())
}

func TestWrongLengths(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	of := func(shape ...int) *Node { return tape.Input(tensor.New(shape...)) }
	for want, f := range map[string]func(){
		"autograd.MaskedSoftmax: a scalar, want at least one dimension":                   func() { MaskedSoftmax(of(), []int{}) },
		"autograd.MaskedSoftmax: 3 lengths, want 2, one a row":                            func() { MaskedSoftmax(of(3, 2, 4), []int{1, 2, 3}) },
		"autograd.MaskedSoftmax: 3 lengths, want 1, one a row":                            func() { MaskedSoftmax(of(4), []int{1, 2, 3}) },
		"autograd.MaskedSoftmax: row 1 has length 5, want 0 to 4, the steps of the input": func() { MaskedSoftmax(of(2, 4), []int{1, 5}) },
		"autograd.MeanSteps: shape [3], want [T, B, ...]":                                 func() { MeanSteps(of(3), nil) },
		"autograd.MaskSteps: shape [3], want [T, B, ...]":                                 func() { MaskSteps(of(3), nil) },
		"autograd.MaskSteps: 2 lengths, want 3, one a row":                                func() { MaskSteps(of(2, 3), []int{1, 1}) },
		"autograd.MeanSteps: 1 lengths, want 3, one a row":                                func() { MeanSteps(of(2, 3), []int{1}) },
		"autograd.MeanSteps: row 0 has length -1, want 0 to 2, the steps of the input":    func() { MeanSteps(of(2, 1), []int{-1}) },
	} {
		panicsAs[*ShapeError](t, want, f)
	}
}

// TestLengthsOfLosses: the operations carry the weight of a loss a step if they are linear in it.
func TestLengthsOfLosses(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	loss := Scale(tape.Leaf(drawn(standard, 1, 3, 2, 4)), 1)
	loss.SetWeight(7)
	other := tape.Leaf(drawn(standard, 2, 3, 2, 4))
	lengths := []int{3, 1}
	weights := MaskedSoftmax(tape.Leaf(drawn(standard, 3, 2, 3)), lengths)
	query := tape.Leaf(drawn(standard, 4, 2, 4))
	for name, y := range map[string]*Node{
		"MeanSteps": MeanSteps(loss, lengths), "MaskSteps": MaskSteps(loss, lengths), "SumSteps": SumSteps(weights, loss, lengths),
		"DotSteps": DotSteps(query, loss, lengths),
	} {
		w, ok := y.Weight()
		assert.True(t, ok && w == 7, name)
	}
	_, ok := MeanSteps(other, lengths).Weight()
	assert.False(t, ok)
	_, err := Sum(MaskedSoftmax(Reshape(loss, 6, 4), nil)).Terms(nil)
	assert.ErrorContains(t, err, "autograd.Softmax")
	_, err = Sum(MaskedSoftmax(Reshape(loss, 12, 2), make([]int, 12))).Terms(nil)
	assert.ErrorContains(t, err, "autograd.MaskedSoftmax")
}

// TestWindowsOfLengths: each row has the values and gradients of its valid steps alone, and zeros after them. The padding is NaN.
func TestWindowsOfLengths(t *testing.T) {
	lengths := []int{5, 0, 9, 2, 1}
	x, factors := drawn(standard, 1, 9, 5, 3), drawn(standard, 2, 9, 5, 3)
	for i := range x.Data() {
		if i/15 >= lengths[i/3%5] {
			x.Data()[i] = nan
		}
	}
	tape := NewTape(NewParams(1), 1)
	for name, c := range map[string]struct {
		width int
		of    func(x *Node, lengths []int) *Node
	}{
		"MaxSteps":    {0, MaxSteps},
		"MaxWindows":  {2, func(x *Node, lengths []int) *Node { return MaxWindows(x, 2, 3, lengths) }},
		"MeanWindows": {2, func(x *Node, lengths []int) *Node { return MeanWindows(x, 2, 3, lengths) }},
	} {
		run := func(x *tensor.Tensor, lengths []int, first int) (y *Node, dx []float32) {
			tape.Reset()
			in := tape.Leaf(x)
			y = c.of(in, lengths)
			weights := Slice(Reshape(tape.Input(factors), 9, 5, 3), 1, first, first+x.Dim(1))
			if c.width == 0 {
				weights = Slice(weights, 0, 0, 1)
			} else {
				weights = Slice(weights, 0, 0, y.Shape()[0])
			}
			require.NoError(t, Sum(Mul(Reshape(y, weights.Shape()...), weights)).Backward())
			return y, in.Grad()
		}
		y, dx := run(x, lengths, 0)
		got, grad, shape := slices.Clone(y.Data()), slices.Clone(dx), slices.Clone(y.Shape())
		for i, v := range grad {
			if i/15 >= lengths[i/3%5] {
				assert.Zero(t, v, "%s: gradient of padding", name)
			}
		}
		out := len(got) / 15
		for b, n := range lengths {
			var want []float32
			if n >= max(1, c.width) {
				alone := tensor.New(n, 1, 3)
				for step := range n {
					copy(alone.Data()[step*3:][:3], x.Data()[(step*5+b)*3:])
				}
				y, dx := run(alone, nil, b)
				want = y.Data()
				for step := range n {
					assert.Equal(t, dx[step*3:][:3], grad[(step*5+b)*3:][:3], "%s: gradient of row %d", name, b)
				}
			}
			for step := range out {
				row := make([]float32, 3)
				if step*3 < len(want) {
					row = want[step*3:][:3]
				}
				assert.Equal(t, row, got[(step*5+b)*3:][:3], "%s %v: row %d, step %d", name, shape, b, step)
			}
		}
		assert.Zero(t, testing.AllocsPerRun(10, func() {
			tape.Reset()
			if err := Sum(c.of(tape.Leaf(x), lengths)).Backward(); err != nil {
				t.Error(err)
			}
		}))
	}
}
