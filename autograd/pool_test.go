package autograd

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// TestInferenceNoticesNewWeights changes the weights in the middle of a run.
func TestInferenceNoticesNewWeights(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Constant(2), 1)
	tape := NewInference(p)
	run := func(meanwhile func()) error {
		tape.Reset()
		first := tape.Param(w)
		meanwhile()
		Mul(first, tape.Param(w))
		return tape.Err()
	}
	assert.NoError(t, run(func() {}))
	err := run(func() { p.Update(func() { w.Value.Data()[0] = 3 }) })
	var usage *UsageError
	require.ErrorAs(t, err, &usage)
	assert.EqualError(t, err, "autograd.Tape: weights were changed since the run began; run the model again")
	assert.NoError(t, run(func() {}))
	own := errors.New("its own")
	assert.Equal(t, own, run(func() { tape.Fail(own); p.Update(func() {}) }), "the first error stays")

	training := NewTape(p, 1)
	require.NoError(t, training.Param(w).Backward())
	p.Update(func() {})
	assert.NoError(t, training.Err(), "an optimizer's step after Backward is no error")
}

// TestPool has many goroutines compute w0*w1 while both weights change together: each result is the square of one value.
func TestPool(t *testing.T) {
	p := NewParams(1)
	a, b := p.New("a", Constant(2), 1), p.New("b", Constant(2), 1)
	pool := NewPool(p)
	const runs = 200
	var wait sync.WaitGroup
	results := make([][]float32, 8)
	for g := range results {
		wait.Go(func() {
			for range runs {
				assert.NoError(t, pool.Run(func(tape *Tape) error {
					assert.False(t, tape.Training())
					results[g] = append(results[g], Mul(tape.Param(a), tape.Param(b)).Value())
					return nil
				}))
			}
		})
	}
	allowed := []float32{4}
	for v := range 20 {
		value := float32(v + 3)
		require.NoError(t, pool.Update(func() error {
			p.Update(func() { a.Value.Data()[0], b.Value.Data()[0] = value, value })
			return nil
		}))
		allowed = append(allowed, value*value)
	}
	wait.Wait()
	for _, r := range results {
		assert.Len(t, r, runs)
		for _, v := range r {
			assert.True(t, slices.Contains(allowed, v), "%v", v)
		}
	}
	assert.LessOrEqual(t, len(pool.idle), len(results), "a tape a goroutine at most")
}

func TestPoolErrors(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Constant(2), 1)
	pool := NewPool(p)
	assert.EqualError(t, Try(func() { p.New("late", Zeros, 1) }), "late: made after the first tape, step or optimizer; make all weights before")
	own := errors.New("its own")
	assert.Equal(t, own, pool.Run(func(*Tape) error { return own }))
	assert.Equal(t, own, pool.Update(func() error { return own }))
	assert.EqualError(t, pool.Run(func(tape *Tape) error { tape.Fail(own); return nil }), "its own")
	assert.EqualError(t, pool.Run(func(tape *Tape) error {
		p.Update(func() {}) // not through the pool
		return nil
	}), "autograd.Tape: weights were changed since the run began; run the model again")
	assert.Error(t, Try(func() { _ = pool.Run(func(*Tape) error { panic("broken handler") }) }))
	require.NoError(t, pool.Update(func() error { return nil }), "no lock is left behind")
	assert.Len(t, pool.idle, 1, "the tape came back each time")
	run := func() {
		if err := pool.Run(func(tape *Tape) error { Mul(tape.Param(w), tape.Param(w)); return nil }); err != nil {
			panic(err)
		}
	}
	for range 5 {
		run()
	}
	assert.Zero(t, testing.AllocsPerRun(10, run))
}

func TestSeal(t *testing.T) {
	p := NewParams(1)
	w := p.New("a", Zeros, 1)
	p.Tie("b", w)
	assert.EqualError(t, Try(p.In("x").Seal), "b: tied, but no layer has made a weight of this name")
	p.New("b", Zeros, 1)
	p.Seal()
	p.Seal()
	assert.EqualError(t, Try(func() { p.New("c", Zeros, 1) }), "c: made after the first tape, step or optimizer; make all weights before")
}

func TestClone(t *testing.T) {
	p := NewParams(7)
	a := p.In("x").New("a", standard, 3, 2)
	b := p.In("x").New("b", standard, 5)
	b.Frozen = true
	p.In("x").Tie("c", a)
	open := p.Clone()
	open.In("x").New("c", Zeros, 3, 2)
	assert.Equal(t, open.Get("x.a"), open.Get("x.c"), "the tie is the clone's own")
	p.In("x").New("c", Zeros, 3, 2)
	grads := NewGrads(p)

	view := p.In("x")
	q := view.Clone()
	assert.Equal(t, "x.", q.Prefix())
	assert.Equal(t, uint64(7), q.Seed())
	assert.Equal(t, view.Count(), q.Count())
	assert.Equal(t, q.Get("a"), q.Get("c"))
	assert.True(t, q.Get("b").Frozen)
	assert.Equal(t, a.Value.Data(), q.Get("a").Value.Data())
	assert.EqualError(t, Try(func() { q.New("d", Zeros, 1) }), "x.d: made after the first tape, step or optimizer; make all weights before")

	before := slices.Clone(a.Value.Data())
	p.Update(func() { a.Value.Data()[0]++ })
	assert.Equal(t, before, q.Get("a").Value.Data(), "nothing is shared")
	require.NoError(t, view.CopyFrom(q))
	assert.Equal(t, before, a.Value.Data())

	copied := NewGrads(q)
	require.Len(t, copied.Data, len(grads.Data))
	copied.Of(q.Get("b"))[4] = 1
	at := slices.Index(copied.Data, 1)
	grads.Data[at] = 1
	assert.Equal(t, float32(1), grads.Of(b)[4], "gradients of both have the same places")
	tape := NewTape(q, 1)
	require.NoError(t, Sum(Mul(tape.Param(q.Get("a")), tape.Input(tensor.New(3, 2)))).Backward())
	panicsAs[*UsageError](t, "x.a: a weight of another Params than this tape", func() { tape.Param(a) })
}
