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

// links is a chain of states h = dropout(tanh((h+x)·w)) with the loss of each, whose mean counts i numbers in link i. plain calls a
// link's function, or Recompute does.
type links struct {
	params *Params
	w      *Param
	frozen *Param
	rate   float32
	calls  int // of the functions
}

func newLinks(rate float32) *links {
	p := NewParams(5)
	return &links{params: p, w: p.New("w", Uniform(1), 4, 4), frozen: p.New("frozen", Uniform(1), 4), rate: rate}
}

func (l *links) link(i int) func(t *Tape, in []*Node) []*Node {
	return func(t *Tape, in []*Node) []*Node {
		l.calls++
		h := Dropout(Tanh(MatMul(Add(in[0], in[1]), t.Param(l.w))), l.rate)
		y := Mul(h, t.Param(l.frozen))
		loss := Mean(Square(Add(y, in[1])))
		loss.SetWeight(float32(i))
		return append(in[:0], loss, h, t.Input(tensor.Of([]float32{float32(i)}, 1)), nil)
	}
}

type caller func(t *Tape, f func(t *Tape, in []*Node) []*Node, in ...*Node) []*Node

func plain(t *Tape, f func(t *Tape, in []*Node) []*Node, in ...*Node) []*Node {
	return f(t, append(make([]*Node, 0, 8), in...))
}

// run returns the joined loss of n links that start with h and read x, and all values and gradients; the gradient of a state that a
// function returns is left out, because Recompute's functions keep to themselves what flows into it within them.
func (l *links) run(t *Tape, n int, call caller) (*Node, [][]float32) {
	x := Scale(t.Leaf(tensor.Of([]float32{1, -2, 3, 0.5, 1, 2, -1, 0.1}, 2, 4)), 0.3)
	h := t.Leaf(tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 2, 4))
	nodes, losses := []*Node{x, h}, []*Node(nil)
	var all [][]float32
	for i := range n {
		out := call(t, l.link(i), h, x)
		losses, h = append(losses, out[0]), out[1]
		nodes = append(nodes, out[0], out[2])
		all = append(all, slices.Clone(h.Data()))
	}
	loss := JoinMeans(losses...)
	if t.Training() {
		if err := loss.Backward(); err != nil {
			panic(err)
		}
	}
	for _, n := range append(nodes, loss) {
		all = append(all, slices.Clone(n.Data()), slices.Clone(n.Grad()))
	}
	if t.Training() {
		all = append(all, slices.Clone(t.Grads().Data))
	}
	return loss, all
}

// TestRecompute: values, gradients, random numbers and weights are the bits of the plain model, run after run.
func TestRecompute(t *testing.T) {
	for _, rate := range []float32{0, 0.4} {
		l := newLinks(rate)
		l.frozen.Frozen = true
		a, b := NewTape(l.params, 3), NewTape(l.params, 3)
		for range 3 {
			for _, n := range []int{1, 5, 2} {
				a.Reset()
				b.Reset()
				_, want := l.run(a, n, plain)
				loss, got := l.run(b, n, Recompute)
				assert.Equal(t, want, got)
				w, ok := loss.Weight()
				assert.True(t, ok)
				assert.Equal(t, float32(n*(n-1)/2), w)
				assert.Equal(t, a.Rand().Uint64(), b.Rand().Uint64(), "the numbers drawn afterwards")
			}
		}
	}
}

