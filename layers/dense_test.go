package layers_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/tensor"
)

func random(seed uint64, shape ...int) *tensor.Tensor {
	v := tensor.New(shape...)
	autograd.Uniform(1)(rand.New(rand.NewPCG(seed, 0)), v)
	return v
}

// model is a Dense whose bias is not zero.
func model(seed uint64, in, out int) (*autograd.Params, *layers.Dense) {
	params := autograd.NewParams(seed)
	d := layers.NewDense(params.In("head"), in, out)
	params.Update(func() { copy(d.Bias.Value.Data(), random(seed, out).Data()) })
	return params, d
}

func TestDenseGradients(t *testing.T) {
	for _, size := range []struct{ rows, in, out int }{{1, 1, 1}, {3, 5, 2}, {7, 4, 9}, {38, 31, 10}} {
		params, d := model(1, size.in, size.out)
		x, factors := random(2, size.rows, size.in), random(3, size.rows, size.out)
		tape := autograd.NewTape(params, 0)
		in := tape.Leaf(x)
		y := d.Forward(in)
		require.NoError(t, autograd.Sum(autograd.Mul(y, tape.Input(factors))).Backward())

		cx, cw, cb := reference.Complex(x.Data()), reference.Complex(d.Weight.Value.Data()), reference.Complex(d.Bias.Value.Data())
		f := func() complex128 {
			return reference.Dot(reference.Dense(cx, cw, cb), reference.Complex(factors.Data()))
		}
		assert.LessOrEqual(t, reference.MaxRelErr(y.Data(), reference.Real(reference.Dense(cx, cw, cb))), 1e-5, "y %v", size)
		assert.LessOrEqual(t, reference.MaxRelErr(in.Grad(), reference.Gradient(f, cx)), 1e-5, "x %v", size)
		assert.LessOrEqual(t, reference.MaxRelErr(tape.Grads().Of(d.Weight), reference.Gradient(f, cw)), 1e-5, "weight %v", size)
		assert.LessOrEqual(t, reference.MaxRelErr(tape.Grads().Of(d.Bias), reference.Gradient(f, cb)), 1e-5, "bias %v", size)
	}
}

func TestDenseWithoutBias(t *testing.T) {
	params := autograd.NewParams(1)
	d := layers.NewDenseWith(params.In("query"), layers.DenseConfig{In: 5, Out: 3, NoBias: true, Init: autograd.Constant(0.5)})
	assert.Nil(t, d.Bias)
	assert.Equal(t, 15, params.Count())
	for _, w := range d.Weight.Value.Data() {
		assert.Equal(t, float32(0.5), w)
	}
	params.Update(func() { copy(d.Weight.Value.Data(), random(4, 15).Data()) })
	x := params.New("x", autograd.Normal(1), 4, 5)
	y := d.Forward(autograd.NewInference(params).Input(x.Value))
	cx, cw := reference.Complex(x.Value.Data()), reference.Complex(d.Weight.Value.Data())
	want := reference.Real(reference.Dense(cx, cw, make([]complex128, 3)))
	assert.LessOrEqual(t, reference.MaxRelErr(y.Data(), want), 1e-6)
	require.NoError(t, gradcheck.Check(params, func(tape *autograd.Tape) *autograd.Node {
		return gradcheck.Project(d.Forward(tape.Param(x)))
	}, gradcheck.Options{Tolerance: 1e-3}))
	d.Weight.Frozen = true
	assert.False(t, d.Forward(autograd.NewTape(params, 0).Input(x.Value)).RequiresGrad())
}

// TestDenseConfig: the short form is the configuration of the sizes alone, to the bit.
func TestDenseConfig(t *testing.T) {
	one, other := autograd.NewParams(3), autograd.NewParams(3)
	layers.NewDense(one, 4, 2)
	layers.NewDenseWith(other, layers.DenseConfig{In: 4, Out: 2})
	for name, w := range one.Named() {
		assert.Equal(t, w.Value, other.Get(name).Value, name)
	}
	layers.NewDenseWith(one.In("own"), layers.DenseConfig{In: 4, Out: 2, Init: autograd.Orthogonal})
	w := one.Get("own.weight").Value.Data()
	assert.InDelta(t, 0, w[0]*w[4]+w[1]*w[5]+w[2]*w[6]+w[3]*w[7], 1e-6)
	assert.Equal(t, make([]float32, 2), one.Get("own.bias").Value.Data())
}

