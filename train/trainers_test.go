package train_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/train"
)

// TestEarlyStopping follows metrics, each of whose weights is the metric, on a copy that went through JSON at every step.
func TestEarlyStopping(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		set      train.EarlyStopping
		metrics  []float64
		best     float64
		bestStep int
		stops    bool
	}{
		{train.EarlyStopping{Patience: 2}, []float64{5, 4, 6, 3, 3, 3.5}, 3, 4, true},
		{train.EarlyStopping{Patience: 2}, []float64{5, 4, 6, 3, 3}, 3, 4, false},
		{train.EarlyStopping{}, []float64{5, 4, 4}, 4, 2, true},
		{train.EarlyStopping{Patience: 1}, []float64{5, 4, 4}, 4, 2, true},
		{train.EarlyStopping{Patience: 2, MinDelta: 0.5}, []float64{5, 4.5, 4.25, 4, 3.75}, 4.25, 3, true},
		{train.EarlyStopping{Patience: 2, Maximize: true}, []float64{0.5, 0.75, 0.25, 0.75}, 0.75, 2, true},
		{train.EarlyStopping{Patience: 2, Maximize: true, MinDelta: 0.25}, []float64{0.5, 0.75, 1, 0.5}, 1, 3, false},
		{train.EarlyStopping{Patience: 3}, []float64{nan, math.Inf(-1), 5, nan, math.Inf(1)}, 5, 3, false},
		{train.EarlyStopping{Patience: 2}, []float64{nan, nan}, 0, 0, true},
	} {
		p := autograd.NewParams(1)
		w := p.New("w", autograd.Zeros, 2)
		set := func(v float64) { p.Update(func() { w.Value.Data()[1] = float32(v) }) }
		s := train.NewEarlyStopping(p, c.set.Patience)
		s.MinDelta, s.Maximize = c.set.MinDelta, c.set.Maximize
		for i, metric := range c.metrics {
			set(metric)
			assert.Equal(t, c.stops && i == len(c.metrics)-1, s.Step(metric), "%v, step %d", c.metrics, i)
			text, err := json.Marshal(s)
			require.NoError(t, err)
			again := train.NewEarlyStopping(p, 0)
			require.NoError(t, json.Unmarshal(text, again))
			require.NoError(t, again.Weights.CopyFrom(s.Weights))
			s = again
		}
		assert.Equal(t, c.best, s.Best, "%v", c.metrics)
		assert.Equal(t, c.bestStep, s.BestStep, "%v", c.metrics)
		assert.Equal(t, len(c.metrics), s.Steps)
		set(77)
		if s.Restore(); c.bestStep > 0 {
			assert.Equal(t, []float32{0, float32(c.best)}, w.Value.Data(), "%v", c.metrics)
		} else {
			assert.Equal(t, []float32{0, 77}, w.Value.Data(), "nothing to restore")
		}
	}
	bare := train.NewEarlyStopping(nil, 1)
	assert.False(t, bare.Step(2))
	assert.True(t, bare.Step(3))
	bare.Restore()
	assert.Nil(t, bare.Weights)
	bare.MinDelta = math.NaN()
	assert.EqualError(t, autograd.Try(func() { bare.Step(1) }), "train.EarlyStopping: Patience is 1 and MinDelta NaN, want at least 0 and finite")
}

// The validation loss rises from the third epoch on. The training stops after two epochs without improvement, and the weights
// of the second epoch come back.
func ExampleEarlyStopping() {
	params := autograd.NewParams(1)
	w := params.New("w", autograd.Zeros, 1)
	stopping := train.NewEarlyStopping(params, 2)
	for epoch := range 10 {
		params.Update(func() { w.Value.Data()[0]++ }) // an epoch of training
		if stopping.Step([]float64{0.9, 0.7, 0.8, 0.75, 0.6}[epoch]) {
			break
		}
	}
	stopping.Restore()
	fmt.Println(stopping.Steps, "epochs, best:", stopping.BestStep, stopping.Best, w.Value.Data())
	// Output: 4 epochs, best: 2 0.7 [2]
}

func TestNorms(t *testing.T) {
	p := autograd.NewParams(1)
	grads := map[string][]float32{}
	for _, name := range []string{"rnn.weight_ih_l0", "rnn.bias_l0", "rnn.weight_ih_l0_reverse", "rnn.weight_ih_l11", "head.weight", "balance", "head.bias", "a.b.weight_large", "weight_hh_l1"} {
		p.New(name, autograd.Constant(3), 1, 4)
		grads[name] = []float32{1, 2, 2, 4}
	}
	g := autograd.NewGrads(p)
	for name, v := range grads {
		copy(g.Of(p.Get(name)), v)
	}
	n := train.NewNorms(p)
	two := math.Sqrt2
	want := []train.LayerNorms{{"rnn.l0", 6 * two, 5 * two}, {"rnn.l0_reverse", 6, 5}, {"rnn.l11", 6, 5}, {"head", 6 * two, 5 * two},
		{"balance", 6, 5}, {"a.b", 6, 5}, {"l1", 6, 5}}
	for range 2 {
		got := n.Measure(g)
		require.Len(t, got, len(want))
		for i, l := range got {
			assert.Equal(t, want[i].Name, l.Name)
			assert.InDelta(t, want[i].Weight, l.Weight, 1e-12)
			assert.InDelta(t, want[i].Grad, l.Grad, 1e-12)
		}
	}
	assert.Zero(t, testing.AllocsPerRun(10, func() { n.Measure(g) }))
	assert.Len(t, train.NewNorms(p.In("rnn")).Measure(g), 3)
}

