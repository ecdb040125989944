package loss_test

import (
	"fmt"
	"math"
	"math/cmplx"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

// backward runs a loss of x, of that many columns.
func backward(x []float32, columns int, f func(x *autograd.Node) *autograd.Node) (l *autograd.Node, grad []float32, err error) {
	tape := autograd.NewTape(autograd.NewParams(1), 0)
	leaf := tape.Leaf(tensor.Of(x, len(x)/columns, columns))
	l = f(leaf)
	err = l.Backward()
	return l, leaf.Grad(), err
}

func TestLossesAsPyTorch(t *testing.T) {
	for _, name := range golden.Names("loss_*") {
		file, err := golden.Load(name)
		require.NoError(t, err)
		weights, option := []float32(nil), func(key string) float32 { return float32(file.Config[key]) }
		if w, ok := file.Tensors["weights"]; ok {
			weights = w.Float32()
		}
		l, grad, err := backward(file.Get("x").Float32(), 5, func(x *autograd.Node) *autograd.Node {
			kind, _, _ := strings.Cut(strings.TrimPrefix(name, "loss_"), "_")
			if kind == "ce" {
				return loss.CrossEntropy{ClassWeights: weights, Smoothing: option("smoothing")}.Of(x, file.Get("labels").Int32())
			}
			target := tensor.Of(file.Get("target").Float32(), 6, 5)
			switch kind {
			case "mse":
				return loss.MSE{}.Of(x, target)
			case "huber":
				return loss.Huber{Delta: option("delta")}.Of(x, target)
			}
			return loss.BCEWithLogits{PosWeight: weights}.Of(x, target)
		})
		require.NoError(t, err)
		assert.LessOrEqual(t, reference.MaxRelErr(l.Data(), file.Get("loss").Data), 1e-6, name)
		assert.LessOrEqual(t, reference.MaxRelErr(grad, file.Get("grad.x").Data), 1e-6, name)
	}
}

// kinds are losses of 5 columns with all options on, and the same as formulas for one row, whose sum over the rows is
// divided by the sum of the weights.
var kinds = map[string]struct {
	of  func(x *autograd.Node, labels []int32, target *tensor.Tensor) *autograd.Node
	row func(x []complex128, label int32, target []float32) (sum complex128, weight float64)
}{
	"CrossEntropy": {
		func(x *autograd.Node, labels []int32, _ *tensor.Tensor) *autograd.Node {
			return loss.CrossEntropy{ClassWeights: classWeights, Smoothing: 0.25}.Of(x, labels)
		},
		func(x []complex128, label int32, _ []float32) (sum complex128, weight float64) {
			if label == loss.Ignore {
				return 0, 0
			}
			all := complex128(0)
			for _, z := range x {
				all += cmplx.Exp(z)
			}
			for c, z := range x {
				target := 0.25 / 5.0
				if c == int(label) {
					target += 0.75
				}
				sum -= complex(target*float64(classWeights[c]), 0) * (z - cmplx.Log(all))
			}
			return sum, float64(classWeights[label])
		},
	},
	"MSE": {
		func(x *autograd.Node, _ []int32, target *tensor.Tensor) *autograd.Node {
			return loss.MSE{}.Of(x, target)
		},
		elements(func(x, target complex128, _ int) complex128 { return (x - target) * (x - target) }),
	},
	"L1": {
		func(x *autograd.Node, _ []int32, target *tensor.Tensor) *autograd.Node {
			return loss.L1{}.Of(x, target)
		},
		elements(func(x, target complex128, _ int) complex128 {
			if d := x - target; real(d) > 0 {
				return d
			}
			return target - x
		}),
	},
	"Quantile": {
		func(x *autograd.Node, _ []int32, target *tensor.Tensor) *autograd.Node {
			return loss.Quantile{Quantiles: quantiles}.Of(x, target)
		},
		elements(func(x, target complex128, column int) complex128 {
			q := complex(float64(quantiles[column]), 0)
			if d := target - x; real(d) > 0 {
				return q * d
			}
			return (1 - q) * (x - target)
		}),
	},
	"Huber": {
		func(x *autograd.Node, _ []int32, target *tensor.Tensor) *autograd.Node {
			return loss.Huber{Delta: 0.5}.Of(x, target)
		},
		elements(func(x, target complex128, _ int) complex128 {
			d := x - target
			if real(d) < 0 {
				d = -d
			}
			if real(d) <= 0.5 {
				return d * d / 2
			}
			return 0.5 * (d - 0.25)
		}),
	},
	"BCEWithLogits": {
		func(x *autograd.Node, _ []int32, target *tensor.Tensor) *autograd.Node {
			return loss.BCEWithLogits{PosWeight: classWeights}.Of(x, target)
		},
		elements(func(x, target complex128, column int) complex128 {
			p := 1 / (1 + cmplx.Exp(-x))
			return -(complex(float64(classWeights[column]), 0)*target*cmplx.Log(p) + (1-target)*cmplx.Log(1-p))
		}),
	},
}

var (
	classWeights = []float32{0.5, 2, 0, 1.25, 3}
	quantiles    = []float32{0.1, 0.25, 0.5, 0.75, 0.9}
)

func elements(f func(x, target complex128, column int) complex128) func(x []complex128, _ int32, target []float32) (complex128, float64) {
	return func(x []complex128, _ int32, target []float32) (sum complex128, weight float64) {
		for i, want := range target {
			if want == want {
				sum += f(x[i], complex(float64(want), 0), i)
				weight++
			}
		}
		return sum, weight
	}
}

// problem is rows of 5 columns, some of which do not count.
func problem(rows int) (x []float32, labels []int32, target []float32) {
	params := autograd.NewParams(uint64(rows))
	x = params.New("x", autograd.Normal(2), rows, 5).Value.Data()
	target = params.New("target", autograd.Uniform(0.5), rows, 5).Value.Data()
	for i := range target {
		if target[i] += 0.5; i%7 == 3 {
			target[i] = nan
		}
	}
	for i := range rows {
		label := int32(i * 3 % 5)
		if i%4 == 1 {
			label = loss.Ignore
		}
		labels = append(labels, label)
	}
	return x, labels, target
}

func TestGradientsOfLosses(t *testing.T) {
	for name, kind := range kinds {
		for _, rows := range []int{1, 4, 37} {
			x, labels, target := problem(rows)
			l, grad, err := backward(x, 5, func(x *autograd.Node) *autograd.Node {
				return kind.of(x, labels, tensor.Of(target, rows, 5))
			})
			require.NoError(t, err)
			at := reference.Complex(x)
			weight := 0.0
			mean := func() complex128 {
				sum := complex128(0)
				weight = 0
				for i := range rows {
					s, w := kind.row(at[i*5:][:5], labels[i], target[i*5:][:5])
					sum, weight = sum+s, weight+w
				}
				return sum / complex(weight, 0)
			}
			assert.InEpsilon(t, real(mean()), l.Value(), 1e-6, name)
			assert.LessOrEqual(t, reference.MaxRelErr(grad, reference.Gradient(mean, at)), 1e-6, name)
			counted, ok := l.Weight()
			assert.True(t, ok)
			assert.Equal(t, float32(weight), counted, name)
		}
	}
}

func TestNothingCountsInAnyLoss(t *testing.T) {
	for name, kind := range kinds {
		for _, labels := range [][]int32{{loss.Ignore, loss.Ignore}, {2, 2}} { // a class of weight 0
			target := slices.Repeat([]float32{nan}, 10)
			l, grad, err := backward(make([]float32, 10), 5, func(x *autograd.Node) *autograd.Node {
				return kind.of(x, labels, tensor.Of(target, 2, 5))
			})
			require.NoError(t, err, name)
			assert.Zero(t, l.Value(), name)
			assert.Nil(t, grad, name)
		}
	}
}

func TestExtremeNumbers(t *testing.T) {
	one := func(f func(x *autograd.Node) *autograd.Node, x float32) (value, grad float32) {
		l, g, err := backward([]float32{x}, 1, f)
		require.NoError(t, err)
		return l.Value(), g[0]
	}
	bce := func(target float32) func(x *autograd.Node) *autograd.Node {
		return func(x *autograd.Node) *autograd.Node {
			return loss.BCEWithLogits{}.Of(x, tensor.Of([]float32{target}, 1, 1))
		}
	}
	for _, c := range []struct{ x, target, value, grad float32 }{
		{1e4, 1, 0, 0}, {-1e4, 0, 0, 0}, {1e4, 0, 1e4, 1}, {-1e4, 1, 1e4, -1}, {0, 0.5, math.Ln2, 0},
	} {
		value, grad := one(bce(c.target), c.x)
		assert.Equal(t, c.value, value)
		assert.Equal(t, c.grad, grad)
	}
	value, grad := one(func(x *autograd.Node) *autograd.Node { return loss.Huber{}.Of(x, tensor.Of([]float32{0}, 1, 1)) }, -1e6)
	assert.Equal(t, float32(1e6-0.5), value)
	assert.Equal(t, float32(-1), grad)

	// A class that cannot be costs nothing where it has no share, and all where it has one.
	impossible := []float32{0, -inf}
	l, _, err := backward(impossible, 2, func(x *autograd.Node) *autograd.Node {
		return loss.CrossEntropy{ClassWeights: []float32{1, 0}, Smoothing: 0.5}.Of(x, []int32{0})
	})
	require.NoError(t, err)
	assert.Zero(t, l.Value())
	_, _, err = backward(impossible, 2, func(x *autograd.Node) *autograd.Node {
		return loss.CrossEntropy{Smoothing: 0.5}.Of(x, []int32{0})
	})
	assert.ErrorIs(t, err, autograd.ErrNotFinite)
}

// TestInfiniteTarget: the error names the first target that is infinite.
func TestInfiniteTarget(t *testing.T) {
	inf := float32(math.Inf(1))
	target := tensor.Of([]float32{float32(math.NaN()), 1, 2, -inf, inf, 0}, 3, 2)
	for name, of := range map[string]func(x *autograd.Node) *autograd.Node{
		"MSE":      func(x *autograd.Node) *autograd.Node { return loss.MSE{}.Of(x, target) },
		"L1":       func(x *autograd.Node) *autograd.Node { return loss.L1{}.Of(x, target) },
		"Huber":    func(x *autograd.Node) *autograd.Node { return loss.Huber{}.Of(x, target) },
		"Quantile": func(x *autograd.Node) *autograd.Node { return loss.Quantile{}.Of(x, target) },
	} {
		_, _, err := backward(make([]float32, 6), 2, of)
		assert.ErrorIs(t, err, autograd.ErrNotFinite, name)
		assert.ErrorContains(t, err, "the first on the tape is -Inf, column 1 of the target of loss."+name)
		var data *autograd.DataError
		require.ErrorAs(t, err, &data)
		assert.Equal(t, []int{1, 3}, []int{data.Row, data.Rows})
	}
}

// source is a problem as a dataset.
type source struct {
	x, target []float32
	labels    []int32
}

func (s source) Len() int { return len(s.labels) }

func (s source) Gather(rows []int, into *dataset.Batch) error {
	into.X, into.Target, into.Labels = tensor.New(len(rows), 5), tensor.New(len(rows), 5), nil
	for b, r := range rows {
		copy(into.X.Data()[b*5:], s.x[r*5:][:5])
		copy(into.Target.Data()[b*5:], s.target[r*5:][:5])
		into.Labels = append(into.Labels, s.labels[r])
	}
	return nil
}

// TestShards: the mean is that of the whole batch however it is cut, and the same bits for any number of workers, with dropout.
func TestShards(t *testing.T) {
	const rows = 101
	x, labels, target := problem(rows)
	batch := dataset.Rows{Source: source{x, target, labels}}
	for i := range rows {
		batch.Index = append(batch.Index, i)
	}
	for name, kind := range kinds {
		run := func(workers, shards int, drop float32) (float32, []float32) {
			params := autograd.NewParams(3)
			dense := layers.NewDense(params, 5, 5)
			step := train.NewStep(params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
				return kind.of(autograd.Dropout(dense.Forward(tape.Input(b.X)), drop), b.Labels, b.Target)
			})
			step.Workers, step.Shards = workers, shards
			l, err := step.Run(batch)
			require.NoError(t, err)
			return l, slices.Clone(step.Grads().Data)
		}
		whole, grads := run(1, 1, 0)
		for _, shards := range []int{2, 3, 7} {
			l, g := run(2, shards, 0)
			assert.InEpsilon(t, whole, l, 1e-6, "%s in %d shards", name, shards)
			assert.LessOrEqual(t, reference.MaxRelErr(g, grads), 2e-6, "%s in %d shards", name, shards)
		}
		l1, g1 := run(1, 0, 0.4)
		for _, workers := range []int{2, 3, 7} {
			l, g := run(workers, 0, 0.4)
			assert.Equal(t, l1, l, name)
			assert.Equal(t, g1, g, "%s with %d workers", name, workers)
		}
	}
}

