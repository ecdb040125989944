package train_test

import (
	"fmt"
	"math"
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

const manyShards = 64

// TestSumOfManyShards compares with gradients that are all kept and then added in the order of the shards.
func TestSumOfManyShards(t *testing.T) {
	m := newModel(true, 3, 9, 4)
	source := sequences(2*manyShards + 5)
	want := autograd.NewGrads(m.params)
	tape := autograd.NewTape(m.params, 0)
	var batch dataset.Batch
	for i := range manyShards {
		lo, hi := dataset.Cut(source.Len(), manyShards, i)
		require.NoError(t, source.Gather(source.all().Index[lo:hi], &batch))
		tape.Reset()
		require.NoError(t, m.loss(tape, &batch).BackwardScaled(float32(hi-lo)))
		for k, v := range tape.Grads().Data {
			want.Data[k] += v
		}
	}
	for k := range want.Data {
		want.Data[k] *= 1 / float32(source.Len())
	}
	for _, workers := range []int{1, 2, 3, 7} {
		step := train.NewStep(m.params, m.loss)
		step.Workers, step.Shards = workers, manyShards
		for range 20 {
			_, err := step.Run(source.all())
			require.NoError(t, err)
			require.Equal(t, want.Data, step.Grads().Data, "%d workers", workers)
		}
		assert.LessOrEqual(t, step.Slabs(), 2*workers)
	}
}

// TestSlowShard: while the worker of the first shard takes its time, the other worker goes on, until it is too far ahead.
func TestSlowShard(t *testing.T) {
	m := newModel(false, 3, 9, 4)
	source := sequences(manyShards) // shards of one row
	begun := make(chan int, manyShards)
	goOn := make(chan struct{})
	step := train.NewStep(m.params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
		if begun <- b.First; b.First == 0 {
			<-goOn
		}
		return m.loss(tape, b)
	})
	step.Workers, step.Shards = 2, manyShards
	var wait sync.WaitGroup
	wait.Go(func() {
		_, err := step.Run(source.all())
		assert.NoError(t, err)
	})
	shards := map[int]bool{}
	for range 2 * step.Workers {
		shards[<-begun] = true
	}
	assert.Equal(t, map[int]bool{0: true, 1: true, 2: true, 3: true}, shards)
	for range 1000 {
		runtime.Gosched()
	}
	assert.Empty(t, begun, "a shard that is too far ahead of the sum has begun")
	close(goOn)
	wait.Wait()
	assert.LessOrEqual(t, step.Slabs(), 2*step.Workers)
}

// TestFailuresAmongManyShards: whatever happens in one shard, the other workers do not wait forever, and the next batch is as
// if nothing had been.
func TestFailuresAmongManyShards(t *testing.T) {
	const row = 40
	m := newModel(true, 3, 9, 4)
	source := sequences(manyShards)
	var fails atomic.Pointer[func(*autograd.Tape, *dataset.Batch) *autograd.Node]
	model := func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
		if fail := fails.Load(); fail != nil && b.First == row {
			return (*fail)(tape, b)
		}
		return m.loss(tape, b)
	}
	for _, workers := range []int{1, 2, 3, 7} {
		step := train.NewStep(m.params, model)
		step.Workers, step.Shards = workers, manyShards
		want, err := step.Run(source.all())
		require.NoError(t, err)
		for name, c := range map[string]struct {
			model       func(*autograd.Tape, *dataset.Batch) *autograd.Node
			err, panics string
		}{
			"error": {func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
				tape.Fail(&autograd.DataError{Text: "no", Row: 0, Rows: 1})
				return m.loss(tape, b)
			}, fmt.Sprintf("no: row %d of the batch, example %[1]d of the source", row), ""},
			"panic": {func(*autograd.Tape, *dataset.Batch) *autograd.Node {
				panic(&autograd.UsageError{Where: "here", What: "oh"})
			}, "", "here: oh"},
			"infinite loss": {func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
				return autograd.Scale(m.loss(tape, b), float32(math.Inf(1)))
			}, "autograd: loss is not finite: +Inf", ""},
			"infinite gradient of a finite loss": {func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
				b.X.Data()[0] = float32(math.Inf(1)) // which sigmoid and tanh make finite
				return m.loss(tape, b)
			}, fmt.Sprintf("in layer 0 of rnn: step 0 of row %d of the batch, example %[1]d of the source", row), ""},
			"end of the goroutine": {func(*autograd.Tape, *dataset.Batch) *autograd.Node {
				runtime.Goexit()
				return nil
			}, "the model or the source ended its goroutine", ""},
		} {
			fails.Store(&c.model)
			var err error
			var fault error
			var wait sync.WaitGroup
			wait.Go(func() { fault = autograd.Try(func() { _, err = step.Run(source.all()) }) })
			wait.Wait()
			switch {
			case c.panics != "":
				assert.EqualError(t, fault, c.panics, name)
			case err != nil: // the goroutine of the caller may be the one that ended
				assert.ErrorContains(t, err, c.err, name)
			default:
				assert.Equal(t, "end of the goroutine", name)
			}
			assert.Zero(t, step.Grads().Norm(), name)
			fails.Store(nil)
			got, err := step.Run(source.all())
			require.NoError(t, err, name)
			assert.Equal(t, want, got, name)
		}
		assert.LessOrEqual(t, step.Slabs(), 2*workers)
	}
}

func TestManyShardsAllocateNothing(t *testing.T) {
	m := newModel(true, 3, 9, 4)
	assert.Zero(t, allocations(m.params, m.loss, sequences(2*manyShards).all(), 3, manyShards, func(*autograd.Grads) {}))
}
