package layers_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

var (
	_ layers.Layer = (*layers.Conv1D)(nil)
	_ rnn.Stepper  = (*layers.Conv1DStream)(nil)
	_ rnn.Stepper  = (*layers.Conv1DWindow)(nil)
)

// convolutionOf is the layer of a golden file.
func convolutionOf(f *golden.File, params *autograd.Params) *layers.Conv1D {
	of := func(key string) int { return int(f.Config[key]) }
	l := layers.NewConv1D(params.In("conv"), layers.Conv1DConfig{
		In: f.Get("x").Shape[2], Out: f.Get("y").Shape[2], Width: of("width"), Stride: of("stride"), Dilation: of("dilation"), Groups: of("groups"),
		PadLeft: of("left"), PadRight: of("right"), Mirrored: of("mirrored") == 1, NoBias: of("bias") == 0,
	})
	params.Update(func() {
		copy(l.Weight.Value.Data(), f.Get("weight").Float32())
		if l.Bias != nil {
			copy(l.Bias.Value.Data(), f.Get("bias").Float32())
		}
	})
	return l
}

func TestConv1DAsPyTorch(t *testing.T) {
	names := golden.Names("conv1d_*")
	assert.Len(t, names, 40)
	for _, name := range names {
		f, err := golden.Load(name)
		require.NoError(t, err)
		params := autograd.NewParams(1)
		l := convolutionOf(f, params)
		require.Equal(t, f.Get("weight").Shape, l.Weight.Value.Shape(), name)
		tape := autograd.NewTape(params, 0)
		in := tensor.Of(f.Get("x").Float32(), f.Get("x").Shape...)
		factors := tensor.Of(f.Get("factors").Float32(), f.Get("factors").Shape...)
		run := func() (x, y *autograd.Node) {
			tape.Reset()
			x = tape.Leaf(in)
			y = l.Forward(x)
			if err := autograd.Sum(autograd.Mul(y, tape.Input(factors))).Backward(); err != nil {
				t.Error(err)
			}
			return x, y
		}
		for range 8 { // in used memory, too
			run()
		}
		x, y := run()
		require.Equal(t, f.Get("y").Shape, y.Shape(), name)
		assert.Equal(t, l.Steps(8), y.Shape()[0], name)
		assert.LessOrEqual(t, reference.MaxRelErr(y.Data(), f.Get("y").Data), 1e-6, name)
		got := map[string][]float32{"x": x.Grad(), "weight": tape.Grads().Of(l.Weight)}
		if l.Bias != nil {
			got["bias"] = tape.Grads().Of(l.Bias)
		}
		assert.Len(t, f.Under("grad."), len(got), name)
		for key, want := range f.Under("grad.") {
			assert.LessOrEqual(t, reference.MaxRelErr(got[key], want.Data), 2e-6, "%s: %s", name, key)
		}
		infer := autograd.NewInference(params)
		assert.Equal(t, y.Data(), l.Forward(infer.Input(in)).Data(), "%s: inference", name)
		window := l.NewWindow(8)
		for b := range in.Dim(1) {
			row := autograd.Slice(infer.Input(in), 1, b, b+1).Data()
			assert.Equal(t, autograd.Slice(y, 1, b, b+1).Data(), window.Step(row), "%s: row %d as a window", name, b)
			assert.Zero(t, testing.AllocsPerRun(10, func() { window.Step(row) }), name)
		}
		assert.Zero(t, testing.AllocsPerRun(10, func() { run() }), name)
	}
}

