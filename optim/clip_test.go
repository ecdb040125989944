package optim_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/optim"
)

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
	// Below the limit nothing is touched. Of a gradient that is not finite nothing is left, and the norm tells.
	before := append([]float32(nil), grads.Data...)
	optim.ClipNorm(grads, 1e9)
	assert.Equal(t, before, grads.Data)
	grads.Data[0] = float32(math.Inf(1))
	assert.Equal(t, math.Inf(1), optim.ClipNorm(grads, 1))
	assert.Zero(t, grads.Norm())
	grads.Data[0] = float32(math.NaN())
	assert.True(t, math.IsNaN(optim.ClipNorm(grads, 1)))
	assert.Equal(t, make([]float32, len(before)), grads.Data)
}

func TestClipValue(t *testing.T) {
	params := autograd.NewParams(1)
	a, b := params.New("a", autograd.Zeros, 3), params.New("b", autograd.Zeros, 3)
	grads := autograd.NewGrads(params)
	copy(grads.Of(a), []float32{3, -3, 0.25})
	copy(grads.Of(b), []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())})
	optim.ClipValue(grads, math.Inf(1))
	assert.Equal(t, []float32{3, -3, 0.25}, grads.Of(a))
	optim.ClipValue(grads, 0.5)
	assert.Equal(t, []float32{0.5, -0.5, 0.25}, grads.Of(a))
	assert.Equal(t, []float32{0.5, -0.5}, grads.Of(b)[:2])
	assert.True(t, math.IsNaN(float64(grads.Of(b)[2])))
}

func TestClipLimits(t *testing.T) {
	grads := autograd.NewGrads(autograd.NewParams(1))
	for limit, got := range map[float64]string{0: "0", -1: "-1", math.NaN(): "NaN"} {
		want := ": limit is " + got + ", want more than 0"
		assert.EqualError(t, autograd.Try(func() { optim.ClipNorm(grads, limit) }), "optim.ClipNorm"+want)
		assert.EqualError(t, autograd.Try(func() { optim.ClipValue(grads, limit) }), "optim.ClipValue"+want)
	}
}