// TestRecomputeOfCells compares weights, whose products are put off, with leaves, whose products are computed at once: both have the same
// gradients, plain and transposed, within nested calls, as an input of a call, and outside of all calls. Nested calls of Recompute and a
// repeated backward pass give the bits of the plain model.
func TestRecomputeOfCells(t *testing.T) {
	const n, steps = 5, 9
	turn := func(w *Node) *Node { return Transpose(w, 0, 1) }
	nested := func(t *Tape, f func(t *Tape, in []*Node) []*Node, in ...*Node) []*Node {
		return Recompute(t, func(t *Tape, in []*Node) []*Node {
			first := Recompute(t, f, in...)
			return Recompute(t, f, first[0], in[1], in[2])
		}, in...)
	}
	twice := func(t *Tape, f func(t *Tape, in []*Node) []*Node, in ...*Node) []*Node {
		return plain(t, f, plain(t, f, in...)[0], in[1], in[2])
	}
	for _, rows := range []int{1, 7, fewRows, fewRows + 1} {
		x := drawn(Normal(1), 3, rows, n)
		for _, frozen := range []bool{false, true} {
			params := NewParams(1)
			w, v := params.New("w", Uniform(0.6), n, n), params.New("v", Uniform(0.6), n, n)
			v.Frozen = frozen
			model := func(tape *Tape, node func(t *Tape, p *Param) *Node, call caller) *Node {
				f := func(t *Tape, in []*Node) []*Node {
					h, x, given := in[0], in[1], in[2]
					for range steps {
						a, b := node(t, w), node(t, v)
						h = Tanh(Add(AddMatMul(MatMul(x, a), h, turn(b)), MatMul(h, given)))
						h = AddMatMul(AddMatMul(h, x, turn(a)), x, turn(turn(a)))
						h = Tanh(AddMatMul(h, x, b))
					}
					return append(in[:0], h)
				}
				x := tape.Leaf(x)
				h := MatMul(x, node(tape, w))
				for _, given := range []*Node{node(tape, w), turn(node(tape, w)), turn(turn(node(tape, v)))} {
					h = MatMul(call(tape, f, h, x, given)[0], turn(node(tape, w)))
				}
				return Mean(Square(h))
			}
			weight := func(t *Tape, p *Param) *Node { return t.Param(p) }

			other := NewTape(NewParams(1), 1)
			leaves := map[*Param]*Node{w: other.Leaf(w.Value), v: other.Leaf(v.Value)}
			want := model(other, func(_ *Tape, p *Param) *Node { return leaves[p] }, twice)
			require.NoError(t, want.Backward())
			var first []float32
			for _, call := range []caller{twice, nested} {
				tape := NewTape(params, 1)
				for range 2 {
					tape.Reset()
					got := model(tape, weight, call)
					require.NoError(t, got.Backward())
					assert.Equal(t, want.Value(), got.Value())
					assert.InEpsilonSlice(t, leaves[w].Grad(), tape.Param(w).Grad(), 1e-3, "%d rows", rows)
					if !frozen {
						assert.InEpsilonSlice(t, leaves[v].Grad(), tape.Param(v).Grad(), 1e-3, "%d rows", rows)
					}
					if first == nil {
						first = slices.Clone(tape.Grads().Data)
					}
					assert.Equal(t, first, tape.Grads().Data)
					require.NoError(t, tape.NotFinite())
					assert.Equal(t, first, tape.Grads().Data)
				}
			}
		}
	}
}

// TestRecomputeNested recomputes halves of halves.
func TestRecomputeNested(t *testing.T) {
	l := newLinks(0.4)
	a, b := NewTape(l.params, 3), NewTape(l.params, 3)
	halves := func(n int) caller {
		var part func(from, to int) func(t *Tape, in []*Node) []*Node
		part = func(from, to int) func(t *Tape, in []*Node) []*Node {
			if to-from == 1 {
				return l.link(from)
			}
			return func(t *Tape, in []*Node) []*Node {
				x, middle := in[1], (from+to)/2
				first := Recompute(t, part(from, middle), in...)
				second := Recompute(t, part(middle, to), first[1], x)
				return append(in[:0], JoinMeans(first[0], second[0]), second[1])
			}
		}
		return func(t *Tape, _ func(t *Tape, in []*Node) []*Node, in ...*Node) []*Node {
			return append(Recompute(t, part(0, n), in...), t.Input(tensor.New(1)))
		}
	}
	for range 2 {
		a.Reset()
		b.Reset()
		_, want := l.run(a, 8, plain)
		_, got := l.run(b, 1, halves(8))
		assert.Equal(t, want[7], got[0], "the last state")
		assert.Equal(t, want[8], got[1], "the input")
		assert.InDeltaSlice(t, want[9], got[2], 1e-5, "the gradient of the input")
		assert.InDeltaSlice(t, want[11], got[4], 1e-5, "the gradient of the first state")
		assert.InDelta(t, want[len(want)-3][0], got[len(got)-3][0], 1e-6, "the loss")
		assert.InDeltaSlice(t, want[len(want)-1], got[len(got)-1], 1e-5, "the gradients of the weights")
	}
}

