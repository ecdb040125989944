package gradcheck_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
)

// times is x*y with a gradient that is too large by a factor.
type times struct {
	x, y, out *autograd.Node
	factor    float32
}

func (o times) Backward() {
	for i, d := range o.out.Grad() {
		o.x.AccumulateGrad()[i] += o.factor * d * o.y.Data()[i]
		o.y.AccumulateGrad()[i] += d * o.x.Data()[i]
	}
}

func mul(x, y *autograd.Node, factor float32) *autograd.Node {
	t := autograd.TapeOf("mul", x, y)
	out := t.New(x.Shape()...)
	for i, v := range x.Data() {
		out.Data()[i] = v * y.Data()[i]
	}
	autograd.Record(t, times{x, y, out, factor}, out)
	return out
}

func check(factor float32, o gradcheck.Options) (before, after []float32, err error) {
	p := autograd.NewParams(1)
	a := p.New("a", autograd.Normal(1), 5, 7)
	b := p.New("b", autograd.Normal(1), 5, 7)
	before = append(before, b.Value.Data()...)
	err = gradcheck.Check(p, func(t *autograd.Tape) *autograd.Node {
		x := autograd.Dropout(autograd.Tanh(t.Param(a)), 0.3)
		return gradcheck.Project(mul(t.Param(b), x, factor))
	}, o)
	return before, b.Value.Data(), err
}

func TestCheck(t *testing.T) {
	before, after, err := check(1, gradcheck.Options{})
	require.NoError(t, err)
	assert.Equal(t, before, after, "the weights are as before")
	_, _, err = check(1, gradcheck.Options{Tolerance: 1e-3, Directions: 20, Seed: 3})
	require.NoError(t, err)
	for _, factor := range []float32{0, 0.5, 0.95, 1.05, -1} {
		_, _, err = check(factor, gradcheck.Options{})
		assert.ErrorContains(t, err, "gradcheck: b: derivative", "factor %v", factor)
	}
	_, _, err = check(1.05, gradcheck.Options{Tolerance: 0.1})
	assert.NoError(t, err)
}

func TestFrozenAndErrors(t *testing.T) {
	p := autograd.NewParams(1)
	a := p.New("a", autograd.Normal(1), 3)
	p.New("unused", autograd.Normal(1), 3)
	wrong := func(t *autograd.Tape) *autograd.Node {
		return gradcheck.Project(mul(t.Param(a), t.Param(a), 2))
	}
	assert.ErrorContains(t, gradcheck.Check(p, wrong, gradcheck.Options{}), "a: derivative")
	a.Frozen = true
	assert.ErrorIs(t, gradcheck.Check(p, func(t *autograd.Tape) *autograd.Node {
		return autograd.Sum(autograd.Tanh(t.Param(a)))
	}, gradcheck.Options{}), autograd.ErrNoGradient)
	assert.NoError(t, gradcheck.Check(p, wrong, gradcheck.Options{}), "a frozen weight is not checked")
	a.Frozen = false
	infinite := func(t *autograd.Tape) *autograd.Node {
		return autograd.Sum(autograd.Log(autograd.Scale(t.Param(a), 0)))
	}
	assert.ErrorIs(t, gradcheck.Check(p, infinite, gradcheck.Options{}), autograd.ErrNotFinite)
}

// TestNothingToCheck: a check that compares nothing must not pass.
func TestNothingToCheck(t *testing.T) {
	p := autograd.NewParams(1)
	a := p.New("rnn.a", autograd.Normal(1), 3)
	a.Frozen = true
	other := p.New("head.b", autograd.Normal(1), 3)
	loss := func(t *autograd.Tape) *autograd.Node {
		return autograd.Sum(autograd.Mul(t.Param(a), t.Param(other)))
	}
	require.NoError(t, gradcheck.Check(p, loss, gradcheck.Options{}))
	assert.EqualError(t, gradcheck.Check(p.In("rnn"), loss, gradcheck.Options{}), "gradcheck: nothing to check under \"rnn.\": all 1 weights are frozen")
	other.Frozen = true
	assert.EqualError(t, gradcheck.Check(p, loss, gradcheck.Options{}), "gradcheck: nothing to check under \"\": all 2 weights are frozen")
	assert.EqualError(t, gradcheck.Check(p.In("none"), loss, gradcheck.Options{}), "gradcheck: nothing to check under \"none.\": there are no weights")
}

func TestProject(t *testing.T) {
	p := autograd.NewParams(1)
	a := p.New("a", autograd.Normal(1), 2, 3)
	require.NoError(t, gradcheck.Check(p, func(t *autograd.Tape) *autograd.Node { return gradcheck.Project(t.Param(a)) }, gradcheck.Options{Tolerance: 1e-4}))
	tape := autograd.NewTape(p, 1)
	require.NoError(t, gradcheck.Project(tape.Param(a)).Backward())
	seen := map[float32]bool{}
	for _, g := range tape.Grads().Of(a) {
		assert.Positive(t, g)
		seen[g] = true
	}
	assert.Len(t, seen, 6, "each element has a factor of its own")
}

// cube is x³ whose gradient forgets a factor.
type cube struct{ x, y *autograd.Node }

func (o cube) Backward() {
	for i, d := range o.y.Grad() {
		v := o.x.Data()[i]
		o.x.AccumulateGrad()[i] += 2 * v * v * d // wants 3
	}
}

func ExampleCheck() {
	params := autograd.NewParams(1)
	x := params.New("x", autograd.Constant(1), 4)
	err := gradcheck.Check(params, func(t *autograd.Tape) *autograd.Node {
		in := t.Param(x)
		out := t.New(in.Shape()...)
		for i, v := range in.Data() {
			out.Data()[i] = v * v * v
		}
		autograd.Record(t, cube{in, out}, out)
		return gradcheck.Project(out)
	}, gradcheck.Options{Directions: 1})
	fmt.Println(err != nil)
	// Output: true
}
