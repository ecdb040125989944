package autograd

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// pair is a model of two weights and all primitives, and of square, an operation from outside.
type pair struct{ w, b *Param }

func newPair(p *Params) pair {
	return pair{p.New("w", standard, 3, 4), p.New("b", standard, 3, 4)}
}

// loss is sum((w*x + b)^2).
func (m pair) loss(t *Tape, x *Node) *Node {
	return Sum(square(Add(Mul(t.Param(m.w), x), t.Param(m.b))))
}

// want returns the loss's gradients by w, b and x in float64.
func (m pair) want(x []float32) (w, b, dx []float64) {
	for i, v := range x {
		d := 2 * (float64(m.w.Value.Data()[i])*float64(v) + float64(m.b.Value.Data()[i]))
		w, b, dx = append(w, d*float64(v)), append(b, d), append(dx, d*float64(m.w.Value.Data()[i]))
	}
	return w, b, dx
}

func assertClose(t *testing.T, want []float64, got []float32, format string, args ...any) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		assert.InDelta(t, want[i], got[i], 1e-6*(1+math.Abs(want[i])), "%s: element %d", fmt.Sprintf(format, args...), i)
	}
}

// address of a slice's first element.
func address(v []float32) uintptr { return uintptr(unsafe.Pointer(&v[0])) }

func TestNodes(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", standard, 2, 3)
	tape := NewTape(p, 1)
	x := tensor.Of([]float32{1, 2, 3, 4}, 2, 2)
	one := tensor.Of([]float32{7}, 1, 1)
	for name, c := range map[string]struct {
		node     *Node
		shape    []int
		data     []float32
		requires bool
	}{
		"Input": {tape.Input(x), []int{2, 2}, x.Data(), false},
		"Leaf":  {tape.Leaf(x), []int{2, 2}, x.Data(), true},
		"Param": {tape.Param(w), []int{2, 3}, w.Value.Data(), true},
	} {
		assert.Same(t, tape, c.node.Tape(), name)
		assert.Equal(t, c.shape, c.node.Shape(), name)
		assert.Equal(t, address(c.data), address(c.node.Data()), "%s copies", name)
		assert.Len(t, c.node.Data(), len(c.data), name)
		assert.Equal(t, c.requires, c.node.RequiresGrad(), name)
	}
	y := tape.New(5, 0, 2)
	assert.Equal(t, []int{5, 0, 2}, y.Shape())
	assert.Empty(t, y.Data())
	assert.Len(t, tape.New(5, 2).Data(), 10)
	assert.Len(t, tape.New().Data(), 1)
	assert.False(t, y.RequiresGrad())
	assert.Nil(t, y.Grad())
	assert.Equal(t, float32(7), tape.Input(one).Value())
	for _, put := range []func(*tensor.Tensor) *Node{tape.Input, tape.Leaf} {
		panicsAs[*UsageError](t, "autograd.Tape.Input: the tensor is nil; a batch of tokens has IDs and no X", func() { put(nil) })
	}
	panicsAs[*ShapeError](t, "autograd.Node.Value: shape [2 2], want one value", func() { tape.Input(x).Value() })
	panicsAs[*ShapeError](t, "autograd.Node.Value: shape [5 0 2], want one value", func() { y.Value() })
	panicsAs[*ShapeError](t, "tensor: shape [2 -1], want dimensions of at least 0 whose product fits an int",
		func() { tape.New(2, -1) })

	_, ok := y.Weight()
	assert.False(t, ok, "nothing set it")
	y.SetWeight(38)
	weight, ok := y.Weight()
	assert.True(t, ok)
	assert.Equal(t, float32(38), weight)
	for range generations {
		tape.Reset()
		_, ok = tape.New(1).Weight()
		assert.False(t, ok, "of the run before")
	}
}

func TestInference(t *testing.T) {
	p := NewParams(1)
	m := newPair(p)
	x := drawn(standard, 1, 3, 4)
	train, tape := NewTape(p, 1), NewInference(p)
	assert.True(t, train.Training())
	assert.Len(t, train.Grads().Of(m.w), 12)
	assert.False(t, tape.Training())
	assert.Nil(t, tape.Grads())
	for range 3 {
		tape.Reset()
		y := m.loss(tape, tape.Leaf(x))
		assert.Equal(t, m.loss(train, train.Input(x)).Value(), y.Value())
		for _, n := range []*Node{y, tape.Leaf(x), tape.Param(m.w)} {
			assert.False(t, n.RequiresGrad())
			assert.Nil(t, n.Grad())
		}
		panicsAs[*UsageError](t, "autograd.Node.Backward: called on an inference tape", func() { y.Backward() })
		panicsAs[*UsageError](t, "autograd.Tape.Rand: called on an inference tape", func() { tape.Rand() })
	}
	assert.Empty(t, tape.ops, "recorded, though no Backward can come")
}

