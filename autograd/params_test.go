package autograd

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var standard = Normal(1)

func TestFirstValuesFollowFromSeedAndName(t *testing.T) {
	names := []string{"rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.weight_ih_l1", "head.weight"}
	values := func(seed uint64, order []string) map[string][]float32 {
		p, all := NewParams(seed), map[string][]float32{}
		for _, name := range order {
			all[name] = p.New(name, standard, 5000).Value.Data()
		}
		return all
	}
	want := values(42, names)
	assert.Equal(t, want, values(42, names), "the same again")

	reversed := slices.Clone(names)
	slices.Reverse(reversed)
	assert.Equal(t, want, values(42, reversed), "another order")
	assert.Equal(t, want["head.weight"], values(42, names[3:])["head.weight"], "without the others")

	viaView := NewParams(42).In("rnn").New("weight_ih_l0", standard, 5000)
	assert.Equal(t, want["rnn.weight_ih_l0"], viaView.Value.Data(), "through a view")

	// Neighbours in name or seed have nothing in common.
	series := slices.Collect(maps.Values(want))
	for _, seed := range []uint64{0, 41, 43, 42 << 32, math.MaxUint64} {
		series = append(series, values(seed, names[:1])[names[0]])
	}
	for i, a := range series {
		for _, b := range series[:i] {
			correlation := 0.0
			for k := range a {
				correlation += float64(a[k]) * float64(b[k]) / float64(len(a))
			}
			assert.Less(t, math.Abs(correlation), 5/math.Sqrt(float64(len(a))))
		}
	}
}

// TestFirstValuesStay: a model made again by a later version of the library starts from the same weights.
func TestFirstValuesStay(t *testing.T) {
	w := NewParams(42).In("rnn").New("weight_ih_l0", GlorotUniform, 150, 28)
	assert.Equal(t, []float32{0.17717862, 0.072895154, -0.15570974}, w.Value.Data()[:3])
}

func TestViews(t *testing.T) {
	p := NewParams(7)
	assert.Equal(t, uint64(7), p.Seed())
	assert.Empty(t, p.Prefix())
	rnn := p.In("rnn")
	deep := rnn.In("a").In("b.c")
	assert.Equal(t, "rnn.", rnn.Prefix())
	assert.Equal(t, "rnn.a.b.c.", deep.Prefix())
	assert.Equal(t, uint64(7), deep.Seed())

	w := rnn.New("w", Zeros, 2, 3)
	x := deep.New("x", Zeros, 4)
	other := p.New("rnn2.w", Zeros, 5)
	bare := p.New("rnn", Zeros, 1)
	assert.Equal(t, "rnn.w", w.Name)
	assert.Equal(t, "rnn.a.b.c.x", x.Name)
	assert.Equal(t, []int{2, 3}, w.Value.Shape())

	assert.Same(t, w, p.Get("rnn.w"))
	assert.Same(t, w, rnn.Get("w"))
	assert.Same(t, x, rnn.Get("a.b.c.x"))
	assert.Nil(t, p.Get("w"))
	assert.Nil(t, rnn.Get("rnn.w"))
	assert.Nil(t, p.Get(""))

	assert.Equal(t, []*Param{w, x, other, bare}, slices.Collect(p.All()), "order of creation")
	assert.Equal(t, []*Param{w, x}, slices.Collect(rnn.All()), "a view has what is behind its dot")
	assert.Equal(t, []*Param{x}, slices.Collect(deep.All()))
	assert.Empty(t, slices.Collect(p.In("none").All()))
	assert.Equal(t, 16, p.Count())
	assert.Equal(t, 10, rnn.Count())
	assert.Zero(t, p.In("none").Count())
	for range p.All() {
		break // an iterator that goes on after this panics
	}
	for range p.Named() {
		break
	}
	panicsAs[*UsageError](t, "autograd.Params.In: empty name", func() { rnn.In("") })
}

