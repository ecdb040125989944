package autograd

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// square is an operation as a user writes it.
func square(x *Node) *Node {
	t := TapeOf("square", x)
	y := t.New(x.Shape()...)
	for i, v := range x.Data() {
		y.Data()[i] = v * v
	}
	if x.RequiresGrad() {
		Record(t, squareOp{x, y}, y)
	}
	return y
}

type squareOp struct{ x, y *Node }

func (o squareOp) Backward() {
	if o.y.Grad() == nil {
		return
	}
	for i := range o.x.AccumulateGrad() {
		o.x.AccumulateGrad()[i] += 2 * o.x.Data()[i] * o.y.Grad()[i]
	}
}

func (o squareOp) String() string { return "square" }

// probe is an operation that calls a function.
type probe struct{ backward func() }

func (o probe) Backward() { o.backward() }

// pointer is an operation with a Backward on its pointer.
type pointer struct{ x, y *Node }

func (o *pointer) Backward() { squareOp{o.x, o.y}.Backward() }

func scalar(v float32) *tensor.Tensor { return tensor.Of([]float32{v}, 1) }

func TestBackward(t *testing.T) {
	p := NewParams(1)
	m := newPair(p)
	x := drawn(standard, 1, 3, 4)
	w, b, dx := m.want(x.Data())
	tape := NewTape(p, 1)
	for run := range 6 {
		leaf, input := tape.Leaf(x), tape.Input(x)
		loss := m.loss(tape, leaf)
		unused := square(loss)
		scale := 1.0
		if run < 3 {
			require.NoError(t, loss.Backward())
		} else {
			scale = -0.25
			require.NoError(t, loss.BackwardScaled(-0.25))
		}
		scaled := func(v []float64) (s []float64) {
			for _, d := range v {
				s = append(s, d*scale)
			}
			return s
		}
		assertClose(t, scaled(w), tape.Grads().Of(m.w), "w")
		assertClose(t, scaled(b), tape.Grads().Of(m.b), "b")
		assertClose(t, scaled(dx), leaf.Grad(), "x")
		assert.Equal(t, []float32{float32(scale)}, loss.Grad())
		assert.Nil(t, input.Grad())
		assert.Nil(t, unused.Grad())
		assert.NoError(t, tape.Err())
		tape.Reset()
		assert.Zero(t, tape.Grads().Norm(), "gradients are of one run")
	}
}

func TestBackwardPanics(t *testing.T) {
	p := NewParams(1)
	m := newPair(p)
	x := drawn(standard, 1, 3, 4)
	tape := NewTape(p, 1)

	loss := m.loss(tape, tape.Input(x))
	require.NoError(t, loss.Backward())
	before := slices.Clone(tape.Grads().Data)
	panicsAs[*UsageError](t, "autograd.Node.Backward: called a second time in one run; Reset the tape and run the model again",
		func() { loss.Backward() })
	panicsAs[*UsageError](t, "autograd.Node.Backward: called a second time in one run; Reset the tape and run the model again",
		func() { square(loss).BackwardScaled(2) })
	assert.Equal(t, before, tape.Grads().Data)

	tape.Reset()
	panicsAs[*ShapeError](t, "autograd.Node.Backward: shape [3 4], want one value", func() { square(tape.Param(m.w)).Backward() })
	loss = m.loss(tape, tape.Input(x))
	p.In("any view").Update(func() { m.w.Value.Data()[0]++ })
	panicsAs[*UsageError](t, "autograd.Node.Backward: weights were changed since the run began; Reset the tape and run the model again",
		func() { loss.Backward() })

	// The tape is good again.
	tape.Reset()
	require.NoError(t, m.loss(tape, tape.Input(x)).Backward())
	w, _, _ := m.want(x.Data())
	assertClose(t, w, tape.Grads().Of(m.w), "after the panics")
}

func TestFail(t *testing.T) {
	p := NewParams(1)
	m := newPair(p)
	x := drawn(standard, 1, 3, 4)
	tape := NewTape(p, 1)
	first, second := errors.New("label 10 of row 3, want 0 to 9"), errors.New("another")
	for name, fail := range map[string]func() *Node{
		"forward": func() *Node {
			tape.Fail(first)
			tape.Fail(second)
			return m.loss(tape, tape.Input(x))
		},
		"and the loss is NaN": func() *Node {
			tape.Fail(first)
			return Mul(m.loss(tape, tape.Input(x)), tape.Input(scalar(nan)))
		},
		"backward": func() *Node {
			loss := m.loss(tape, tape.Input(x))
			y := tape.New(1)
			y.Data()[0] = loss.Value()
			Record(tape, probe{func() {
				loss.AccumulateGrad()[0] += y.Grad()[0]
				tape.Fail(first)
			}}, y)
			return y
		},
	} {
		tape.Reset()
		require.NoError(t, tape.Err(), "of the run before")
		loss := fail()
		assert.Same(t, first, loss.Backward(), name)
		assert.Same(t, first, tape.Err(), name)
		assert.Zero(t, tape.Grads().Norm(), name)
	}
	tape.Reset()
	require.NoError(t, m.loss(tape, tape.Input(x)).Backward())
	assert.NotZero(t, tape.Grads().Norm())
}

