package rnn

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
)

// check panics with a [*autograd.UsageError] of where if the parts of a cell other than its terms cannot be.
func (c *FusedCell) check(where string) {
	fail := func(format string, args ...any) {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf(format, args...)})
	}
	if c.State < 1 || c.Sums < 0 || c.Saved < 0 {
		fail("the cell has State %d, Sums %d, Saved %d, want no negative numbers", c.State, c.Sums, c.Saved)
	}
	names := map[string]bool{}
	for _, w := range c.Weights {
		if w.Name == "" || names[w.Name] {
			fail("the cell has two weights named %q, or one without a name", w.Name)
		}
		if names[w.Name] = true; len(w.Shape) < 1 || len(w.Shape) > 2 {
			fail("weight %s has shape %v, want one or two dimensions", w.Name, w.Shape)
		}
	}
	written := false
	for _, s := range c.Stages {
		if written = written || s.Apply != nil; s.Apply != nil && s.Backprop == nil {
			fail("a stage has an Apply but no Backprop")
		}
		for _, t := range s.Terms {
			written = written || t.To == ToState
		}
	}
	if !written {
		fail("nothing writes the new state: no stage has an Apply, and no term has the place ToState")
	}
}

// resolve looks the names of a term of a stage up. It panics with a [*autograd.UsageError] if the term does not fit the cell.
func (p *plan) resolve(where string, term Term, stage int) *link {
	fail := func(format string, args ...any) {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf(format, args...)})
	}
	find := func(name string, dims int) int {
		if name == "" {
			return -1
		}
		for i, w := range p.Weights {
			switch {
			case w.Name != name:
				continue
			case len(w.Shape) != dims:
				fail("a term needs %s with %d dimensions, its shape is %v", name, dims, w.Shape)
			case term.First < 0 || term.Rows < 1 || term.Rows > w.Shape[0]-term.First:
				fail("a term reads rows %d to %d of %s, which has %d", term.First, term.First+term.Rows, name, w.Shape[0])
			}
			return i
		}
		fail("a term names the weight %q, which the cell does not have", name)
		return -1
	}
	l := &link{Term: term, weight: find(term.Weight, 2), bias: find(term.Bias, 1), gain: find(term.Gain, 1)}
	if l.weight < 0 {
		fail("a term names no weight")
	}
	l.cols = p.Weights[l.weight].Shape[1]
	switch {
	case term.Source == FromInput && l.cols != InputWidth:
		fail("a term of %s reads the input, which takes InputWidth columns; its shape is %v", term.Weight, p.Weights[l.weight].Shape)
	case term.Source == FromState && l.cols != p.State:
		fail("a term of %s reads the state, which takes %d columns; its shape is %v", term.Weight, p.State, p.Weights[l.weight].Shape)
	case term.Source == FromSums && (stage == 0 || term.From < 0 || l.cols < 1 || l.cols > p.FusedCell.Sums-term.From):
		fail("a term reads sums %d to %d, want some of the %d of an earlier stage", term.From, term.From+l.cols, p.FusedCell.Sums)
	case term.Source < FromInput || term.Source > FromSums:
		fail("a term of %s has the source %d", term.Weight, term.Source)
	case term.To == ToState && term.Rows != p.State:
		fail("a term adds %d sums to the state of width %d", term.Rows, p.State)
	case term.To != ToState && (term.To < 0 || term.Rows > p.FusedCell.Sums-term.To):
		fail("a term adds to sums %d to %d, but Sums is %d", term.To, term.To+term.Rows, p.FusedCell.Sums)
	}
	return l
}

// checkOverlap panics with a [*autograd.UsageError] of where if the sums that a term adds to or reads are not apart from those of the terms
// before it. Terms of one stage may add to the same sums, and may read the same.
func (p *plan) checkOverlap(where string, l *link, stage []*link) {
	apart := func(what string, a, b columns) {
		if a.at < b.at+b.n && b.at < a.at+a.n {
			panic(&autograd.UsageError{Where: where,
				What: fmt.Sprintf("%s sums %d to %d and %d to %d, want them apart", what, b.at, b.at+b.n, a.at, a.at+a.n)})
		}
	}
	check := func(o *link, sameStage bool) {
		if !sameStage || o.adds() != l.adds() {
			apart("two terms add to", l.adds(), o.adds())
		}
		if !sameStage || o.reads() != l.reads() {
			apart("two terms read", l.reads(), o.reads())
		}
		apart("a term adds to what another reads:", l.adds(), o.reads())
		if sameStage {
			apart("a term reads what another of its stage adds to:", l.reads(), o.adds())
		}
	}
	for _, o := range p.links {
		check(o, false)
	}
	for _, o := range append(stage, l) {
		check(o, true)
	}
}

// adds returns the sums that a term adds to; the state counts as sums before the first.
func (l *link) adds() columns {
	if l.To == ToState {
		return columns{-l.Rows, l.Rows}
	}
	return columns{l.To, l.Rows}
}

// reads returns the sums that a term reads, none for other sources.
func (l *link) reads() columns {
	if l.Source != FromSums {
		return columns{}
	}
	return columns{l.From, l.cols}
}