// TestBuffersAreReused: the k-th node of a run has the memory of the k-th node of the run before, if that is
// large enough, and so have gradients and scratch.
func TestBuffersAreReused(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	run := func(shapes ...int) (places [][3]uintptr) {
		tape.Reset()
		tape.Input(tensor.New(100)) // has a place, but no memory of the tape
		for _, n := range shapes {
			node := tape.New(n, 2)
			scratch := tape.Scratch(n)
			require.Len(t, scratch, n)
			require.Len(t, node.AccumulateGrad(), 2*n)
			places = append(places, [3]uintptr{address(node.Data()), address(node.AccumulateGrad()), address(scratch)})
		}
		return places
	}
	first := run(5, 70, 9)
	seen := map[uintptr]bool{}
	for _, place := range first {
		for _, a := range place {
			assert.False(t, seen[a], "two at one place")
			assert.Zero(t, a%64, "not aligned")
			seen[a] = true
		}
	}
	for range 2 * generations {
		assert.Equal(t, first, run(5, 70, 9), "the same shapes")
	}
	assert.Equal(t, first[:2], run(2, 70), "smaller, and fewer")
	assert.Equal(t, first, run(5, 70, 9), "as before")
	grown := run(5, 71, 9)
	assert.Equal(t, [][3]uintptr{first[0], first[2]}, [][3]uintptr{grown[0], grown[2]})
	assert.NotEqual(t, first[1], grown[1])
	assert.Equal(t, grown, run(5, 70, 9), "the larger buffers stay")
}

// TestScratchIsNotCleared, unlike gradients.
func TestScratchIsNotCleared(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	for run := range 3 {
		s, grad := tape.Scratch(4), tape.New(4).AccumulateGrad()
		assert.Equal(t, []float32{float32(run), 0, 0, 0}, s)
		assert.Equal(t, make([]float32, 4), grad)
		s[0]++
		grad[0]++
		tape.Reset()
	}
}

func TestScratchInts(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	for run := range 3 {
		a, b := tape.ScratchInts(3), tape.ScratchInts(5)
		assert.Equal(t, []int{run, 0, 0}, a)
		assert.Equal(t, make([]int, 5), b)
		a[0]++
		tape.Reset()
	}
	assert.Equal(t, (3+5)*bits.UintSize/8, tape.Bytes())
}

func TestBytes(t *testing.T) {
	p := NewParams(1)
	m := newPair(p)
	tape := NewTape(p, 1)
	assert.Zero(t, tape.Bytes())
	bytes := func(batch int) int {
		tape.Reset()
		require.NoError(t, m.loss(tape, tape.Leaf(drawn(standard, 1, 3, 4))).Backward())
		tape.Scratch(batch)
		return tape.Bytes()
	}
	// Four operations on 12 values, the last of them to one; what they make has gradients, and so has the leaf.
	const nodes = 4 * (2*(3*12+1) + 12)
	assert.Equal(t, nodes+4*100, bytes(100))
	assert.Equal(t, nodes+4*200, bytes(200))
	for range 2 * generations {
		assert.Equal(t, nodes+4*200, bytes(50))
	}
}

func TestRunsAllocateNothing(t *testing.T) {
	p := NewParams(1)
	m := newPair(p)
	x := drawn(standard, 1, 3, 4)
	var err error
	train, inference := NewTape(p, 1), NewInference(p)
	step := func() {
		train.Reset()
		train.Scratch(1000)
		train.ScratchInts(10)
		train.Rand().Float32()
		err = errors.Join(err, m.loss(train, train.Leaf(x)).Backward())
	}
	infer := func() {
		inference.Reset()
		m.loss(inference, inference.Input(x))
	}
	for range generations {
		step()
		infer()
	}
	assert.Zero(t, testing.AllocsPerRun(20, step), "a training step")
	assert.Zero(t, testing.AllocsPerRun(20, infer), "an inference step")
	assert.NoError(t, err)
}

