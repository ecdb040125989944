package train_test

import (
	"fmt"
	"math"
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

// TestErrorsNameTheExample spoils example 77 of a source, and reads the source in every way there is.
func TestErrorsNameTheExample(t *testing.T) {
	const n, steps, spoilt = 120, 5, 77
	p := autograd.NewParams(1)
	cell := rnn.NewElman(p.In("rnn"), rnn.ElmanConfig{Input: 3, Hidden: 4})
	head := layers.NewDense(p.In("head"), 4, 4)
	sources := map[string]struct {
		spoil func() *dataset.Tensors
		want  string
	}{
		"label of a step": {func() *dataset.Tensors {
			s := &dataset.Tensors{X: tensor.New(n, steps, 3), Labels: make([]int32, n*steps)}
			s.Labels[spoilt*steps+2] = 9
			return s
		}, "loss.CrossEntropy: label 9, want 0 to 3, or -100 to ignore the row: step 2 of row %d of the batch, example 77 of the source"},
		"input": {func() *dataset.Tensors {
			s := &dataset.Tensors{X: tensor.New(n, steps, 3), Labels: make([]int32, n*steps)}
			s.X.Data()[(spoilt*steps+4)*3+1] = float32(math.NaN())
			return s
		}, "feature 1 of the input, in layer 0 of rnn"},
		"target": {func() *dataset.Tensors {
			s := &dataset.Tensors{X: tensor.New(n, steps, 3), Target: tensor.New(n, 4)}
			s.Target.Data()[spoilt*4+3] = 1.5
			return s
		}, "loss.BCEWithLogits: target 1.5 in column 3, want 0 to 1, or NaN to ignore it: row %d of the batch, example 77 of the source"},
	}
	for name, c := range sources {
		source := c.spoil()
		step := train.NewStep(p, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
			y, end := cell.Forward(t.Input(b.X), rnn.Options{})
			if b.Target != nil {
				return loss.BCEWithLogits{}.Of(head.Forward(autograd.Reshape(end.H, b.Rows(), 4)), b.Target)
			}
			return loss.CrossEntropy{}.Of(head.Forward(y), b.Labels)
		})
		_, rest := dataset.Split(source, 20)
		first, _ := dataset.Split(rest, 90)
		ways := map[string]func(yield func(dataset.Rows) bool){
			"Batches":  dataset.Batches(source, 50),
			"Shuffled": dataset.Shuffled(first, 45, 3, 1),
			"Buckets":  dataset.Buckets(first, 90, 3, 1),
		}
		for way, batches := range ways {
			found := 0
			for rows := range batches {
				_, err := step.Run(rows)
				if err == nil {
					continue
				}
				found++
				row := -1
				for i, r := range rows.Index {
					if way == "Batches" && r == spoilt || way != "Batches" && r == spoilt-20 {
						row = i
					}
				}
				require.GreaterOrEqual(t, row, 0, "%s, %s: %v", name, way, err)
				want := c.want
				if name == "input" {
					assert.ErrorIs(t, err, autograd.ErrNotFinite)
					assert.ErrorContains(t, err, want)
					want = "step 4 of row %d of the batch, example 77 of the source"
				}
				assert.ErrorContains(t, err, fmt.Sprintf(want, row), "%s, %s", name, way)
			}
			assert.Equal(t, 1, found, "%s, %s", name, way)
		}
	}
}

// TestEvaluator: several outputs, any number of workers, and no allocation from the second time on.
func TestEvaluator(t *testing.T) {
	type outputs struct{ hidden, logits *autograd.Node }
	source := sequences(203)
	m := newModel(true, 3, 9, 4)
	model := func(tape *autograd.Tape, b *dataset.Batch) outputs {
		h, _ := m.cell.Last(tape.Input(b.X), rnn.Options{})
		return outputs{h, m.head.Forward(h)}
	}
	run := func(e *train.Evaluator[outputs]) (hidden, logits []float32) {
		require.NoError(t, e.Run(source, 100, func(out outputs, b *dataset.Batch) {
			assert.Equal(t, b.Rows(), out.logits.Shape()[0])
			hidden, logits = append(hidden, out.hidden.Data()...), append(logits, out.logits.Data()...)
		}))
		return hidden, logits
	}
	e := train.NewEvaluator(m.params, model)
	wantHidden, wantLogits := run(e)
	assert.Len(t, wantHidden, 203*9)
	var whole dataset.Batch
	require.NoError(t, source.Gather(source.all().Index, &whole))
	assert.Equal(t, m.classify(autograd.NewInference(m.params), &whole).Data(), wantLogits)
	for _, workers := range []int{1, 2, 7} {
		e.Workers = workers
		hidden, logits := run(e)
		assert.Equal(t, wantHidden, hidden)
		assert.Equal(t, wantLogits, logits)
	}
	sum := float32(0)
	once := func() {
		if err := e.Run(source, 100, func(out outputs, _ *dataset.Batch) { sum += out.logits.Data()[0] }); err != nil {
			panic(err)
		}
	}
	once()
	once()
	assert.Less(t, testing.AllocsPerRun(10, once), 12.0, "the list of rows and closures, not tapes")
}
