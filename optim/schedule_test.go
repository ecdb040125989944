package optim_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/optim"
)

// TestSchedulesPyTorch compares every step, and what lies beyond the first and the last with them.
func TestSchedulesPyTorch(t *testing.T) {
	for name, make1 := range map[string]func(c map[string]float64) optim.Schedule{
		"lr_step": func(c map[string]float64) optim.Schedule {
			return optim.StepDecay(0.1, int(c["step_size"]), c["gamma"])
		},
		"lr_cosine": func(c map[string]float64) optim.Schedule { return optim.Cosine(0.1, c["eta_min"], int(c["T_max"])) },
		"lr_warmup": func(c map[string]float64) optim.Schedule {
			return optim.Warmup(int(c["warm"]), optim.Cosine(0.1, 0, int(c["steps"])))
		},
		"lr_onecycle":       oneCycle,
		"lr_onecycle_all":   oneCycle,
		"lr_onecycle_short": oneCycle, // its top lies before step 0
	} {
		file, err := golden.Load(name)
		require.NoError(t, err)
		schedule, want := make1(file.Config), file.Get("after").Data
		for step, lr := range want {
			assert.InDelta(t, lr, schedule(step), 1e-12, "%s, step %d", name, step)
		}
		assert.Equal(t, schedule(0), schedule(-1), name)
		assert.Equal(t, schedule(0), schedule(-1000), name)
		if name != "lr_step" {
			last := schedule(len(want) - 1)
			assert.Equal(t, last, schedule(len(want)), name)
			assert.Equal(t, last, schedule(math.MaxInt), name)
		}
	}
}

func oneCycle(c map[string]float64) optim.Schedule {
	return optim.OneCycle(c["max_lr"], int(c["total_steps"]),
		optim.OneCycleOptions{PctStart: c["pct_start"], DivFactor: c["div_factor"], FinalDivFactor: c["final_div_factor"]})
}

func TestScheduleValues(t *testing.T) {
	assert.Equal(t, 0.1, optim.Constant(0.1)(0))
	assert.Equal(t, 0.1, optim.Constant(0.1)(1_000_000))
	assert.Zero(t, optim.StepDecay(0.1, 1, 0.5)(math.MaxInt))

	warm := optim.Warmup(3, optim.Constant(0.4))
	for step, want := range []float64{0.1, 0.2, 0.3, 0.4, 0.4} {
		assert.InDelta(t, want, warm(step), 1e-15, "step %d", step)
	}
	assert.Equal(t, 0.4, optim.Warmup(0, optim.Constant(0.4))(0))

	cosine := optim.Cosine(1, 0.5, 2)
	assert.Equal(t, []float64{1, 0.75, 0.5, 0.5}, []float64{cosine(0), cosine(1), cosine(2), cosine(3)})
	assert.Equal(t, 1.0, optim.Cosine(0.5, 1, 2)(2), "it may rise")

	exponential := optim.Exponential(1, 16, 4)
	for step, want := range map[int]float64{-3: 1, 0: 1, 1: 2, 2: 4, 3: 8, 4: 16, 5: 16} {
		assert.Equal(t, want, exponential(step))
	}
	assert.Equal(t, 0.25, optim.Exponential(1, 0.0625, 2)(1))

	cycle := optim.OneCycle(1, 11, optim.OneCycleOptions{PctStart: 6. / 11, DivFactor: 10, FinalDivFactor: 10})
	assert.InDelta(t, 0.1, cycle(0), 1e-15)
	assert.InDelta(t, 1, cycle(5), 1e-15)
	assert.InDelta(t, 0.01, cycle(10), 1e-15)
	one := optim.OneCycleOptions{PctStart: 0.5, FinalDivFactor: 4}
	assert.Equal(t, 1.0, optim.OneCycle(1, 2, one)(0), "the top is step 0, where PyTorch divides by 0")
	assert.Equal(t, 0.01, optim.OneCycle(1, 2, one)(1))
	assert.Equal(t, 1.0, optim.OneCycle(1, 5, optim.OneCycleOptions{PctStart: 1})(4), "it only rises")
}

func TestScheduleMisuse(t *testing.T) {
	nan := math.NaN()
	oneCycle := func(max float64, steps int, o optim.OneCycleOptions) func() {
		return func() { optim.OneCycle(max, steps, o) }
	}
	for want, f := range map[string]func(){
		"optim.Constant: lr is -1, want at least 0 and finite":              func() { optim.Constant(-1) },
		"optim.StepDecay: lr is NaN, want at least 0 and finite":            func() { optim.StepDecay(nan, 1, 1) },
		"optim.StepDecay: factor is -1, want at least 0 and finite":         func() { optim.StepDecay(1, 1, -1) },
		"optim.StepDecay: every is 0, want at least 1":                      func() { optim.StepDecay(1, 0, 1) },
		"optim.Cosine: lr is -1, want at least 0 and finite":                func() { optim.Cosine(-1, 0, 1) },
		"optim.Cosine: min is NaN, want at least 0 and finite":              func() { optim.Cosine(1, nan, 1) },
		"optim.Cosine: steps is 0, want at least 1":                         func() { optim.Cosine(1, 0, 0) },
		"optim.Exponential: to is NaN, want at least 0 and finite":          func() { optim.Exponential(1, nan, 1) },
		"optim.Exponential: from is 0 and to is 1, want more than 0":        func() { optim.Exponential(0, 1, 1) },
		"optim.Exponential: steps is 0, want at least 1":                    func() { optim.Exponential(1, 2, 0) },
		"optim.Warmup: steps is -1, want at least 0":                        func() { optim.Warmup(-1, optim.Constant(1)) },
		"optim.Warmup: then is nil, want a schedule":                        func() { optim.Warmup(1, nil) },
		"optim.OneCycle: max is NaN, want at least 0 and finite":            oneCycle(nan, 1, optim.OneCycleOptions{}),
		"optim.OneCycle: steps is 0, want at least 1":                       oneCycle(1, 0, optim.OneCycleOptions{}),
		"optim.OneCycle: PctStart is 1.5, want 0 to 1":                      oneCycle(1, 1, optim.OneCycleOptions{PctStart: 1.5}),
		"optim.OneCycle: DivFactor is -1, want at least 0 and finite":       oneCycle(1, 1, optim.OneCycleOptions{DivFactor: -1}),
		"optim.OneCycle: FinalDivFactor is NaN, want at least 0 and finite": oneCycle(1, 1, optim.OneCycleOptions{FinalDivFactor: nan}),
	} {
		assert.EqualError(t, autograd.Try(f), want)
	}
}

