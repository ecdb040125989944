package train

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/autograd"
)

// EarlyStopping tells when a metric has stopped improving, and keeps the weights for which it was best, as Keras'
// EarlyStopping does with restore_best_weights:
//
//	stopping := train.NewEarlyStopping(params, 5)
//	for epoch := range epochs {
//		...
//		if stopping.Step(validationLoss) {
//			break
//		}
//	}
//	stopping.Restore()
//
// In a [Loop], the line is loop.Done = stopping.Step(validationLoss). The whole state is in the fields; make the
// EarlyStopping a part of the [Checkpoint].
type EarlyStopping struct {
	Patience int     // training stops at the Patience-th metric in succession that is not better; 0 counts as 1
	MinDelta float64 // a metric is better than Best only by more than MinDelta
	Maximize bool    // larger metrics are better, as for accuracies; otherwise smaller ones are, as for losses

	Steps    int     // number of metrics so far
	Best     float64 // best metric so far, if BestStep is not 0
	BestStep int     // the number of the best metric, counted from 1; 0: none yet
	Wait     int     // number of metrics in succession that were not better
	// Weights is a copy of the weights at the best metric; nil if none are kept.
	Weights *autograd.Params `json:"-"`

	params *autograd.Params
}

// NewEarlyStopping returns an EarlyStopping that keeps a copy of the weights under p's prefix; if p is nil, it keeps none.
// If the averages of an optim.EMA are evaluated, p is its Average. Smaller metrics are better, and MinDelta is 0. No weight
// can be made in p's set afterwards.
func NewEarlyStopping(p *autograd.Params, patience int) *EarlyStopping {
	s := &EarlyStopping{Patience: patience}
	if p != nil {
		p.Seal()
		s.params, s.Weights = p, p.Clone()
	}
	return s
}

// Step takes the metric of the next epoch or evaluation and reports whether training should stop. If the metric is better
// than all before, Step copies the weights. A metric that is NaN or infinite is never better. Step panics with a
// [*autograd.UsageError] if Patience or MinDelta is negative or MinDelta is not finite.
func (s *EarlyStopping) Step(metric float64) (stop bool) {
	if s.Patience < 0 || !(s.MinDelta >= 0 && s.MinDelta <= math.MaxFloat64) {
		panic(&autograd.UsageError{Where: "train.EarlyStopping", What: fmt.Sprintf("Patience is %d and MinDelta %v, want at least 0 and finite", s.Patience, s.MinDelta)})
	}
	s.Steps++
	if s.better(metric) {
		s.Best, s.BestStep, s.Wait = metric, s.Steps, 0
		copyWeights(s.Weights, s.params)
		return false
	}
	s.Wait++
	return s.Wait >= s.Patience
}

func (s *EarlyStopping) better(metric float64) bool {
	switch {
	case metric-metric != 0:
		return false
	case s.BestStep == 0:
		return true
	case s.Maximize:
		return metric-s.MinDelta > s.Best
	}
	return metric+s.MinDelta < s.Best
}

// Restore brings the weights of the best metric back. It does nothing if there was no metric yet or no weights are kept.
func (s *EarlyStopping) Restore() {
	if s.BestStep > 0 {
		copyWeights(s.params, s.Weights)
	}
}

// copyWeights copies the weights of a set to a copy of it, or back. It does nothing if none are kept.
func copyWeights(to, from *autograd.Params) {
	if to == nil || from == nil {
		return
	}
	if err := to.CopyFrom(from); err != nil {
		panic(err) // names and shapes are the same
	}
}
