package loss_test

import (
	"fmt"
	"math"
	"math/cmplx"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// extremeWeights are class weights from the smallest number to the largest, and mixtures of the two.
var extremeWeights = [][]float32{
	{1e-45, 1e-45, 1e-45, 1e-45, 1e-45},
	{1e-45, 3e-45, 2e-40, 1e-45, 5e-42},
	{1e-30, 2e-30, 0, 3e-30, 1e-30},
	{1e38, 2e38, 3e38, 1e38, 3.4e38},
	{math.MaxFloat32, math.MaxFloat32, math.MaxFloat32, 0, math.MaxFloat32},
	{1e38, 1, 1e-45, 1e20, 1e-20},
	{1e-45, 1e-30, 1e38, 1, 1e10},
}

// TestClassWeightsOfAnySize: how class weights compare is all that counts, however small or large they are.
func TestClassWeightsOfAnySize(t *testing.T) {
	for _, weights := range extremeWeights {
		for _, smoothing := range []float32{0, 0.25} {
			for _, rows := range []int{1, 4, 37} {
				name := fmt.Sprintf("weights %v, smoothing %v, %d rows", weights, smoothing, rows)
				x, labels, _ := problem(rows)
				at := reference.Complex(x)
				mean := func() complex128 {
					sum, weight := complex128(0), 0.0
					for i, label := range labels {
						if label != loss.Ignore {
							own := complex(float64(1-smoothing)*float64(weights[label]), 0)
							for c, logP := range logSoftmax(at[i*5:][:5]) {
								share := complex(float64(smoothing)/5*float64(weights[c]), 0)
								if c == int(label) {
									share += own
								}
								sum -= share * logP
							}
							weight += float64(weights[label])
						}
					}
					return sum / complex(weight, 0)
				}
				want := real(mean())
				l, grad, err := backward(x, 5, func(x *autograd.Node) *autograd.Node {
					return loss.CrossEntropy{ClassWeights: weights, Smoothing: smoothing}.Of(x, labels)
				})
				if want > math.MaxFloat32 { // smoothing gives heavy classes a share in rows of light ones
					assert.ErrorIs(t, err, autograd.ErrNotFinite, name)
					continue
				}
				require.NoError(t, err, name)
				assert.InEpsilon(t, want, l.Value(), 1e-6, name)
				assert.LessOrEqual(t, reference.MaxRelErr(grad, reference.Gradient(mean, at)), 1e-6, name)
			}
		}
	}
}

// logSoftmax is the logarithm of softmax(x), without overflow.
func logSoftmax(x []complex128) (logP []complex128) {
	top, sum := x[0], complex128(0)
	for _, z := range x {
		if real(z) > real(top) {
			top = z
		}
	}
	for _, z := range x {
		sum += cmplx.Exp(z - top)
	}
	for _, z := range x {
		logP = append(logP, z-top-cmplx.Log(sum))
	}
	return logP
}

// TestShardsOfExtremeWeights: a batch that is cut into shards has the loss and the gradient of the whole.
func TestShardsOfExtremeWeights(t *testing.T) {
	const rows = 60
	x, labels, target := problem(rows)
	batch := dataset.Rows{Source: source{x, target, labels}}
	for i := range rows {
		batch.Index = append(batch.Index, i)
	}
	for _, weights := range extremeWeights {
		run := func(shards int) (float32, []float32) {
			params := autograd.NewParams(3)
			w := params.New("w", autograd.Uniform(1), 5, 5)
			step := train.NewStep(params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
				return loss.CrossEntropy{ClassWeights: weights}.Of(autograd.MatMul(tape.Input(b.X), tape.Param(w)), b.Labels)
			})
			step.Shards = shards
			l, err := step.Run(batch)
			require.NoError(t, err)
			return l, append([]float32(nil), step.Grads().Data...)
		}
		whole, grads := run(1)
		assert.Positive(t, whole)
		assert.NotZero(t, grads)
		for _, shards := range []int{2, 3, 7} {
			l, g := run(shards)
			assert.InEpsilon(t, whole, l, 1e-6, "weights %v in %d shards", weights, shards)
			assert.LessOrEqual(t, reference.MaxRelErr(g, grads), 2e-6, "weights %v in %d shards", weights, shards)
		}
	}
}

// TestPosWeightOfAnySize: the mean is not divided by PosWeight, so the loss and its gradient grow with it as far as float32 holds
// them.
func TestPosWeightOfAnySize(t *testing.T) {
	const rows = 9
	x, _, target := problem(rows)
	for _, weights := range [][]float32{{1e-45, 1e-40, 1e-38, 1e-30, 1}, {1e37, 1e30, 3, 1e-45, 0}, {1e37, 1e37, 1e37, 1e37, 1e37}} {
		f := elements(func(x, target complex128, column int) complex128 {
			p := logSoftmax([]complex128{x, 0}) // log sigmoid(x), log sigmoid(-x)
			return -(complex(float64(weights[column]), 0)*target*p[0] + (1-target)*p[1])
		})
		at := reference.Complex(x)
		mean := func() complex128 {
			sum, count := complex128(0), 0.0
			for i := range rows {
				s, n := f(at[i*5:][:5], 0, target[i*5:][:5])
				sum, count = sum+s, count+n
			}
			return sum / complex(count, 0)
		}
		l, grad, err := backward(x, 5, func(x *autograd.Node) *autograd.Node {
			return loss.BCEWithLogits{PosWeight: weights}.Of(x, tensor.Of(target, rows, 5))
		})
		require.NoError(t, err)
		assert.InEpsilon(t, real(mean()), l.Value(), 1e-6)
		assert.LessOrEqual(t, reference.MaxRelErr(grad, reference.Gradient(mean, at)), 1e-6)
	}
	// What float32 cannot hold is an error.
	_, grad, err := backward([]float32{-20}, 1, func(x *autograd.Node) *autograd.Node {
		return loss.BCEWithLogits{PosWeight: []float32{math.MaxFloat32}}.Of(x, tensor.Of([]float32{1}, 1, 1))
	})
	assert.ErrorIs(t, err, autograd.ErrNotFinite)
	assert.Nil(t, grad)
}