// TestConv1DGradients of sizes that fill more than one tile of the products.
func TestConv1DGradients(t *testing.T) {
	for _, c := range []layers.Conv1DConfig{
		{In: 20, Out: 35, Width: 3, PadLeft: 1, PadRight: 1},
		{In: 3, Out: 18, Width: 5, Stride: 2, PadLeft: 2, PadRight: 3, Mirrored: true},
		{In: 24, Out: 12, Width: 2, Dilation: 3, Groups: 4, Causal: true},
		{In: 19, Out: 19, Width: 3, Groups: 19, Causal: true},
		{In: 600, Out: 600, Width: 2, Groups: 600, Stride: 2},
		{In: 1, Out: 1, Width: 3},
	} {
		for _, rows := range []int{1, 3} {
			params := autograd.NewParams(1)
			l := layers.NewConv1D(params.In("conv"), c)
			x := params.New("x", autograd.Normal(1), 9, rows, c.In)
			require.NoError(t, gradcheck.Check(params, func(tape *autograd.Tape) *autograd.Node {
				return gradcheck.Project(l.Forward(tape.Param(x)))
			}, gradcheck.Options{Tolerance: 1e-3}), "%+v of %d rows", c, rows)
		}
	}
}

// TestConv1DRows: a row has the same bits alone, in a batch, and in its stretches that reach over all taps.
func TestConv1DRows(t *testing.T) {
	for _, c := range []layers.Conv1DConfig{
		{In: 5, Out: 40, Width: 4, Stride: 2, PadLeft: 3, PadRight: 2}, {In: 33, Out: 40, Width: 3, PadLeft: 1, PadRight: 1},
		{In: 16, Out: 9, Width: 3, Dilation: 2, Groups: 1, PadRight: 4, Mirrored: true}, {In: 8, Out: 8, Width: 3, Groups: 8},
	} {
		params := autograd.NewParams(1)
		l := layers.NewConv1D(params, c)
		params.Update(func() { copy(l.Bias.Value.Data(), random(2, c.Out).Data()) })
		x := random(3, 21, 4, c.In)
		tape := autograd.NewInference(params)
		all := tape.Input(x)
		y := l.Forward(all)
		for b := range 4 {
			one := l.Forward(autograd.Slice(all, 1, b, b+1))
			assert.Equal(t, autograd.Slice(y, 1, b, b+1).Data(), one.Data(), "%+v", c)
		}
	}
}

// TestConv1DStream: a causal convolution step by step is the whole, bit for bit.
func TestConv1DStream(t *testing.T) {
	for _, c := range []layers.Conv1DConfig{
		{In: 1, Out: 1, Width: 2}, {In: 1, Out: 3, Width: 1}, {In: 1, Out: 33, Width: 9}, {In: 40, Out: 70, Width: 3}, {In: 300, Out: 5, Width: 2},
		{In: 7, Out: 5, Width: 3, Dilation: 4}, {In: 6, Out: 9, Width: 4, Groups: 3}, {In: 19, Out: 19, Width: 5, Dilation: 2, Groups: 19},
		{In: 4, Out: 4, Width: 2, NoBias: true},
	} {
		c.Causal = true
		params := autograd.NewParams(1)
		l := layers.NewConv1D(params, c)
		if l.Bias != nil {
			params.Update(func() { copy(l.Bias.Value.Data(), random(2, c.Out).Data()) })
		}
		const steps = 50
		x := random(3, steps, 1, c.In)
		want := l.Forward(autograd.NewInference(params).Input(x)).Data()
		s, other := l.NewStream(), l.NewStream()
		for step := range steps {
			in := x.Data()[step*c.In:][:c.In]
			y := s.Step(in)
			require.Equal(t, want[step*c.Out:][:c.Out], y, "%+v, step %d", c, step)
			if step == 30 { // a second stream goes on from the first one's state, while the first goes on
				copy(other.State(), s.State())
			} else if step > 30 {
				require.Equal(t, y, other.Step(in), "%+v, step %d", c, step)
			}
		}
		clear(s.State())
		assert.Equal(t, want[:c.Out], s.Step(x.Data()[:c.In]), "a new sequence")
		in := x.Data()[:c.In]
		assert.Zero(t, testing.AllocsPerRun(100, func() { s.Step(in) }), "%+v", c)
	}
}