func TestDenseOverSteps(t *testing.T) {
	params, d := model(1, 4, 3)
	x := random(2, 5, 2, 4)
	tape := autograd.NewInference(params)
	y := d.Forward(tape.Input(x))
	assert.Equal(t, []int{5, 2, 3}, y.Shape())
	flat := d.Forward(tape.Input(tensor.Of(x.Data(), 10, 4)))
	assert.Equal(t, flat.Data(), y.Data())
	one := d.Forward(tape.Input(tensor.Of(x.Data()[:4], 4)))
	assert.Equal(t, []int{3}, one.Shape())
	assert.Equal(t, flat.Data()[:3], one.Data())
}

func TestDenseFrozen(t *testing.T) {
	params, d := model(1, 4, 3)
	tape := autograd.NewTape(params, 0)
	run := func() *autograd.Node {
		tape.Reset()
		y := d.Forward(tape.Input(random(2, 5, 4)))
		if err := autograd.Sum(y).Backward(); d.Weight.Frozen && d.Bias.Frozen {
			require.ErrorIs(t, err, autograd.ErrNoGradient)
		} else {
			require.NoError(t, err)
		}
		return y
	}
	d.Weight.Frozen = true
	assert.True(t, run().RequiresGrad())
	assert.Equal(t, make([]float32, 12), tape.Grads().Of(d.Weight))
	assert.Equal(t, []float32{5, 5, 5}, tape.Grads().Of(d.Bias))
	d.Bias.Frozen = true
	assert.False(t, run().RequiresGrad())
	assert.Equal(t, make([]float32, 3), tape.Grads().Of(d.Bias))
}

func TestDenseFollowsItsWeights(t *testing.T) {
	params, d := model(1, 4, 3)
	fresh, want := model(2, 4, 3)
	x := random(2, 5, 4)
	tape := autograd.NewTape(params, 0)
	d.Forward(tape.Input(x))
	require.NoError(t, params.CopyFrom(fresh))
	tape.Reset()
	in := tape.Leaf(x)
	y := d.Forward(in)
	require.NoError(t, autograd.Sum(y).Backward())
	other := autograd.NewTape(fresh, 0)
	otherIn := other.Leaf(x)
	wantY := want.Forward(otherIn)
	require.NoError(t, autograd.Sum(wantY).Backward())
	assert.Equal(t, wantY.Data(), y.Data())
	assert.Equal(t, otherIn.Grad(), in.Grad())
}

func TestDenseAllocatesNothing(t *testing.T) {
	params, d := model(1, 4, 3)
	tape, x := autograd.NewTape(params, 0), random(2, 5, 2, 4)
	step := func() {
		tape.Reset()
		if err := autograd.Sum(d.Forward(tape.Leaf(x))).Backward(); err != nil {
			panic(err)
		}
		params.Update(func() {})
	}
	for range 5 {
		step()
	}
	assert.Zero(t, testing.AllocsPerRun(10, step))
}

func TestDenseMisuse(t *testing.T) {
	params, d := model(1, 4, 3)
	tape := autograd.NewInference(params)
	assert.EqualError(t, autograd.Try(func() { d.Forward(tape.Input(tensor.New(2, 5))) }),
		"head.weight: input has shape [2 5], want [..., 4]")
	assert.EqualError(t, autograd.Try(func() { layers.NewDense(autograd.NewParams(1), 0, 3) }),
		"weight: shape [3 0], want dimensions of at least 1 whose product fits an int")
}

func ExampleDense() {
	params := autograd.NewParams(42)
	head := layers.NewDense(params.In("head"), 150, 10)
	tape := autograd.NewInference(params)
	logits := head.Forward(tape.Input(tensor.New(3, 150)))
	fmt.Println(logits.Shape(), head.Weight.Name, head.Weight.Value.Shape())
	// Output: [3 10] head.weight [10 150]
}
