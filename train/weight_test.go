package train_test

import (
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// twoTasks is examples with a class and two numbers each. Labels and numbers are missing, most of them in the first rows, so that
// shards count differently; the first rows have neither.
func twoTasks(rows int) *dataset.Tensors {
	r := rand.New(rand.NewPCG(1, 2))
	s := &dataset.Tensors{X: tensor.New(rows, 4, 3), Target: tensor.New(rows, 2), Labels: make([]int32, rows)}
	autograd.Uniform(2)(r, s.X)
	autograd.Uniform(30)(r, s.Target)
	for i := range rows {
		s.Labels[i] = int32(i % 4)
		if i < 6 || r.IntN(rows) > i {
			s.Labels[i] = loss.Ignore
		}
		for k := range 2 {
			if i < 6 || r.IntN(3) == 0 {
				s.Target.Data()[2*i+k] = float32(math.NaN())
			}
		}
	}
	return s
}

// tasks is a model with two heads and a weight for each, whose logarithm is learned.
type tasks struct {
	params      *autograd.Params
	cell        *rnn.GRU
	class, size *layers.Dense
	balance     *autograd.Param
}

func newTasks() *tasks {
	p := autograd.NewParams(3)
	return &tasks{p, rnn.NewGRU(p.In("rnn"), rnn.GRUConfig{Input: 3, Hidden: 7}), layers.NewDense(p.In("class"), 7, 4), layers.NewDense(p.In("size"), 7, 2),
		p.New("balance", autograd.Constant(0.3), 1)}
}

// compositions are losses made of both tasks' by operations that are linear in each mean.
var compositions = map[string]func(m *tasks, t *autograd.Tape, ce, mse *autograd.Node, h *autograd.Node) *autograd.Node{
	"alone": func(_ *tasks, _ *autograd.Tape, _, mse, _ *autograd.Node) *autograd.Node { return mse },
	"Scale": func(_ *tasks, _ *autograd.Tape, _, mse, _ *autograd.Node) *autograd.Node {
		return autograd.Scale(mse, 1)
	},
	"Scale -2": func(_ *tasks, _ *autograd.Tape, ce, _, _ *autograd.Node) *autograd.Node {
		return autograd.Scale(ce, -2)
	},
	"Sub": func(_ *tasks, t *autograd.Tape, ce, _, _ *autograd.Node) *autograd.Node {
		return autograd.Sub(ce, t.Input(tensor.Of([]float32{0.5}, 1)))
	},
	"Mul": func(_ *tasks, t *autograd.Tape, ce, _, _ *autograd.Node) *autograd.Node {
		return autograd.Mul(t.Input(tensor.Of([]float32{0.5}, 1)), ce)
	},
	"Div": func(_ *tasks, t *autograd.Tape, ce, _, _ *autograd.Node) *autograd.Node {
		return autograd.Div(ce, t.Input(tensor.Of([]float32{0.25}, 1)))
	},
	"moved": func(_ *tasks, t *autograd.Tape, ce, _, _ *autograd.Node) *autograd.Node {
		return autograd.Sum(autograd.Mean(autograd.Slice(autograd.Transpose(autograd.Reshape(ce, 1, 1), 0, 1), 1, 0, 1)))
	},
	"sum": func(_ *tasks, _ *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
		return autograd.Add(ce, mse)
	},
	"weighted sum": func(_ *tasks, _ *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
		return autograd.Add(autograd.Scale(ce, 0.3), autograd.Scale(mse, 0.7))
	},
	"difference": func(_ *tasks, _ *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
		return autograd.Sub(ce, autograd.Scale(mse, 0.01))
	},
	"scaled sum": func(_ *tasks, t *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
		both := autograd.Scale(autograd.Add(autograd.Scale(ce, 3), mse), 0.5)
		both = autograd.Mul(both, t.Input(tensor.Of([]float32{3}, 1)))
		return autograd.Reshape(autograd.Sum(autograd.Div(both, t.Input(tensor.Of([]float32{4}, 1)))), 1)
	},
	"three": func(m *tasks, _ *autograd.Tape, ce, mse, h *autograd.Node) *autograd.Node {
		rows := autograd.Mean(autograd.Mul(h, h)) // over all rows, without a weight
		return autograd.Add(autograd.Add(ce, autograd.Scale(rows, 20)), autograd.Sub(mse, autograd.Scale(ce, 0.25)))
	},
	"penalty": func(m *tasks, t *autograd.Tape, ce, _, _ *autograd.Node) *autograd.Node {
		w := t.Param(m.class.Weight)
		return autograd.Add(autograd.Scale(autograd.Sum(autograd.Mul(w, w)), 0.1), ce)
	},
	"penalty beside two": func(m *tasks, t *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
		w := t.Param(m.class.Weight)
		return autograd.Add(autograd.Add(mse, ce), autograd.Scale(autograd.Sum(autograd.Mul(w, w)), 0.1))
	},
	"learned factors": func(m *tasks, t *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
		s := t.Param(m.balance) // Kendall et al. 2018
		return autograd.Add(autograd.Add(autograd.Mul(autograd.Exp(autograd.Scale(s, -1)), ce), autograd.Mul(mse, autograd.Exp(s))), s)
	},
	"twice": func(_ *tasks, _ *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
		both := autograd.Add(ce, mse)
		return autograd.Add(both, autograd.Add(both, ce))
	},
}

func (m *tasks) step(compose func(m *tasks, t *autograd.Tape, ce, mse, h *autograd.Node) *autograd.Node) *train.Step {
	return train.NewStep(m.params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		h, _ := m.cell.Last(t.Input(b.X), rnn.Options{})
		ce := loss.CrossEntropy{ClassWeights: []float32{1, 2, 0.5, 3}}.Of(m.class.Forward(h), b.Labels)
		return compose(m, t, ce, loss.MSE{}.Of(m.size.Forward(h), b.Target), h)
	})
}