// TestRecomputeMemory: with the square root of n calls, each of so many links, the memory grows as the square root of n.
func TestRecomputeMemory(t *testing.T) {
	bytes := func(n int) int {
		l := newLinks(0)
		tape := NewTape(l.params, 1)
		tape.Reset()
		window := int(math.Sqrt(float64(n)))
		h, x := tape.Leaf(tensor.New(2, 4)), tape.Input(tensor.New(2, 4))
		var losses []*Node
		for range window {
			out := Recompute(tape, func(t *Tape, in []*Node) []*Node {
				h, losses := in[0], []*Node(nil)
				for range window {
					out := plain(t, l.link(1), h, in[1])
					losses, h = append(losses, out[0]), out[1]
				}
				return []*Node{JoinMeans(losses...), h}
			}, h, x)
			losses, h = append(losses, out[0]), out[1]
		}
		require.NoError(t, JoinMeans(losses...).Backward())
		return tape.Bytes()
	}
	small, large := bytes(64), bytes(4096)
	assert.Less(t, large, 9*small, "64 times the links")
	assert.Greater(t, large, 4*small)
}

// TestRecomputeAllocations: nothing is allocated once the shapes repeat, also by nested calls.
func TestRecomputeAllocations(t *testing.T) {
	l := newLinks(0.4)
	tape := NewTape(l.params, 3)
	input := tensor.Of([]float32{1, 2, 3, 4}, 1, 4)
	f := func(t *Tape, in []*Node) []*Node {
		h := Dropout(Tanh(MatMul(in[0], t.Param(l.w))), l.rate)
		loss := Mean(h)
		loss.SetWeight(2)
		return append(in[:0], loss, h, nil, nil, h)
	}
	g := func(t *Tape, in []*Node) []*Node { return Recompute(t, f, Recompute(t, f, in[0])[1]) }
	run := func() {
		tape.Reset()
		first := Recompute(tape, g, tape.Leaf(input))
		second := Recompute(tape, g, first[1])
		if err := JoinMeans(first[0], second[0]).Backward(); err != nil {
			panic(err)
		}
	}
	for range 2 * generations {
		run()
	}
	assert.Zero(t, testing.AllocsPerRun(10, run))
}

// TestRecomputeRunsAgainOnlyIfNeeded counts the calls of the functions.
func TestRecomputeRunsAgainOnlyIfNeeded(t *testing.T) {
	l := newLinks(0)
	tape := NewTape(l.params, 1)
	tape.Reset()
	h, x := tape.Input(tensor.New(2, 4)), tape.Input(tensor.New(2, 4))
	first := Recompute(tape, l.link(1), h, x)
	second := Recompute(tape, l.link(2), first[1], x)
	Recompute(tape, l.link(3), second[1], x)
	require.Equal(t, 3, l.calls)
	require.NoError(t, second[0].Backward())
	assert.Equal(t, 5, l.calls, "the third has no gradient")

	tape.Reset()
	constant := Recompute(tape, func(t *Tape, in []*Node) []*Node { return append(in[:0], Square(in[1])) }, nil, tape.Input(tensor.New(1)))
	assert.False(t, constant[0].RequiresGrad())
	assert.ErrorIs(t, constant[0].Backward(), ErrNoGradient)

	inference := NewInference(l.params)
	inference.Reset()
	_, got := l.run(inference, 3, Recompute)
	inference.Reset()
	_, want := l.run(inference, 3, plain)
	assert.Equal(t, want, got)
	assert.Nil(t, inference.inner)
}