// TestStaleNodes: whatever is done with a node one, two or three runs later panics, and so it does later still while
// no run has come as far as its place.
func TestStaleNodes(t *testing.T) {
	p := NewParams(1)
	x := tensor.Of([]float32{3}, 1)
	for _, tape := range []*Tape{NewTape(p, 1), NewInference(p)} {
		for name, touch := range map[string]func(n *Node){
			"Tape":           func(n *Node) { n.Tape() },
			"Data":           func(n *Node) { n.Data() },
			"Shape":          func(n *Node) { n.Shape() },
			"Value":          func(n *Node) { n.Value() },
			"Grad":           func(n *Node) { n.Grad() },
			"RequiresGrad":   func(n *Node) { n.RequiresGrad() },
			"AccumulateGrad": func(n *Node) { n.AccumulateGrad() },
			"SetWeight":      func(n *Node) { n.SetWeight(1) },
			"Weight":         func(n *Node) { n.Weight() },
			"Backward":       func(n *Node) { n.Backward() },
			"BackwardScaled": func(n *Node) { n.BackwardScaled(2) },
			"TapeOf":         func(n *Node) { TapeOf("test", nil, n) },
			"Add":            func(n *Node) { Add(n, n) },
			"Mul":            func(n *Node) { Mul(n, n) },
			"Sum":            func(n *Node) { Sum(n) },
		} {
			for _, empty := range []bool{true, false} {
				n := tape.New(1)
				of := tape.run
				for later := 1; later < generations || (empty && later < 3*generations); later++ {
					tape.Reset()
					if !empty {
						Sum(tape.Input(x))
					}
					want := fmt.Sprintf("autograd.Node: a node of run %d used in run %d; what outlives a run is kept as plain "+
						"numbers, such as rnn.State", of, of+uint64(later))
					assert.EqualError(t, Try(func() { touch(n) }), want, "%s, %d runs later", name, later)
				}
				tape.Reset()
			}
		}
	}
	tape := NewTape(p, 1)
	n := tape.New(1)
	tape.Reset()
	var e *UsageError
	assert.ErrorAs(t, Try(func() { Record(tape, probe{}, n) }), &e, "as an output")
}

func TestRand(t *testing.T) {
	p := NewParams(1)
	m := newPair(p)
	x := drawn(standard, 1, 3, 4)
	const runs, calls = 5, 4
	// draw returns the first numbers of all calls of all runs. What else the tape does is a matter of busy.
	draw := func(seed uint64, busy bool) (all [runs * calls][3]uint64) {
		tape := NewTape(p, seed)
		for run := range runs {
			for call := range calls {
				r := tape.Rand()
				all[run*calls+call] = [3]uint64{r.Uint64(), r.Uint64(), r.Uint64()}
				if busy {
					for range 7*call + run {
						r.NormFloat64()
					}
					tape.Scratch(run + call)
					m.loss(tape, tape.Input(x))
				}
			}
			if busy {
				require.NoError(t, m.loss(tape, tape.Input(x)).Backward())
			}
			tape.Reset()
		}
		return all
	}
	seen := map[uint64]string{}
	for _, seed := range []uint64{0, 1, 2, 3, 1 << 20, 1 << 40, 1<<40 + 1, math.MaxUint64} {
		numbers := draw(seed, false)
		assert.Equal(t, numbers, draw(seed, true), "seed %d: what the tape did before shows", seed)
		for i, three := range numbers {
			here := fmt.Sprintf("seed %d, run %d, call %d", seed, i/calls, i%calls)
			for _, v := range three {
				assert.Empty(t, seen[v], "the same number again at %s", here)
				seen[v] = here
			}
		}
	}
}

// TestStart: the gradients go to who is named, what was there is gone, and the random numbers are those of the seed,
// whatever the tape did before.
func TestStart(t *testing.T) {
	p := NewParams(1)
	m := newPair(p)
	x := drawn(standard, 1, 3, 4)
	want := NewTape(p, 1)
	require.NoError(t, m.loss(want, want.Input(x)).Backward())

	tape, first, second := NewTape(p, 1), NewGrads(p), NewGrads(p)
	var drawn [3]uint64
	for i, g := range []*Grads{first, second, first} {
		tape.Start(7, g)
		drawn[i] = tape.Rand().Uint64()
		assert.Same(t, g, tape.Grads())
		require.NoError(t, m.loss(tape, tape.Input(x)).Backward())
		assert.Equal(t, want.Grads().Data, g.Data)
	}
	assert.Equal(t, want.Grads().Data, second.Data)
	assert.Equal(t, [3]uint64{drawn[0], drawn[0], drawn[0]}, drawn)
	tape.Start(8, first)
	assert.NotEqual(t, drawn[0], tape.Rand().Uint64())

	panicsAs[*UsageError](t, "autograd.Tape.Start: called on an inference tape", func() { NewInference(p).Start(1, first) })
	panicsAs[*UsageError](t, "autograd.Tape.Start: the gradient is that of another Params", func() { tape.Start(1, NewGrads(NewParams(1))) })
}