// TestAnyCutGivesTheSameLoss compares values and gradients of composed losses with those of the whole batch on one tape.
func TestAnyCutGivesTheSameLoss(t *testing.T) {
	source := twoTasks(67)
	rows := dataset.Rows{Source: source, Index: rand.New(rand.NewPCG(5, 5)).Perm(67)[:61]}
	for i := range rows.Index { // the rows without a label and a number first
		for j := range i {
			if rows.Index[i] < 6 && rows.Index[j] >= 6 {
				rows.Index[i], rows.Index[j] = rows.Index[j], rows.Index[i]
			}
		}
	}
	for name, compose := range compositions {
		m := newTasks()
		one := m.step(compose)
		one.Shards = 1
		want, err := one.Run(rows)
		require.NoError(t, err, name)
		for shards := 2; shards <= 8; shards++ {
			var bits uint32
			var grads []float32
			for workers := 1; workers <= 7; workers++ {
				many := m.step(compose)
				many.Shards, many.Workers = shards, workers
				for range 2 { // the second run knows the kind of loss
					got, err := many.Run(rows)
					require.NoError(t, err, "%s, %d shards", name, shards)
					require.InEpsilon(t, want, got, 1e-6, "%s, %d shards", name, shards)
					scale := one.Grads().Norm()
					for i, g := range one.Grads().Data {
						require.InDelta(t, g/float32(scale), many.Grads().Data[i]/float32(scale), 1e-6, "%s, %d shards, element %d", name, shards, i)
					}
					if grads == nil {
						bits, grads = math.Float32bits(got), append(grads, many.Grads().Data...)
					}
					require.Equal(t, bits, math.Float32bits(got), "%s, %d shards, %d workers", name, shards, workers)
					require.Equal(t, grads, many.Grads().Data, "%s, %d shards, %d workers", name, shards, workers)
				}
			}
		}
	}
}

// TestScaledLossesWithTheUsualShards is a user's program: 40 rows, 19 targets missing.
func TestScaledLossesWithTheUsualShards(t *testing.T) {
	source := &dataset.Tensors{X: tensor.New(40, 1, 1), Target: tensor.New(40, 1)}
	for i := range 40 {
		source.X.Data()[i], source.Target.Data()[i] = float32(i), float32(i)
		if i%2 == 1 && i < 38 {
			source.Target.Data()[i] = float32(math.NaN())
		}
	}
	p := autograd.NewParams(1)
	head := layers.NewDense(p, 1, 1)
	run := func(f func(*autograd.Node) *autograd.Node) float32 {
		step := train.NewStep(p, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
			y := head.Forward(t.Input(b.X))
			return f(loss.MSE{}.Of(autograd.Reshape(y, b.Rows(), 1), b.Target))
		})
		got, err := step.Run(dataset.Rows{Source: source, Index: seq(40)})
		require.NoError(t, err)
		assert.Equal(t, float32(21), step.Weight())
		return got
	}
	assert.Equal(t, run(func(l *autograd.Node) *autograd.Node { return l }), run(func(l *autograd.Node) *autograd.Node { return autograd.Scale(l, 1) }))
}

func seq(n int) (index []int) {
	for i := range n {
		index = append(index, i)
	}
	return index
}