// TestRecomputeOfSeveralMeans: outputs that are means, sums of means, or computed by a nonlinear operation, are so outside, too, and
// get their factors of BackwardScaled.
func TestRecomputeOfSeveralMeans(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Constant(3), 1)
	f := func(t *Tape, in []*Node) []*Node {
		a, b := Scale(t.Param(w), 2), Square(t.Param(w))
		a.SetWeight(4)
		b.SetWeight(5)
		return []*Node{Add(a, b), a, Exp(b), Add(in[0], b)}
	}
	run := func(call caller) (terms [][]Term, names []string, grads []float32) {
		for factor := range 2 {
			tape := NewTape(p, 1)
			before := Scale(tape.Param(w), 5)
			before.SetWeight(7)
			out := call(tape, f, before)
			loss := Add(Add(out[0], out[1]), out[3])
			for _, n := range []*Node{out[0], out[1], out[3], loss} {
				all, err := n.Terms(nil)
				require.NoError(t, err)
				terms = append(terms, all)
			}
			_, err := out[2].Terms(nil)
			names = append(names, err.Error())
			require.NoError(t, loss.BackwardScaled(2, 0.5, 0.25, float32(factor)))
			grads = append(grads, tape.Grads().Of(w)...)
		}
		return terms, names, grads
	}
	terms, names, grads := run(plain)
	gotTerms, gotNames, gotGrads := run(Recompute)
	assert.Equal(t, terms, gotTerms)
	assert.Equal(t, names, gotNames)
	assert.Equal(t, []float32{2 * (0.5*5 + 2*0.25*2), 2 * (0.5*5 + 2*0.25*2 + 2*6)}, grads)
	assert.Equal(t, grads, gotGrads)
}

// TestRecomputePasses: what a function changes outside of the tape is changed once if it looks at Checking, and can be brought back.
func TestRecomputePasses(t *testing.T) {
	l := newLinks(0)
	tape := NewTape(l.params, 1)
	tape.Reset()
	state := []float32{1}
	f := func(t *Tape, in []*Node) []*Node {
		if !t.Checking() {
			t.Preserve(state)
			state[0]++
		}
		return l.link(1)(t, in)
	}
	out := Recompute(tape, f, tape.Input(tensor.New(2, 4)), tape.Input(tensor.New(2, 4)))
	require.NoError(t, Recompute(tape, f, out[1], tape.Input(tensor.New(2, 4)))[0].Backward())
	assert.Equal(t, []float32{3}, state)
	assert.Equal(t, 4, l.calls)
	tape.Grads().Restore()
	assert.Equal(t, []float32{1}, state)
}