func TestNewPanics(t *testing.T) {
	p := NewParams(1)
	rnn := p.In("rnn")
	w := rnn.New("w", Constant(3), 2)
	for _, f := range []func(){
		func() { rnn.New("w", Zeros, 2) },
		func() { p.New("rnn.w", Zeros, 5) },
		func() { p.Tie("rnn.w", w) },
	} {
		panicsAs[*UsageError](t, "rnn.w: a weight of this name exists already", f)
	}
	unnamed := `autograd.Params: a weight without a name under prefix "rnn."`
	panicsAs[*UsageError](t, unnamed, func() { rnn.New("", Zeros, 2) })
	panicsAs[*UsageError](t, unnamed, func() { rnn.Tie("", w) })
	for _, shape := range [][]int{{0}, {3, 0}, {-1}, {2, -3}, {math.MaxInt, 2}} {
		panicsAs[*ShapeError](t, fmt.Sprintf("rnn.v: shape %v, want dimensions of at least 1 whose product fits an int", shape),
			func() { rnn.New("v", Zeros, shape...) })
	}
	assert.Error(t, Try(func() { rnn.New("v", GlorotUniform, 2, 2, 2) }), "an Init that panics")

	assert.Equal(t, []*Param{w}, slices.Collect(p.All()), "what panicked left a weight behind")
	assert.Equal(t, []float32{3, 3}, w.Value.Data())
	v := rnn.New("v", Zeros, 2)
	assert.Len(t, NewGrads(p).Of(v), 2, "the name is still free")
}

func TestSealed(t *testing.T) {
	for name, seal := range map[string]func(p *Params){
		"NewGrads":     func(p *Params) { NewGrads(p) },
		"NewTape":      func(p *Params) { NewTape(p, 1) },
		"NewInference": func(p *Params) { NewInference(p) },
		"of a view":    func(p *Params) { NewGrads(p.In("elsewhere")) },
	} {
		p := NewParams(1)
		w := p.New("w", Zeros, 2)
		seal(p)
		want := "rnn.v: made after the first tape, step or optimizer; make all weights before"
		panicsAs[*UsageError](t, want, func() { p.In("rnn").New("v", Zeros, 2) })
		panicsAs[*UsageError](t, want, func() { p.In("rnn").Tie("v", w) })
		assert.Equal(t, 2, p.Count(), name)
		NewParams(1).New("v", Zeros, 2) // another set is not touched
	}
}

func TestTie(t *testing.T) {
	p := NewParams(1)
	embed := p.In("embed").New("weight", standard, 10, 4)
	before := slices.Clone(embed.Value.Data())
	p.In("head").Tie("weight", embed)
	assert.Nil(t, p.Get("head.weight"), "tied, but no layer has made it")
	assert.Equal(t, []string{"embed.weight"}, namesOf(p))
	taken := "head.weight: a weight of this name exists already"
	panicsAs[*UsageError](t, taken, func() { p.Tie("head.weight", embed) })
	panicsAs[*ShapeError](t, "head.weight: shape [4 10], want [10 4] as embed.weight, which it is tied to",
		func() { p.In("head").New("weight", Zeros, 4, 10) })

	last := p.New("last", Zeros, 1)
	assert.Same(t, embed, p.In("head").New("weight", Zeros, 10, 4), "after a failed try the tie still holds")
	assert.Equal(t, before, embed.Value.Data(), "the second Init ran")
	assert.Equal(t, "embed.weight", embed.Name)
	assert.Same(t, embed, p.Get("head.weight"))
	panicsAs[*UsageError](t, taken, func() { p.In("head").New("weight", Zeros, 10, 4) })

	p.Tie("third", p.Get("head.weight")) // by its other name
	assert.Same(t, embed, p.New("third", Zeros, 10, 4))

	assert.Equal(t, []*Param{embed, last}, slices.Collect(p.All()), "each once")
	assert.Equal(t, 41, p.Count())
	assert.Equal(t, []string{"embed.weight", "last", "head.weight", "third"}, namesOf(p))
	assert.Equal(t, []string{"head.weight"}, namesOf(p.In("head")))
	assert.Empty(t, slices.Collect(p.In("head").All()), "it belongs to the view that it was made in")
	for name, param := range p.Named() {
		assert.Same(t, p.Get(name), param)
	}
	g := NewGrads(p)
	g.Of(p.Get("head.weight"))[3] += 2
	g.Of(p.Get("third"))[3] += 3
	assert.Equal(t, float32(5), g.Of(embed)[3], "gradients add up")

	panicsAs[*UsageError](t, "v: tied to embed.weight of another Params", func() { NewParams(1).Tie("v", embed) })
}

