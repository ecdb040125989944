package train_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// memory is a Source of sequences [T, rows, features] with a label each; err, if not nil, is what a row gives.
type memory struct {
	x      *tensor.Tensor
	labels []int32
	err    map[int]error
}

func (m *memory) Len() int { return len(m.labels) }

func (m *memory) Gather(rows []int, into *dataset.Batch) error {
	steps, all, features := m.x.Dim(0), m.x.Dim(1), m.x.Dim(2)
	if into.X == nil {
		into.X = tensor.New(0)
	}
	into.X.Resize(steps, len(rows), features)
	into.Labels = into.Labels[:0]
	for i, r := range rows {
		if err := m.err[r]; err != nil {
			return err
		}
		for t := range steps {
			copy(into.X.Data()[(t*len(rows)+i)*features:][:features], m.x.Data()[(t*all+r)*features:])
		}
		into.Labels = append(into.Labels, m.labels[r])
	}
	return nil
}

// sequences is rows of 5 steps with 3 features in 4 classes.
func sequences(rows int) *memory {
	m := &memory{x: tensor.New(5, rows, 3), labels: make([]int32, rows), err: map[int]error{}}
	for i := range m.x.Data() {
		m.x.Data()[i] = float32(math.Sin(float64(7 * i)))
	}
	for i := range m.labels {
		m.labels[i] = int32(i % 4)
	}
	return m
}

func (m *memory) all() dataset.Rows {
	index := make([]int, m.Len())
	for i := range index {
		index[i] = i
	}
	return dataset.Rows{Source: m, Index: index}
}

type model struct {
	params *autograd.Params
	cell   rnn.Layer
	head   *layers.Dense
}

func newModel(lstm bool, input, hidden, classes int) model {
	params := autograd.NewParams(7)
	m := model{params: params}
	if lstm {
		m.cell = rnn.NewLSTM(params.In("rnn"), rnn.LSTMConfig{Input: input, Hidden: hidden})
	} else {
		m.cell = rnn.NewElman(params.In("rnn"), rnn.ElmanConfig{Input: input, Hidden: hidden})
	}
	m.head = layers.NewDense(params.In("head"), hidden, classes)
	return m
}

func (m model) classify(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	h, _ := m.cell.Last(t.Input(b.X), rnn.Options{})
	return m.head.Forward(h)
}

func (m model) loss(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	return loss.SparseSoftmaxCrossEntropy(m.classify(t, b), b.Labels)
}

// TestPyTorch makes ten steps of Adam and compares losses and weights.
func TestPyTorch(t *testing.T) {
	for name, lstm := range map[string]bool{"train_elman_tanh": false, "train_lstm": true} {
		file, err := golden.Load(name)
		require.NoError(t, err)
		x := file.Get("x")
		before := file.Under("before.")
		m := newModel(lstm, x.Shape[2], before["rnn.weight_hh_l0"].Shape[1], before["head.bias"].Shape[0])
		m.params.Update(func() {
			for p := range m.params.All() {
				copy(p.Value.Data(), before[p.Name].Float32())
			}
		})
		source := &memory{x: tensor.Of(x.Float32(), x.Shape...), labels: file.Get("labels").Int32()}
		step := train.NewStep(m.params, m.loss)
		step.Shards = 2
		adam := optim.NewAdam(m.params, file.Config["lr"])
		for i, want := range file.Get("losses").Data {
			got, err := step.Run(source.all())
			require.NoError(t, err)
			assert.InEpsilon(t, want, got, 1e-5, "%s: loss before step %d", name, i)
			adam.Step(step.Grads())
		}
		for p := range m.params.All() {
			assert.LessOrEqual(t, reference.MaxRelErr(p.Value.Data(), file.Get("after."+p.Name).Data), 1e-5, "%s: %s", name, p.Name)
		}
	}
}

// weights is a hash of all weights after a few steps over shuffled batches.
func weights(t *testing.T, lstm bool, workers int) string {
	t.Helper()
	m := newModel(lstm, 3, 9, 4)
	step, adam := train.NewStep(m.params, m.loss), optim.NewAdam(m.params, 0.01)
	step.Workers = workers
	var text strings.Builder
	for epoch := range uint64(2) {
		for rows := range dataset.Shuffled(sequences(700), 160, 1, epoch) {
			l, err := step.Run(rows)
			require.NoError(t, err)
			fmt.Fprintln(&text, math.Float32bits(l))
			adam.Step(step.Grads())
		}
	}
	for p := range m.params.All() {
		for _, v := range p.Value.Data() {
			fmt.Fprintln(&text, math.Float32bits(v))
		}
	}
	return text.String()
}

