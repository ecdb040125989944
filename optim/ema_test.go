package optim_test

import (
	"fmt"
	"maps"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/optim"
)

// TestEMA computes the averages of a few weights by hand; all numbers are exact in float32.
func TestEMA(t *testing.T) {
	p := autograd.NewParams(1)
	other := p.New("other", autograd.Constant(7), 1)
	w := p.In("part").New("w", autograd.Constant(8), 5000)
	set := func(v float32) {
		p.Update(func() {
			for i := range w.Value.Data() {
				w.Value.Data()[i] = v
			}
		})
	}
	ema := optim.NewEMA(p.In("part"), 0.75)
	mean := ema.Average.Get("w").Value.Data()
	for _, c := range [][2]float32{{8, 8}, {16, 10}, {2, 8}, {-8, 4}} { // a weight, and the average after it
		set(c[0])
		ema.Step(nil)
		assert.Equal(t, []float32{c[1], c[1], c[1]}, []float32{mean[0], mean[4095], mean[4999]})
	}
	ema.Decay = 0.5
	ema.Step(nil)
	assert.Equal(t, float32(-2), mean[4999])

	version := p.Version()
	ema.Swap()
	assert.True(t, ema.Swapped)
	assert.Equal(t, [2]float32{-2, -8}, [2]float32{w.Value.Data()[0], mean[0]})
	assert.NotEqual(t, version, p.Version(), "layers see the exchange")
	assert.EqualError(t, autograd.Try(func() { ema.Step(nil) }), "optim.EMA.Step: the weights and their averages are exchanged; Swap them back before")
	assert.EqualError(t, autograd.Try(func() { ema.State() }), "optim.EMA.State: the weights and their averages are exchanged; Swap them back before")
	ema.Swap()
	assert.Equal(t, [2]float32{-8, -2}, [2]float32{w.Value.Data()[0], mean[0]})
	assert.Equal(t, float32(7), other.Value.Data()[0])

	state := maps.Collect(ema.State())
	assert.Len(t, state, 1)
	assert.Equal(t, mean, state["part.w.ema"])
	restored := optim.NewEMA(p.In("part"), 0.5)
	for name, v := range restored.State() {
		copy(v, state[name])
	}
	for _, e := range []*optim.EMA{ema, restored} {
		e.Step(nil)
		assert.Equal(t, float32(-5), e.Average.Get("w").Value.Data()[3])
	}
	assert.Zero(t, testing.AllocsPerRun(10, func() { ema.Step(nil); ema.Swap(); ema.Swap() }))
	for _, bad := range []float64{1, -0.1, math.NaN()} {
		ema.Decay = bad
		assert.EqualError(t, autograd.Try(func() { ema.Step(nil) }), fmt.Sprintf("optim.EMA: Decay is %v, want at least 0 and below 1", bad))
	}
}

// TestEMAOfWhatStays: the average of a weight that does not change keeps its bits.
func TestEMAOfWhatStays(t *testing.T) {
	p := autograd.NewParams(1)
	w := p.New("w", autograd.Normal(1), 1000)
	ema := optim.NewEMA(p, 0.999)
	for range 100 {
		ema.Step(nil)
	}
	assert.Equal(t, w.Value.Data(), ema.Average.Get("w").Value.Data())
}

// The averages come after the optimizer, as the last member of its Groups.
func ExampleEMA() {
	params, w, gradient := parabola()
	sgd, ema := optim.NewSGD(params, 0.97), optim.NewEMA(params, 0.9) // such steps swing from side to side
	both := optim.Groups{sgd, ema}
	for range 40 {
		both.Step(gradient())
	}
	fmt.Printf("weight %.2f, ", w.Value.Data()[0])
	ema.Swap()
	fmt.Printf("average %.2f\n", w.Value.Data()[0])
	ema.Swap()
	// Output: weight 2.75, average 2.95
}