func namesOf(p *Params) (names []string) {
	for name := range p.Named() {
		names = append(names, name)
	}
	return names
}

// TestRead reads the weights of two sets while both sets are updated all the time: the weights are always equal. Views of one
// set do not block each other, nor do the sets, in whatever order they are given.
func TestRead(t *testing.T) {
	p, q := NewParams(1), NewParams(1)
	a, b, c := p.New("a", Zeros, 1), p.In("in").New("b", Zeros, 1), q.New("c", Zeros, 1)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for range 200 {
				p.Update(func() { a.Value.Data()[0]++; b.Value.Data()[0]++ })
				q.Update(func() { c.Value.Data()[0]++ })
			}
		})
	}
	read := func(of ...*Params) {
		for range 200 {
			Read(func() {
				if a.Value.Data()[0] != b.Value.Data()[0] || c.Value.Data()[0] > a.Value.Data()[0] {
					t.Error("read within an update")
				}
			}, of...)
		}
	}
	wait.Go(func() { read(p.In("in"), p, q) })
	wait.Go(func() { read(q, p, q) })
	wait.Wait()
	Read(func() {}) // of nothing
	assert.Equal(t, []float32{400}, c.Value.Data())
}

func TestUpdate(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Zeros, 1)
	v := p.Version()
	p.In("a").Update(func() { w.Value.Data()[0] = 4 })
	assert.Equal(t, float32(4), w.Value.Data()[0])
	assert.Equal(t, v+1, p.Version())
	assert.Equal(t, v+1, p.In("b").Version(), "one version for all views")

	// A write that panics may have changed something, and does not block the next.
	assert.Error(t, Try(func() { p.Update(func() { panic("half-way") }) }))
	assert.Equal(t, v+2, p.Version())

	var wait sync.WaitGroup
	for range 64 {
		wait.Go(func() { p.Update(func() { w.Value.Data()[0]++ }) })
	}
	wait.Wait()
	assert.Equal(t, float32(68), w.Value.Data()[0])
	assert.Equal(t, v+66, p.Version())
}

func TestCopyFrom(t *testing.T) {
	build := func(p *Params) *Params {
		p.New("w", standard, 2, 3)
		p.In("deep").New("b", standard, 3).Frozen = true
		return p
	}
	train, server := NewParams(1), NewParams(2)
	from, to := build(train.In("model")), build(server.In("copy"))
	rest := server.New("rest", Constant(5), 2)
	require.NotEqual(t, from.Get("w").Value.Data(), to.Get("w").Value.Data())
	version := server.Version()
	require.NoError(t, to.CopyFrom(from))
	assert.Equal(t, from.Get("w").Value.Data(), to.Get("w").Value.Data())
	assert.Equal(t, from.Get("deep.b").Value.Data(), to.Get("deep.b").Value.Data(), "frozen ones too")
	assert.Equal(t, []float32{5, 5}, rest.Value.Data(), "outside of the view")
	assert.Equal(t, version+1, server.Version())
	assert.Zero(t, train.Version())

	train.Update(func() { clear(from.Get("w").Value.Data()) })
	assert.NotEqual(t, from.Get("w").Value.Data(), to.Get("w").Value.Data(), "the copy shares memory")

	// Two views of one set.
	both := NewParams(3)
	a, b := build(both.In("a")), build(both.In("b"))
	require.NoError(t, a.CopyFrom(b))
	assert.Equal(t, b.Get("w").Value.Data(), a.Get("w").Value.Data())
}