// TestWhatCannotBeJoined: a loss that is not linear in a mean is an error where there are several shards, and what it says where
// there is one.
func TestWhatCannotBeJoined(t *testing.T) {
	rows := dataset.Rows{Source: twoTasks(60), Index: seq(60)}
	for name, compose := range map[string]func(m *tasks, t *autograd.Tape, ce, mse, h *autograd.Node) *autograd.Node{
		"autograd.Log": func(_ *tasks, _ *autograd.Tape, ce, _, _ *autograd.Node) *autograd.Node { return autograd.Log(ce) },
		"autograd.Mul": func(_ *tasks, _ *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
			return autograd.Mul(ce, mse)
		},
		"autograd.Div": func(_ *tasks, _ *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
			return autograd.Div(ce, mse)
		},
		"autograd.Max": func(_ *tasks, _ *autograd.Tape, ce, _, _ *autograd.Node) *autograd.Node {
			return autograd.Scale(autograd.Max(ce), 2)
		},
		"autograd.Softmax": func(_ *tasks, _ *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
			return autograd.Add(ce, autograd.Sum(autograd.Softmax(mse)))
		},
		"autograd.Concat": func(_ *tasks, _ *autograd.Tape, ce, mse, _ *autograd.Node) *autograd.Node {
			return autograd.Sum(autograd.Concat(0, ce, mse))
		},
	} {
		m := newTasks()
		step := m.step(compose)
		step.Shards = 3
		_, err := step.Run(rows)
		assert.ErrorContains(t, err, fmt.Sprintf("train: autograd: the loss was computed by %s from a mean over what counts", name))
		assert.Zero(t, step.Grads().Norm())
		step.Shards = 1
		_, err = step.Run(rows)
		assert.NoError(t, err, name)
		assert.NotZero(t, step.Grads().Norm(), name)
		assert.True(t, math.IsNaN(float64(step.Weight())), name)
	}
}

// TestALossOfAnotherShape: shards whose losses are sums of other means are an error, not a wrong number.
func TestALossOfAnotherShape(t *testing.T) {
	m := newTasks()
	step := train.NewStep(m.params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
		h, _ := m.cell.Last(tape.Input(b.X), rnn.Options{})
		l := loss.MSE{}.Of(m.size.Forward(h), b.Target)
		if b.First > 0 {
			l = autograd.Add(l, loss.CrossEntropy{}.Of(m.class.Forward(h), b.Labels))
		}
		return l
	})
	step.Shards = 2
	_, err := step.Run(dataset.Rows{Source: twoTasks(60), Index: seq(60)})
	assert.EqualError(t, err, "train: the losses of shards 0 and 1 are not sums of the same means: the model computed something else")
}

func TestALossThatReachesNoWeight(t *testing.T) {
	m := newTasks()
	step := train.NewStep(m.params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.CrossEntropy{}.Of(t.Input(tensor.New(len(b.Labels), 4)), b.Labels)
	})
	_, err := step.Run(dataset.Rows{Source: twoTasks(60), Index: seq(60)})
	assert.ErrorIs(t, err, autograd.ErrNoGradient)
}

// TestBatchesOneAfterTheOther adds the gradients of two batches that count differently, and compares with both as one.
func TestBatchesOneAfterTheOther(t *testing.T) {
	source := twoTasks(61)
	m := newTasks()
	step := m.step(compositions["Scale"])
	want, err := step.Run(dataset.Rows{Source: source, Index: seq(61)})
	require.NoError(t, err)
	grads := append([]float32(nil), step.Grads().Data...)

	sum, total, added := 0.0, 0.0, make([]float64, len(grads))
	for _, part := range [][]int{seq(61)[:40], seq(61)[40:]} {
		l, err := step.Run(dataset.Rows{Source: source, Index: part})
		require.NoError(t, err)
		w := float64(step.Weight())
		sum, total = sum+w*float64(l), total+w
		for i, g := range step.Grads().Data {
			added[i] += w * float64(g)
		}
	}
	assert.InEpsilon(t, want, sum/total, 1e-6)
	for i, g := range added {
		assert.InDelta(t, grads[i], g/total, 1e-5)
	}
}

