package optim

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/autograd"
)

// Schedule returns the learning rate for a step or an epoch, both counted from 0. After its last step, a schedule of
// this package stays at its last value; before step 0 it has its first value. Any function of this type is a Schedule.
type Schedule func(step int) float64

// Constant returns a schedule that is always lr, for example to follow a [Warmup]. It panics with a
// [*autograd.UsageError] if lr is negative or not finite.
func Constant(lr float64) Schedule {
	checkFinite("optim.Constant", setting{"lr", lr})
	return func(int) float64 { return lr }
}

// StepDecay returns the schedule lr * factor^floor(step/every), PyTorch's StepLR. It panics with a
// [*autograd.UsageError] if lr or factor is negative or not finite, or if every is below 1.
func StepDecay(lr float64, every int, factor float64) Schedule {
	checkFinite("optim.StepDecay", setting{"lr", lr}, setting{"factor", factor})
	checkCount("optim.StepDecay", "every", every, 1)
	return func(step int) float64 { return lr * math.Pow(factor, float64(max(step, 0)/every)) }
}

// Cosine returns the schedule of Loshchilov & Hutter, "SGDR" (2017, arXiv:1608.03983, equation 5), without restarts:
//
//	min + (lr-min) * (1 + cos(pi*step/steps)) / 2
//
// It falls from lr at step 0 to min at step number steps, and stays at min, where PyTorch's CosineAnnealingLR rises
// again. Cosine panics with a [*autograd.UsageError] if lr or min is negative or not finite, or if steps is below 1.
func Cosine(lr, min float64, steps int) Schedule {
	checkFinite("optim.Cosine", setting{"lr", lr}, setting{"min", min})
	checkCount("optim.Cosine", "steps", steps, 1)
	return func(step int) float64 { return anneal(lr, min, float64(within(step, steps))/float64(steps)) }
}

// Exponential returns the schedule
//
//	from * (to/from)^(step/steps)
//
// whose rate changes by the same factor at each step, from its first value at step 0 to its last at step number steps. It is
// PyTorch's ExponentialLR with gamma (to/from)^(1/steps). If to is larger than from, it rises, as in a train.RangeTest.
// Exponential panics with a [*autograd.UsageError] if from or to is not positive or not finite, or if steps is below 1.
func Exponential(from, to float64, steps int) Schedule {
	checkFinite("optim.Exponential", setting{"from", from}, setting{"to", to})
	checkCount("optim.Exponential", "steps", steps, 1)
	if from == 0 || to == 0 {
		panic(&autograd.UsageError{Where: "optim.Exponential", What: fmt.Sprintf("from is %v and to is %v, want more than 0", from, to)})
	}
	return func(step int) float64 {
		if step >= steps {
			return to
		}
		return from * math.Pow(to/from, float64(max(step, 0))/float64(steps))
	}
}

// Warmup returns a schedule that rises linearly for steps steps to the first value of the schedule then, and follows
// then afterwards:
//
//	then(0) * (step+1)/(steps+1)   while step < steps
//	then(step-steps)               afterwards
//
// The first value is then(0)/(steps+1) and not 0, because a step with a learning rate of 0 would be wasted. The
// schedule equals PyTorch's LinearLR with start_factor 1/(steps+1) and total_iters steps, followed by then. Warmup
// panics with a [*autograd.UsageError] if steps is negative or then is nil.
func Warmup(steps int, then Schedule) Schedule {
	checkCount("optim.Warmup", "steps", steps, 0)
	if then == nil {
		panic(&autograd.UsageError{Where: "optim.Warmup", What: "then is nil, want a schedule"})
	}
	return func(step int) float64 {
		if step < steps {
			return then(0) * float64(max(step, 0)+1) / float64(steps+1)
		}
		return then(step - steps)
	}
}

// OneCycleOptions holds the settings of [OneCycle]; 0 means PyTorch's default.
type OneCycleOptions struct {
	PctStart       float64 // fraction of the steps, 0 to 1, during which the rate rises; 0 means 0.3
	DivFactor      float64 // max divided by the first rate; 0 means 25
	FinalDivFactor float64 // the first rate divided by the last rate; 0 means 1e4
}

