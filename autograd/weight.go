package autograd

import (
	"fmt"
	"slices"
)

// How a loss counts.
//
// A loss is a mean over rows or labels, or a sum of such means: two tasks, a penalty beside an error. When a batch is cut
// into shards, the mean over the batch is the sum over the shards of each shard's mean times its weight, divided by the sum
// of the weights. Means that count differently have different weights, so a sum of means cannot be joined from its values
// alone: each mean has to be joined by itself. That is why a node carries the means that it is a sum of.
//
// An operation is linear in a mean if it scales it, adds to it or only moves it: the result carries the same weight. Any
// other operation (a logarithm, a product of two means) makes a node whose value over a batch does not follow from its
// values over the shards.

// Term is one mean of a loss.
type Term struct {
	// Value is the part of the loss's value that the mean gives.
	Value float32
	// Weight is how much the mean counts ([Node.SetWeight]). It is NaN where nothing was set: the mean is then one over all rows.
	Weight float32

	origin int32 // counts the calls of SetWeight of a run, from 1; 0: none set
}

// Values of Node.origin that are not the number of a SetWeight.
const (
	plain = 0  // nothing was set
	sum   = -1 // of several means: Node.terms
	bent  = -2 // of an operation that is not linear: Node.bender
)

// SetWeight says how much a loss counts against the losses of other shards of the batch: the number of rows that it is the
// mean of, or the sum of their weights. The operations of this package that are linear ([Add], [Sub], [Scale], [Sum], [Mean],
// [Reshape], a product with something without a weight, and so on) carry it. An operation of your own that takes a loss sets
// the weight of its output.
func (n *Node) SetWeight(w float32) {
	n.check()
	t := n.tape
	t.weights = append(t.weights, w)
	n.origin = int32(len(t.weights))
}

// Weight returns the weight that the node carries, from [Node.SetWeight]; ok is false if it carries none, or several that differ.
func (n *Node) Weight() (w float32, ok bool) {
	n.check()
	w = nan
	var room [8]Term
	for _, term := range n.appendTerms(room[:0]) {
		switch {
		case term.origin == plain || term.Weight == w:
		case w == w:
			return nan, false
		default:
			w = term.Weight
		}
	}
	return w, w == w
}

// Terms appends to terms the means that a loss of one value is the sum of, in the order in which their weights were set; a
// part of the loss without a weight, such as a penalty, is the first of them. The error names the operation if the loss was
// computed from a mean by an operation that is not linear: the values of shards cannot be joined then.
func (n *Node) Terms(terms []Term) ([]Term, error) {
	n.check()
	n.single("autograd.Node.Terms")
	if n.origin == bent {
		return terms, fmt.Errorf("autograd: the loss was computed by %s from a mean over what counts; the mean over a batch does not follow from its shards. "+
			"Set the weight of the result (Node.SetWeight), or run the batch as one shard", n.bender)
	}
	return n.appendTerms(terms), nil
}

func (n *Node) appendTerms(terms []Term) []Term {
	switch n.origin {
	case bent:
		return terms
	case sum:
		return append(terms, n.terms...)
	}
	term := Term{Weight: nan, origin: n.origin}
	if len(n.data) == 1 {
		term.Value = n.data[0]
	}
	if n.origin > plain {
		term.Weight = n.tape.weights[n.origin-1]
	}
	return append(terms, term)
}

// SameTerms reports whether two losses, of two runs of one model, are sums of the same means.
func SameTerms(a, b []Term) bool {
	return slices.EqualFunc(a, b, func(a, b Term) bool { return a.origin == b.origin })
}

// scaled gives n, s times x, the weights of x.
func (n *Node) scaled(x *Node, s float32) *Node {
	if n.origin, n.bender = x.origin, x.bender; x.origin == sum {
		n.terms = n.tape.takeTerms(x.terms...)
		for i := range n.terms {
			n.terms[i].Value *= s
		}
	}
	return n
}

