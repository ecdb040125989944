package loss_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/tensor"
)

// run computes loss and gradient of logits [rows, classes].
func run(t *testing.T, logits []float32, labels []int32) (value float32, grad []float32, err error) {
	t.Helper()
	tape := autograd.NewTape(autograd.NewParams(1), 0)
	x := tape.Leaf(tensor.Of(logits, len(labels), len(logits)/len(labels)))
	l := loss.SparseSoftmaxCrossEntropy(x, labels)
	err = l.Backward()
	return l.Value(), x.Grad(), err
}

func TestPyTorch(t *testing.T) {
	for _, name := range golden.Names("cross_entropy*") {
		file, err := golden.Load(name)
		require.NoError(t, err)
		value, grad, err := run(t, file.Get("logits").Float32(), file.Get("labels").Int32())
		require.NoError(t, err)
		assert.LessOrEqual(t, reference.MaxRelErr([]float32{value}, file.Get("loss").Data), 1e-5, name)
		assert.LessOrEqual(t, reference.MaxRelErr(grad, file.Get("grad.logits").Data), 1e-5, name)
	}
}

func TestGradients(t *testing.T) {
	for _, size := range []struct{ rows, classes int }{{1, 2}, {3, 10}, {38, 7}} {
		logits, labels := tensor.New(size.rows, size.classes), make([]int32, size.rows)
		r := rand.New(rand.NewPCG(1, 2))
		autograd.Uniform(5)(r, logits)
		for i := range labels {
			labels[i] = int32(r.IntN(size.classes))
		}
		if size.rows > 1 {
			labels[1] = loss.Ignore
		}
		value, grad, err := run(t, logits.Data(), labels)
		require.NoError(t, err)
		at := reference.Complex(logits.Data())
		mean := func() complex128 { v, _ := reference.SparseSoftmaxCrossEntropy(at, labels); return v }
		assert.InEpsilon(t, real(mean()), value, 1e-5)
		assert.LessOrEqual(t, reference.MaxRelErr(grad, reference.Gradient(mean, at)), 1e-5)
	}
}

func TestLargeLogits(t *testing.T) {
	inf := float32(math.Inf(1))
	value, grad, err := run(t, []float32{1e4, -1e4, 0, 1e4, -1e4, 0}, []int32{0, 1})
	require.NoError(t, err)
	assert.Equal(t, float32(1e4), value)
	assert.Equal(t, []float32{0, 0, 0, 0.5, -0.5, 0}, grad)
	// A class that cannot be is no harm where it is not the label.
	value, grad, err = run(t, []float32{-inf, 0}, []int32{1})
	require.NoError(t, err)
	assert.Zero(t, value)
	assert.Equal(t, []float32{0, 0}, grad)
}

func TestNothingCounts(t *testing.T) {
	value, grad, err := run(t, []float32{1, 2, float32(math.NaN()), 4}, []int32{loss.Ignore, loss.Ignore})
	require.NoError(t, err)
	assert.Zero(t, value)
	assert.Nil(t, grad)
}

func TestIgnoredRows(t *testing.T) {
	nan := float32(math.NaN())
	want, wantGrad, err := run(t, []float32{1, 2, 3, 5}, []int32{0, 1})
	require.NoError(t, err)
	value, grad, err := run(t, []float32{1, 2, nan, nan, 3, 5}, []int32{0, loss.Ignore, 1})
	require.NoError(t, err)
	assert.Equal(t, want, value)
	assert.Equal(t, append(append([]float32{}, wantGrad[:2]...), 0, 0, wantGrad[2], wantGrad[3]), grad)
}

func TestWhatCannotBeLearnt(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		logits []float32
		labels []int32
		text   string
		finite bool
	}{
		{[]float32{1, 2, 3, 4}, []int32{0, 2}, "loss.SparseSoftmaxCrossEntropy: label 2, want 0 to 1, or -100 to ignore the row (row 1 of 2)", true},
		{[]float32{1, 2, 3, 4}, []int32{-1, 7}, "loss.SparseSoftmaxCrossEntropy: label -1, want 0 to 1, or -100 to ignore the row (row 0 of 2)", true},
		{[]float32{1, 2, nan, 4}, []int32{0, 1}, "autograd: loss is not finite: NaN; the first on the tape is NaN, element 2 of an input of shape [2 2] (row 1 of 2)", false},
		{[]float32{1, inf}, []int32{0}, "autograd: loss is not finite: NaN; the first on the tape is +Inf, element 1 of an input of shape [1 2] (row 0 of 1)", false},
		{[]float32{1, -inf}, []int32{1}, "autograd: loss is not finite: +Inf; the first on the tape is -Inf, element 1 of an input of shape [1 2] (row 0 of 1)", false},
	} {
		_, grad, err := run(t, c.logits, c.labels)
		assert.EqualError(t, err, c.text)
		assert.Equal(t, !c.finite, errors.Is(err, autograd.ErrNotFinite))
		assert.Nil(t, grad)
	}
}

func TestWeightIsTheRowsThatCount(t *testing.T) {
	tape := autograd.NewInference(autograd.NewParams(1))
	w, ok := loss.SparseSoftmaxCrossEntropy(tape.Input(tensor.New(3, 2)), []int32{0, loss.Ignore, 1}).Weight()
	assert.True(t, ok)
	assert.Equal(t, float32(2), w)
}

func TestMisuse(t *testing.T) {
	tape := autograd.NewInference(autograd.NewParams(1))
	assert.EqualError(t, autograd.Try(func() { loss.SparseSoftmaxCrossEntropy(tape.Input(tensor.New(3, 2)), make([]int32, 2)) }),
		"loss.SparseSoftmaxCrossEntropy: 2 labels for logits of shape [3 2], want one label a row of at least one class")
}

func ExampleSparseSoftmaxCrossEntropy() {
	tape := autograd.NewTape(autograd.NewParams(1), 0)
	logits := tape.Leaf(tensor.Of([]float32{0, 0, 0, 0, 3, -1}, 3, 2))
	l := loss.SparseSoftmaxCrossEntropy(logits, []int32{0, 1, loss.Ignore})
	fmt.Printf("%.4f\n", l.Value())
	if err := l.Backward(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(logits.Grad())
	// Output:
	// 0.6931
	// [-0.25 0.25 0.25 -0.25 0 0]
}
