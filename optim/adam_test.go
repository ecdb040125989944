package optim_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/optim"
)

func TestAdamPyTorch(t *testing.T) {
	file, err := golden.Load("adam")
	require.NoError(t, err)
	params := autograd.NewParams(1)
	n := file.Get("before").Shape[0]
	w := params.New("w", autograd.Zeros, n)
	copy(w.Value.Data(), file.Get("before").Float32())
	adam := optim.NewAdam(params, file.Config["lr"])
	assert.Equal(t, file.Config["beta1"], adam.Beta1)
	assert.Equal(t, file.Config["beta2"], adam.Beta2)
	assert.Equal(t, file.Config["eps"], adam.Eps)
	grads := autograd.NewGrads(params)
	gradients, after := file.Get("gradients"), file.Get("after")
	for s := range gradients.Shape[0] {
		copy(grads.Of(w), gradients.Float32()[s*n:][:n])
		adam.Step(grads)
		assert.LessOrEqual(t, reference.MaxRelErr(w.Value.Data(), after.Data[s*n:][:n]), 1e-5, "step %d", s)
	}
}

func TestAdamLeavesFrozenAndForeignWeights(t *testing.T) {
	params := autograd.NewParams(1)
	a, b, c := params.New("a.w", autograd.Zeros, 2), params.New("a.frozen", autograd.Zeros, 2), params.New("b.w", autograd.Zeros, 2)
	b.Frozen = true
	adam := optim.NewAdam(params.In("a"), 0.5)
	grads := autograd.NewGrads(params)
	for i := range grads.Data {
		grads.Data[i] = 3
	}
	version := params.Version()
	adam.Step(grads)
	assert.Equal(t, version+1, params.Version())
	assert.InDeltaSlice(t, []float32{-0.5, -0.5}, a.Value.Data(), 1e-6) // the first step is LR, whatever the gradient's size
	assert.Equal(t, []float32{0, 0}, b.Value.Data())
	assert.Equal(t, []float32{0, 0}, c.Value.Data())
	other := autograd.NewParams(2)
	other.New("w", autograd.Zeros, 2)
	assert.ErrorContains(t, autograd.Try(func() { adam.Step(autograd.NewGrads(other)) }), "a weight of another Params")
}

// TestAdamCountsEachWeightsSteps thaws a weight after others have learnt: its first step is as long as theirs was.
func TestAdamCountsEachWeightsSteps(t *testing.T) {
	params := autograd.NewParams(1)
	params.New("first", autograd.Zeros, 1)
	late := params.New("late", autograd.Zeros, 1)
	late.Frozen = true
	adam, grads := optim.NewAdam(params, 0.5), autograd.NewGrads(params)
	for s := range 101 {
		late.Frozen = s < 100
		grads.Of(late)[0] = 7
		adam.Step(grads)
	}
	assert.InDelta(t, -0.5, late.Value.Data()[0], 1e-6)
}

func TestAdamMisuse(t *testing.T) {
	params := autograd.NewParams(1)
	w := params.New("w", autograd.Zeros, 1)
	grads := autograd.NewGrads(params)
	nan := math.NaN()
	for _, spoil := range []func(*optim.Adam){
		func(a *optim.Adam) { a.Beta1 = 1 }, func(a *optim.Adam) { a.Beta2 = 1 }, func(a *optim.Adam) { a.Beta2 = -0.1 },
		func(a *optim.Adam) { a.LR = -1 }, func(a *optim.Adam) { a.LR = nan }, func(a *optim.Adam) { a.Eps = nan },
	} {
		adam := optim.NewAdam(params, 0.1)
		spoil(adam)
		assert.ErrorContains(t, autograd.Try(func() { adam.Step(grads) }), "out of range")
	}
	assert.Zero(t, w.Value.Data()[0])
}

// TestAdamStateRestores copies one optimizer's state into another: from there on they make the same steps.
func TestAdamStateRestores(t *testing.T) {
	make1 := func() (*autograd.Params, *optim.Adam, *autograd.Grads) {
		params := autograd.NewParams(1)
		params.New("w", autograd.Constant(1), 3)
		return params, optim.NewAdam(params, 0.1), autograd.NewGrads(params)
	}
	p, a, g := make1()
	q, b, _ := make1()
	step := func(o optim.Optimizer, s int) {
		copy(g.Of(p.Get("w")), []float32{float32(s), -1, float32(math.Sin(float64(s)))})
		o.Step(g)
	}
	for s := range 5 {
		step(a, s)
	}
	saved := map[string][]float32{}
	for name, v := range a.State() {
		saved[name] = v
	}
	assert.Equal(t, []float32{5}, saved["w.step"])
	assert.Len(t, saved, 3)
	for name, v := range b.State() {
		require.Len(t, v, len(saved[name]), name)
		copy(v, saved[name])
	}
	require.NoError(t, q.CopyFrom(p))
	g2 := autograd.NewGrads(q)
	for s := 5; s < 9; s++ {
		step(a, s)
		copy(g2.Data, g.Data)
		b.Step(g2)
	}
	assert.Equal(t, p.Get("w").Value.Data(), q.Get("w").Value.Data())
}

func TestAdamAllocatesNothing(t *testing.T) {
	params := autograd.NewParams(1)
	params.New("w", autograd.Zeros, 100)
	adam, grads := optim.NewAdam(params, 0.1), autograd.NewGrads(params)
	assert.Zero(t, testing.AllocsPerRun(10, func() { adam.Step(grads); optim.ClipNorm(grads, 1) }))
}

func TestClipNorm(t *testing.T) {
	file, err := golden.Load("clip_grad_norm")
	require.NoError(t, err)
	params := autograd.NewParams(1)
	names := []string{"a", "b", "c"}
	for _, name := range names {
		params.New(name, autograd.Zeros, file.Get(name).Shape...)
	}
	grads := autograd.NewGrads(params)
	for _, name := range names {
		copy(grads.Of(params.Get(name)), file.Get(name).Float32())
	}
	norm := optim.ClipNorm(grads, file.Config["max_norm"])
	assert.InEpsilon(t, file.Get("norm").Data[0], norm, 1e-6)
	for _, name := range names {
		assert.LessOrEqual(t, reference.MaxRelErr(grads.Of(params.Get(name)), file.Get("clipped."+name).Data), 1e-6, name)
	}
	// Below the limit nothing is touched, and what is not finite is left for the caller to see.
	before := append([]float32(nil), grads.Data...)
	optim.ClipNorm(grads, 1e9)
	assert.Equal(t, before, grads.Data)
	grads.Data[0] = float32(math.Inf(1))
	before[0] = grads.Data[0]
	assert.Equal(t, math.Inf(1), optim.ClipNorm(grads, 1))
	assert.Equal(t, before, grads.Data)
	for _, limit := range []float64{0, -1, math.NaN()} {
		assert.ErrorContains(t, autograd.Try(func() { optim.ClipNorm(grads, limit) }), "want more than 0")
	}
}

// Adam finds the minimum of (w-3)^2.
func ExampleAdam() {
	params := autograd.NewParams(42)
	w := params.New("w", autograd.Zeros, 1)
	adam, grads := optim.NewAdam(params, 0.1), autograd.NewGrads(params)
	for step := range 300 {
		if step == 200 {
			adam.LR = 0.01 // a schedule is an assignment
		}
		grads.Of(w)[0] = 2 * (w.Value.Data()[0] - 3)
		adam.Step(grads)
	}
	fmt.Printf("%.3f\n", w.Value.Data()[0])
	// Output: 3.000
}