func TestAnyNumberOfWorkersGivesTheSameBits(t *testing.T) {
	for _, lstm := range []bool{false, true} {
		want := weights(t, lstm, 1)
		for _, workers := range []int{0, 2, 3, 7, 50} {
			assert.True(t, want == weights(t, lstm, workers), "%d workers", workers)
		}
		old := runtime.GOMAXPROCS(1)
		assert.True(t, want == weights(t, lstm, 0), "GOMAXPROCS=1")
		runtime.GOMAXPROCS(old)
	}
}

// TestMeanIsExact compares batches cut into shards with the same batch on one tape, with labels to ignore
// spread unevenly.
func TestMeanIsExact(t *testing.T) {
	source := sequences(101)
	for i := range 60 {
		source.labels[i] = loss.Ignore // all of the first shard, and some of the second
	}
	m := newModel(false, 3, 9, 4)
	one, many := train.NewStep(m.params, m.loss), train.NewStep(m.params, m.loss)
	one.Shards = 1
	want, err := one.Run(source.all())
	require.NoError(t, err)
	for _, shards := range []int{0, 2, 3, 5, 101, 200} {
		many.Shards = shards
		got, err := many.Run(source.all())
		require.NoError(t, err)
		assert.InEpsilon(t, want, got, 1e-6)
		assert.InDeltaSlice(t, one.Grads().Data, many.Grads().Data, 1e-6)
	}
	// The mean is over the rows that count: without the others it is the same.
	rest := dataset.Rows{Source: source, Index: source.all().Index[60:]}
	got, err := one.Run(rest)
	require.NoError(t, err)
	assert.InEpsilon(t, want, got, 1e-6)
}

// TestASumOfLossesKeepsItsWeight adds a penalty of a weight to a loss with rows to ignore.
func TestASumOfLossesKeepsItsWeight(t *testing.T) {
	source := sequences(100)
	for i := range 42 {
		source.labels[i] = loss.Ignore
	}
	m := newModel(false, 3, 9, 4)
	step := train.NewStep(m.params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
		bias := tape.Param(m.head.Weight)
		return autograd.Add(autograd.Sum(autograd.Mul(bias, bias)), m.loss(tape, b))
	})
	step.Shards = 1
	want, err := step.Run(source.all())
	require.NoError(t, err)
	step.Shards = 3
	got, err := step.Run(source.all())
	require.NoError(t, err)
	assert.InEpsilon(t, want, got, 1e-6)
}

func TestALossWithoutWeightCountsItsRows(t *testing.T) {
	source := sequences(5)
	params := autograd.NewParams(1)
	w := params.New("w", autograd.Constant(1), 1)
	step := train.NewStep(params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
		n := tape.New(1) // the mean of the labels
		n.Data()[0] = 0
		for _, l := range b.Labels {
			n.Data()[0] += float32(l) / float32(len(b.Labels))
		}
		return autograd.Mul(tape.Param(w), n)
	})
	step.Shards = 2 // 3 rows and 2
	got, err := step.Run(source.all())
	require.NoError(t, err)
	assert.InDelta(t, (0+1+2+3+0)/5.0, got, 1e-6)
}

func TestNothingToCount(t *testing.T) {
	source := sequences(80)
	for i := range source.labels {
		source.labels[i] = loss.Ignore
	}
	m := newModel(false, 3, 9, 4)
	step := train.NewStep(m.params, m.loss)
	for _, rows := range []dataset.Rows{source.all(), {Source: source}} {
		got, err := step.Run(rows)
		assert.ErrorIs(t, err, train.ErrNothingCounted)
		assert.EqualError(t, err, "train: nothing in the batch counts")
		assert.Zero(t, got)
		assert.Zero(t, step.Grads().Norm())
		assert.Zero(t, step.Weight())
	}
}

