package optim

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/autograd"
)

// Schedule returns the learning rate for a step, or an epoch, which count from 0. Those of this package stay at their
// last value after their end, and at their first before step 0. A user's own function is a Schedule as well.
type Schedule func(step int) float64

// Constant returns a schedule that is lr always: for what follows a [Warmup].
func Constant(lr float64) Schedule {
	checkFinite("optim.Constant", setting{"lr", lr})
	return func(int) float64 { return lr }
}

// StepDecay returns the schedule lr * factor^floor(step/every), PyTorch's StepLR. It panics with a
// [*autograd.UsageError] if lr or factor is negative or not finite, or every is below 1.
func StepDecay(lr float64, every int, factor float64) Schedule {
	checkFinite("optim.StepDecay", setting{"lr", lr}, setting{"factor", factor})
	checkCount("optim.StepDecay", "every", every, 1)
	return func(step int) float64 { return lr * math.Pow(factor, float64(max(step, 0)/every)) }
}

// Cosine returns the schedule of Loshchilov & Hutter, "SGDR" (2017, arXiv:1608.03983, equation 5), without restarts:
//
//	min + (lr-min) * (1 + cos(pi*step/steps)) / 2
//
// from lr at step 0 to min at step steps, and min from there on, where PyTorch's CosineAnnealingLR rises again. It
// panics with a [*autograd.UsageError] if lr or min is negative or not finite, or steps is below 1.
func Cosine(lr, min float64, steps int) Schedule {
	checkFinite("optim.Cosine", setting{"lr", lr}, setting{"min", min})
	checkCount("optim.Cosine", "steps", steps, 1)
	return func(step int) float64 { return anneal(lr, min, float64(within(step, steps))/float64(steps)) }
}

// Warmup returns a schedule that rises in a line to the first value of then during its first steps, and is then from
// there on:
//
//	then(0) * (step+1)/(steps+1)   while step < steps
//	then(step-steps)               afterwards
//
// So its first value is then(0)/(steps+1), not 0, which would waste a step. It is PyTorch's LinearLR with start_factor
// 1/(steps+1) and total_iters steps, followed by then. It panics with a [*autograd.UsageError] if steps is negative or
// then is nil.
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

// OneCycleOptions are settings of [OneCycle]; 0 is PyTorch's default.
type OneCycleOptions struct {
	PctStart       float64 // fraction of the steps in which the rate rises; 0: 0.3
	DivFactor      float64 // by how much smaller than max the first rate is; 0: 25
	FinalDivFactor float64 // by how much smaller than the first rate the last one is; 0: 1e4
}

// OneCycle returns the schedule of Smith & Topin, "Super-Convergence" (2018, arXiv:1708.07120), in the form of
// PyTorch's OneCycleLR, for the learning rate alone: along half a cosine each, it rises from max/DivFactor at step 0 to
// max at step PctStart*steps-1, and falls to max/DivFactor/FinalDivFactor at step steps-1. It panics with a
// [*autograd.UsageError] if max or an option is negative or not finite, steps is below 1 or PctStart above 1.
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
		if s <= top && top > 0 { // a top at 0 has nothing before it
			return anneal(first, max, s/top)
		}
		return anneal(max, last, (s-top)/(end-top))
	}
}

// anneal goes from one value to another along half a cosine, for x from 0 to 1.
func anneal(from, to, x float64) float64 { return to + (from-to)*(1+math.Cos(math.Pi*x))/2 }

// within returns the nearest step that is in [0, last].
func within(step, last int) int { return max(0, min(step, last)) }

func checkCount(where, name string, got, least int) {
	if got < least {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("%s is %d, want at least %d", name, got, least)})
	}
}

// Plateau lowers the learning rate when a metric stops getting better, as PyTorch's ReduceLROnPlateau does:
//
//	plateau := optim.NewPlateau(adam.LR)
//	...
//	adam.LR = plateau.Step(validationLoss) // each epoch
//
// All that it remembers is in its fields: saving them, as JSON for instance, and going on with a copy is going on
// with it.
type Plateau struct {
	LR        float64 // learning rate
	Factor    float64 // what LR is multiplied by
	Patience  int     // how many steps without a better metric are borne: the next one lowers LR
	Threshold float64 // by what fraction of Best a metric must be better to count; of a negative Best, worse
	Absolute  bool    // Threshold is a difference, not a fraction
	Maximize  bool    // larger metrics are better, as accuracies; otherwise smaller ones, as losses
	Cooldown  int     // after LR was lowered, for how many steps nothing is bad
	Min       float64 // LR is never lowered below
	Eps       float64 // LR is left if it would be lowered by no more than this

	Best float64 // best metric so far, if Seen
	Seen bool    // whether any metric was better than none
	Bad  int     // number of steps since Best that count
	Cool int     // number of steps of Cooldown that are left
}

// NewPlateau returns a Plateau that starts at lr, with PyTorch's defaults: Factor 0.1, Patience 10, Threshold 1e-4, Eps
// 1e-8, smaller metrics are better, and the rest is 0.
func NewPlateau(lr float64) *Plateau {
	return &Plateau{LR: lr, Factor: 0.1, Patience: 10, Threshold: 1e-4, Eps: 1e-8}
}

// Step takes the metric of the next step or, more often, epoch, and returns LR, lowered or as it was. NaN is no
// better than anything. It panics with a [*autograd.UsageError] if a setting is out of range: Factor is within (0, 1),
// the others finite and not negative.
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

// better tells whether the metric is better than Best by the threshold. PyTorch's fraction is of Best with its sign: a
// negative Best is passed by metrics that are somewhat worse.
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