// TestConv1DInChain: a causal convolution, a recurrent layer and a dense layer in a chain compute what they compute on a tape.
func TestConv1DInChain(t *testing.T) {
	params := autograd.NewParams(1)
	l := layers.NewConv1D(params.In("conv"), layers.Conv1DConfig{In: 3, Out: 8, Width: 3, Causal: true})
	cell := rnn.NewGRU(params.In("rnn"), rnn.GRUConfig{Input: 8, Hidden: 6})
	head := layers.NewDense(params.In("head"), 6, 2)
	x := random(1, 12, 1, 3)
	tape := autograd.NewInference(params)
	h, _ := cell.Forward(autograd.Tanh(l.Forward(tape.Input(x))), rnn.Options{})
	want := head.Forward(h).Data()
	chain := rnn.Chain{l.NewStream(), rnn.Pointwise(rnn.Tanh), cell.NewStream(), head.NewStream()}
	for step := range 12 {
		assert.Equal(t, want[step*2:][:2], chain.Step(x.Data()[step*3:][:3]))
	}
}

func TestConv1DLengths(t *testing.T) {
	params := autograd.NewParams(1)
	l := layers.NewConv1D(params, layers.Conv1DConfig{In: 2, Out: 3, Width: 3, Stride: 2, PadLeft: 1, PadRight: 1})
	lengths := []int{7, 0, 4, 1}
	assert.Equal(t, []int{4, 0, 2, 1}, l.Lengths(nil, lengths))
	x := random(1, 7, 4, 2)
	tape := autograd.NewInference(params)
	y := l.Forward(autograd.MaskSteps(tape.Input(x), lengths))
	for b, n := range lengths {
		if n == 0 {
			continue
		}
		alone := l.Forward(autograd.Slice(autograd.Slice(tape.Input(x), 1, b, b+1), 0, 0, n))
		steps := l.Lengths(nil, lengths[b:b+1])[0]
		assert.Equal(t, alone.Data(), autograd.Slice(autograd.Slice(y, 1, b, b+1), 0, 0, steps).Data(), "row %d", b)
	}
}

func TestConv1DFrozenAndEmpty(t *testing.T) {
	for _, c := range []layers.Conv1DConfig{{In: 2, Out: 3, Width: 2}, {In: 20, Out: 3, Width: 2}, {In: 2, Out: 2, Width: 2, Groups: 2}} {
		params := autograd.NewParams(1)
		l := layers.NewConv1D(params, c)
		l.Weight.Frozen, l.Bias.Frozen = true, true
		tape := autograd.NewTape(params, 0)
		assert.False(t, l.Forward(tape.Input(random(1, 4, 2, c.In))).RequiresGrad())
		l.Bias.Frozen = false
		y := l.Forward(tape.Input(random(1, 4, 2, c.In)))
		none := l.Forward(tape.Leaf(tensor.New(4, 0, c.In)))
		assert.Equal(t, []int{3, 0, c.Out}, none.Shape())
		require.NoError(t, autograd.Add(autograd.Sum(y), autograd.Sum(none)).Backward())
		assert.Equal(t, make([]float32, l.Weight.Value.Len()), tape.Grads().Of(l.Weight))
		assert.Equal(t, slices.Repeat([]float32{6}, c.Out), tape.Grads().Of(l.Bias))
	}
}

