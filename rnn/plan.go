package rnn

import (
	"slices"

	"github.com/unroll-go/unroll/autograd"
)

// plan is what the engine derives from a cell once: the layout of a row of sums and of its gradients, and the matrix products of a step.
type plan struct {
	FusedCell
	states    []int         // widths of the states: State, and Hidden if the cell is C
	kept      int           // floats in a row of sums: Sums, Saved and, for each normalised term, its product and how it was normalised
	dsums     int           // floats in a row of gradients: of the sums, of the sums in the place of the state, of each normalised product
	ownSums   int           // floats in what Frame.DSums returns: Sums, or State if the sums lie in the place of the state
	links     []*link       // all terms
	products  []product     // of a step
	stages    []planStage   // of each stage
	input     *sourceGrad   // the gradient of x_t
	state     *sourceGrad   // the part of the gradient of h_(t-1) that comes through products
	sources   []*sourceGrad // the input, the state, and the sums that the stages read
	grads     []link        // for the gradients of the weights: terms that lie next to each other are joined
	recurrent int           // the weight that multiplies the state, on which weight dropout acts; -1: none, or more than one
}

// planStage has the terms of a stage, its products as a range of places in plan.products, and what its way back needs.
type planStage struct {
	terms     []*link
	from, end int           // products
	adds      bool          // a product is added to an earlier one, so that their order counts
	toState   bool          // a term adds to the new state, while the cell has sums elsewhere
	sums      []*sourceGrad // gradients of what its terms read from the sums
}

// link is a term whose names are resolved.
type link struct {
	Term
	weight, bias, gain int // places in Weights; -1: none
	cols               int // columns of the weight, or InputWidth
	dSum               int // where the gradient of the sums lies in a row of dsums
	dProduct           int // where the gradient of the product lies: there, or apart if the product is normalised
	raw                int // where a normalised product lies in a row of sums, followed by its mean and 1/deviation
}

// product is one matrix product of a step: of one term, or of two with the same place, of which the first reads the input.
type product struct {
	terms    []*link
	to, rows int  // as in Term
	add      bool // an earlier product of the stage has the same place
}

// sourceGrad is the gradient of a source: the sum over terms of the gradient of their products, times their weights.
type sourceGrad struct {
	at     int // FromSums: where the source, and its gradient, lies
	terms  []*link
	blocks []columns // columns of dsums whose product with the joined weights is the gradient
	matrix int       // place in plan.sources, and so among the matrices of packBackward
}

// columns are n columns of a row, from at on.
type columns struct{ at, n int }

// newPlan derives the plan of a cell. It panics with a [*autograd.UsageError] of where if the terms do not fit the cell.
func newPlan(where string, cell FusedCell) plan {
	if cell.State == 0 {
		cell.State = cell.Hidden
	}
	cell.check(where)
	input, state := &sourceGrad{matrix: 0}, &sourceGrad{matrix: 1}
	p := plan{FusedCell: cell, states: []int{cell.State}, kept: cell.Sums + cell.Saved, recurrent: -1,
		input: input, state: state, sources: []*sourceGrad{input, state}}
	if cell.C {
		p.states = append(p.states, cell.Hidden)
	}
	for i := range cell.Stages {
		s := planStage{from: len(p.products)}
		for _, term := range cell.Stages[i].Terms {
			l := p.resolve(where, term, i)
			p.checkOverlap(where, l, s.terms)
			s.terms = append(s.terms, l)
			p.place(l, s.from)
			p.read(l, &s)
		}
		s.adds = slices.ContainsFunc(p.products[s.from:], func(q product) bool { return q.add })
		s.end, p.links = len(p.products), append(p.links, s.terms...)
		p.stages = append(p.stages, s)
	}
	if len(p.input.terms) == 0 {
		panic(&autograd.UsageError{Where: where, What: "no term of the cell reads the input"})
	}
	p.layOut()
	return p
}

// layOut settles the places in a row of sums and of gradients.
func (p *plan) layOut() {
	p.dsums = p.FusedCell.Sums
	for _, l := range p.links {
		if l.dSum = l.To; l.To == ToState {
			l.dSum, p.dsums = p.FusedCell.Sums, p.FusedCell.Sums+p.State
		}
	}
	if p.ownSums = p.FusedCell.Sums; p.ownSums == 0 {
		p.ownSums = p.State
	}
	for _, l := range p.links {
		l.dProduct = l.dSum
		if l.gain >= 0 {
			l.raw, p.kept = p.kept, p.kept+l.Rows+2
			l.dProduct, p.dsums = p.dsums, p.dsums+l.Rows
		}
		p.join(*l)
	}
	for _, g := range p.sources {
		g.layOut()
	}
}

// ahead reports whether the products with an input of so many columns are faster for many steps at once than step by step: if there is no other
// product, and for small batches, which read the weights from memory at each step. The bits are the same.
func (p *plan) ahead(batch, in int) bool {
	const few, some, large = 4, 16, 1 << 16
	return len(p.state.terms) == 0 || batch <= few || batch <= some && in*p.ownSums >= large
}

// place adds a term to the product of the stage that has its place, from product first on, or makes a product of it.
func (p *plan) place(l *link, first int) {
	made := product{terms: []*link{l}, to: l.To, rows: l.Rows}
	for i := first; i < len(p.products); i++ {
		q := &p.products[i]
		if q.to != l.To || q.rows != l.Rows {
			continue
		}
		other := q.terms[0]
		if l.gain < 0 && other.gain < 0 && !q.add && len(q.terms) == 1 && other.Source == FromInput && l.Source != FromInput {
			q.terms = append(q.terms, l)
			return
		}
		made.add = true
	}
	p.products = append(p.products, made)
}

// read adds a term to those that read its source, so that the gradient of the source can be computed.
func (p *plan) read(l *link, s *planStage) {
	s.toState = s.toState || l.To == ToState && p.FusedCell.Sums > 0
	var source *sourceGrad
	switch l.Source {
	case FromInput:
		source = p.input
	case FromState:
		if source = p.state; len(source.terms) == 0 {
			p.recurrent = l.weight
		} else if p.recurrent != l.weight {
			p.recurrent = -1
		}
	case FromSums:
		i := slices.IndexFunc(s.sums, func(g *sourceGrad) bool { return g.at == l.From })
		if i < 0 {
			i = len(s.sums)
			s.sums = append(s.sums, &sourceGrad{at: l.From, matrix: len(p.sources)})
			p.sources = append(p.sources, s.sums[i])
		}
		source = s.sums[i]
	}
	source.terms = append(source.terms, l)
}

// join adds a term to those whose gradients of weights are computed. A term that continues another one makes that one longer.
func (p *plan) join(l link) {
	for i := range p.grads {
		g := &p.grads[i]
		same := g.weight == l.weight && g.bias == l.bias && g.Source == l.Source && g.From == l.From
		if same && g.First+g.Rows == l.First && g.dSum+g.Rows == l.dSum && g.dProduct+g.Rows == l.dProduct {
			g.Rows += l.Rows
			return
		}
	}
	p.grads = append(p.grads, l)
}

// layOut fills in the blocks.
func (g *sourceGrad) layOut() {
	for _, l := range g.terms {
		at, n := l.dProduct, l.Rows
		if last := len(g.blocks) - 1; last >= 0 && g.blocks[last].at+g.blocks[last].n == at {
			g.blocks[last].n += n
		} else {
			g.blocks = append(g.blocks, columns{at, n})
		}
	}
}
