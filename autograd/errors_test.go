package autograd

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// panicsAs asserts that f panics with an E of that text.
func panicsAs[E error](t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		v := recover()
		e, ok := v.(E)
		if assert.True(t, ok, "panic of %T (%v), want %T: %s", v, v, e, want) {
			assert.Equal(t, want, e.Error())
		}
	}()
	f()
}

func TestTryReturnsTheLibrarysOwnErrors(t *testing.T) {
	shape := &ShapeError{Where: "rnn.weight_ih_l0", Got: "input has 27 features", Want: "28"}
	usage := &UsageError{Where: "rnn.NewElman", What: "Hidden is 0"}
	caught := &PanicError{Value: "earlier", Stack: []byte("the worker's stack")}
	for _, want := range []error{shape, usage, caught} {
		assert.Same(t, want, Try(func() { panic(want) }))
		nested := Try(func() {
			err := Try(func() { panic(want) })
			assert.Same(t, want, err)
			panic(err)
		})
		assert.Same(t, want, nested, "raised again")
	}
	assert.EqualError(t, shape, "rnn.weight_ih_l0: input has 27 features, want 28")
	assert.EqualError(t, usage, "rnn.NewElman: Hidden is 0")

	var e *tensor.ShapeError
	assert.ErrorAs(t, Try(func() { tensor.New(-1) }), &e)
}

func TestTryWithoutAPanic(t *testing.T) {
	ran := false
	assert.NoError(t, Try(func() { ran = true }))
	assert.True(t, ran)
	assert.NoError(t, Try(func() {
		assert.Error(t, Try(func() { panic("inner") }))
	}), "a panic caught within is over")
}

// explode is looked for in the stacks.
func explode(v any) { panic(v) }

func TestTryWrapsOtherPanics(t *testing.T) {
	for _, v := range []any{"a text", 42, io.ErrUnexpectedEOF, fmt.Errorf("reading: %w", io.EOF), struct{}{}} {
		err := Try(func() { explode(v) })
		var e *PanicError
		require.ErrorAs(t, err, &e, "%v", v)
		assert.Equal(t, v, e.Value)
		assert.Contains(t, string(e.Stack), "autograd.explode", "%v: the stack is not that of the panic", v)
		assert.Equal(t, fmt.Sprintf("panic: %v\n%s", v, e.Stack), err.Error())
		wrapped, isError := v.(error)
		if isError {
			assert.Equal(t, wrapped, errors.Unwrap(err))
			assert.ErrorIs(t, err, wrapped)
		} else {
			assert.NoError(t, errors.Unwrap(err), "%v", v)
		}
	}
	assert.ErrorIs(t, Try(func() { explode(fmt.Errorf("reading: %w", io.EOF)) }), io.EOF, "through two wrappings")

	// The library's own errors inside another error are still found.
	var usage *UsageError
	assert.ErrorAs(t, Try(func() { panic(fmt.Errorf("shard 3: %w", &UsageError{Where: "w", What: "stale"})) }), &usage)
}

func TestTryRuntimeErrors(t *testing.T) {
	var none []int
	var missing map[string]int
	var pointer *tensor.Tensor
	zero, three := 0, 3
	var text any = "text"
	for want, f := range map[string]func(){
		"runtime error: index out of range [3] with length 0":              func() { _ = none[three] },
		"runtime error: integer divide by zero":                            func() { _ = three / zero },
		"assignment to entry in nil map":                                   func() { missing["x"] = 1 },
		"runtime error: invalid memory address or nil pointer dereference": func() { pointer.Zero() },
		"interface conversion: interface {} is string, not int":            func() { _ = text.(int) },
	} {
		err := Try(f)
		var e runtime.Error
		require.ErrorAs(t, err, &e, want)
		assert.EqualError(t, e, want)
		var p *PanicError
		require.ErrorAs(t, err, &p)
		assert.Contains(t, string(p.Stack), "TestTryRuntimeErrors")
	}
}

func TestTryNilPanic(t *testing.T) {
	err := Try(func() { explode(nil) })
	var e *runtime.PanicNilError
	require.ErrorAs(t, err, &e, "a panic with nil went unseen")
	var p *PanicError
	require.ErrorAs(t, err, &p)
	assert.Contains(t, string(p.Stack), "autograd.explode")
}

// TestTryRepanic: of a panic in a deferred function, the later one is told.
func TestTryRepanic(t *testing.T) {
	err := Try(func() {
		defer func() { panic(&UsageError{Where: "second", What: "while the first unwinds"}) }()
		panic("first")
	})
	assert.Equal(t, &UsageError{Where: "second", What: "while the first unwinds"}, err)
}

func TestErrNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		tape := NewTape(NewParams(1), 1)
		loss := tape.Leaf(tensor.Of([]float32{float32(v)}, 1))
		assert.ErrorIs(t, loss.Backward(), ErrNotFinite, "%v", v)
	}
}