// moved gives n, which is linear in x, the weights of x.
func (n *Node) moved(where string, x *Node) *Node {
	if x.origin == sum && len(n.data) != 1 {
		return n.nonlinear(where, x)
	}
	return n.scaled(x, 1)
}

// nonlinear notes that n was computed by an operation that is not linear in x.
func (n *Node) nonlinear(where string, x *Node) *Node {
	if x.origin != plain {
		n.origin, n.bender = bent, where
	}
	return n
}

// product gives n, which is linear in a and in b, the weights of the operand that has any. Each mean of a sum is multiplied
// by the other operand, which has to be one value without a gradient.
func (n *Node) product(where string, a, b *Node) *Node {
	switch {
	case a.origin != plain && b.origin != plain:
		return n.nonlinear(where, a)
	case a.origin == plain:
		a, b = b, a
	}
	if a.origin != sum {
		return n.scaled(a, 1)
	}
	if len(b.data) != 1 || b.requires {
		return n.nonlinear(where, a)
	}
	return n.scaled(a, b.data[0])
}

// quotient gives n, which is linear in a, the weights of a.
func (n *Node) quotient(where string, a, b *Node) *Node {
	switch {
	case b.origin != plain:
		return n.nonlinear(where, b)
	case a.origin != sum:
		return n.scaled(a, 1)
	case len(b.data) != 1 || b.requires:
		return n.nonlinear(where, a)
	}
	return n.scaled(a, 1/b.data[0])
}

// added gives n = a + sign*b the weights of both.
func (n *Node) added(where string, a, b *Node, sign float32) {
	switch {
	case a.origin == b.origin && a.origin >= plain:
		n.origin = a.origin
	case a.origin == bent || b.origin == bent || len(a.data) != 1 || len(b.data) != 1:
		n.nonlinear(where, a)
		n.nonlinear(where, b)
		for _, x := range [2]*Node{a, b} {
			if x.origin == bent {
				n.bender = x.bender
			}
		}
	default:
		n.origin = sum
		var room, other [8]Term
		terms := a.appendTerms(room[:0])
		for _, term := range b.appendTerms(other[:0]) {
			term.Value *= sign
			if i := slices.IndexFunc(terms, func(t Term) bool { return t.origin == term.origin }); i >= 0 {
				terms[i].Value += term.Value
			} else {
				terms = append(terms, term)
			}
		}
		slices.SortFunc(terms, func(a, b Term) int { return int(a.origin - b.origin) })
		n.terms = n.tape.takeTerms(terms...)
	}
}

// counts reports whether the mean or one of the means that n is made of counts anything.
func (n *Node) counts() bool {
	var room [8]Term
	for _, term := range n.appendTerms(room[:0]) {
		if term.Weight != 0 {
			return true
		}
	}
	return n.origin == bent
}

// scaleTerms notes the factors of [Node.BackwardScaled] and returns the gradient of n to begin with.
func (n *Node) scaleTerms(scale float32, factors []float32) float32 {
	t := n.tape
	lo := len(t.terms)
	t.terms = n.appendTerms(t.terms)
	t.loss = t.terms[lo:]
	if len(factors) != len(t.loss) {
		panic(&UsageError{Where: "autograd.Node.BackwardScaled", What: fmt.Sprintf("%d factors for a loss of %d means", len(factors), len(t.loss))})
	}
	if t.scales = factors; n.origin != sum {
		return scale * factors[0]
	}
	return scale
}

// takeTerms copies terms into memory that lasts for the run.
func (t *Tape) takeTerms(terms ...Term) []Term {
	lo := len(t.terms)
	t.terms = append(t.terms, terms...)
	return t.terms[lo:len(t.terms):len(t.terms)]
}

// scaleOf returns the factor that [Node.BackwardScaled] was handed for operand x of a sum of means.
func (t *Tape) scaleOf(x *Node) float32 {
	for i, term := range t.loss {
		if term.origin == x.origin {
			return t.scales[i]
		}
	}
	return 1
}