func TestCopyFromTellsAllDifferences(t *testing.T) {
	p, q := NewParams(1).In("p"), NewParams(2).In("q")
	p.New("same", standard, 4)
	p.New("missing", standard, 1)
	p.New("turned", standard, 2, 3)
	p.New("flat", standard, 6)
	q.New("flat", standard, 2, 3)
	q.New("extra", standard, 1)
	q.New("turned", standard, 3, 2)
	q.New("same", standard, 4)
	q.New("more", standard, 1)

	before := map[string][]float32{}
	for name, param := range p.Named() {
		before[name] = slices.Clone(param.Value.Data())
	}
	assert.EqualError(t, p.CopyFrom(q), `autograd.CopyFrom: missing: missing in the source
turned: source has shape [3 2], want [2 3]
flat: source has shape [2 3], want [6]
extra: in the source alone
more: in the source alone`)
	for name, param := range p.Named() {
		assert.Equal(t, before[name], param.Value.Data(), "%s was changed", name)
	}
	assert.Zero(t, p.Version())
}

// TestCopyFromTied: a tied weight counts under each of its names, whether or not the other side ties them.
func TestCopyFromTied(t *testing.T) {
	tied, plain := NewParams(1), NewParams(2)
	a := tied.New("a", standard, 3)
	tied.Tie("b", a)
	tied.New("b", standard, 3)
	plain.New("a", standard, 3)
	assert.EqualError(t, plain.CopyFrom(tied), "autograd.CopyFrom: b: in the source alone")
	assert.EqualError(t, tied.CopyFrom(plain), "autograd.CopyFrom: b: missing in the source")

	plain.New("b", standard, 3)
	require.NoError(t, plain.CopyFrom(tied))
	assert.Equal(t, a.Value.Data(), plain.Get("a").Value.Data())
	assert.Equal(t, a.Value.Data(), plain.Get("b").Value.Data())
}

func TestGradsLayout(t *testing.T) {
	p := NewParams(1)
	sizes := []int{1, 15, 16, 17, 64, 150 * 28, 3, 150}
	for i, n := range sizes {
		p.New(fmt.Sprint("w", i), Zeros, n)
	}
	g := NewGrads(p)
	assert.Zero(t, g.Norm())
	next := 0
	for param := range p.All() {
		of := g.Of(param)
		require.Len(t, of, param.Value.Len())
		assert.Equal(t, len(of), cap(of), "%s could be appended to, over the next", param.Name)
		assert.Zero(t, uintptr(unsafe.Pointer(&of[0]))%64, "%s is not aligned", param.Name)
		place := (uintptr(unsafe.Pointer(&of[0])) - uintptr(unsafe.Pointer(&g.Data[0]))) / 4
		assert.GreaterOrEqual(t, int(place), next, "%s overlaps the one before", param.Name)
		assert.Less(t, int(place), next+16, "more than a cache line is lost before %s", param.Name)
		next = int(place) + len(of)
		for i := range of {
			of[i] = 1
		}
	}
	assert.LessOrEqual(t, next, len(g.Data))
	ones := 0
	for _, v := range g.Data {
		ones += int(v)
	}
	assert.Equal(t, p.Count(), ones, "Of and Data are not the same memory, each element once")
	assert.InEpsilon(t, math.Sqrt(float64(p.Count())), g.Norm(), 1e-15)

	assert.Equal(t, make([]float32, len(g.Data)), NewGrads(p.In("w0")).Data, "one slab for the whole set, of its own")
	g.Clear()
	assert.Equal(t, make([]float32, len(g.Data)), g.Data)
	panicsAs[*UsageError](t, "w: a weight of another Params than this gradient",
		func() { g.Of(NewParams(1).New("w", Zeros, 1)) })
	assert.Empty(t, NewGrads(NewParams(1)).Data)
}