// TestNotFinite: the error names the first value on the tape that is NaN or infinite, not the loss.
func TestNotFinite(t *testing.T) {
	inf, huge := float32(math.Inf(1)), float32(1e30)
	p := NewParams(1)
	w := p.New("w", Constant(huge), 2, 2)
	tape := NewTape(p, 1)
	for want, build := range map[string]func() *Node{
		"NaN; the first on the tape is NaN, element 2 of an input of shape [4]": func() *Node {
			x := tape.Input(tensor.Of([]float32{1, 2, nan, inf}, 4))
			return Sum(square(Add(x, x)))
		},
		"+Inf; the first on the tape is +Inf, element 0 of the output of square of shape [2 2] (row 0 of 2)": func() *Node {
			return Sum(square(tape.Param(w)))
		},
		"NaN; the first on the tape is -Inf, element 0 of an input of shape [1]": func() *Node {
			return Add(Mul(tape.Leaf(scalar(-inf)), Sum(tape.Param(w))), tape.Input(scalar(inf)))
		},
		"-Inf; the first on the tape is -Inf, element 0 of an input of shape [1]": func() *Node {
			return tape.Leaf(scalar(-inf))
		},
		"NaN; the first on the tape is NaN, element 0 of the output of autograd.probe of shape [1]": func() *Node {
			y := tape.New(1)
			y.Data()[0] = nan
			Record(tape, probe{func() { assert.Fail(t, "run backward") }}, y)
			return y
		},
	} {
		tape.Reset()
		err := build().Backward()
		assert.ErrorIs(t, err, ErrNotFinite)
		assert.EqualError(t, err, "autograd: loss is not finite: "+want)
		assert.Zero(t, tape.Grads().Norm())
	}
	tape.Reset()
	y := Mul(tape.Param(w), tape.Param(w)) // infinite, but the loss is not
	assert.NoError(t, Sum(Mul(tape.Param(w), tape.Input(tensor.New(2, 2)))).Backward())
	assert.Equal(t, inf, y.Data()[0])
}

// TestOrderAndReach: operations go backward from the last, once each, and see no gradient at outputs that the loss
// does not depend on.
func TestOrderAndReach(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	for range generations + 1 {
		var order []string
		note := func(name string, reached bool, in *Node) *Node {
			y := tape.New(1)
			y.Data()[0] = 1
			Record(tape, probe{func() {
				order = append(order, name)
				if assert.Equal(t, reached, y.Grad() != nil, name) && reached {
					in.AccumulateGrad()[0] += y.Grad()[0]
				}
			}}, y)
			assert.True(t, y.RequiresGrad())
			return y
		}
		x := tape.Leaf(scalar(1))
		a := note("a", true, x)
		side := note("side", false, a)
		b := note("b", true, a)
		c := note("c", true, a)
		note("after side", false, side)
		loss := Add(b, c)
		late := note("after the loss", false, loss)
		require.NoError(t, loss.Backward())
		assert.Equal(t, []string{"after the loss", "after side", "c", "b", "side", "a"}, order)
		assert.Equal(t, []float32{2}, x.Grad(), "by two ways")
		assert.Nil(t, side.Grad())
		assert.Nil(t, late.Grad())
		tape.Reset()
	}
}

// TestRecord: an operation of several outputs, one of pointer type, one without outputs, and one that takes the
// slot of another type.
func TestRecord(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Constant(3), 1)
	tape := NewTape(p, 1)
	for run := range 6 {
		tape.Reset()
		x := tape.Param(w)
		y := tape.New(1)
		y.Data()[0] = 9
		calls := 0
		if run%2 == 0 {
			Record(tape, &pointer{x, y}, y)
			Record(tape, probe{func() { calls++ }})
		} else {
			Record(tape, probe{func() { calls++ }})
			Record(tape, squareOp{x, y}, y)
		}
		twice, same := tape.New(1), tape.New(1)
		twice.Data()[0], same.Data()[0] = 18, 9
		Record(tape, probe{func() {
			y.AccumulateGrad()[0] += 2*twice.Grad()[0] + same.Grad()[0]
		}}, twice, same)
		require.NoError(t, Add(twice, same).Backward())
		assert.Equal(t, []float32{18}, tape.Grads().Of(w), "run %d", run)
		assert.Equal(t, 1, calls)
	}

	inference := NewInference(p)
	y := inference.New(1)
	Record(inference, probe{func() { assert.Fail(t, "run") }}, y)
	assert.False(t, y.RequiresGrad())
	assert.Empty(t, inference.ops)
}