// TestFailures has one shard of three go wrong: the error or panic arrives, the gradient is zero, and the next
// batch is as if nothing had been.
func TestFailures(t *testing.T) {
	torn := errors.New("disk torn")
	for _, c := range []struct {
		name  string
		spoil func(*memory)
		panic func(b *dataset.Batch)
		check func(t *testing.T, err error, fault error)
	}{
		{"label", func(m *memory) { m.labels[50] = 9 }, nil, func(t *testing.T, err, fault error) {
			assert.EqualError(t, err, "train: loss.SparseSoftmaxCrossEntropy: label 9, want 0 to 3, or -100 to ignore the row: row 50 of the batch, example 50 of the source")
		}},
		{"nan", func(m *memory) { m.x.Data()[(0*105+50)*3] = float32(math.NaN()) }, nil, func(t *testing.T, err, fault error) {
			assert.ErrorIs(t, err, autograd.ErrNotFinite)
			assert.ErrorContains(t, err, "the first on the tape is NaN, feature 0 of the input, in layer 0 of rnn: step 0 of row 50 of the batch, example 50 of the source")
		}},
		{"source", func(m *memory) { m.err[50] = torn }, nil, func(t *testing.T, err, fault error) {
			assert.ErrorIs(t, err, torn)
			assert.EqualError(t, err, "train: disk torn")
		}},
		{"panic", nil, func(b *dataset.Batch) { _ = b.Labels[len(b.Labels)+b.First-35] }, func(t *testing.T, err, fault error) {
			var p *autograd.PanicError
			require.ErrorAs(t, fault, &p)
			assert.Contains(t, fault.Error(), "index out of range")
			assert.Contains(t, string(p.Stack), "TestFailures", "the worker's stack")
			var r runtime.Error
			assert.ErrorAs(t, fault, &r)
		}},
		{"shape", nil, func(b *dataset.Batch) {
			if b.First == 35 {
				panic(&autograd.ShapeError{Where: "here", Got: "1", Want: "2"})
			}
		}, func(t *testing.T, err, fault error) {
			var s *autograd.ShapeError
			require.ErrorAs(t, fault, &s)
			assert.EqualError(t, fault, "here: 1, want 2")
		}},
	} {
		for workers := 1; workers <= 3; workers++ {
			t.Run(fmt.Sprint(c.name, workers), func(t *testing.T) {
				m := newModel(false, 3, 9, 4)
				var bad atomic.Bool
				step := train.NewStep(m.params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
					if bad.Load() && c.panic != nil && b.First >= 35 {
						c.panic(b)
					}
					return m.loss(tape, b)
				})
				step.Workers, step.Shards = workers, 3
				good := sequences(105) // shards of 35 rows
				want, err := step.Run(good.all())
				require.NoError(t, err)
				grads := append([]float32(nil), step.Grads().Data...)

				source := sequences(105)
				if c.spoil != nil {
					c.spoil(source)
				}
				bad.Store(true)
				fault := autograd.Try(func() { _, err = step.Run(source.all()) })
				c.check(t, err, fault)
				assert.Equal(t, fault == nil, c.panic == nil)
				assert.Zero(t, step.Grads().Norm())

				bad.Store(false)
				got, err := step.Run(good.all())
				require.NoError(t, err)
				assert.Equal(t, want, got)
				assert.Equal(t, grads, step.Grads().Data)
			})
		}
	}
}

func TestModelMustReturnItsTapesNode(t *testing.T) {
	params := autograd.NewParams(1)
	elsewhere := autograd.NewTape(params, 0).New(1)
	for _, out := range []*autograd.Node{nil, elsewhere} {
		step := train.NewStep(params, func(*autograd.Tape, *dataset.Batch) *autograd.Node { return out })
		assert.EqualError(t, autograd.Try(func() { step.Run(sequences(3).all()) }),
			"train: what the model returned is not a node of the tape that it was handed")
		model := func(*autograd.Tape, *dataset.Batch) *autograd.Node { return out }
		assert.EqualError(t, autograd.Try(func() { train.Evaluate(params, sequences(3), 2, model, nil) }),
			"train: what the model returned is not a node of the tape that it was handed")
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	for _, lstm := range []bool{false, true} {
		m := newModel(lstm, 3, 9, 4)
		adam := optim.NewAdam(m.params, 0.01)
		assert.Zero(t, allocations(m.params, m.loss, sequences(150).all(), 3, 0, func(g *autograd.Grads) { adam.Step(g) }))
	}
}

// allocations returns the average number of allocations of a Run, and of use of its gradient, after some Runs. In each Run every
// worker computes a shard, since no shard goes on before as many shards as workers have begun. Otherwise a worker might find no shard
// left in the first Runs, and its tape would allocate in a later one.
func allocations(p *autograd.Params, model func(*autograd.Tape, *dataset.Batch) *autograd.Node, rows dataset.Rows, workers, shards int, use func(*autograd.Grads)) float64 {
	var begun atomic.Int64
	step := train.NewStep(p, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		for begun.Add(1); int(begun.Load()) < workers; {
			runtime.Gosched()
		}
		return model(t, b)
	})
	step.Workers, step.Shards = workers, shards
	run := func() {
		begun.Store(0)
		if _, err := step.Run(rows); err != nil {
			panic(err)
		}
		use(step.Grads())
	}
	for range 10 {
		run()
	}
	return testing.AllocsPerRun(20, run)
}

