package optim_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/optim"
)

// settings are those of a test, by PyTorch's names.
type settings map[string]float64

// set changes a setting that is among them.
func (s settings) set(at *float64, name string) {
	if v, ok := s[name]; ok {
		*at = v
	}
}

// optimizers make each kind, with the defaults of its constructor where nothing is set.
var optimizers = map[string]func(p *autograd.Params, s settings) optim.Optimizer{
	"sgd": func(p *autograd.Params, s settings) optim.Optimizer {
		o := optim.NewSGD(p, s["lr"])
		s.set(&o.Momentum, "momentum")
		s.set(&o.Dampening, "dampening")
		s.set(&o.WeightDecay, "weight_decay")
		o.Nesterov = s["nesterov"] != 0
		return o
	},
	"adam": func(p *autograd.Params, s settings) optim.Optimizer {
		o := optim.NewAdam(p, s["lr"])
		s.setAdam(o)
		return o
	},
	"adamw": func(p *autograd.Params, s settings) optim.Optimizer {
		o := optim.NewAdamW(p, s["lr"])
		s.setAdam(&o.Adam)
		return o
	},
	"rmsprop": func(p *autograd.Params, s settings) optim.Optimizer {
		o := optim.NewRMSProp(p, s["lr"])
		s.set(&o.Alpha, "alpha")
		s.set(&o.Eps, "eps")
		s.set(&o.Momentum, "momentum")
		s.set(&o.WeightDecay, "weight_decay")
		o.Centered = s["centered"] != 0
		return o
	},
	"adagrad": func(p *autograd.Params, s settings) optim.Optimizer {
		o := optim.NewAdagrad(p, s["lr"])
		s.set(&o.LRDecay, "lr_decay")
		s.set(&o.InitialAccumulator, "initial_accumulator_value")
		s.set(&o.Eps, "eps")
		s.set(&o.WeightDecay, "weight_decay")
		return o
	},
	"lion": func(p *autograd.Params, s settings) optim.Optimizer {
		o := optim.NewLion(p, s["lr"])
		s.set(&o.Beta1, "beta1")
		s.set(&o.Beta2, "beta2")
		s.set(&o.WeightDecay, "weight_decay")
		return o
	},
}

func (s settings) setAdam(o *optim.Adam) {
	s.set(&o.Beta1, "beta1")
	s.set(&o.Beta2, "beta2")
	s.set(&o.Eps, "eps")
	s.set(&o.WeightDecay, "weight_decay")
}