// TestRandIsUncorrelated: neighbours by call, run or seed have nothing in common.
func TestRandIsUncorrelated(t *testing.T) {
	const n = 20_000
	var series [][]float64
	for _, at := range [][3]uint64{{1, 0, 0}, {1, 0, 1}, {1, 0, 2}, {1, 1, 0}, {1, 2, 0}, {1, 4, 0}, {2, 0, 0}, {3, 0, 0}, {1 << 32, 0, 0}} {
		tape := NewTape(NewParams(1), at[0])
		for range at[1] {
			tape.Reset()
		}
		for range at[2] {
			tape.Rand()
		}
		r, values := tape.Rand(), make([]float64, n)
		for i := range values {
			values[i] = 2*r.Float64() - 1
		}
		for k, other := range series {
			correlation := 0.0
			for i := range values {
				correlation += 3 * values[i] * other[i] / n
			}
			assert.Less(t, math.Abs(correlation), 4.5/math.Sqrt(n), "%v and number %d", at, k)
		}
		series = append(series, values)
	}
}

// TestAlternatingPrograms: two models that take turns on one tape get each other's buffers and slots, and are
// still right.
func TestAlternatingPrograms(t *testing.T) {
	p := NewParams(1)
	m := newPair(p)
	v := p.New("v", standard, 5)
	tape := NewTape(p, 1)
	for run := range 20 {
		tape.Reset()
		x := drawn(standard, uint64(run), 3, 4)
		if run%3 == 0 {
			y := drawn(standard, uint64(run), 5)
			require.NoError(t, Sum(Mul(square(tape.Param(v)), tape.Input(y))).Backward())
			var want []float64
			for i := range y.Data() {
				want = append(want, 2*float64(v.Value.Data()[i])*float64(y.Data()[i]))
			}
			assertClose(t, want, tape.Grads().Of(v), "run %d", run)
			assert.Equal(t, make([]float32, 12), tape.Grads().Of(m.w), "of the run before")
			continue
		}
		leaf := tape.Leaf(x)
		require.NoError(t, m.loss(tape, leaf).Backward())
		w, b, dx := m.want(x.Data())
		assertClose(t, w, tape.Grads().Of(m.w), "run %d, w", run)
		assertClose(t, b, tape.Grads().Of(m.b), "run %d, b", run)
		assertClose(t, dx, leaf.Grad(), "run %d, x", run)
		assert.Equal(t, make([]float32, 5), tape.Grads().Of(v), "of the run before")
	}
}

// TestConcurrentInference: goroutines with tapes of their own over one Params give the bits of a serial run.
func TestConcurrentInference(t *testing.T) {
	p := NewParams(1)
	m := newPair(p)
	const goroutines, runs = 64, 30
	losses := func(tape *Tape, who int) (all []float32) {
		for run := range runs {
			tape.Reset()
			all = append(all, m.loss(tape, tape.Input(drawn(standard, uint64(who*runs+run), 3, 4))).Value())
		}
		return all
	}
	got := make([][]float32, goroutines)
	var wait sync.WaitGroup
	for who := range goroutines {
		wait.Go(func() { got[who] = losses(NewInference(p), who) })
	}
	wait.Wait()
	serial := NewInference(p)
	for who := range goroutines {
		assert.Equal(t, losses(serial, who), got[who])
	}
	assert.False(t, slices.Equal(got[0], got[1]))
}

// TestPreserve: Restore brings back what was first there, of the last run alone.
func TestPreserve(t *testing.T) {
	p := NewParams(1)
	p.New("w", Constant(1), 1)
	v := []float32{1, 2, 3, 4}
	tape, other := NewTape(p, 0), NewGrads(p)
	change := func(tape *Tape) {
		tape.Preserve(v[:2])
		v[0], v[1] = v[0]+10, v[1]+10
		tape.Preserve(v[1:])
		v[1], v[2], v[3] = v[1]+100, v[2]+100, v[3]+100
	}
	change(tape)
	tape.Grads().Restore()
	assert.Equal(t, []float32{1, 2, 3, 4}, v)

	change(tape)
	first := slices.Clone(v)
	tape.Grads().Clear() // of the gradients alone
	tape.Reset()
	tape.Grads().Restore()
	assert.Equal(t, first, v, "what an earlier run has changed stays")

	tape.Start(1, other)
	change(tape)
	NewTape(p, 0).Grads().Restore()
	tape.Start(1, NewGrads(p))
	other.Restore()
	assert.Equal(t, first, v)
	other.Restore()
	assert.Equal(t, first, v)

	change(NewInference(p))
	assert.NotEqual(t, first, v)
	assert.Zero(t, testing.AllocsPerRun(10, func() { tape.Reset(); change(tape) }))
}
