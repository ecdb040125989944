package rnn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
)

// Where a number of a run became NaN or infinite. Nothing here runs while all numbers are finite: see autograd.Checker.

var _ autograd.Checker = (*run)(nil)

// NotFinite implements [autograd.Checker]. It looks at each layer, direction and step in the order in which they were
// computed: at the state before the step, the input, the sums and the state after the step. Windows that Backward computes
// again are computed for the search, too. Of another truncated run it sees the steps that were kept.
func (r *run) NotFinite() *autograd.DataError {
	if !r.windows.again {
		return r.stepsNotFinite(max(0, r.rows.steps-r.windows.states), r.rows.steps)
	}
	for i := r.windows.count() - 1; i >= 0; i-- {
		r.forwardAgain(i)
		if e := r.stepsNotFinite(r.windows.at(i)); e != nil {
			return e
		}
	}
	return nil
}

// stepsNotFinite looks at steps [from, to).
func (r *run) stepsNotFinite(from, to int) *autograd.DataError {
	for k := range r.lanes {
		l := &r.lanes[k]
		for i := range to - from {
			t := from + i
			if l.direction == 1 {
				t = to - 1 - i
			}
			if r.rows.count(t) == 0 {
				continue
			}
			if r.windows.sums {
				r.sumsAgain(&r.packs()[k], l, t, t+1)
			}
			if e := r.stepNotFinite(l, t); e != nil {
				return e
			}
		}
	}
	return nil
}

func (r *run) stepNotFinite(l *lane, t int) *autograd.DataError {
	p, n := &r.s.plan, r.rows.count(t)
	state := func(s *slab, i int, when string) *autograd.DataError {
		return r.place(l, t, s.at(&r.rows, t)[:n*s.width], s.width, func(unit int) string {
			return fmt.Sprintf("unit %d of the state %c %s the step", unit, "hc"[i], when)
		})
	}
	for i := range p.states {
		if e := state(&l.states[i].before, i, "before"); e != nil {
			return e
		}
	}
	in := l.in.at(&r.rows, t)[:n*l.in.width]
	if e := r.place(l, t, in, l.in.width, func(j int) string { return fmt.Sprintf("feature %d of the input", j) }); e != nil {
		return e
	}
	if p.kept > 0 {
		sums := l.sums.at(&r.rows, t)[:n*p.kept]
		for _, q := range p.links {
			if q.To == ToState {
				continue
			}
			if e := r.columnsNotFinite(l, t, sums, p.kept, q.To, q); e != nil {
				return e
			}
		}
	}
	for i := range p.states {
		if e := state(&l.states[i].after, i, "after"); e != nil {
			return e
		}
	}
	return nil
}

// columnsNotFinite looks at the columns of a term, from at on, in sums or gradients of sums [rows, width] of step t.
func (r *run) columnsNotFinite(l *lane, t int, v []float32, width, at int, q *link) *autograd.DataError {
	for row := 0; row*width < len(v); row++ {
		if j := slices.IndexFunc(v[row*width+at:][:q.Rows], notFinite); j >= 0 {
			return r.element(l, t, row, v[row*width+at+j], r.s.sumName(l, q, q.First+j))
		}
	}
	return nil
}

// place returns the place of the first bad number in v [rows, width] of step t, whose column is described by name; nil if
// there is none.
func (r *run) place(l *lane, t int, v []float32, width int, name func(column int) string) *autograd.DataError {
	i := slices.IndexFunc(v, notFinite)
	if i < 0 {
		return nil
	}
	return r.element(l, t, i/width, v[i], name(i%width))
}

// element describes a number of step t; row counts the rows that have the step.
func (r *run) element(l *lane, t, row int, v float32, what string) *autograd.DataError {
	for rows := range r.rows.ranges(t) {
		if row < rows.i+rows.n {
			row += rows.row - rows.i
			break
		}
	}
	return &autograd.DataError{Text: fmt.Sprintf("%v, %s, in %s", v, what, r.s.laneName(l)), Row: t*r.rows.batch + row, Rows: r.windows.steps * r.rows.batch}
}

// laneName says which layer and direction a lane is.
func (s *stack) laneName(l *lane) string {
	name := fmt.Sprintf("layer %d", l.layer)
	if s.directions > 1 {
		name += [2]string{", forward direction,", ", reverse direction,"}[l.direction]
	}
	return name + " of " + s.name
}

// sumName describes the sum to which a row of a term's weight belongs, by the gate if the layer has named gates.
func (s *stack) sumName(l *lane, q *link, row int) string {
	name := fmt.Sprintf("the sum of row %d of %s", row, l.weights[q.weight].Name)
	if unit, gate := row%s.plan.Hidden, row/s.plan.Hidden; gate < len(s.plan.Gates) && (strings.HasPrefix(q.Weight, "weight_ih") || strings.HasPrefix(q.Weight, "weight_hh")) {
		name += fmt.Sprintf(" (gate %c, unit %d)", s.plan.Gates[gate], unit)
	}
	return name
}

// checkStep names the place if a gradient of step t, whose frame is filled in, is not finite.
func (b *backward) checkStep(l *lane, t int) {
	tape := b.y.Tape()
	if !tape.Checking() || tape.Err() != nil {
		return
	}
	p, f := &b.s.plan, &b.frame
	for _, q := range p.links {
		if e := b.columnsNotFinite(l, t, f.dsums, p.dsums, q.dSum, q); e != nil {
			tape.Fail(gradient(e))
			return
		}
	}
	grads := [2][]float32{f.dh, f.dc}
	for i, v := range grads[:len(p.states)] {
		if e := b.place(l, t, v, b.states[i].width, func(unit int) string { return fmt.Sprintf("unit %d of the state %c before the step", unit, "hc"[i]) }); e != nil {
			tape.Fail(gradient(e))
			return
		}
	}
}

// gradient says that the number at a place is a gradient.
func gradient(e *autograd.DataError) *autograd.DataError {
	value, what, _ := strings.Cut(e.Text, ", ")
	e.Text = value + ", the gradient of " + what
	return e
}

// checkWeights names the weight of a lane whose gradient is not finite after steps [t0, t1), and the number of the forward
// pass that made it so, if there is one.
func (b *backward) checkWeights(l *lane, t0, t1 int) {
	tape := b.y.Tape()
	if !tape.Checking() || tape.Err() != nil {
		return
	}
	for k, grad := range l.grads {
		i := slices.IndexFunc(grad, notFinite)
		if i < 0 {
			continue
		}
		e := &autograd.DataError{Text: fmt.Sprintf("%v, element %d of the gradient of weight %s, at steps %d to %d", grad[i], i, l.weights[k].Name, t0, t1-1)}
		if forward := b.run.NotFinite(); forward != nil {
			forward.Text = e.Text + "; the first in its forward pass is " + forward.Text
			e = forward
		}
		tape.Fail(e)
		return
	}
}

func notFinite(v float32) bool { return v-v != 0 }