// TestRecomputeErrors: an error of the data names the call, and a number that is NaN or infinite the place in the function.
func TestRecomputeErrors(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Constant(1e10), 2, 2)
	tape := NewTape(p, 1)
	x := func(v float32) *Node { return tape.Leaf(tensor.Of([]float32{1, 2, v, 1}, 2, 2)) }
	identity := func(_ *Tape, in []*Node) []*Node { return in }
	f := func(t *Tape, in []*Node) []*Node { return append(in[:0], Sum(steep(square(in[0])))) }
	nested := func(t *Tape, in []*Node) []*Node { return Recompute(t, f, in...) }
	logs := func(t *Tape, in []*Node) []*Node { return append(in[:0], Sum(Log(Mul(t.Param(w), in[0])))) }
	masked := func(t *Tape, in []*Node) []*Node {
		mask := t.Input(tensor.Of([]float32{1, 1, 0, 1}, 2, 2))
		return append(in[:0], Sum(square(Tanh(Mul(Tanh(Mul(t.Param(w), in[0])), mask)))))
	}
	told := func(t *Tape, in []*Node) []*Node {
		y := t.New(2, 2)
		clear(y.Data())
		Record(t, teller{steepOp{in[0], y}}, y)
		return append(in[:0], Sum(y))
	}
	for want, build := range map[string]func() *Node{
		"autograd: gradient is not finite; the first in the backward pass, through call 1 of autograd.Recompute, is in steep: " +
			"+Inf, element 2 of the gradient of the output of square of shape [2 2] (row 1 of 2)": func() *Node {
			return Recompute(tape, f, Recompute(tape, identity, x(3e4))[0])[0]
		},
		"autograd: gradient is not finite; the first in the backward pass, through call 0 of autograd.Recompute, is in call 0 of autograd.Recompute: " +
			"in steep: +Inf, element 2 of the gradient of the output of square of shape [2 2] (row 1 of 2)": func() *Node { return Recompute(tape, nested, x(3e4))[0] },
		"autograd: gradient is not finite; the first in the backward pass, through call 0 of autograd.Recompute, is in teller: -Inf, at step 3 (row 1 of 2)": func() *Node {
			return Recompute(tape, told, x(1e10))[0]
		},
		"autograd: gradient is not finite; the first in the backward pass, through call 0 of autograd.Recompute, is in autograd.Mul: " +
			"NaN, element 2 of the gradient of weight w of shape [2 2]; the first in its forward pass is +Inf, element 2 of an input of shape [2 2] (row 1 of 2)": func() *Node {
			return Recompute(tape, masked, tape.Input(tensor.Of([]float32{1, 2, float32(math.Inf(1)), 1}, 2, 2)))[0]
		},
		"autograd: loss is not finite: NaN; the first on the tape is NaN, element 2 of the output of autograd.Log of shape [2 2], " +
			"in call 0 of autograd.Recompute (row 1 of 2)": func() *Node { return Recompute(tape, logs, x(-1))[0] },
		"autograd: loss is not finite: NaN; the first on the tape is NaN, element 2 of an input of shape [2 2], " +
			"in call 1 of autograd.Recompute (row 1 of 2)": func() *Node {
			Recompute(tape, identity, x(1))
			return Recompute(tape, logs, x(nan))[0]
		},
	} {
		for range 2 {
			tape.Reset()
			loss := build()
			err := loss.Backward()
			if err == nil {
				err = tape.NotFinite()
			}
			require.EqualError(t, err, want)
			assert.ErrorIs(t, err, ErrNotFinite)
			assert.Equal(t, make([]float32, len(tape.Grads().Data)), tape.Grads().Data)
		}
	}
	tape.Reset()
	bad := &DataError{Text: "label 7, want 0 to 3", Row: 1, Rows: 2}
	out := Recompute(tape, func(t *Tape, in []*Node) []*Node { t.Fail(bad); return logs(t, in) }, x(1))
	err := out[0].Backward()
	assert.EqualError(t, err, "call 0 of autograd.Recompute: label 7, want 0 to 3 (row 1 of 2)")
	assert.ErrorIs(t, err, bad)

	tape.Reset()
	require.NoError(t, Recompute(tape, logs, x(1))[0].Backward())
	assert.NoError(t, tape.NotFinite())
}

// TestRecomputeUsage: what breaks a rule panics and says which, and the tape can be used again.
func TestRecomputeUsage(t *testing.T) {
	l := newLinks(0)
	tape := NewTape(l.params, 1)
	count := float32(0)
	var kept *Node
	same := func(_ *Tape, in []*Node) []*Node { return in }
	for want, misuse := range map[string]func(x *Node){
		"called on the outer tape within": func(x *Node) {
			Recompute(tape, func(_ *Tape, in []*Node) []*Node { return Recompute(tape, same, x) }, x)
		},
		"an output is not on the tape": func(x *Node) { Recompute(tape, func(*Tape, []*Node) []*Node { return []*Node{x} }) },
		"an input is on another tape":  func(x *Node) { Recompute(NewTape(l.params, 1), same, x) },
		"operands are on different": func(x *Node) {
			Recompute(tape, func(_ *Tape, in []*Node) []*Node { return append(in, Add(in[0], x)) }, x)
		},
		"let the function return": func(x *Node) {
			Recompute(tape, func(_ *Tape, in []*Node) []*Node { _ = Sum(in[0]).Backward(); return in }, x)
		},
		"only Recompute does that": func(x *Node) { Recompute(tape, func(t *Tape, in []*Node) []*Node { t.Reset(); return in }, x) },
		"what outlives a run is kept": func(x *Node) {
			Recompute(tape, func(_ *Tape, in []*Node) []*Node { kept = in[0]; return in }, x)
			kept.Data()
		},
		"called without a Backward":  func(x *Node) { Recompute(tape, func(t *Tape, in []*Node) []*Node { _ = t.NotFinite(); return in }, x) },
		"computed other outputs":     func(x *Node) { changing(tape, &count, x) },
		"weights were changed since": func(x *Node) { out := Recompute(tape, same, x); l.params.Update(func() {}); _ = Sum(out[0]).Backward() },
		"the tape of a Recompute begin": func(x *Node) {
			Recompute(tape, func(t *Tape, in []*Node) []*Node { t.Start(1, NewGrads(l.params)); return in }, x)
		},
	} {
		tape.Reset()
		var usage *UsageError
		err := Try(func() { misuse(tape.Leaf(tensor.Of([]float32{1, 2}, 2))) })
		require.ErrorAs(t, err, &usage, want)
		assert.ErrorContains(t, err, want)
	}
	tape.Reset()
	_, got := l.run(tape, 3, Recompute)
	tape.Reset()
	_, want := l.run(tape, 3, plain)
	assert.Equal(t, want, got)
	assert.Panics(t, func() { Recompute(tape, func(*Tape, []*Node) []*Node { panic(errors.New("a fault of the model")) }) })
}