func TestDerived(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Constant(1), 3)
	builds := 0
	var previous []float32
	double := NewDerived(p.In("view"), func(v *[]float32) {
		builds++
		assert.Equal(t, previous, *v, "not handed the value of before")
		*v = append((*v)[:0], w.Value.Data()...)
		for i := range *v {
			(*v)[i] *= 2
		}
		previous = *v
	})
	assert.Zero(t, builds, "built before it was asked for")
	for version := range 3 {
		for range 3 {
			assert.Equal(t, 2*w.Value.Data()[0], (*double.Get())[0])
		}
		assert.Equal(t, version+1, builds)
		p.Update(func() { w.Value.Data()[0]++ })
	}
	p.Update(func() {})
	double.Get()
	assert.Equal(t, 4, builds, "two updates since")
	assert.Zero(t, testing.AllocsPerRun(10, func() { double.Get() }))
}

// TestDerivedConcurrent: whoever of many goroutines comes first builds, once a version, and all
// others wait for it. The race detector watches builds and the value, which nothing else guards.
func TestDerivedConcurrent(t *testing.T) {
	p := NewParams(1)
	w := p.New("w", Zeros, 1000)
	got := make([]float32, 64)
	builds := 0
	var asking atomic.Int64
	sum := NewDerived(p, func(v *float32) {
		builds++
		for asking.Load() < int64(len(got)) { // so that there are others who wait
			runtime.Gosched()
		}
		for range 100 {
			runtime.Gosched()
		}
		*v = 0
		for _, x := range w.Value.Data() {
			*v += x
		}
	})
	for version := range 20 {
		asking.Store(0)
		var wait sync.WaitGroup
		for i := range got {
			wait.Go(func() {
				asking.Add(1)
				got[i] = *sum.Get()
			})
		}
		wait.Wait()
		assert.Equal(t, version+1, builds)
		for i := range got {
			require.Equal(t, float32(1000*version), got[i])
		}
		p.Update(func() {
			for i := range w.Value.Data() {
				w.Value.Data()[i]++
			}
		})
	}
}

func TestDerivedPanics(t *testing.T) {
	p := NewParams(1)
	fail := true
	d := NewDerived(p, func(v *int) {
		if fail {
			panic("not this time")
		}
		*v = 7
	})
	assert.Error(t, Try(func() { d.Get() }))
	assert.Error(t, Try(func() { d.Get() }), "half-built, yet handed out")
	fail = false
	assert.Equal(t, 7, *d.Get())
}

func TestCopyFromTiedNames(t *testing.T) {
	p := NewParams(1)
	w := p.New("in", Zeros, 2)
	p.Tie("out", w)
	p.New("out", Zeros, 2)
	q := NewParams(2)
	a, b := q.New("in", Constant(1), 2), q.New("out", Constant(2), 2)
	assert.EqualError(t, p.CopyFrom(q), "autograd.CopyFrom: out: tied to in, but their values in the source differ")
	assert.Equal(t, []float32{0, 0}, w.Value.Data())
	q.Update(func() { copy(b.Value.Data(), a.Value.Data()) })
	assert.NoError(t, p.CopyFrom(q))
	assert.Equal(t, []float32{1, 1}, w.Value.Data())
}

// TestCopyFromTheSameSet is a target network that follows another under a prefix of its own.
func TestCopyFromTheSameSet(t *testing.T) {
	p := NewParams(1)
	p.In("online").New("w", Constant(3), 2)
	target := p.In("target").New("w", Zeros, 2)
	assert.NoError(t, p.In("target").CopyFrom(p.In("online")))
	assert.Equal(t, []float32{3, 3}, target.Value.Data())
}

func TestTieThatNoLayerMakes(t *testing.T) {
	p := NewParams(1)
	p.Tie("haed.weight", p.New("embed.weight", Zeros, 2))
	panicsAs[*UsageError](t, "haed.weight: tied, but no layer has made a weight of this name", func() { NewInference(p) })
}

func TestNilInit(t *testing.T) {
	panicsAs[*UsageError](t, "w: its Init is nil", func() { NewParams(1).New("w", nil, 1) })
}