func ExampleNorms() {
	m := newModel(true, 3, 9, 4)
	step, norms := train.NewStep(m.params, m.loss), train.NewNorms(m.params)
	if _, err := step.Run(sequences(40).all()); err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range norms.Measure(step.Grads()) {
		fmt.Printf("%s: weights %.2f, gradient %.3f\n", l.Name, l.Weight, l.Grad)
	}
	// Output:
	// rnn.l0: weights 5.31, gradient 0.024
	// head: weights 2.59, gradient 0.011
}

// TestRangeTest follows a loss that depends on the rate alone.
func TestRangeTest(t *testing.T) {
	p := autograd.NewParams(1)
	w := p.New("w", autograd.Constant(5), 1)
	spoil := func() { p.Update(func() { w.Value.Data()[0] = 8 }) }
	r := train.RangeTest{First: 1, Last: 256, Steps: 9, Smooth: 0.5}
	losses := []float32{8, 8, 8, 4, 0, 2, 8, 100, 100}
	var rates []float64
	h, err := r.Run(p, func(lr float64) (float32, error) {
		spoil()
		rates = append(rates, lr)
		return losses[len(rates)-1], nil
	})
	require.NoError(t, err)
	assert.Equal(t, []float32{5}, w.Value.Data())
	assert.InDeltaSlice(t, []float64{1, 2, 4, 8, 16, 32, 64, 128}, rates, 1e-12, "100 has diverged")
	assert.Equal(t, rates, h.Column("lr"))
	assert.Equal(t, []float64{8, 8, 8, 4, 0, 2, 8, 100}, h.Column("loss"))
	// average 4, 6, 7, 5.5, 2.75, 2.375, ... divided by 1-1/2, 1-1/4, 1-1/8, ...
	for i, want := range []float64{8, 8, 8, 5.5 / (15. / 16), 2.75 / (31. / 32), 2.375 / (63. / 64)} {
		assert.InDelta(t, want, h.Column("smoothed")[i], 1e-12)
	}
	assert.Equal(t, rates[3], train.SteepestRate(h), "it falls from 8 to 2.84 around this rate")

	for _, end := range []struct {
		loss float32
		err  error
	}{{0, fmt.Errorf("there: %w", autograd.ErrNotFinite)}, {float32(math.NaN()), nil}} {
		h, err = r.Run(p, func(lr float64) (float32, error) {
			if lr == 4 {
				return end.loss, end.err
			}
			return 1, nil
		})
		require.NoError(t, err)
		assert.Equal(t, []float64{1, 2}, h.Column("lr"))
		assert.True(t, math.IsNaN(train.SteepestRate(h)))
	}
	torn := errors.New("disk torn")
	_, err = r.Run(p, func(float64) (float32, error) { spoil(); return 0, torn })
	assert.ErrorIs(t, err, torn)
	assert.Equal(t, []float32{5}, w.Value.Data())

	h, err = train.RangeTest{}.Run(p, func(float64) (float32, error) { return -1, nil })
	require.NoError(t, err)
	assert.Equal(t, 100, h.Len(), "a loss below 0 is not compared by a factor")
	assert.Equal(t, 1e-7, h.Column("lr")[0])
	assert.Equal(t, 10.0, h.Column("lr")[99])
	assert.EqualError(t, autograd.Try(func() { train.RangeTest{First: 20}.Run(p, nil) }),
		"train.RangeTest: First 20, Last 10, Steps 100, Smooth 0.98, Diverged 4; want 0 < First < Last, a positive number of steps, Smooth between 0 and 1 and Diverged above 1")
}

// A range test over batches of one shuffled pass. The weights are as before it.
func ExampleRangeTest() {
	m := newModel(false, 3, 9, 4)
	step, sgd := train.NewStep(m.params, m.loss), optim.NewSGD(m.params, 0)
	batches := []dataset.Rows{}
	for rows := range dataset.Shuffled(sequences(640), 32, 1, 0) {
		batches = append(batches, rows)
	}
	history, err := train.RangeTest{First: 1e-3, Last: 100, Steps: 20, Smooth: 0.5}.Run(m.params, func(lr float64) (float32, error) {
		l, err := step.Run(batches[step.Runs])
		if err == nil {
			sgd.LR = lr
			sgd.Step(step.Grads())
		}
		return l, err
	})
	fmt.Printf("%d steps, steepest at %.2g, %v\n", history.Len(), train.SteepestRate(history), err)
	// Output: 17 steps, steepest at 0.13, <nil>
}
