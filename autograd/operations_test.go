package autograd

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/tensor"
)

type complexes = []complex128

// each applies f to every element.
func each(f func(z complex128) complex128) func(in []complexes) complexes {
	return func(in []complexes) complexes {
		y := make(complexes, len(in[0]))
		for i, z := range in[0] {
			y[i] = f(z)
		}
		return y
	}
}

// pairs applies f to every element of a and its partner in b.
func pairs(f func(a, b complex128) complex128) func(in []complexes) complexes {
	return func(in []complexes) complexes {
		y := make(complexes, len(in[0]))
		for i, z := range in[0] {
			y[i] = f(z, in[1][i%len(in[1])])
		}
		return y
	}
}

// erf is its power series.
func erf(z complex128) complex128 {
	sum, term := z, z
	for n := 1; n < 60; n++ {
		term *= -z * z / complex(float64(n), 0)
		sum += term / complex(float64(2*n+1), 0)
	}
	return sum * complex(2/math.Sqrt(math.Pi), 0)
}

func softmax(row complexes) complexes {
	sum, y := complex128(0), make(complexes, len(row))
	for i, z := range row {
		y[i] = cmplx.Exp(z)
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
	return y
}

// rows applies f to stretches of n elements.
func rows(n int, f func(row complexes) complexes) func(in []complexes) complexes {
	return func(in []complexes) (y complexes) {
		for lo := 0; lo < len(in[0]); lo += n {
			y = append(y, f(in[0][lo:lo+n])...)
		}
		return y
	}
}

// pick makes an output of the input's elements at the places that f says.
func pick(places ...int) func(in []complexes) complexes {
	return func(in []complexes) (y complexes) {
		all := complexes{}
		for _, x := range in {
			all = append(all, x...)
		}
		for _, p := range places {
			y = append(y, all[p])
		}
		return y
	}
}

func total(row complexes) complexes {
	sum := complex128(0)
	for _, z := range row {
		sum += z
	}
	return complexes{sum}
}

func largest(row complexes) complexes {
	best := row[0]
	for _, z := range row {
		if real(z) > real(best) {
			best = z
		}
	}
	return complexes{best}
}

// columns applies f to each column of matrices [n,m].
func columns(n, m int, f func(column complexes) complexes) func(in []complexes) complexes {
	return func(in []complexes) (y complexes) {
		for lo := 0; lo < len(in[0]); lo += n * m {
			for j := range m {
				column := complexes{}
				for k := range n {
					column = append(column, in[0][lo+k*m+j])
				}
				y = append(y, f(column)...)
			}
		}
		return y
	}
}

func product(batches, m, k, n int) func(in []complexes) complexes {
	return func(in []complexes) (y complexes) {
		for b := range batches {
			for i := range m {
				for j := range n {
					sum := complex128(0)
					for l := range k {
						sum += in[0][(b*m+i)*k+l] * in[1][(b*k+l)*n+j]
					}
					y = append(y, sum)
				}
			}
		}
		return y
	}
}

// plus adds the first operand, or repeats of it, to what f computes from the others.
func plus(f func(in []complexes) complexes) func(in []complexes) complexes {
	return func(in []complexes) complexes {
		y := f(in[1:])
		for i := range y {
			y[i] += in[0][i%len(in[0])]
		}
		return y
	}
}

type shapes [][]int

var (
	someRows = []int32{2, 0, 2}
	someTrue = []bool{true, false, false, true, false, true}
)

func absolute(z complex128) complex128 { return greater(z, -z) }

func greater(a, b complex128) complex128 {
	if real(a) > real(b) {
		return a
	}
	return b
}

func lesser(a, b complex128) complex128 { return -greater(-a, -b) }

var operations = map[string]struct {
	in    shapes
	init  Init
	build func(x []*Node) *Node
	value func(in []complexes) complexes
	shape []int
}{
	"Add":               {shapes{{3, 5}, {3, 5}}, standard, func(x []*Node) *Node { return Add(x[0], x[1]) }, pairs(func(a, b complex128) complex128 { return a + b }), []int{3, 5}},
	"Add bias":          {shapes{{4, 3, 5}, {5}}, standard, func(x []*Node) *Node { return Add(x[0], x[1]) }, pairs(func(a, b complex128) complex128 { return a + b }), []int{4, 3, 5}},
	"Sub":               {shapes{{3, 5}, {3, 5}}, standard, func(x []*Node) *Node { return Sub(x[0], x[1]) }, pairs(func(a, b complex128) complex128 { return a - b }), []int{3, 5}},
	"Sub matrix":        {shapes{{4, 3, 5}, {3, 5}}, standard, func(x []*Node) *Node { return Sub(x[0], x[1]) }, pairs(func(a, b complex128) complex128 { return a - b }), []int{4, 3, 5}},
	"Mul":               {shapes{{17}, {17}}, standard, func(x []*Node) *Node { return Mul(x[0], x[1]) }, pairs(func(a, b complex128) complex128 { return a * b }), []int{17}},
	"Mul one":           {shapes{{2, 7}, {1}}, standard, func(x []*Node) *Node { return Mul(x[0], x[1]) }, pairs(func(a, b complex128) complex128 { return a * b }), []int{2, 7}},
	"Div":               {shapes{{3, 5}, {3, 5}}, positive, func(x []*Node) *Node { return Div(x[0], x[1]) }, pairs(func(a, b complex128) complex128 { return a / b }), []int{3, 5}},
	"Div row":           {shapes{{3, 5}, {5}}, positive, func(x []*Node) *Node { return Div(x[0], x[1]) }, pairs(func(a, b complex128) complex128 { return a / b }), []int{3, 5}},
	"Scale":             {shapes{{3, 5}}, standard, func(x []*Node) *Node { return Scale(x[0], -2.5) }, each(func(z complex128) complex128 { return -2.5 * z }), []int{3, 5}},
	"Tanh":              {shapes{{3, 50}}, standard, func(x []*Node) *Node { return Tanh(x[0]) }, each(cmplx.Tanh), []int{3, 50}},
	"Sigmoid":           {shapes{{3, 50}}, standard, func(x []*Node) *Node { return Sigmoid(x[0]) }, each(func(z complex128) complex128 { return 1 / (1 + cmplx.Exp(-z)) }), []int{3, 50}},
	"ReLU":              {shapes{{3, 50}}, standard, func(x []*Node) *Node { return ReLU(x[0]) }, each(func(z complex128) complex128 { return complex(btof(real(z) > 0), 0) * z }), []int{3, 50}},
	"GELU":              {shapes{{3, 50}}, standard, func(x []*Node) *Node { return GELU(x[0]) }, each(func(z complex128) complex128 { return z * (1 + erf(z/math.Sqrt2)) / 2 }), []int{3, 50}},
	"Exp":               {shapes{{3, 50}}, standard, func(x []*Node) *Node { return Exp(x[0]) }, each(cmplx.Exp), []int{3, 50}},
	"Log":               {shapes{{3, 50}}, positive, func(x []*Node) *Node { return Log(x[0]) }, each(cmplx.Log), []int{3, 50}},
	"Sqrt":              {shapes{{3, 50}}, positive, func(x []*Node) *Node { return Sqrt(x[0]) }, each(cmplx.Sqrt), []int{3, 50}},
	"Square":            {shapes{{3, 50}}, standard, func(x []*Node) *Node { return Square(x[0]) }, each(func(z complex128) complex128 { return z * z }), []int{3, 50}},
	"Pow":               {shapes{{3, 50}}, positive, func(x []*Node) *Node { return Pow(x[0], -1.5) }, each(func(z complex128) complex128 { return cmplx.Pow(z, -1.5) }), []int{3, 50}},
	"Pow 3":             {shapes{{3, 50}}, standard, func(x []*Node) *Node { return Pow(x[0], 3) }, each(func(z complex128) complex128 { return z * z * z }), []int{3, 50}},
	"Abs":               {shapes{{3, 50}}, standard, func(x []*Node) *Node { return Abs(x[0]) }, each(absolute), []int{3, 50}},
	"Clamp":             {shapes{{3, 50}}, standard, func(x []*Node) *Node { return Clamp(x[0], -0.25, 1) }, each(func(z complex128) complex128 { return greater(lesser(z, 1), -0.25) }), []int{3, 50}},
	"Maximum":           {shapes{{3, 50}, {3, 50}}, standard, func(x []*Node) *Node { return Maximum(x[0], x[1]) }, pairs(greater), []int{3, 50}},
	"Maximum row":       {shapes{{3, 5}, {5}}, standard, func(x []*Node) *Node { return Maximum(x[0], x[1]) }, pairs(greater), []int{3, 5}},
	"Minimum":           {shapes{{3, 50}, {3, 50}}, standard, func(x []*Node) *Node { return Minimum(x[0], x[1]) }, pairs(lesser), []int{3, 50}},
	"Minimum one":       {shapes{{3, 5}, {1}}, standard, func(x []*Node) *Node { return Minimum(x[0], x[1]) }, pairs(lesser), []int{3, 5}},
	"Where":             {shapes{{2, 3}, {2, 3}}, standard, func(x []*Node) *Node { return Where(someTrue, x[0], x[1]) }, pick(0, 7, 8, 3, 10, 5), []int{2, 3}},
	"Where one":         {shapes{{2, 3}, {1}}, standard, func(x []*Node) *Node { return Where(someTrue, x[0], x[1]) }, pick(0, 6, 6, 3, 6, 5), []int{2, 3}},
	"Where else":        {shapes{{1}, {6}}, standard, func(x []*Node) *Node { return Where(someTrue, x[0], x[1]) }, pick(0, 2, 3, 0, 5, 0), []int{6}},
	"Softmax":           {shapes{{2, 3, 19}}, standard, func(x []*Node) *Node { return Softmax(x[0]) }, rows(19, softmax), []int{2, 3, 19}},
	"LogSoftmax":        {shapes{{4, 19}}, standard, func(x []*Node) *Node { return LogSoftmax(x[0]) }, func(in []complexes) complexes { return each(cmplx.Log)([]complexes{rows(19, softmax)(in)}) }, []int{4, 19}},
	"Sum":               {shapes{{3, 5}}, standard, func(x []*Node) *Node { return Sum(x[0]) }, rows(15, total), []int{1}},
	"Mean":              {shapes{{3, 5}}, standard, func(x []*Node) *Node { return Mean(x[0]) }, rows(15, func(r complexes) complexes { return complexes{total(r)[0] / 15} }), []int{1}},
	"Max":               {shapes{{3, 5}}, standard, func(x []*Node) *Node { return Max(x[0]) }, rows(15, largest), []int{1}},
	"SumDim 0":          {shapes{{4, 3, 5}}, standard, func(x []*Node) *Node { return SumDim(x[0], 0) }, columns(4, 15, total), []int{3, 5}},
	"SumDim 1":          {shapes{{4, 3, 5}}, standard, func(x []*Node) *Node { return SumDim(x[0], 1) }, columns(3, 5, total), []int{4, 5}},
	"SumDim 2":          {shapes{{4, 3, 5}}, standard, func(x []*Node) *Node { return SumDim(x[0], 2) }, rows(5, total), []int{4, 3}},
	"MeanDim 0":         {shapes{{4, 3}}, standard, func(x []*Node) *Node { return MeanDim(x[0], 0) }, columns(4, 3, func(r complexes) complexes { return complexes{total(r)[0] / 4} }), []int{3}},
	"MaxDim 0":          {shapes{{4, 15}}, standard, func(x []*Node) *Node { return MaxDim(x[0], 0) }, columns(4, 15, largest), []int{15}},
	"MaxDim 1":          {shapes{{4, 15}}, standard, func(x []*Node) *Node { return MaxDim(x[0], 1) }, rows(15, largest), []int{4}},
	"MatMul":            {shapes{{4, 3, 7}, {7, 5}}, standard, func(x []*Node) *Node { return MatMul(x[0], x[1]) }, product(1, 12, 7, 5), []int{4, 3, 5}},
	"MatMul vector":     {shapes{{7}, {7, 5}}, standard, func(x []*Node) *Node { return MatMul(x[0], x[1]) }, product(1, 1, 7, 5), []int{5}},
	"MatMul batch":      {shapes{{2, 3, 7}, {2, 7, 5}}, standard, func(x []*Node) *Node { return MatMul(x[0], x[1]) }, product(2, 3, 7, 5), []int{2, 3, 5}},
	"AddMatMul":         {shapes{{4, 3, 5}, {4, 3, 7}, {7, 5}}, standard, func(x []*Node) *Node { return AddMatMul(x[0], x[1], x[2]) }, plus(product(1, 12, 7, 5)), []int{4, 3, 5}},
	"AddMatMul bias":    {shapes{{5}, {12, 7}, {7, 5}}, standard, func(x []*Node) *Node { return AddMatMul(x[0], x[1], x[2]) }, plus(product(1, 12, 7, 5)), []int{12, 5}},
	"AddMatMul one row": {shapes{{5}, {7}, {7, 5}}, standard, func(x []*Node) *Node { return AddMatMul(x[0], x[1], x[2]) }, plus(product(1, 1, 7, 5)), []int{5}},
	"AddMatMul twice": {shapes{{5}, {2, 3}, {3, 5}, {2, 7}, {7, 5}}, standard, func(x []*Node) *Node { return AddMatMul(AddMatMul(x[0], x[1], x[2]), x[3], x[4]) },
		func(in []complexes) complexes {
			return plus(product(1, 2, 7, 5))(append([]complexes{plus(product(1, 2, 3, 5))(in)}, in[3:]...))
		}, []int{2, 5}},
	"Reshape":     {shapes{{2, 3}}, standard, func(x []*Node) *Node { return Reshape(x[0], 3, 2) }, pick(0, 1, 2, 3, 4, 5), []int{3, 2}},
	"Slice 0":     {shapes{{3, 2}}, standard, func(x []*Node) *Node { return Slice(x[0], 0, 1, 3) }, pick(2, 3, 4, 5), []int{2, 2}},
	"Slice 1":     {shapes{{2, 3}}, standard, func(x []*Node) *Node { return Slice(x[0], 1, 1, 3) }, pick(1, 2, 4, 5), []int{2, 2}},
	"Slice twice": {shapes{{2, 3}}, standard, func(x []*Node) *Node { return Add(Slice(x[0], 1, 0, 1), Slice(x[0], 1, 1, 2)) }, func(in []complexes) complexes { return complexes{in[0][0] + in[0][1], in[0][3] + in[0][4]} }, []int{2, 1}},
	"MaxSteps":    {shapes{{4, 15}}, standard, func(x []*Node) *Node { return MaxSteps(x[0], nil) }, columns(4, 15, largest), []int{15}},
	"MaxWindows":  {shapes{{8, 3, 2}}, standard, func(x []*Node) *Node { return MaxWindows(x[0], 2, 2, nil) }, columns(2, 6, largest), []int{4, 3, 2}},
	"MeanWindows": {shapes{{9, 5}}, standard, func(x []*Node) *Node { return MeanWindows(x[0], 3, 3, nil) }, columns(3, 5, func(r complexes) complexes { return complexes{total(r)[0] / 3} }), []int{3, 5}},
	"Max overlap": {shapes{{3, 1}}, standard, func(x []*Node) *Node { return MaxWindows(x[0], 2, 1, nil) }, func(in []complexes) complexes { return append(largest(in[0][:2]), largest(in[0][1:])...) }, []int{2, 1}},
	"Mean overlap": {shapes{{4, 1}}, standard, func(x []*Node) *Node { return MeanWindows(x[0], 2, 1, nil) }, func(in []complexes) complexes {
		x := in[0]
		return complexes{(x[0] + x[1]) / 2, (x[1] + x[2]) / 2, (x[2] + x[3]) / 2}
	}, []int{3, 1}},
	"Concat 0":      {shapes{{1, 2}, {2, 2}}, standard, func(x []*Node) *Node { return Concat(0, x...) }, pick(0, 1, 2, 3, 4, 5), []int{3, 2}},
	"Concat 1":      {shapes{{2, 1}, {2, 2}}, standard, func(x []*Node) *Node { return Concat(1, x[0], x[1], x[0]) }, pick(0, 2, 3, 0, 1, 4, 5, 1), []int{2, 4}},
	"Gather":        {shapes{{3, 2}}, standard, func(x []*Node) *Node { return Gather(x[0], someRows) }, pick(4, 5, 0, 1, 4, 5), []int{3, 2}},
	"Transpose":     {shapes{{2, 3}}, standard, func(x []*Node) *Node { return Transpose(x[0], 1, 0) }, pick(0, 3, 1, 4, 2, 5), []int{3, 2}},
	"Transpose 0 2": {shapes{{2, 2, 2}}, standard, func(x []*Node) *Node { return Transpose(x[0], 0, 2) }, pick(0, 4, 2, 6, 1, 5, 3, 7), []int{2, 2, 2}},
	"Transpose 0 1": {shapes{{2, 2, 2}}, standard, func(x []*Node) *Node { return Transpose(x[0], 0, 1) }, pick(0, 1, 4, 5, 2, 3, 6, 7), []int{2, 2, 2}},
	"itself":        {shapes{{3, 3}}, standard, func(x []*Node) *Node { return Div(Mul(x[0], x[0]), Exp(x[0])) }, each(func(z complex128) complex128 { return z * z / cmplx.Exp(z) }), []int{3, 3}},
}

var positive = Init(func(r *rand.Rand, v *tensor.Tensor) {
	for i := range v.Data() {
		v.Data()[i] = 0.5 + r.Float32()
	}
})

func btof(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// TestOperations compares each operation's value and its gradients, for a loss to which each element of the output matters
// differently, with the same formula over complex numbers and its derivative by complex step.
func TestOperations(t *testing.T) {
	for name, c := range operations {
		t.Run(name, func(t *testing.T) {
			var in []complexes
			var values []*tensor.Tensor
			for i, shape := range c.in {
				values = append(values, drawn(c.init, uint64(i+1), shape...))
				in = append(in, reference.Complex(values[i].Data()))
			}
			want := c.value(in)
			factors := drawn(standard, 9, len(want))
			tape := NewTape(NewParams(1), 1)
			for run := range 3 { // in used memory too
				tape.Reset()
				var x []*Node
				for _, v := range values {
					x = append(x, tape.Leaf(v))
				}
				y := c.build(x)
				assert.Equal(t, c.shape, y.Shape())
				require.Len(t, y.Data(), len(want))
				assert.Less(t, reference.MaxRelErr(y.Data(), reference.Real(want)), 1e-6, "value")
				require.NoError(t, Sum(Mul(Reshape(y, len(want)), tape.Input(factors))).Backward())
				for i := range x {
					d := reference.Gradient(func() complex128 { return reference.Dot(c.value(in), reference.Complex(factors.Data())) }, in[i])
					assert.Less(t, reference.MaxRelErr(x[i].Grad(), d), 4e-6, "run %d, gradient of operand %d", run, i)
				}
			}
		})
	}
}

// TestOperationsOnWhatWantsNone: an operand without a gradient gets none, and nothing is recorded for inference.
func TestOperationsOnWhatWantsNone(t *testing.T) {
	for name, c := range operations {
		for wants := -1; wants < len(c.in); wants++ {
			tape := NewTape(NewParams(1), 1)
			var x []*Node
			for i, shape := range c.in {
				if v := drawn(c.init, uint64(i), shape...); i == wants {
					x = append(x, tape.Leaf(v))
				} else {
					x = append(x, tape.Input(v))
				}
			}
			y := c.build(x)
			assert.Equal(t, wants >= 0, y.RequiresGrad(), name)
			if err := Sum(y).Backward(); wants < 0 {
				assert.ErrorIs(t, err, ErrNoGradient)
			} else {
				require.NoError(t, err)
			}
			for i := range x {
				assert.Equal(t, i == wants, x[i].Grad() != nil, "%s: operand %d of a run for %d", name, i, wants)
			}
		}
	}
}

// TestOperationsAddToGradients: the second use of an operand adds as much to its gradient as the first.
func TestOperationsAddToGradients(t *testing.T) {
	for name, c := range operations {
		gradients := func(uses int) (all [][]float32) {
			tape := NewTape(NewParams(1), 1)
			var x []*Node
			for i, shape := range c.in {
				x = append(x, tape.Leaf(drawn(c.init, uint64(i), shape...)))
			}
			sum := tape.Input(tensor.New(1))
			for range uses {
				sum = Add(sum, Sum(Square(c.build(x))))
			}
			require.NoError(t, sum.Backward())
			for _, n := range x {
				all = append(all, n.Grad())
			}
			return all
		}
		once, twice := gradients(1), gradients(2)
		for i := range once {
			for k, v := range once[i] {
				assert.InDelta(t, 2*v, twice[i][k], 1e-5*math.Abs(float64(v)), "%s: operand %d, element %d", name, i, k)
			}
		}
	}
}

// TestOperationsAllocateNothing once shapes repeat.
func TestOperationsAllocateNothing(t *testing.T) {
	for name, c := range operations {
		tape := NewTape(NewParams(1), 1)
		var values []*tensor.Tensor
		for i, shape := range c.in {
			values = append(values, drawn(c.init, uint64(i), shape...))
		}
		x := make([]*Node, len(values))
		run := func() {
			tape.Reset()
			for i, v := range values {
				x[i] = tape.Leaf(v)
			}
			if err := Sum(c.build(x)).Backward(); err != nil {
				t.Error(err)
			}
		}
		for range 2 * generations {
			run()
		}
		assert.Zero(t, testing.AllocsPerRun(10, run), name)
	}
}

func TestOperationsOfNothing(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	none := tape.Leaf(tensor.New(3, 0))
	for name, y := range map[string]*Node{
		"Add": Add(none, none), "Tanh": Tanh(none), "Scale": Scale(none, 2), "SumDim": SumDim(none, 1), "Slice": Slice(none, 0, 1, 1),
		"Concat": Concat(1, none, none), "Gather": Gather(none, []int32{1}), "Transpose": Transpose(none, 0, 1), "Sum": Sum(none),
		"MatMul": MatMul(none, tape.Leaf(tensor.New(0, 2))), "Reshape": Reshape(none, 0), "SumDim 0": SumDim(none, 0),
	} {
		for _, v := range y.Data() {
			assert.Zero(t, v, name)
		}
	}
	require.NoError(t, Sum(Concat(0, Sum(none), Reshape(MatMul(none, tape.Leaf(tensor.New(0, 2))), 6))).Backward())
}

func TestSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	tape := NewTape(NewParams(1), 1)
	x := tape.Leaf(tensor.Of([]float32{2, 7, 7, -inf}, 4))
	m := Max(x)
	assert.Equal(t, float32(7), m.Value())
	require.NoError(t, m.Backward())
	assert.Equal(t, []float32{0, 1, 0, 0}, x.Grad(), "the first of the largest")

	in := func(v ...float32) *Node { return tape.Input(tensor.Of(v, 2, len(v)/2)) }
	assert.Equal(t, []float32{1, 0, 0.5, 0.5}, Softmax(in(1e4, -1e4, -1e4, -1e4)).Data())
	assert.Equal(t, []float32{0, -2e4, -float32(math.Ln2), -float32(math.Ln2)}, LogSoftmax(in(1e4, -1e4, 3, 3)).Data())
	assert.True(t, math.IsNaN(float64(MaxDim(in(1, nan, nan, 2), 0).Data()[0])))
	assert.True(t, math.IsNaN(float64(MaxDim(in(nan, 1, 2, 2), 1).Data()[0])))
	assert.Equal(t, []float32{-inf, 0}, Log(in(0, 1)).Data())
	assert.Equal(t, []float32{0, 20}, GELU(in(-20, 20)).Data())
}

// TestGradientsAtCorners: PyTorch's choice of the derivative where there is none, and gradients of 0 that no infinite derivative spoils.
func TestGradientsAtCorners(t *testing.T) {
	inf := float32(math.Inf(1))
	tape := NewTape(NewParams(1), 1)
	for _, c := range []struct {
		name       string
		x, y, want []float32
		of         func(x *Node) *Node
	}{
		{"Abs", []float32{-2, 0, 2, nan}, []float32{2, 0, 2, nan}, []float32{-1, 0, 1, 0}, Abs},
		{"Clamp", []float32{-2, -1, 0, 1, 2, inf}, []float32{-1, -1, 0, 1, 1, 1}, []float32{0, 1, 1, 1, 0, 0}, func(x *Node) *Node { return Clamp(x, -1, 1) }},
		{"Clamp below", []float32{-2, 7, nan}, []float32{0, 7, nan}, []float32{0, 1, 0}, func(x *Node) *Node { return Clamp(x, 0, inf) }},
		{"Pow 0", []float32{-2, 0, 2}, []float32{1, 1, 1}, []float32{0, 0, 0}, func(x *Node) *Node { return Pow(x, 0) }},
		{"Pow 1", []float32{-2, 0, 2}, []float32{-2, 0, 2}, []float32{1, 1, 1}, func(x *Node) *Node { return Pow(x, 1) }},
		{"Sqrt", []float32{0, 4, inf}, []float32{0, 2, inf}, []float32{inf, 0.25, 0}, Sqrt},
		{"Sqrt of what does not count", []float32{0, 4}, []float32{7, 2}, []float32{0, 0.25}, func(x *Node) *Node {
			return Where([]bool{false, true}, Sqrt(x), x.Tape().Input(scalar(7)))
		}},
		{"Maximum", []float32{-1, 0, 1, nan}, []float32{0, 0, 1, nan}, []float32{0, 0.5, 1, 0}, func(x *Node) *Node { return Maximum(x, x.Tape().Input(tensor.New(4))) }},
		{"Minimum", []float32{-1, 0, 1, nan}, []float32{-1, 0, 0, nan}, []float32{1, 0.5, 0, 0}, func(x *Node) *Node { return Minimum(x, x.Tape().Input(tensor.New(4))) }},
	} {
		tape.Reset()
		x := tape.Leaf(tensor.Of(c.x, len(c.x)))
		y := c.of(x)
		assert.Equal(t, fmt.Sprint(c.y), fmt.Sprint(y.Data()), c.name)
		ones := tape.Input(tensor.Of(slices.Repeat([]float32{1}, len(c.x)), len(c.x)))
		loss := Sum(Where(finite(y.Data()), Mul(y, ones), tape.Input(scalar(0))))
		require.NoError(t, loss.Backward(), c.name)
		got := slices.Clone(x.Grad())
		for i, v := range y.Data() {
			if v-v != 0 {
				got[i] = 0
			}
		}
		assert.Equal(t, c.want, got, c.name)
	}
	panicsAs[*UsageError](t, "autograd.Clamp: limits 1 and 0, want lo <= hi", func() { Clamp(tape.Input(scalar(1)), 1, 0) })
	panicsAs[*UsageError](t, "autograd.Clamp: limits NaN and 0, want lo <= hi", func() { Clamp(tape.Input(scalar(1)), nan, 0) })
}

func finite(x []float32) (is []bool) {
	for _, v := range x {
		is = append(is, v-v == 0)
	}
	return is
}

func TestDropout(t *testing.T) {
	p := NewParams(1)
	const n, rate = 20_000, 0.3
	ones := tensor.New(n)
	for i := range ones.Data() {
		ones.Data()[i] = 1
	}
	infer := NewInference(p)
	x := infer.Input(ones)
	assert.Same(t, x, Dropout(x, rate), "inference")

	tape := NewTape(p, 7)
	assert.Same(t, tape.Input(ones), tape.nodes[0][0])
	draw := func(seed uint64) []float32 {
		tape.Start(seed, tape.Grads())
		x := tape.Leaf(ones)
		y := Dropout(x, rate)
		require.NoError(t, Sum(y).Backward())
		assert.Equal(t, y.Data(), x.Grad(), "the gradient of a sum is the mask")
		return append([]float32(nil), y.Data()...)
	}
	first := draw(1)
	dropped := 0
	for _, v := range first {
		if v == 0 {
			dropped++
		} else {
			require.Equal(t, 1/(1-float32(rate)), v)
		}
	}
	deviation := math.Sqrt(n * rate * (1 - rate))
	assert.InDelta(t, n*rate, dropped, 4*deviation)
	assert.Equal(t, first, draw(1), "the same seed")
	assert.NotEqual(t, first, draw(2))
	tape.Reset()
	x = tape.Input(ones)
	assert.NotEqual(t, Dropout(x, rate).Data(), Dropout(x, rate).Data(), "the second of a run")
	assert.Same(t, x, Dropout(x, 0))
	odd := Dropout(tape.Input(tensor.New(3)), rate)
	assert.Len(t, odd.Data(), 3)
	for _, bad := range []float32{-0.1, 1, nan} {
		panicsAs[*UsageError](t, fmt.Sprintf("autograd.Dropout: p is %v, want at least 0 and below 1", bad), func() { Dropout(x, bad) })
	}
}

func TestWrongShapes(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	of := func(shape ...int) *Node { return tape.Input(tensor.New(shape...)) }
	for want, f := range map[string]func(){
		"autograd.MatMul: shapes [2 3] and [2 3], want [..., K] and [K,N], or [..., M,K] and [..., K,N] with the same dimensions before":                           func() { MatMul(of(2, 3), of(2, 3)) },
		"autograd.AddMatMul: shapes [2 3], [2 3] and [2 3], want [..., N] or [N], [..., K] and [K,N]":                                                              func() { AddMatMul(of(2, 3), of(2, 3), of(2, 3)) },
		"autograd.AddMatMul: shapes [1 3], [2 3] and [3 3], want [..., N] or [N], [..., K] and [K,N]":                                                              func() { AddMatMul(of(1, 3), of(2, 3), of(3, 3)) },
		"autograd.AddMatMul: shapes [], [2 3] and [3 3], want [..., N] or [N], [..., K] and [K,N]":                                                                 func() { AddMatMul(of(), of(2, 3), of(3, 3)) },
		"autograd.AddMatMul: shapes [3], [2 3] and [1 3 3], want [..., N] or [N], [..., K] and [K,N]":                                                              func() { AddMatMul(of(3), of(2, 3), of(1, 3, 3)) },
		"autograd.MatMul: shapes [2 3] and [3], want [..., K] and [K,N], or [..., M,K] and [..., K,N] with the same dimensions before":                             func() { MatMul(of(2, 3), of(3)) },
		"autograd.MatMul: shapes [2 2 3] and [3 3 2], want [..., K] and [K,N], or [..., M,K] and [..., K,N] with the same dimensions before":                       func() { MatMul(of(2, 2, 3), of(3, 3, 2)) },
		"autograd.Reshape: shape [4], want 6 elements as in shape [2 3]":                                                                                           func() { Reshape(of(2, 3), 4) },
		"autograd.Slice: 1 to 3 along dimension 0 of shape [2 3], want a part of 0 to 2":                                                                           func() { Slice(of(2, 3), 0, 1, 3) },
		"autograd.Slice: 2 to 1 along dimension 1 of shape [2 3], want a part of 0 to 3":                                                                           func() { Slice(of(2, 3), 1, 2, 1) },
		"autograd.Slice: dimension 2 of shape [2 3], want one of those, counted from 0":                                                                            func() { Slice(of(2, 3), 2, 0, 0) },
		"autograd.SumDim: dimension -1 of shape [2 3], want one of those, counted from 0":                                                                          func() { SumDim(of(2, 3), -1) },
		"autograd.MeanDim: shape [2 0], want at least one element":                                                                                                 func() { MeanDim(of(2, 0), 1) },
		"autograd.Mean: shape [0], want at least one element":                                                                                                      func() { Mean(of(0)) },
		"autograd.Max: shape [0], want at least one element":                                                                                                       func() { Max(of(0)) },
		"autograd.Concat: operand 1 of shape [2 3], want [3 2] as the first but for dimension 0":                                                                   func() { Concat(0, of(3, 2), of(2, 3)) },
		"autograd.Concat: operand 1 of nil, want [3 2] as the first but for dimension 0":                                                                           func() { Concat(0, of(3, 2), nil) },
		"autograd.Gather: dimension 0 of shape [], want one of those, counted from 0":                                                                              func() { Gather(of(), nil) },
		"autograd.Transpose: dimension 2 of shape [2 3], want one of those, counted from 0":                                                                        func() { Transpose(of(2, 3), 0, 2) },
		"autograd.Softmax: a scalar, want at least one dimension":                                                                                                  func() { Softmax(of()) },
		"autograd.Where: a condition of 6 elements and shapes [2 3] and [3], want one shape, or one value, and an element of the condition for each of the result": func() { Where(someTrue, of(2, 3), of(3)) },
		"autograd.Where: a condition of 6 elements and shapes [7] and [1], want one shape, or one value, and an element of the condition for each of the result":   func() { Where(someTrue, of(7), of(1)) },
		"autograd.MaxWindows: windows of width 3 and stride 1 over shape [2 3], want a width from 1 to the steps of x, and a stride of at least 1":                 func() { MaxWindows(of(2, 3), 3, 1, nil) },
		"autograd.MeanWindows: windows of width 1 and stride 0 over shape [2 3], want a width from 1 to the steps of x, and a stride of at least 1":                func() { MeanWindows(of(2, 3), 1, 0, nil) },
		"autograd.MaxSteps: shape [2], want [T, B, ...]":                                                                                                           func() { MaxSteps(of(2), nil) },
		"autograd.Maximum: shapes [2 3] and [2], want dimensions that are equal or 1, counted from the last":                                                       func() { Maximum(of(2, 3), of(2)) },
		"autograd.Tape.View: 3 values, want the 4 of shape [2 2]":                                                                                                  func() { tape.View(make([]float32, 3), 2, 2) },
	} {
		panicsAs[*ShapeError](t, want, f)
	}
	panicsAs[*UsageError](t, "autograd.Concat: nothing to join", func() { Concat(0) })
}

func TestGatherOutOfRange(t *testing.T) {
	for _, row := range []int32{-1, 3, math.MaxInt32} {
		tape := NewTape(NewParams(1), 1)
		y := Gather(tape.Leaf(tensor.New(3, 2)), []int32{1, row})
		assert.Equal(t, make([]float32, 4), y.Data())
		assert.EqualError(t, Sum(y).Backward(), fmt.Sprintf("autograd.Gather: index %d, want 0 to 2 (row 1 of 2)", row))
	}
}

func TestValues(t *testing.T) {
	tape := NewInference(NewParams(1))
	for _, shape := range [][]int{{1}, {7}, {2, 3}, {3, 5, 13}, {}, {4, 0}} {
		a, b := tape.Input(drawn(standard, 1, shape...)), tape.Input(drawn(standard, 2, shape...))
		sum, product, total := Add(a, b), Mul(a, b), Sum(a)
		assert.Equal(t, a.Shape(), sum.Shape())
		assert.Equal(t, a.Shape(), product.Shape())
		assert.Equal(t, []int{1}, total.Shape())
		exact := 0.0
		for i, v := range a.Data() {
			w := b.Data()[i]
			assert.Equal(t, v+w, sum.Data()[i])
			assert.Equal(t, v*w, product.Data()[i])
			exact += float64(v)
		}
		assert.Equal(t, float32(exact), total.Value())
	}
	swallowed := tape.Input(tensor.Of([]float32{0x1p25, 1, 1, -0x1p25}, 4))
	assert.Equal(t, float32(2), Sum(swallowed).Value(), "added in float32")
}

// TestSumGradient: each element's gradient is that of the sum, added to what is there.
func TestSumGradient(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	x := tape.Leaf(drawn(standard, 1, 2, 3))
	three := tape.Input(scalar(3))
	require.NoError(t, Add(Sum(x), Mul(Sum(x), three)).Backward())
	assert.Equal(t, []float32{4, 4, 4, 4, 4, 4}, x.Grad())
	assert.Nil(t, three.Grad())
}
