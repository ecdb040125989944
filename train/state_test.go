package train_test

import (
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

// stateful is the model of both tasks, which carries its state from one Run to the next. After the state is set, the model of a
// shard whose first row is fails ends by fail.
type stateful struct {
	*tasks
	state *rnn.State
	step  *train.Step
	calls atomic.Int64
	fails int
	fail  func(t *autograd.Tape)
}

func newStateful(rows, shards int) *stateful {
	m := &stateful{tasks: newTasks(), fails: -1}
	m.state = m.cell.NewState(rows)
	m.step = train.NewStep(m.params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		m.calls.Add(1)
		first, n := b.First, b.Rows()
		h, end := m.cell.Last(t.Input(b.X), rnn.Options{Start: m.state.Carry(t, first, n)})
		m.state.Set(end, first)
		if first == m.fails {
			m.fail(t)
		}
		return autograd.Add(loss.SparseSoftmaxCrossEntropy(m.class.Forward(h), b.Labels), loss.MSE{}.Of(m.size.Forward(h), b.Target))
	})
	m.step.Shards, m.step.Workers = shards, 2
	return m
}

func (m *stateful) hidden() []float32 { return slices.Clone(m.state.H.Data()) }

// TestStateOfBatchThatRunsTwice: a batch whose means count differently in its shards is computed twice, from the same state.
func TestStateOfBatchThatRunsTwice(t *testing.T) {
	source := twoTasks(24)
	whole, cut := newStateful(24, 1), newStateful(24, 4)
	for i, calls := range []int64{8, 12, 16} {
		for rows := range dataset.Batches(source, 24) {
			want, err := whole.step.Run(rows)
			require.NoError(t, err)
			got, err := cut.step.Run(rows)
			require.NoError(t, err)
			assert.InDelta(t, want, got, 1e-4)
			assert.Equal(t, calls, cut.calls.Load(), i)
			assert.Equal(t, whole.hidden(), cut.hidden(), i)
		}
	}
}

// TestStateAfterError: a Run that fails, in whatever way and in whichever shard, leaves the state as it was, and the next Run
// goes on from there.
func TestStateAfterError(t *testing.T) {
	source := twoTasks(24)
	never, m := newStateful(24, 4), newStateful(24, 4)
	batches := slices.Collect(dataset.Batches(source, 24))
	run := func(m *stateful) error {
		_, err := m.step.Run(batches...)
		return err
	}
	require.NoError(t, run(never))
	require.NoError(t, run(m))
	want := m.hidden()
	torn := errors.New("disk torn")
	for _, m.fails = range []int{12, 18} {
		m.fail = func(t *autograd.Tape) { t.Fail(torn) }
		assert.ErrorIs(t, run(m), torn)
		assert.Equal(t, want, m.hidden())
		m.fail = func(*autograd.Tape) { panic("caught by the caller") }
		assert.Panics(t, func() { run(m) })
		assert.Equal(t, want, m.hidden())

		m.fail = func(*autograd.Tape) {}
		x := &source.X.Data()[(m.fails*4+1)*3] // step 1 of the row
		before := *x
		for _, *x = range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			err := run(m)
			assert.ErrorIs(t, err, autograd.ErrNotFinite)
			assert.ErrorContains(t, err, "feature 0 of the input, in layer 0 of rnn", "the search begins with the state of the Run")
			assert.Equal(t, want, m.hidden())
		}
		*x = before
	}
	require.NoError(t, run(never))
	require.NoError(t, run(m))
	assert.Equal(t, never.hidden(), m.hidden())
	assert.Equal(t, never.step.Grads().Data, m.step.Grads().Data)
	assert.Zero(t, testing.AllocsPerRun(20, func() { run(m) }), "nor does a state")
}

// TestStateWhereNothingCounts: a batch without a label or a target is an error, but the state goes on as if it had some; and
// shards in which nothing counts, beside others, change no bit of the state and nothing but rounding of the gradient.
func TestStateWhereNothingCounts(t *testing.T) {
	source, silent := twoTasks(24), twoTasks(24)
	ignore := func(lo, hi int) {
		for b := lo; b < hi; b++ {
			silent.Labels[b] = loss.Ignore
			silent.Target.Data()[2*b], silent.Target.Data()[2*b+1] = float32(math.NaN()), float32(math.NaN())
		}
	}
	ignore(0, 24)
	for _, shards := range []int{1, 4} {
		labelled, m := newStateful(24, shards), newStateful(24, shards)
		run := func(m *stateful, s dataset.Source) error {
			_, err := m.step.Run(slices.Collect(dataset.Batches(s, 24))...)
			return err
		}
		for range 3 {
			require.NoError(t, run(labelled, source))
			assert.ErrorIs(t, run(m, silent), train.ErrNothingCounted)
			assert.Zero(t, m.step.Grads().Norm())
			assert.Equal(t, labelled.hidden(), m.hidden())
		}
		require.NoError(t, run(labelled, source))
		require.NoError(t, run(m, source))
		assert.Equal(t, labelled.step.Grads().Data, m.step.Grads().Data)
	}

	silent = twoTasks(24)
	ignore(0, 13)
	whole, cut := newStateful(24, 1), newStateful(24, 4) // nothing counts in the first two shards of four
	for range 3 {
		for rows := range dataset.Batches(silent, 24) {
			want, err := whole.step.Run(rows)
			require.NoError(t, err)
			got, err := cut.step.Run(rows)
			require.NoError(t, err)
			assert.InEpsilon(t, want, got, 1e-5)
			assert.InDeltaSlice(t, whole.step.Grads().Data, cut.step.Grads().Data, 1e-4)
			assert.Equal(t, whole.hidden(), cut.hidden())
		}
	}
}