// TestOnlyWhatLearns: frozen weights and inputs get no gradient, what depends on nothing else is not recorded, and
// thawing takes effect in the next run.
func TestOnlyWhatLearns(t *testing.T) {
	p := NewParams(1)
	w, v := p.New("w", standard, 4), p.New("v", standard, 4)
	x := drawn(standard, 1, 4)
	tape := NewTape(p, 1)
	for run := range 6 {
		tape.Reset()
		w.Frozen = run%2 == 0
		wn, input := tape.Param(w), tape.Input(x)
		wx := Mul(wn, input)
		assert.Equal(t, !w.Frozen, wn.RequiresGrad())
		assert.Equal(t, !w.Frozen, wx.RequiresGrad())
		recorded := tape.recorded
		square(Add(input, Mul(input, input)))
		assert.Equal(t, recorded, tape.recorded, "a constant was recorded")
		y := Mul(wx, tape.Param(v))
		assert.True(t, y.RequiresGrad())
		require.NoError(t, Sum(y).Backward())
		var wantW, wantV []float64
		for i := range 4 {
			wi, vi, xi := float64(w.Value.Data()[i]), float64(v.Value.Data()[i]), float64(x.Data()[i])
			wantW, wantV = append(wantW, vi*xi), append(wantV, wi*xi)
		}
		assert.Nil(t, input.Grad())
		assertClose(t, wantV, tape.Grads().Of(v), "v, run %d", run)
		if w.Frozen {
			assert.Equal(t, make([]float32, 4), tape.Grads().Of(w))
			assert.Nil(t, wn.Grad())
			assert.Nil(t, wx.Grad(), "computed for nobody")
		} else {
			assertClose(t, wantW, tape.Grads().Of(w), "w, run %d", run)
		}
	}
}

// TestSharedWeights: the gradients of all uses of a weight add up, under whatever name.
func TestSharedWeights(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Constant(3), 2)
	p.Tie("tied", w)
	tied := p.New("tied", Zeros, 2)
	tape := NewTape(p, 1)
	for range 2 {
		tape.Reset()
		a, b, c := tape.Param(w), tape.Param(w), tape.Param(tied)
		x, y := tape.Input(tensor.Of([]float32{2, 5}, 2)), tape.Input(tensor.Of([]float32{-1, 7}, 2))
		// x*w + w*w*y + (y*w, w), w five times
		sum := Add(Add(Mul(x, a), Mul(Mul(a, b), y)), Add(Mul(y, c), c))
		require.NoError(t, Sum(sum).Backward())
		assert.Equal(t, []float32{2 - 6 - 1 + 1, 5 + 42 + 7 + 1}, tape.Grads().Of(w))
		assert.Equal(t, address(tape.Grads().Of(w)), address(c.Grad()))
	}
}

// TestWeightAsLoss: the loss may be a weight itself, an input or one of several.
func TestWeightAsLoss(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Constant(3), 1)
	tape := NewTape(p, 1)
	square(tape.Param(w))
	require.NoError(t, tape.Param(w).BackwardScaled(2))
	assert.Equal(t, []float32{2}, tape.Grads().Of(w))
	tape.Reset()
	square(tape.Param(w))
	assert.ErrorIs(t, tape.Input(scalar(5)).Backward(), ErrNoGradient)
	assert.Equal(t, []float32{0}, tape.Grads().Of(w))
}

type pointerless struct{}

func (pointerless) Backward() {}

func TestForeigners(t *testing.T) {
	p, q := NewParams(1), NewParams(1)
	w := p.New("rnn.w", Zeros, 1)
	for _, tape := range []*Tape{NewTape(q, 1), NewInference(q)} {
		panicsAs[*UsageError](t, "rnn.w: a weight of another Params than this tape", func() { tape.Param(w) })
	}
	one, two := NewTape(p, 1), NewTape(p, 1)
	a, b := one.Input(scalar(1)), two.Input(scalar(1))
	panicsAs[*UsageError](t, "autograd.Add: operands are on different tapes", func() { Add(a, b) })
	panicsAs[*UsageError](t, "autograd.Mul: operands are on different tapes", func() { Mul(b, a) })
	panicsAs[*UsageError](t, "test: operands are on different tapes", func() { TapeOf("test", nil, a, a, nil, b) })
	assert.Same(t, one, TapeOf("test", nil, a, nil, a))
	panicsAs[*UsageError](t, "test: the input is nil", func() { TapeOf("test", nil, nil) })
	panicsAs[*UsageError](t, "autograd.Add: the input is nil", func() { Add(nil, nil) })
	panicsAs[*UsageError](t, "autograd.Record: an output is on another tape", func() { Record(one, pointerless{}, two.New(1)) })
}

// TestPanicInBackward: after Reset nothing of it is left.
func TestPanicInBackward(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Constant(3), 1)
	tape := NewTape(p, 1)
	for _, panicking := range []bool{true, false, true, false} {
		tape.Reset()
		y := square(tape.Param(w))
		Record(tape, probe{func() {
			tape.Grads().Of(w)[0] += 100
			if panicking {
				panic("half-way")
			}
		}})
		err := Try(func() { require.NoError(t, y.Backward()) })
		assert.Equal(t, panicking, err != nil)
		if !panicking {
			assert.Equal(t, []float32{106}, tape.Grads().Of(w))
		}
	}
}