func TestEvaluate(t *testing.T) {
	source := sequences(203)
	m := newModel(false, 3, 9, 4)
	var got []float32
	var labels []int32
	require.NoError(t, train.Evaluate(m.params, source, 100, m.classify, func(out *autograd.Node, b *dataset.Batch) {
		assert.Equal(t, len(labels)%100, b.First)
		got = append(got, out.Data()...)
		labels = append(labels, b.Labels...)
	}))
	assert.Equal(t, source.labels, labels)
	var whole dataset.Batch
	require.NoError(t, source.Gather(source.all().Index, &whole))
	assert.Equal(t, m.classify(autograd.NewInference(m.params), &whole).Data(), got)

	source.err[150] = errors.New("disk torn")
	err := train.Evaluate(m.params, source, 100, m.classify, func(*autograd.Node, *dataset.Batch) {})
	assert.EqualError(t, err, "train.Evaluate: disk torn")
	delete(source.err, 150)
	source.labels[3] = 77
	err = train.Evaluate(m.params, source, 100, m.loss, func(*autograd.Node, *dataset.Batch) {})
	assert.EqualError(t, err, "train.Evaluate: loss.SparseSoftmaxCrossEntropy: label 77, want 0 to 3, or -100 to ignore the row: row 3 of the batch, example 3 of the source")
}

// A line is fitted to points: the model is a dense layer, its loss the mean of the squared error.
func ExampleStep() {
	params := autograd.NewParams(42)
	line := layers.NewDense(params, 1, 1)
	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		minus := t.New(b.X.Shape()...) // the labels are y = 2x - 1
		for i, y := range b.Labels {
			minus.Data()[i] = -float32(y)
		}
		off := autograd.Add(line.Forward(t.Input(b.X)), minus)
		scale := t.New(off.Shape()...)
		for i := range scale.Data() {
			scale.Data()[i] = 1 / float32(len(b.Labels))
		}
		return autograd.Sum(autograd.Mul(autograd.Mul(off, off), scale))
	})
	adam := optim.NewAdam(params, 0.1)
	source := &memory{x: tensor.Of([]float32{0, 1, 2, 3}, 1, 4, 1), labels: []int32{-1, 1, 3, 5}}
	for range 500 {
		if _, err := step.Run(source.all()); err != nil {
			fmt.Println(err)
			return
		}
		adam.Step(step.Grads())
	}
	fmt.Printf("%.2f %.2f\n", line.Weight.Value.Data()[0], line.Bias.Value.Data()[0])
	// Output: 2.00 -1.00
}

// TestRandomNumbersAreTheShards: what is random in a step follows from the step and the shard, whoever takes it.
func TestRandomNumbersAreTheShards(t *testing.T) {
	source := sequences(35)
	run := func(workers int) (grads [3][]float32) {
		m := newModel(false, 3, 4, 4)
		step := train.NewStep(m.params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
			for i := range b.X.Data() {
				b.X.Data()[i] *= tape.Rand().Float32()
			}
			return m.loss(tape, b)
		})
		step.Workers, step.Shards = workers, 5
		for i := range grads {
			_, err := step.Run(source.all())
			require.NoError(t, err)
			grads[i] = slices.Clone(step.Grads().Data)
		}
		return grads
	}
	want := run(1)
	assert.NotEqual(t, want[0], want[1], "each step draws its own")
	for _, workers := range []int{2, 3, 7} {
		assert.Equal(t, want, run(workers), "%d workers", workers)
	}
}

// TestRunsGoOn: a new Step that is told how many Runs there were before draws the dropout that the old one would have drawn.
func TestRunsGoOn(t *testing.T) {
	rows := sequences(80)
	params := autograd.NewParams(5)
	head := layers.NewDense(params.In("head"), 3, 4)
	model := func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		x := autograd.Dropout(autograd.MeanDim(t.Input(b.X), 0), 0.5)
		return loss.SparseSoftmaxCrossEntropy(head.Forward(x), b.Labels)
	}
	run := func(s *train.Step) []float32 {
		_, err := s.Run(rows.all())
		require.NoError(t, err)
		return slices.Clone(s.Grads().Data)
	}
	whole := train.NewStep(params, model)
	first, second := run(whole), run(whole)
	require.NotEqual(t, first, second)

	rest := train.NewStep(params, model)
	rest.Runs = 1
	assert.Equal(t, second, run(rest))
	assert.EqualValues(t, 2, rest.Runs)
}

// TestShardsOfABatch: the number of shards follows from the rows alone.
func TestShardsOfABatch(t *testing.T) {
	for rows, want := range map[int]int{1: 1, 8: 1, 9: 2, 16: 2, 24: 3, 32: 4, 150: 4, 152: 4, 153: 5, 304: 8, 512: 14, 1024: 27, 10000: 64} {
		params := autograd.NewParams(1)
		w := params.New("w", autograd.Zeros, 1)
		var shards atomic.Int32
		step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
			shards.Add(1)
			return autograd.Mean(t.Param(w))
		})
		index := make([]int, rows)
		_, err := step.Run(dataset.Rows{Source: &dataset.Tensors{X: tensor.New(1, 1)}, Index: index})
		require.NoError(t, err)
		assert.Equal(t, int32(want), shards.Load(), "%d rows", rows)
	}
}
