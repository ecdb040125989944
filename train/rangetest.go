package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/optim"
)

// RangeTest is the learning-rate range test of Smith (2017, "Cyclical learning rates for training neural networks",
// arXiv:1506.01186, section 3.3): a short training whose learning rate grows with each step, from far too small to far too
// large. Where the loss falls fastest lies a good rate. The settings are those of fastai's lr_find; the zero value means
// its defaults.
//
//	history, err := train.RangeTest{}.Run(params, func(lr float64) (float32, error) {
//		l, err := step.Run(next())
//		if err == nil {
//			adam.LR = lr
//			adam.Step(step.Grads())
//		}
//		return l, err
//	})
//	lr := train.SteepestRate(history)
type RangeTest struct {
	First, Last float64 // learning rates of the first and the last step; 0 means 1e-7 and 10
	Steps       int     // number of steps; 0 means 100
	Smooth      float64 // decay per step of the moving average of the loss; 0 means 0.98
	Diverged    float64 // the test ends when the average exceeds Diverged times its smallest value so far; 0 means 4
}

// Run calls step with each learning rate. step makes one step of training with it and returns the loss before the step.
// Run returns a history with a row for each step and the columns "lr", "loss" and "smoothed": the moving average of the
// loss, divided by 1-Smooth^steps so that it has no bias towards 0. The test ends early if the loss has diverged; a loss
// that is NaN or infinite, and an error that wraps [autograd.ErrNotFinite], mean that it has. Run returns any other error
// of step.
//
// Afterwards the weights under p's prefix are as before. The state of the optimizer is not: make one for the test alone.
// Run panics with a [*autograd.UsageError] if a setting is out of range.
func (r RangeTest) Run(p *autograd.Params, step func(lr float64) (loss float32, err error)) (h *History, err error) {
	r.setDefaults()
	before := p.Clone()
	defer func() { err = errors.Join(err, p.CopyFrom(before)) }()
	h = NewHistory("lr", "loss", "smoothed")
	schedule := optim.Exponential(r.First, r.Last, max(1, r.Steps-1))
	average, best := 0.0, math.Inf(1)
	for i := range r.Steps {
		lr := schedule(i)
		loss, err := step(lr)
		if errors.Is(err, autograd.ErrNotFinite) || err == nil && loss-loss != 0 {
			return h, nil
		} else if err != nil {
			return h, err
		}
		average = r.Smooth*average + (1-r.Smooth)*float64(loss)
		smoothed := average / (1 - math.Pow(r.Smooth, float64(i+1)))
		h.Add(lr, float64(loss), smoothed)
		if best = min(best, smoothed); best > 0 && smoothed > r.Diverged*best {
			return h, nil
		}
	}
	return h, nil
}

// setDefaults replaces settings of 0, and panics if a setting is out of range.
func (r *RangeTest) setDefaults() {
	for _, s := range []struct {
		setting *float64
		value   float64
	}{{&r.First, 1e-7}, {&r.Last, 10}, {&r.Smooth, 0.98}, {&r.Diverged, 4}} {
		if *s.setting == 0 {
			*s.setting = s.value
		}
	}
	if r.Steps == 0 {
		r.Steps = 100
	}
	if !(r.First > 0 && r.First < r.Last && r.Last <= math.MaxFloat64 && r.Steps > 0 && r.Smooth > 0 && r.Smooth < 1 && r.Diverged > 1) {
		panic(&autograd.UsageError{Where: "train.RangeTest", What: fmt.Sprintf(
			"First %v, Last %v, Steps %d, Smooth %v, Diverged %v; want 0 < First < Last, a positive number of steps, Smooth between 0 and 1 and Diverged above 1",
			r.First, r.Last, r.Steps, r.Smooth, r.Diverged)})
	}
}

// SteepestRate returns the learning rate of a [RangeTest]'s history at which the smoothed loss falls fastest over the
// logarithm of the rate, before its smallest value. The first tenth of the steps, where the average is over few losses,
// does not count. It returns NaN if the loss never falls.
func SteepestRate(h *History) float64 {
	rates, losses := h.Column("lr"), h.Column("smoothed")
	lowest := 0
	for i, l := range losses {
		if l < losses[lowest] {
			lowest = i
		}
	}
	rate, steepest := math.NaN(), 0.0
	for i := max(1, len(rates)/10); i < lowest; i++ {
		if slope := (losses[i+1] - losses[i-1]) / math.Log(rates[i+1]/rates[i-1]); slope < steepest {
			rate, steepest = rates[i], slope
		}
	}
	return rate
}