func TestConv1DMisuse(t *testing.T) {
	params := autograd.NewParams(1)
	l := layers.NewConv1D(params.In("conv"), layers.Conv1DConfig{In: 2, Out: 3, Width: 5, PadLeft: 1, Dilation: 2})
	mirrored := layers.NewConv1D(params.In("mirrored"), layers.Conv1DConfig{In: 2, Out: 3, Width: 2, PadRight: 4, Mirrored: true})
	causal := layers.NewConv1D(params.In("causal"), layers.Conv1DConfig{In: 2, Out: 3, Width: 2, Causal: true})
	assert.Equal(t, layers.Conv1DConfig{In: 2, Out: 3, Width: 2, Stride: 1, Dilation: 1, Groups: 1, PadLeft: 1, Causal: true}, causal.Config())
	assert.Zero(t, l.Steps(3))
	tape := autograd.NewInference(params)
	of := func(shape ...int) *autograd.Node { return tape.Input(tensor.New(shape...)) }
	config := func(c layers.Conv1DConfig) func() {
		return func() { layers.NewConv1D(autograd.NewParams(1), c) }
	}
	for want, f := range map[string]func(){
		"conv.weight: input has shape [8 1 3], want [T, B, 2] of at least 8 steps":             func() { l.Forward(of(8, 1, 3)) },
		"conv.weight: input has shape [7 1 2], want [T, B, 2] of at least 8 steps":             func() { l.Forward(of(7, 1, 2)) },
		"conv.weight: input has shape [8 2], want [T, B, 2] of at least 8 steps":               func() { l.Forward(of(8, 2)) },
		"mirrored.weight: input has shape [4 1 2], want [T, B, 2] of at least 5 steps":         func() { mirrored.Forward(of(4, 1, 2)) },
		"conv.weight: windows of 7 steps, want at least 8":                                     func() { l.NewWindow(7) },
		"conv.weight: a window of 17 numbers, want 9 steps of 2":                               func() { l.NewWindow(9).Step(make([]float32, 17)) },
		"conv.weight: only a causal convolution of Stride 1 runs step by step":                 func() { l.NewStream() },
		"causal.weight: a step of 3 channels, want 2":                                          func() { causal.NewStream().Step(make([]float32, 3)) },
		"layers.NewConv1D: In 0, Out 1 and Width 1, want at least 1 each":                      config(layers.Conv1DConfig{Out: 1, Width: 1}),
		"layers.NewConv1D: Stride 1, Dilation 1, PadLeft -1 and PadRight 0, want none below 0": config(layers.Conv1DConfig{In: 1, Out: 1, Width: 1, PadLeft: -1}),
		"layers.NewConv1D: 2 groups of 2 and 3 channels, want a number that divides both":      config(layers.Conv1DConfig{In: 2, Out: 3, Width: 1, Groups: 2}),
		"layers.NewConv1D: Causal together with another padding":                               config(layers.Conv1DConfig{In: 2, Out: 3, Width: 1, Causal: true, PadRight: 1}),
	} {
		assert.EqualError(t, autograd.Try(f), want)
	}
}

func TestPool(t *testing.T) {
	tape := autograd.NewInference(autograd.NewParams(1))
	x := tape.Input(tensor.Of([]float32{1, 5, 3, 2, 4, 9, 7, 8, 6, 0}, 5, 1, 2))
	assert.Equal(t, []float32{3, 5, 7, 9}, layers.MaxPool1D{Width: 2}.Forward(x).Data())
	assert.Equal(t, []float32{4, 9, 7, 9}, layers.MaxPool1D{Width: 3, Stride: 2}.Forward(x).Data())
	assert.Equal(t, []float32{2, 3.5, 5.5, 8.5}, layers.AvgPool1D{Width: 2}.Forward(x).Data())
	assert.Equal(t, []float32{2, 3.5, 0, 0}, layers.AvgPool1D{Width: 2}.ForwardLengths(x, []int{3}).Data())
}

func ExampleConv1D() {
	params := autograd.NewParams(1)
	l := layers.NewConv1D(params.In("conv"), layers.Conv1DConfig{In: 4, Out: 16, Width: 3, Causal: true})
	tape := autograd.NewInference(params)
	y := l.Forward(tape.Input(tensor.New(10, 2, 4))) // ten steps of two sequences
	fmt.Println(y.Shape(), l.Weight.Name, l.Weight.Value.Shape())

	s := l.NewStream() // one sequence, step by step
	fmt.Println(len(s.Step([]float32{1, 2, 3, 4})))
	// Output:
	// [10 2 16] conv.weight [16 4 3]
	// 16
}
