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
		written = written || s.Apply != nil
		for _, t := range s.Terms {
			written = written || t.To == ToState
		}
	}
	if !written {
		fail("nothing writes the new state: no stage has an Apply, and no term has the place ToState")
	}
}

// resolve looks the names of a term up; the stage's products begin at first. It panics with a [*autograd.UsageError] if the term does not fit the
// cell.
func (p *plan) resolve(where string, term Term, first int) *link {
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
		fail("weight %s has %d columns, want InputWidth, since its term reads the input", term.Weight, l.cols)
	case term.Source == FromState && l.cols != p.State:
		fail("weight %s has %d columns, want %d, since its term reads the state", term.Weight, l.cols, p.State)
	case term.Source == FromSums && (first == 0 || term.From < 0 || l.cols < 1 || l.cols > p.FusedCell.Sums-term.From):
		fail("a term reads sums %d to %d, want some of the %d of an earlier stage", term.From, term.From+l.cols, p.FusedCell.Sums)
	case term.Source < FromInput || term.Source > FromSums:
		fail("a term of %s has the source %d", term.Weight, term.Source)
	case term.To == ToState && term.Rows != p.State:
		fail("a term adds %d sums to the state of width %d", term.Rows, p.State)
	case term.To != ToState && (term.To < 0 || term.Rows > p.FusedCell.Sums-term.To):
		fail("a term adds to sums %d to %d, but Sums is %d", term.To, term.To+term.Rows, p.FusedCell.Sums)
	}
	for _, q := range p.products[first:] {
		if same := q.to == l.To && q.rows == l.Rows; !same && q.to < l.To+l.Rows && l.To < q.to+q.rows && l.To != ToState && q.to != ToState {
			fail("terms of one stage add to sums %d to %d and %d to %d, want the same or different ones", q.to, q.to+q.rows, l.To, l.To+l.Rows)
		}
	}
	return l
}
