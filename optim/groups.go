package optim

import (
	"iter"
	"slices"

	"github.com/unroll-go/unroll/autograd"
)

// Groups joins several optimizers into one. Each has its own weights and settings, as PyTorch's parameter groups have.
// Weights that belong to no member do not change.
type Groups []Optimizer

// Step implements [Optimizer]: it calls Step of each member, in order. It panics with a [*autograd.UsageError], before
// any step, if two members that are optimizers of this package have a weight in common.
func (g Groups) Step(grads *autograd.Grads) {
	g.check()
	for _, o := range g {
		o.Step(grads)
	}
}

// State implements [Optimizer]: it yields the states of all members, in order. It panics as Step does.
func (g Groups) State() iter.Seq2[string, []float32] {
	g.check()
	return func(yield func(string, []float32) bool) {
		for _, o := range g {
			for name, v := range o.State() {
				if !yield(name, v) {
					return
				}
			}
		}
	}
}

// check panics if two members have a weight in common. It compares only optimizers of this package, which embed memory.
func (g Groups) check() {
	type member interface{ all() []*autograd.Param }
	for i, o := range g {
		for _, other := range g[:i] {
			a, ok := o.(member)
			b, also := other.(member)
			if !ok || !also {
				continue
			}
			for _, p := range a.all() {
				if slices.Contains(b.all(), p) {
					panic(&autograd.UsageError{Where: "optim.Groups", What: p.Name + " belongs to two members, want one"})
				}
			}
		}
	}
}

func (m *memory) all() []*autograd.Param { return m.weights }
