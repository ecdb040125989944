package train_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/train"
)

// TestBatchesAccumulate: three batches give the bits of one batch whose shards have the same rows, also if the means of the
// loss count differently in each batch, and batches of any sizes give the mean over all rows.
func TestBatchesAccumulate(t *testing.T) {
	source := twoTasks(60)
	all := seq(60)
	for name, compose := range compositions {
		m := newTasks()
		one, three, some := m.step(compose), m.step(compose), m.step(compose)
		one.Shards, three.Shards, some.Shards = 3, 1, 2
		for range 2 { // the first run may find out that two phases are needed
			want, err := one.Run(dataset.Rows{Source: source, Index: all})
			require.NoError(t, err, name)
			got, err := three.Run(dataset.Rows{Source: source, Index: all[:20]}, dataset.Rows{Source: source, Index: all[20:40]}, dataset.Rows{Source: source, Index: all[40:]})
			require.NoError(t, err, name)
			assert.Equal(t, want, got, name)
			assert.Equal(t, one.Grads().Data, three.Grads().Data, name)
			assert.Equal(t, fmt.Sprint(one.Weight()), fmt.Sprint(three.Weight()), name)
			got, err = some.Run(dataset.Rows{Source: source, Index: all[:7]}, dataset.Rows{Source: source}, dataset.Rows{Source: source, Index: all[7:]})
			require.NoError(t, err, name)
			assert.InEpsilon(t, want, got, 2e-5, name)
			assert.InDeltaSlice(t, one.Grads().Data, some.Grads().Data, 1e-4*(1+one.Grads().Norm()), name)
		}
	}
}

func TestAccumulationAllocatesNothing(t *testing.T) {
	m := newTasks()
	step := m.step(compositions["learned factors"])
	source := twoTasks(61)
	batches := slices.Collect(dataset.Shuffled(source, 20, 1, 1))
	run := func() {
		if _, err := step.Run(batches...); err != nil {
			panic(err)
		}
	}
	for range 10 {
		run()
	}
	assert.Zero(t, testing.AllocsPerRun(20, run))
}

func TestErrorsNameTheBatch(t *testing.T) {
	source := sequences(60)
	source.labels[33] = 9
	m := newModel(false, 3, 9, 4)
	step := train.NewStep(m.params, m.loss)
	for group := range dataset.Grouped(dataset.Batches(source, 20), 5) {
		_, err := step.Run(group...)
		assert.ErrorContains(t, err, ": row 13 of batch 1, example 33 of the source")
	}
	_, err := step.Run()
	assert.ErrorIs(t, err, train.ErrNothingCounted)
}

// Batches of sequences of about equal lengths accumulate, two in a step. The loss and the gradient are those of the mean
// over all labels that count, whatever their number in each batch.
func ExampleStep_Run_accumulate() {
	source := sequences(8)
	source.labels[0], source.labels[1], source.labels[2] = loss.Ignore, loss.Ignore, loss.Ignore
	m := newModel(false, 3, 9, 4)
	step := train.NewStep(m.params, m.loss)
	for batches := range dataset.Grouped(dataset.Batches(source, 4), 2) {
		l, err := step.Run(batches...)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d batches, %v labels, loss %.4f, norm of the gradient %.4f\n", len(batches), step.Weight(), l, step.Grads().Norm())
	}
	l, err := step.Run(source.all())
	fmt.Printf("1 batch, %v labels, loss %.4f, norm of the gradient %.4f, %v\n", step.Weight(), l, step.Grads().Norm(), err)
	// Output:
	// 2 batches, 5 labels, loss 1.1556, norm of the gradient 1.0070
	// 1 batch, 5 labels, loss 1.1556, norm of the gradient 1.0070, <nil>
}
