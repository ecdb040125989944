package autograd

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// steep is an operation that is 0 and whose derivative is so large that the gradient overflows.
func steep(x *Node) *Node {
	t := TapeOf("steep", x)
	y := t.New(x.Shape()...)
	clear(y.Data())
	Record(t, steepOp{x, y}, y)
	return y
}

type steepOp struct{ x, y *Node }

func (o steepOp) String() string { return "steep" }

func (o steepOp) Backward() {
	for i, d := range o.y.Grad() {
		o.x.AccumulateGrad()[i] += d * 1e30 * o.x.Data()[i]
	}
}

// teller is a steep operation that names the place itself, and the place of a number that it read forward.
type teller struct{ steepOp }

func (o teller) Backward() {
	if o.steepOp.Backward(); o.y.Tape().Checking() {
		o.y.Tape().Fail(&DataError{Text: "-Inf, at step 3", Row: 1, Rows: 2})
	}
}

func (o teller) String() string { return "teller" }

func (o teller) NotFinite() *DataError { return &DataError{Text: "NaN, at step 2", Row: 0, Rows: 2} }

// TestGradientNotFinite: the error names the operation in whose backward pass the gradient overflowed, and the gradient.
func TestGradientNotFinite(t *testing.T) {
	p := NewParams(1)
	w, b := p.New("w", Constant(1e10), 2, 2), p.New("b", Constant(1), 1)
	tape := NewTape(p, 1)
	for want, build := range map[string]func() *Node{
		"through steep, is +Inf, element 0 of the gradient of weight w of shape [2 2]": func() *Node {
			return Add(Sum(steep(tape.Param(w))), Sum(tape.Param(w)))
		},
		"through steep, is +Inf, element 2 of the gradient of the output of square of shape [2 2] (row 1 of 2)": func() *Node {
			x := square(tape.Leaf(tensor.Of([]float32{1, 2, 3e4, 1}, 2, 2)))
			return Mul(tape.Param(b), Sum(steep(x)))
		},
		"through autograd.Mul, is NaN, element 2 of the gradient of weight w of shape [2 2]; " +
			"the first in the forward pass is +Inf, element 2 of an input of shape [2 2] (row 1 of 2)": func() *Node {
			x := tape.Input(tensor.Of([]float32{1, 2, float32(math.Inf(1)), 1}, 2, 2))
			mask := tape.Input(tensor.Of([]float32{1, 1, 0, 1}, 2, 2))
			return Sum(square(Tanh(Mul(Tanh(Mul(tape.Param(w), x)), mask))))
		},
		"through teller, is -Inf, at step 3 (row 1 of 2)": func() *Node {
			x := tape.Leaf(tensor.Of([]float32{1e10, 0}, 2))
			y := tape.New(2)
			clear(y.Data())
			Record(tape, teller{steepOp{x, y}}, y)
			return Sum(y)
		},
	} {
		tape.Reset()
		require.NoError(t, build().Backward())
		err := tape.NotFinite()
		assert.ErrorIs(t, err, ErrNotFinite)
		var data *DataError
		assert.ErrorAs(t, err, &data)
		assert.EqualError(t, err, "autograd: gradient is not finite; the first in the backward pass, "+want)
		assert.Zero(t, tape.Grads().Norm())
		assert.False(t, tape.Checking())
		assert.Error(t, Try(func() { tape.NotFinite() }))
	}
	tape.Reset()
	require.NoError(t, Sum(square(tape.Param(b))).BackwardScaled(float32(math.Inf(1))))
	assert.EqualError(t, tape.NotFinite(), "autograd: gradient is not finite: the loss was scaled by +Inf")
}

// TestAnOperationTellsWhatItRead: its word counts more than an input before it, which may be padding.
func TestAnOperationTellsWhatItRead(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	tape.Input(tensor.Of([]float32{nan}, 1))
	y := tape.New(1)
	y.Data()[0] = nan
	Record(tape, teller{steepOp{y, y}}, y)
	assert.EqualError(t, y.Backward(), "autograd: loss is not finite: NaN; the first on the tape is NaN, at step 2 (row 0 of 2)")
}

// TestFiniteGradientsStay: a search that finds nothing leaves the bits of all gradients.
func TestFiniteGradientsStay(t *testing.T) {
	p := NewParams(1)
	w, b := p.New("w", standard, 3, 3), p.New("b", standard, 3)
	x := drawn(standard, 1, 4, 2, 3)
	lengths := []int{2, 4}
	tape := NewTape(p, 1)
	leaf := tape.Leaf(x)
	h := Add(MatMul(leaf, tape.Param(w)), tape.Param(b))
	h = Concat(2, Tanh(h), Dropout(Sigmoid(h), 0.3), LogSoftmax(h), Slice(GELU(h), 2, 1, 3))
	h = Transpose(MaskSteps(h, lengths), 0, 1)
	h = Div(Mul(h, h), Exp(tape.Input(scalar(0.5))))
	loss := Add(Sum(MaxDim(Softmax(h), 2)), Mean(MeanSteps(Transpose(h, 0, 1), lengths)))
	require.NoError(t, loss.BackwardScaled(0.7))
	grads, dx := slices.Clone(tape.Grads().Data), slices.Clone(leaf.Grad())
	require.NotZero(t, tape.Grads().Norm())
	assert.NoError(t, tape.NotFinite())
	assert.NoError(t, tape.NotFinite())
	assert.Equal(t, grads, tape.Grads().Data)
	assert.Equal(t, dx, leaf.Grad())

	tape.Repeat(1, tape.Grads())
	assert.True(t, tape.Checking())
	y := tape.New(1)
	y.Data()[0] = 0
	Record(tape, probe{func() { assert.False(t, tape.Checking(), "an operation names no place before it is asked") }}, y)
	assert.NoError(t, y.Backward())
	assert.True(t, tape.Checking())
	tape.Repeat(1, tape.Grads())
	assert.EqualError(t, Try(func() { tape.NotFinite() }), "autograd.Tape.NotFinite: called without a Backward that returned no error")
	tape.Reset()
	assert.False(t, tape.Checking())
}