// OneCycle returns the schedule of Smith & Topin, "Super-Convergence" (2018, arXiv:1708.07120), as PyTorch's OneCycleLR
// computes it, for the learning rate only. The rate rises from max/DivFactor at step 0 to max at step PctStart*steps-1,
// and falls to max/DivFactor/FinalDivFactor at step steps-1; both parts have the form of half a cosine. OneCycle panics
// with a [*autograd.UsageError] if max or an option is negative or not finite, if steps is below 1 or if PctStart is
// above 1.
func OneCycle(max float64, steps int, o OneCycleOptions) Schedule {
	const where = "optim.OneCycle"
	checkFinite(where, setting{"max", max}, setting{"DivFactor", o.DivFactor}, setting{"FinalDivFactor", o.FinalDivFactor})
	check(where, 1, "0 to 1", []setting{{"PctStart", o.PctStart}})
	checkCount(where, "steps", steps, 1)
	or := func(value, standard float64) float64 {
		if value == 0 {
			return standard
		}
		return value
	}
	first := max / or(o.DivFactor, 25)
	last := first / or(o.FinalDivFactor, 1e4)
	top, end := or(o.PctStart, 0.3)*float64(steps)-1, float64(steps-1)
	return func(step int) float64 {
		s := float64(within(step, steps-1))
		if s <= top && top > 0 { // if top is 0 or less, the rate only falls
			return anneal(first, max, s/top)
		}
		return anneal(max, last, (s-top)/(end-top))
	}
}

// anneal returns from for x = 0, to for x = 1 and, between them, values along half a cosine.
func anneal(from, to, x float64) float64 { return to + (from-to)*(1+math.Cos(math.Pi*x))/2 }

// within returns the number in [0, last] that is nearest to step.
func within(step, last int) int { return max(0, min(step, last)) }

// checkCount panics if a whole number is too small.
func checkCount(where, name string, got, least int) {
	if got < least {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("%s is %d, want at least %d", name, got, least)})
	}
}

// Plateau lowers the learning rate when a metric stops improving, as PyTorch's ReduceLROnPlateau does:
//
//	plateau := optim.NewPlateau(adam.LR)
//	...
//	adam.LR = plateau.Step(validationLoss) // each epoch
//
// Its whole state is in its fields. To continue a run later, save them, as a part of a train.Checkpoint or as JSON.
type Plateau struct {
	LR        float64 // learning rate
	Factor    float64 // LR is multiplied by Factor when it is lowered
	Patience  int     // number of steps without a better metric that do not lower LR; the next one does
	Threshold float64 // fraction of Best by which a metric must be better; see Step for a negative Best
	Absolute  bool    // Threshold is a difference instead of a fraction
	Maximize  bool    // larger metrics are better, as for accuracies; otherwise smaller ones are, as for losses
	Cooldown  int     // number of steps after LR was lowered during which Bad stays 0
	Min       float64 // lower limit of LR
	Eps       float64 // LR is lowered only by more than Eps

	Best float64 // best metric so far, if Seen is set
	Seen bool    // whether Best was set
	Bad  int     // number of steps without a better metric since the last better metric, lowering of LR or cooldown
	Cool int     // number of steps that are left of Cooldown
}

// NewPlateau returns a Plateau that starts at lr, with PyTorch's defaults: Factor 0.1, Patience 10, Threshold 1e-4 and
// Eps 1e-8. Smaller metrics are better, and all other settings are 0.
func NewPlateau(lr float64) *Plateau {
	return &Plateau{LR: lr, Factor: 0.1, Patience: 10, Threshold: 1e-4, Eps: 1e-8}
}

// Step takes the metric of the next step or, more often, epoch. It returns LR, lowered if the metric has not improved
// for more than Patience steps. NaN is never better. With a Threshold that is a fraction, a metric must be better than
// Best*(1-Threshold), or Best*(1+Threshold) with Maximize, as in PyTorch; for a negative Best, this accepts a metric
// that is slightly worse than Best.
//
// Step panics with a [*autograd.UsageError] if a setting is out of range: Factor must be in (0, 1), and the other
// settings finite and not negative.
func (p *Plateau) Step(metric float64) (lr float64) {
	const where = "optim.Plateau"
	checkFinite(where, setting{"LR", p.LR}, setting{"Threshold", p.Threshold}, setting{"Min", p.Min}, setting{"Eps", p.Eps},
		setting{"Patience", float64(p.Patience)}, setting{"Cooldown", float64(p.Cooldown)})
	if !(p.Factor > 0 && p.Factor < 1) {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("Factor is %v, want above 0 and below 1", p.Factor)})
	}
	if p.better(metric) {
		p.Best, p.Seen, p.Bad = metric, true, 0
	} else {
		p.Bad++
	}
	if p.Cool > 0 {
		p.Cool--
		p.Bad = 0
	}
	if p.Bad > p.Patience {
		p.Cool, p.Bad = p.Cooldown, 0
		if lower := max(p.LR*p.Factor, p.Min); p.LR-lower > p.Eps {
			p.LR = lower
		}
	}
	return p.LR
}

// better reports whether the metric is better than Best by the threshold.
func (p *Plateau) better(metric float64) bool {
	best, sign := p.Best, 1.0
	if p.Maximize {
		sign = -1
	}
	if !p.Seen {
		best = math.Inf(int(sign))
	}
	if p.Absolute {
		return sign*metric < sign*best-p.Threshold
	}
	return sign*metric < sign*best*(1-sign*p.Threshold)
}