func TestLossesAllocateNothing(t *testing.T) {
	x, labels, target := problem(20)
	input, want := tensor.Of(x, 20, 5), tensor.Of(target, 20, 5)
	for name, kind := range kinds {
		tape := autograd.NewTape(autograd.NewParams(1), 0)
		run := func() {
			tape.Reset()
			if err := kind.of(tape.Leaf(input), labels, want).Backward(); err != nil {
				t.Error(err)
			}
		}
		for range 8 {
			run()
		}
		assert.Zero(t, testing.AllocsPerRun(10, run), name)
	}
}

func TestSettingsOutOfRange(t *testing.T) {
	tape := autograd.NewTape(autograd.NewParams(1), 0)
	x, labels, target := tape.Leaf(tensor.New(2, 3)), []int32{0, 1}, tensor.New(2, 3)
	for want, f := range map[string]func(){
		"loss.CrossEntropy: Smoothing is 1.5, want 0 to 1":                                                  func() { loss.CrossEntropy{Smoothing: 1.5}.Of(x, labels) },
		"loss.CrossEntropy: Smoothing is NaN, want 0 to 1":                                                  func() { loss.CrossEntropy{Smoothing: nan}.Of(x, labels) },
		"loss.CrossEntropy: 2 ClassWeights, want one for each of 3 classes":                                 func() { loss.CrossEntropy{ClassWeights: make([]float32, 2)}.Of(x, labels) },
		"loss.CrossEntropy: ClassWeights[1] is -1, want it finite and at least 0":                           func() { loss.CrossEntropy{ClassWeights: []float32{1, -1, 0}}.Of(x, labels) },
		"loss.CrossEntropy: ClassWeights[2] is +Inf, want it finite and at least 0":                         func() { loss.CrossEntropy{ClassWeights: []float32{1, 1, inf}}.Of(x, labels) },
		"loss.CrossEntropy: 1 labels for logits of shape [2 3], want one label a row of at least one class": func() { loss.CrossEntropy{}.Of(x, labels[:1]) },
		"loss.MSE: target of shape [3 2], want [2 3] as the output":                                         func() { loss.MSE{}.Of(x, tensor.New(3, 2)) },
		"loss.MSE: the target is nil; the batch has none":                                                   func() { loss.MSE{}.Of(x, nil) },
		"loss.L1: the target is nil; the batch has none":                                                    func() { loss.L1{}.Of(x, nil) },
		"loss.BCEWithLogits: the target is nil; the batch has none":                                         func() { loss.BCEWithLogits{}.Of(x, nil) },
		"loss.Quantile: 2 Quantiles, want one, or one for each column of shape [2 3]":                       func() { loss.Quantile{Quantiles: quantiles[:2]}.Of(x, target) },
		"loss.Quantile: Quantiles[0] is 1, want more than 0 and less than 1":                                func() { loss.Quantile{Quantiles: []float32{1}}.Of(x, target) },
		"loss.Quantile: target of shape [2 2], want [2 3] as the output":                                    func() { loss.Quantile{}.Of(x, tensor.New(2, 2)) },
		"loss.Huber: target of shape [2], want [2 3] as the output":                                         func() { loss.Huber{}.Of(x, tensor.New(2)) },
		"loss.Huber: Delta is -1, want it finite and more than 0, or 0 for 1":                               func() { loss.Huber{Delta: -1}.Of(x, target) },
		"loss.BCEWithLogits: 2 PosWeight, want one for each column of shape [2 3]":                          func() { loss.BCEWithLogits{PosWeight: make([]float32, 2)}.Of(x, target) },
		"loss.BCEWithLogits: PosWeight[0] is NaN, want it finite and at least 0":                            func() { loss.BCEWithLogits{PosWeight: []float32{nan, 1, 1}}.Of(x, target) },
	} {
		assert.EqualError(t, autograd.Try(f), want)
	}
	l := loss.BCEWithLogits{}.Of(x, tensor.Of([]float32{0, 1, 0.5, nan, 1.25, -1}, 2, 3))
	assert.EqualError(t, l.Backward(), "loss.BCEWithLogits: target 1.25 in column 1, want 0 to 1, or NaN to ignore it (row 1 of 2)")
}