// TestPlateauPyTorch follows PyTorch, on a copy that went through JSON at every step.
func TestPlateauPyTorch(t *testing.T) {
	for name, c := range map[string]struct {
		metric func(falling float64) float64
		set    func(p *optim.Plateau, c map[string]float64)
	}{
		"lr_plateau": {
			func(falling float64) float64 { return falling },
			func(p *optim.Plateau, c map[string]float64) { p.Patience = int(c["patience"]) }},
		"lr_plateau_all": {
			func(falling float64) float64 { return 4 - falling },
			func(p *optim.Plateau, c map[string]float64) {
				p.Maximize, p.Absolute = true, true
				p.Factor, p.Threshold, p.Min = c["factor"], c["threshold"], c["min_lr"]
				p.Patience, p.Cooldown = int(c["patience"]), int(c["cooldown"])
			}},
	} {
		file, err := golden.Load(name)
		require.NoError(t, err)
		plateau := optim.NewPlateau(0.1)
		c.set(plateau, file.Config)
		for s, want := range file.Get("after").Data {
			lr := plateau.Step(c.metric(max(4-float64(s)/8, 1) + float64(s*5%7)/64))
			assert.InDelta(t, want, lr, 1e-12, "%s, step %d", name, s)
			assert.Equal(t, lr, plateau.LR)
			saved, err := json.Marshal(plateau)
			require.NoError(t, err)
			plateau = new(optim.Plateau)
			require.NoError(t, json.Unmarshal(saved, plateau))
		}
	}
}

func TestPlateauCorners(t *testing.T) {
	lowered := func(maximize, absolute bool, threshold float64, metrics ...float64) (at []int) {
		p := optim.NewPlateau(1)
		p.Patience, p.Maximize, p.Absolute, p.Threshold = 0, maximize, absolute, threshold
		for i, m := range metrics {
			before := p.LR
			if p.Step(m) < before {
				at = append(at, i)
			}
		}
		return at
	}
	nan, inf := math.NaN(), math.Inf(1)
	assert.Equal(t, []int{1, 2}, lowered(false, false, 0.25, 4, 4, 3, 2))
	assert.Equal(t, []int{1, 2}, lowered(true, false, 0.25, 4, 4, 5, 6))
	assert.Equal(t, []int{1, 2}, lowered(false, true, 0.25, 4, 4, 3.75, 3.5))
	assert.Equal(t, []int{1, 2}, lowered(true, true, 0.25, 4, 4, 4.25, 4.5))
	assert.Equal(t, []int{0, 2}, lowered(false, false, 0, nan, 1, nan, 0.5), "NaN is no better than anything")
	assert.Equal(t, []int{0, 2, 3}, lowered(true, false, 0, nan, 1, nan, 0.5))
	assert.Equal(t, []int{0}, lowered(false, false, 0, inf, 5), "nor is an infinite loss")
	assert.Equal(t, []int{1}, lowered(true, true, 0, -7, -8), "a first metric below 0")

	p := optim.NewPlateau(1)
	for range 11 {
		assert.Equal(t, 1.0, p.Step(3))
	}
	assert.Equal(t, 10, p.Bad)
	assert.Equal(t, 0.1, p.Step(3), "10 steps without a better metric are borne")
	assert.Equal(t, 3.0, p.Best)
}

func TestPlateauMisuse(t *testing.T) {
	for want, spoil := range map[string]func(p *optim.Plateau){
		"optim.Plateau: Factor is 0, want above 0 and below 1":        func(p *optim.Plateau) { p.Factor = 0 },
		"optim.Plateau: Factor is 1, want above 0 and below 1":        func(p *optim.Plateau) { p.Factor = 1 },
		"optim.Plateau: Factor is NaN, want above 0 and below 1":      func(p *optim.Plateau) { p.Factor = math.NaN() },
		"optim.Plateau: LR is -1, want at least 0 and finite":         func(p *optim.Plateau) { p.LR = -1 },
		"optim.Plateau: Patience is -1, want at least 0 and finite":   func(p *optim.Plateau) { p.Patience = -1 },
		"optim.Plateau: Threshold is NaN, want at least 0 and finite": func(p *optim.Plateau) { p.Threshold = math.NaN() },
		"optim.Plateau: Cooldown is -1, want at least 0 and finite":   func(p *optim.Plateau) { p.Cooldown = -1 },
		"optim.Plateau: Min is -1, want at least 0 and finite":        func(p *optim.Plateau) { p.Min = -1 },
		"optim.Plateau: Eps is +Inf, want at least 0 and finite":      func(p *optim.Plateau) { p.Eps = math.Inf(1) },
	} {
		p := optim.NewPlateau(0.1)
		spoil(p)
		assert.EqualError(t, autograd.Try(func() { p.Step(1) }), want)
		assert.False(t, p.Seen)
	}
}