// cases are an optimizer each with all its options on, and what its state is.
var cases = []struct {
	name     string
	settings settings
	state    string
}{
	{"sgd", settings{"lr": 0.1}, "step"},
	{"sgd", settings{"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}, "step momentum_buffer"},
	{"sgd", settings{"lr": 0.1, "momentum": 0.9, "nesterov": 1}, "step momentum_buffer"},
	{"adam", settings{"lr": 0.1, "weight_decay": 0.1}, "step exp_avg exp_avg_sq"},
	{"adamw", settings{"lr": 0.1, "weight_decay": 0.1}, "step exp_avg exp_avg_sq"},
	{"rmsprop", settings{"lr": 0.1}, "step square_avg"},
	{"rmsprop", settings{"lr": 0.1, "momentum": 0.9, "centered": 1, "weight_decay": 0.1},
		"step square_avg grad_avg momentum_buffer"},
	{"adagrad", settings{"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}, "step sum"},
	{"lion", settings{"lr": 0.1, "weight_decay": 0.1}, "step exp_avg"},
}

// eachCase runs the test over the weights "a.w" and "a.late" under the optimizer's prefix, and "b.w" under another.
func eachCase(t *testing.T, test func(t *testing.T, p *autograd.Params, o optim.Optimizer)) {
	for _, c := range cases {
		t.Run(fmt.Sprint(c.name, c.settings), func(t *testing.T) {
			p := threeWeights()
			test(t, p, optimizers[c.name](p.In("a"), c.settings))
		})
	}
}

func threeWeights() *autograd.Params {
	p := autograd.NewParams(1)
	p.New("a.w", autograd.Constant(1), 3)
	p.New("a.late", autograd.Constant(1), 17)
	p.New("b.w", autograd.Constant(1), 2)
	return p
}

// fill makes all elements of all gradients those of a step, none of them 0.
func fill(g *autograd.Grads, step int) {
	for i := range g.Data {
		g.Data[i] = float32(math.Sin(float64(7*step+i+1))) + 0.01
	}
}

// TestPyTorch follows PyTorch through 1,000 steps, with gradients by the formula that pytorch.py gives.
func TestPyTorch(t *testing.T) {
	for _, name := range golden.Names("optim_*") {
		t.Run(name, func(t *testing.T) {
			file, err := golden.Load(name)
			require.NoError(t, err)
			params := autograd.NewParams(1)
			w := params.New("w", autograd.Zeros, 7)
			for j := range w.Value.Data() {
				w.Value.Data()[j] = float32(j-3) / 4
			}
			kind := strings.Split(name, "_")[1]
			require.Contains(t, optimizers, kind)
			o := optimizers[kind](params, file.Config)
			grads, after := autograd.NewGrads(params), file.Get("after").Data
			worst := 0.0
			for s := range 1000 {
				for j, g := 0, grads.Of(w); j < 7; j++ {
					if g[j] = float32((s*(2*j+3)+5*j)%17-7) * float32(math.Ldexp(1, j-5)); j == 6 && s%10 != 0 {
						g[j] = 0
					}
				}
				o.Step(grads)
				if s+1 == 1 || s+1 == 10 || s+1 == 100 || s+1 == 1000 {
					for j, got := range w.Value.Data() {
						worst = max(worst, math.Abs(float64(got)-after[j])/(1+math.Abs(after[j])))
					}
					after = after[7:]
				}
			}
			assert.Empty(t, after)
			assert.LessOrEqual(t, worst, 1e-5)
			t.Logf("%.1e", worst)
		})
	}
}

// TestAdamPyTorch is about the corners of gradients: none, few, tiny, large.
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

func TestStateNames(t *testing.T) {
	for _, c := range cases {
		p := threeWeights()
		o := optimizers[c.name](p.In("a"), c.settings)
		for range 2 { // before the first step and after it
			var names []string
			for name, v := range o.State() {
				names = append(names, name)
				weight := p.Get(name[:strings.LastIndex(name, ".")])
				if strings.HasSuffix(name, ".step") {
					assert.Len(t, v, 1)
				} else {
					assert.Len(t, v, weight.Value.Len(), name)
				}
				assert.Equal(t, len(v), cap(v), name)
			}
			var want []string
			for _, weight := range []string{"a.w.", "a.late."} {
				for slot := range strings.SplitSeq(c.state, " ") {
					want = append(want, weight+slot)
				}
			}
			assert.Equal(t, want, names, "%s %v", c.name, c.settings)
			o.Step(autograd.NewGrads(p))
		}
		for range o.State() {
			break // an iterator that goes on after this panics
		}
	}
}

// TestStateRestores makes 20 steps in one go, and 10 and 10 with another optimizer that has only the state of the
// first; one weight is thawed after 4 steps, one in the second half.
func TestStateRestores(t *testing.T) {
	for _, thaw := range []int{4, 12} {
		for _, c := range cases {
			t.Run(fmt.Sprint(c.name, c.settings, thaw), func(t *testing.T) {
				run := func(p *autograd.Params, o optim.Optimizer, from, to int) {
					grads := autograd.NewGrads(p)
					for s := from; s < to; s++ {
						p.Get("a.late").Frozen = s < thaw
						fill(grads, s)
						o.Step(grads)
					}
				}
				whole, first, second := threeWeights(), threeWeights(), threeWeights()
				make1 := func(p *autograd.Params) optim.Optimizer { return optimizers[c.name](p, c.settings) }
				one, before, after := make1(whole), make1(first), make1(second)
				run(whole, one, 0, 20)
				run(first, before, 0, 10)
				require.NoError(t, second.CopyFrom(first))
				saved := maps.Collect(before.State())
				restored := 0
				for name, v := range after.State() {
					require.Len(t, saved[name], len(v), name)
					restored += copy(v, saved[name])
				}
				assert.Positive(t, restored)
				assert.Len(t, saved, len(maps.Collect(after.State())))
				run(second, after, 10, 20)
				for p := range whole.All() {
					assert.Equal(t, p.Value.Data(), second.Get(p.Name).Value.Data(), p.Name)
					assert.NotEqual(t, float32(1), p.Value.Data()[0], "%s did not move", p.Name)
				}
				want := maps.Collect(one.State())
				for name, v := range after.State() {
					assert.Equal(t, want[name], v, name)
				}
			})
		}
	}
}

func TestStepLeavesFrozenAndForeignWeights(t *testing.T) {
	eachCase(t, func(t *testing.T, p *autograd.Params, o optim.Optimizer) {
		w, frozen, other := p.Get("a.w").Value, p.Get("a.late"), p.Get("b.w").Value
		frozen.Frozen = true
		grads := autograd.NewGrads(p)
		fill(grads, 1)
		before, version := slices.Clone(grads.Data), p.Version()
		o.Step(grads)
		assert.Equal(t, before, grads.Data, "the gradient was changed")
		assert.Equal(t, version+1, p.Version())
		for i := range w.Data() {
			assert.NotEqual(t, float32(1), w.Data()[i])
		}
		assert.Equal(t, slices.Repeat([]float32{1}, 17), frozen.Value.Data())
		assert.Equal(t, []float32{1, 1}, other.Data())
		for name, v := range o.State() {
			if strings.HasPrefix(name, "a.late.") {
				assert.Equal(t, make([]float32, len(v)), v, name)
			}
		}

		now := slices.Clone(w.Data())
		err := autograd.Try(func() { o.Step(autograd.NewGrads(threeWeights())) })
		assert.EqualError(t, err, "a.w: a weight of another Params than this gradient")
		assert.Equal(t, now, w.Data())
	})
}

// TestEachWeightCountsItsSteps thaws a weight after others have learnt: it moves as they did at first.
func TestEachWeightCountsItsSteps(t *testing.T) {
	eachCase(t, func(t *testing.T, p *autograd.Params, o optim.Optimizer) {
		w, late, grads := p.Get("a.w"), p.Get("a.late"), autograd.NewGrads(p)
		var early []float32
		for s := range 60 {
			late.Frozen = s < 50
			clear(grads.Data)
			grads.Of(w)[0], grads.Of(late)[0] = float32(s%7)+1, float32((s-50)%7)+1
			o.Step(grads)
			if s < 10 {
				early = append(early, w.Value.Data()[0])
			} else if s >= 50 {
				require.Equal(t, early[s-50], late.Value.Data()[0], "step %d", s-50)
			}
		}
	})
}

func TestNaNShows(t *testing.T) {
	eachCase(t, func(t *testing.T, p *autograd.Params, o optim.Optimizer) {
		grads := autograd.NewGrads(p)
		grads.Of(p.Get("a.w"))[1] = float32(math.NaN())
		o.Step(grads)
		w := p.Get("a.w").Value.Data()
		assert.True(t, w[0] == w[0] && w[1] != w[1] && w[2] == w[2], "%v", w)
	})
}

func TestNoWeightCanBeMadeAfterwards(t *testing.T) {
	eachCase(t, func(t *testing.T, p *autograd.Params, o optim.Optimizer) {
		assert.EqualError(t, autograd.Try(func() { p.New("v", autograd.Zeros, 1) }),
			"v: made after the first tape, step or optimizer; make all weights before")
	})
}

// TestNoWeights: a group may be empty.
func TestNoWeights(t *testing.T) {
	for name, make1 := range optimizers {
		p := threeWeights()
		o := make1(p.In("none"), settings{"lr": 0.1})
		o.Step(autograd.NewGrads(p))
		assert.Empty(t, maps.Collect(o.State()), name)
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	eachCase(t, func(t *testing.T, p *autograd.Params, o optim.Optimizer) {
		grads := autograd.NewGrads(p)
		fill(grads, 1)
		both := optim.Groups{o, optim.NewSGD(p.In("b"), 0.1)}
		assert.Zero(t, testing.AllocsPerRun(10, func() {
			optim.ClipNorm(grads, 1)
			optim.ClipValue(grads, 0.1)
			both.Step(grads)
		}))
	})
}

func TestSettingsOutOfRange(t *testing.T) {
	const finite, decay = "want at least 0 and finite", "want at least 0 and below 1"
	const above = "want above 0 as a float32 and finite"
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name     string
		settings settings
		want     string
	}{
		{"sgd", settings{"lr": -1}, "optim.SGD: LR is -1, " + finite},
		{"sgd", settings{"momentum": -0.5}, "optim.SGD: Momentum is -0.5, " + finite},
		{"sgd", settings{"dampening": nan}, "optim.SGD: Dampening is NaN, " + finite},
		{"sgd", settings{"weight_decay": inf}, "optim.SGD: WeightDecay is +Inf, " + finite},
		{"sgd", settings{"nesterov": 1},
			"optim.SGD: Nesterov with Momentum 0 and Dampening 0, want Momentum above 0 and Dampening 0"},
		{"sgd", settings{"nesterov": 1, "momentum": 0.9, "dampening": 0.1},
			"optim.SGD: Nesterov with Momentum 0.9 and Dampening 0.1, want Momentum above 0 and Dampening 0"},
		{"adam", settings{"lr": nan}, "optim.Adam: LR is NaN, " + finite},
		{"adam", settings{"lr": 1e39}, "optim.Adam: LR is 1e+39, " + finite},
		{"adam", settings{"beta1": 1}, "optim.Adam: Beta1 is 1, " + decay},
		{"adam", settings{"beta2": -0.1}, "optim.Adam: Beta2 is -0.1, " + decay},
		{"adam", settings{"eps": nan}, "optim.Adam: Eps is NaN, " + above},
		{"adam", settings{"eps": 0}, "optim.Adam: Eps is 0, " + above},
		{"adam", settings{"eps": 1e-46}, "optim.Adam: Eps is 1e-46, " + above},
		{"adamw", settings{"eps": 0}, "optim.AdamW: Eps is 0, " + above},
		{"rmsprop", settings{"eps": 0}, "optim.RMSProp: Eps is 0, " + above},
		{"rmsprop", settings{"eps": 1e-46, "centered": 1}, "optim.RMSProp: Eps is 1e-46, " + above},
		{"adagrad", settings{"eps": 0}, "optim.Adagrad: Eps is 0, " + above},
		{"adagrad", settings{"eps": 1e39}, "optim.Adagrad: Eps is 1e+39, " + above},
		{"adam", settings{"weight_decay": -1}, "optim.Adam: WeightDecay is -1, " + finite},
		{"adamw", settings{"beta2": nan}, "optim.AdamW: Beta2 is NaN, " + decay},
		{"adamw", settings{"weight_decay": -1}, "optim.AdamW: WeightDecay is -1, " + finite},
		{"rmsprop", settings{"lr": -1}, "optim.RMSProp: LR is -1, " + finite},
		{"rmsprop", settings{"alpha": 1}, "optim.RMSProp: Alpha is 1, " + decay},
		{"rmsprop", settings{"eps": -1}, "optim.RMSProp: Eps is -1, " + above},
		{"rmsprop", settings{"momentum": inf}, "optim.RMSProp: Momentum is +Inf, " + finite},
		{"rmsprop", settings{"weight_decay": nan}, "optim.RMSProp: WeightDecay is NaN, " + finite},
		{"adagrad", settings{"lr": -1}, "optim.Adagrad: LR is -1, " + finite},
		{"adagrad", settings{"lr_decay": -1}, "optim.Adagrad: LRDecay is -1, " + finite},
		{"adagrad", settings{"initial_accumulator_value": -1}, "optim.Adagrad: InitialAccumulator is -1, " + finite},
		{"adagrad", settings{"eps": inf}, "optim.Adagrad: Eps is +Inf, " + above},
		{"adagrad", settings{"weight_decay": -1}, "optim.Adagrad: WeightDecay is -1, " + finite},
		{"lion", settings{"lr": inf}, "optim.Lion: LR is +Inf, " + finite},
		{"lion", settings{"beta1": 1}, "optim.Lion: Beta1 is 1, " + decay},
		{"lion", settings{"beta2": 1}, "optim.Lion: Beta2 is 1, " + decay},
		{"lion", settings{"weight_decay": -1}, "optim.Lion: WeightDecay is -1, " + finite},
	} {
		p := threeWeights()
		o := optimizers[c.name](p, c.settings)
		var usage *autograd.UsageError
		require.ErrorAs(t, autograd.Try(func() { o.Step(autograd.NewGrads(p)) }), &usage)
		assert.EqualError(t, usage, c.want)
		assert.Zero(t, p.Version(), c.want)
	}
}

// TestSmallestEps: with the smallest Eps that is allowed, gradients of 0 and gradients whose squares are 0 in float32 leave
// no NaN and no infinity in the weights.
func TestSmallestEps(t *testing.T) {
	for name, maker := range optimizers {
		for _, centered := range []float64{0, 1} {
			for _, g := range []float32{0, 1e-45, -1e-30, 2e-22, 1} {
				p := threeWeights()
				o := maker(p, settings{"lr": 1, "eps": 1e-45, "centered": centered})
				grads := autograd.NewGrads(p)
				for i := range grads.Data {
					grads.Data[i] = g
				}
				for range 3 {
					o.Step(grads)
				}
				for w := range p.All() {
					for _, v := range w.Value.Data() {
						assert.Zero(t, v-v, "%s, gradient %v: %v", name, g, v)
					}
				}
			}
		}
	}
}

// TestAdamFirstStep is as long as LR, whatever the gradient's size.
func TestAdamFirstStep(t *testing.T) {
	for _, size := range []float32{1e-3, 3, 1e6} {
		params := autograd.NewParams(1)
		w := params.New("w", autograd.Zeros, 2)
		grads := autograd.NewGrads(params)
		copy(grads.Of(w), []float32{size, -size})
		optim.NewAdam(params, 0.5).Step(grads)
		assert.InDeltaSlice(t, []float32{-0.5, 0.5}, w.Value.Data(), 1e-5)
	}
}

// TestMomentumLater turns SGD's momentum on after steps without, off and on again: the buffer begins as PyTorch's does.
func TestMomentumLater(t *testing.T) {
	params := autograd.NewParams(1)
	w := params.New("w", autograd.Zeros, 1)
	sgd, grads := optim.NewSGD(params, 1), autograd.NewGrads(params)
	sgd.Dampening = 0.5
	grads.Of(w)[0] = 2
	moves := func() float32 {
		before := w.Value.Data()[0]
		sgd.Step(grads)
		return before - w.Value.Data()[0]
	}
	assert.Equal(t, float32(2), moves())
	sgd.Momentum = 0.5
	assert.Equal(t, float32(2), moves(), "the first buffer is the gradient, not damped")
	assert.Equal(t, float32(0.5*2+0.5*2), moves())
	grads.Of(w)[0] = 4
	sgd.Momentum = 0
	assert.Equal(t, float32(4), moves())
	sgd.Momentum = 0.5
	assert.Equal(t, float32(0.5*2+0.5*4), moves(), "the buffer of before is kept")
}

// TestSmallDecay decays by 1e-6, where a factor of 1-1e-6 in float32 would be 1.3% off. What rounding does to one weight
// cancels out over many.
func TestSmallDecay(t *testing.T) {
	const n = 10_000
	params := autograd.NewParams(1)
	w := params.New("w", autograd.Zeros, n).Value.Data()
	for i := range w {
		w[i] = 1 + float32(i)/n
	}
	before := slices.Clone(w)
	optim.NewAdamW(params, 1e-4).Step(autograd.NewGrads(params))
	decay := 0.0
	for i, v := range w {
		decay += (1 - float64(v)/float64(before[i])) / n
	}
	assert.InDelta(t, 1e-6, decay, 3e-9)
}

// TestCenteredOnEqualGradients: rounding must not make NaN of a variance of 0.
func TestCenteredOnEqualGradients(t *testing.T) {
	params := autograd.NewParams(1)
	w := params.New("w", autograd.Zeros, 100)
	rms, grads := optim.NewRMSProp(params, 1e-9), autograd.NewGrads(params)
	rms.Centered = true
	for i := range grads.Data {
		grads.Data[i] = 0.25 + float32(i)/1000
	}
	for range 3000 {
		rms.Step(grads)
	}
	for _, v := range w.Value.Data() {
		require.Less(t, v, float32(0))
	}
}