// changing recomputes a function that reads a number that it changes itself.
func changing(tape *Tape, number *float32, x *Node) {
	out := Recompute(tape, func(_ *Tape, in []*Node) []*Node {
		*number++
		return append(in[:0], Scale(in[0], *number), Sum(in[0]))
	}, x)
	_ = out[1].Backward()
}

func TestJoinMeans(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	mean := func(v, weight float32) *Node {
		n := tape.Leaf(tensor.Of([]float32{v}, 1))
		if weight == weight {
			n.SetWeight(weight)
		}
		return n
	}
	check := func(want, weight float32, grads []float32, means ...*Node) {
		t.Helper()
		y := JoinMeans(means...)
		assert.Equal(t, want, y.Value())
		got, ok := y.Weight()
		assert.Equal(t, weight == weight, ok)
		if ok {
			assert.Equal(t, weight, got)
		}
		require.NoError(t, y.BackwardScaled(3))
		for i, m := range means {
			if grads[i] == 0 {
				assert.Nil(t, m.Grad())
			} else {
				assert.Equal(t, grads[i:i+1], m.Grad())
			}
		}
		tape.Reset()
	}
	check(5, 7, []float32{3}, mean(5, 7))
	check(2, 4, []float32{2.25, 0.75}, mean(1, 3), mean(5, 1))
	check(1, 3, []float32{3, 0}, mean(1, 3), mean(nan, 0))
	check(0, 0, []float32{0, 0}, mean(1, 0), mean(2, 0))
	check(4, nan, []float32{1.5, 1.5}, mean(3, nan), mean(5, nan))
	penalty := mean(8, nan)
	check(8.75, 4, []float32{2.25, 0.75}, Add(Scale(mean(1, 3), 2), penalty), mean(5, 1))

	y := Add(Scale(JoinMeans(mean(1, 1), mean(2, 3)), 10), JoinMeans(mean(4, 5), mean(6, 5)))
	terms, err := y.Terms(nil)
	require.NoError(t, err)
	assert.Equal(t, []Term{{17.5, 4, 3}, {5, 10, 6}}, terms)

	for want, join := range map[string]func(){
		"operands are on different tapes": func() { JoinMeans(mean(1, 1), NewTape(NewParams(1), 1).Leaf(tensor.New(1))) },
		"the input is nil":                func() { JoinMeans() },
		"mean 1 is nil":                   func() { JoinMeans(mean(1, 1), nil) },
		"1 of 2 means have no weight":     func() { JoinMeans(mean(1, 1), mean(1, nan)) },
		"mean 0 is a sum of means with":   func() { JoinMeans(Add(mean(1, 1), mean(1, 2))) },
		"mean 1 is a sum of means with":   func() { JoinMeans(mean(1, 2), Exp(mean(1, 2))) },
		"shape [2], want one value":       func() { JoinMeans(tape.Leaf(tensor.New(2))) },
	} {
		assert.ErrorContains(t, Try(join), want)
	}
}