// TestWeightOfASum: a batch has one weight only if all means of its loss count the same, however it is cut into shards.
func TestWeightOfASum(t *testing.T) {
	nan := float32(math.NaN())
	alike := &dataset.Tensors{X: tensor.New(6, 4, 3), Target: tensor.New(6, 2), Labels: []int32{0, 1, 2, 3, 0, 1}}
	for i := range 6 {
		alike.Target.Data()[2*i+i%2] = nan // one number and one label a row
	}
	unlabelled := &dataset.Tensors{X: alike.X, Target: alike.Target, Labels: slices.Repeat([]int32{loss.Ignore}, 6)}
	for _, c := range []struct {
		name   string
		source *dataset.Tensors
		want   float32
	}{
		{"alike", alike, 6},
		{"more numbers than labels", &dataset.Tensors{X: alike.X, Target: tensor.New(6, 2), Labels: alike.Labels}, nan},
		{"no labels", unlabelled, nan},
		{"labels and numbers missing", twoTasks(61), nan},
	} {
		m := newTasks()
		step := train.NewStep(m.params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
			h, _ := m.cell.Last(t.Input(b.X), rnn.Options{})
			return autograd.Add(loss.CrossEntropy{}.Of(m.class.Forward(h), b.Labels), loss.MSE{}.Of(m.size.Forward(h), b.Target))
		})
		for shards := 1; shards <= 6; shards++ {
			step.Shards = shards
			_, err := step.Run(dataset.Rows{Source: c.source, Index: seq(c.source.Len())})
			require.NoError(t, err, c.name)
			assert.Equal(t, math.Float32bits(c.want), math.Float32bits(step.Weight()), "%s, %d shards: %v", c.name, shards, step.Weight())
		}
	}
}

func TestJointStepsAllocateNothing(t *testing.T) {
	m := newTasks()
	step := m.step(compositions["learned factors"])
	step.Workers, step.Shards = 3, 5
	rows := dataset.Rows{Source: twoTasks(61), Index: seq(61)}
	run := func() {
		if _, err := step.Run(rows); err != nil {
			panic(err)
		}
	}
	for range 10 {
		run()
	}
	assert.Zero(t, testing.AllocsPerRun(20, run))
}

// Gradients of batches that count differently, because labels are missing, add up to that of all rows.
func ExampleStep_Weight() {
	source := &dataset.Tensors{X: tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 6, 1), Labels: []int32{0, 1, loss.Ignore, loss.Ignore, 1, loss.Ignore}}
	params := autograd.NewParams(1)
	head := layers.NewDense(params, 1, 2)
	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.CrossEntropy{}.Of(head.Forward(t.Input(b.X)), b.Labels)
	})
	total, weight := autograd.NewGrads(params), float32(0)
	for rows := range dataset.Batches(source, 4) {
		if _, err := step.Run(rows); err != nil {
			log.Fatal(err)
		}
		w := step.Weight() // 2 labels in the first batch, 1 in the second
		for i, g := range step.Grads().Data {
			total.Data[i] += w * g
		}
		weight += w
	}
	for i := range total.Data {
		total.Data[i] /= weight
	}
	if _, err := step.Run(dataset.Rows{Source: source, Index: []int{0, 1, 2, 3, 4, 5}}); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.3f\n%.3f\n", total.Of(head.Weight), step.Grads().Of(head.Weight))
	// Output:
	// [2.276 -2.276]
	// [2.276 -2.276]
}

// One encoder and two tasks, a class and a number, each of which some rows lack. The loss of the batch is that of the same
// rows in any number of shards, although each shard counts other numbers of labels and of targets.
func ExampleStep_twoTasks() {
	source := &dataset.Tensors{
		X:      tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 4, 2, 1),
		Labels: []int32{0, loss.Ignore, loss.Ignore, 1},
		Target: tensor.Of([]float32{float32(math.NaN()), 3, 5, 7}, 4, 1),
	}
	params := autograd.NewParams(1)
	encoder := rnn.NewGRU(params.In("encoder"), rnn.GRUConfig{Input: 1, Hidden: 8})
	class := layers.NewDense(params.In("class"), encoder.Out(), 2)
	amount := layers.NewDense(params.In("amount"), encoder.Out(), 1)
	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		h, _ := encoder.Last(t.Input(b.X), rnn.Options{})
		return autograd.Add(
			autograd.Scale(loss.CrossEntropy{}.Of(class.Forward(h), b.Labels), 0.3),
			autograd.Scale(loss.MSE{}.Of(amount.Forward(h), b.Target), 0.7))
	})
	for step.Shards = 1; step.Shards <= 4; step.Shards++ {
		l, err := step.Run(dataset.Rows{Source: source, Index: []int{0, 1, 2, 3}})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("shards: %d, loss %.3f, norm of the gradient %.3f\n", step.Shards, l, step.Grads().Norm())
	}
	// Output:
	// shards: 1, loss 23.105, norm of the gradient 29.878
	// shards: 2, loss 23.105, norm of the gradient 29.878
	// shards: 3, loss 23.105, norm of the gradient 29.878
	// shards: 4, loss 23.105, norm of the gradient 29.878
}