// TestQuantilesOfOneNumber: a target of one column serves for all quantiles, and the loss is least at the quantiles.
func TestQuantilesOfOneNumber(t *testing.T) {
	numbers := []float32{9, 3, 5, 1, 7, 2, 8, 4, 6, 10, nan}
	at := func(guess ...float32) (float32, []float32) {
		var x []float32
		for range numbers {
			x = append(x, guess...)
		}
		l, grad, err := backward(x, 2, func(x *autograd.Node) *autograd.Node {
			return loss.Quantile{Quantiles: []float32{0.25, 0.5}}.Of(x, tensor.Of(numbers, len(numbers), 1))
		})
		require.NoError(t, err)
		sums := make([]float32, 2)
		for i, g := range grad {
			sums[i%2] += g
		}
		return l.Value(), sums
	}
	_, grad := at(2.5, 5.5)
	assert.InDeltaSlice(t, []float32{(2*0.75 - 8*0.25) / 20, 0}, grad, 1e-7)
	_, grad = at(3.5, 6.5)
	assert.InDeltaSlice(t, []float32{(3*0.75 - 7*0.25) / 20, (6*0.5 - 4*0.5) / 20}, grad, 1e-7)
	best, _ := at(3, 5.5)
	for _, guess := range [][]float32{{1, 5.5}, {5, 5.5}, {3, 2}, {3, 9}} {
		worse, _ := at(guess...)
		assert.Greater(t, worse, best, "%v", guess)
	}
	l, _, err := backward([]float32{1, 2}, 1, func(x *autograd.Node) *autograd.Node {
		return loss.Quantile{}.Of(x, tensor.Of([]float32{2, 0}, 2, 1))
	})
	require.NoError(t, err)
	assert.Equal(t, float32(0.75), l.Value(), "half of the mean absolute error")
}

