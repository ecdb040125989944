package train_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/train"
)

// TestAModelThatEndsItsGoroutine: the step returns an error, and the next step is as if nothing had been. If the
// goroutine is the caller's, it ends.
func TestAModelThatEndsItsGoroutine(t *testing.T) {
	for _, first := range []int{8, 16} {
		m := newModel(false, 3, 9, 4)
		var exits atomic.Bool
		model := func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
			if exits.Load() && b.First == first {
				runtime.Goexit()
			}
			return m.loss(tape, b)
		}
		source := sequences(24) // shards of 8 rows
		step, evaluator := train.NewStep(m.params, model), train.NewEvaluator(m.params, model)
		step.Workers, evaluator.Workers = 3, 3
		want, err := step.Run(source.all())
		require.NoError(t, err)

		exits.Store(true)
		for name, run := range map[string]func() error{
			"train: ":          func() error { _, err := step.Run(source.all()); return err },
			"train.Evaluate: ": func() error { return evaluator.Run(source, 24, func(*autograd.Node, *dataset.Batch) {}) },
		} {
			var err error
			returned := false
			for try := 0; try < 1000 && !returned; try++ { // until a worker takes the shard, not the caller's goroutine
				var wait sync.WaitGroup
				wait.Go(func() { err = run(); returned = true })
				wait.Wait()
			}
			require.True(t, returned)
			assert.EqualError(t, err, name+"the model or the source ended its goroutine (runtime.Goexit), as FailNow of a test does")
		}

		exits.Store(false)
		got, err := step.Run(source.all())
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

// TestOneStepOfTwoGoroutines calls Run while the model of another Run waits.
func TestOneStepOfTwoGoroutines(t *testing.T) {
	m := newModel(false, 3, 9, 4)
	inside, goOn := make(chan struct{}), make(chan struct{})
	var waits atomic.Bool
	model := func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
		if waits.CompareAndSwap(true, false) {
			close(inside)
			<-goOn
		}
		return m.loss(tape, b)
	}
	source := sequences(105)
	step, evaluator := train.NewStep(m.params, model), train.NewEvaluator(m.params, model)
	for name, run := range map[string]func() error{
		"train.Step.Run":      func() error { _, err := step.Run(source.all()); return err },
		"train.Evaluator.Run": func() error { return evaluator.Run(source, 105, func(*autograd.Node, *dataset.Batch) {}) },
	} {
		inside, goOn = make(chan struct{}), make(chan struct{})
		waits.Store(true)
		done := make(chan error)
		go func() { done <- run() }()
		<-inside
		var usage *autograd.UsageError
		fault := autograd.Try(func() { run() })
		require.ErrorAs(t, fault, &usage)
		assert.EqualError(t, fault, name+": called while another call is running; each goroutine needs one of its own")
		close(goOn)
		require.NoError(t, <-done)
		require.NoError(t, run(), fmt.Sprint("after ", name))
	}
}