// Numbers of which one was not measured.
func ExampleMSE() {
	tape := autograd.NewTape(autograd.NewParams(1), 0)
	y := tape.Leaf(tensor.Of([]float32{1, 2, 3}, 3))
	l := loss.MSE{}.Of(y, tensor.Of([]float32{0, float32(math.NaN()), 5}, 3))
	if err := l.Backward(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(l.Value(), y.Grad())
	// Output: 2.5 [1 0 -2]
}

// The second class is rare and counts three times.
func ExampleCrossEntropy() {
	tape := autograd.NewTape(autograd.NewParams(1), 0)
	logits := tape.Leaf(tensor.Of([]float32{2, 0, 2, 0}, 2, 2))
	l := loss.CrossEntropy{ClassWeights: []float32{1, 3}}.Of(logits, []int32{0, 1})
	fmt.Printf("%.4f\n", l.Value())
	// Output: 1.6269
}

// A forecast of two steps with three quantiles of each: a range that the number is in four times of five, and the median. The
// head has 2*3 outputs, and the targets [B,2] get a dimension that all quantiles share.
func ExampleQuantile() {
	const rows, horizon = 1, 2
	quantiles := loss.Quantile{Quantiles: []float32{0.1, 0.5, 0.9}}
	tape := autograd.NewTape(autograd.NewParams(1), 0)
	outputs := tape.Leaf(tensor.Of([]float32{8, 10, 13, 7, 11, 12}, rows, horizon*3))
	target := tensor.Of([]float32{12, float32(math.NaN())}, rows, horizon) // the second number was not measured

	y := autograd.Reshape(outputs, rows, horizon, 3)
	l := quantiles.Of(y, tensor.Of(target.Data(), rows, horizon, 1))
	if err := l.Backward(); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%.3f %.3f\n", l.Value(), outputs.Grad())
	// Output: 0.500 [-0.033 -0.167 0.033 0.000 0.000 0.000]
}
