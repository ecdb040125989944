package autograd

import (
	"fmt"
	"slices"
)

// How the losses of shards are joined.
//
// A loss is a mean over rows or labels, or a sum of such means, such as the losses of two tasks. A training step cuts a
// batch into shards and computes the loss of each shard. Each mean has a weight: the number of rows or labels in the
// mean, or the sum of their weights. For one mean,
//
//	mean over the batch = (sum over the shards of weight*mean) / (sum over the shards of weight)
//
// In a sum of means each mean has weights of its own, so the sum over the batch does not follow from the sums over the
// shards: each mean has to be joined separately. Therefore a node remembers the means whose sum it is.
//
// An operation is linear in a mean if it multiplies the mean by a number, adds something to it or moves it to another
// place; its output has the weight of the mean. After any other operation, such as a logarithm or the product of two
// means, the value over a batch does not follow from the values over the shards.

// Term is one mean in a loss that is a sum of means.
type Term struct {
	// Value is the value of the mean, with the factors by which the loss multiplies it.
	Value float32
	// Weight is the weight of the mean ([Node.SetWeight]), or NaN if none was set. A mean without a weight is a mean
	// over all rows.
	Weight float32

	origin int32 // which call of SetWeight in the run the weight comes from, counted from 1; 0: no weight was set
}

// Values of Node.origin other than the number of a SetWeight call.
const (
	unweighted = 0  // no weight was set
	sumOfMeans = -1 // a sum of several means, which are in Node.terms
	notLinear  = -2 // computed from a mean by a nonlinear operation, Node.nonlinearOp
)

// SetWeight sets the weight of n, a loss that is the mean over a part of a batch: the number of rows or labels in the
// mean, or the sum of their weights. With it a training step computes the mean over the whole batch from the means over
// its shards.
//
// The linear operations of this package ([Add], [Sub], [Scale], [Sum], [Mean], [Reshape], a product or quotient with a
// node without a weight, and so on) pass the weight of an operand on to their output. An operation of your own that
// takes a loss has to set the weight of its output.
func (n *Node) SetWeight(w float32) {
	n.check()
	t := n.tape
	t.weights = append(t.weights, w)
	n.origin = int32(len(t.weights))
}

// Weight returns the weight of the node ([Node.SetWeight]). ok is false if the node has no weight or is a sum of means
// with different weights.
func (n *Node) Weight() (w float32, ok bool) {
	n.check()
	w = nan
	var room [8]Term
	for _, term := range n.appendTerms(room[:0]) {
		switch {
		case term.origin == unweighted || term.Weight == w:
		case w == w:
			return nan, false
		default:
			w = term.Weight
		}
	}
	return w, w == w
}

// Terms appends to terms the means whose sum the loss n is, in the order in which their weights were set. The part of
// the loss without a weight, such as a penalty, comes first. A loss without any weight is one such term.
//
// Terms returns an error that names the operation if a nonlinear operation computed n from a mean, because the loss of
// a batch does not follow from the losses of its shards then. It panics with a [*ShapeError] if n does not have exactly
// one value.
func (n *Node) Terms(terms []Term) ([]Term, error) {
	n.check()
	n.single("autograd.Node.Terms")
	if n.origin == notLinear {
		return terms, fmt.Errorf("autograd: the loss was computed by %s from a mean over what counts; the mean over a batch does not follow from its shards. "+
			"Set the weight of the result (Node.SetWeight), or run the batch as one shard", n.nonlinearOp)
	}
	return n.appendTerms(terms), nil
}

// appendTerms appends the means of n to terms; it appends nothing if n was computed by a nonlinear operation.
func (n *Node) appendTerms(terms []Term) []Term {
	switch n.origin {
	case notLinear:
		return terms
	case sumOfMeans:
		return append(terms, n.terms...)
	}
	term := Term{Weight: nan, origin: n.origin}
	if len(n.data) == 1 {
		term.Value = n.data[0]
	}
	if n.origin > unweighted {
		term.Weight = n.tape.weights[n.origin-1]
	}
	return append(terms, term)
}

// SameTerms reports whether two losses, computed by two runs of one model, are sums of the same means: whether their
// terms got their weights from the same calls of SetWeight, counted within the run.
func SameTerms(a, b []Term) bool {
	return slices.EqualFunc(a, b, func(a, b Term) bool { return a.origin == b.origin })
}

// scaled passes the means of x on to its output n = s*x, and returns n.
func (n *Node) scaled(x *Node, s float32) *Node {
	if n.origin, n.nonlinearOp = x.origin, x.nonlinearOp; x.origin == sumOfMeans {
		n.terms = n.tape.takeTerms(x.terms...)
		for i := range n.terms {
			n.terms[i].Value *= s
		}
	}
	return n
}

// moved passes the means of x on to n, the output of an operation that is linear in x, such as a sum over elements or a
// reshape, and returns n. where names the operation.
func (n *Node) moved(where string, x *Node) *Node {
	if x.origin == sumOfMeans && len(n.data) != 1 {
		return n.nonlinear(where, x)
	}
	return n.scaled(x, 1)
}

// nonlinear notes that n is the output of an operation that is not linear in x, and returns n.
func (n *Node) nonlinear(where string, x *Node) *Node {
	if x.origin != unweighted {
		n.origin, n.nonlinearOp = notLinear, where
	}
	return n
}

// product passes the means of a or b on to n, the output of an operation that is linear in each of them, and returns n.
// If both operands have means, the operation is not linear in them. If one operand is a sum of means, each mean is
// multiplied by the other operand, which must be one value without a gradient; otherwise n counts as nonlinear.
func (n *Node) product(where string, a, b *Node) *Node {
	switch {
	case a.origin != unweighted && b.origin != unweighted:
		return n.nonlinear(where, a)
	case a.origin == unweighted:
		a, b = b, a
	}
	if a.origin != sumOfMeans {
		return n.scaled(a, 1)
	}
	if len(b.data) != 1 || b.requires {
		return n.nonlinear(where, a)
	}
	return n.scaled(a, b.data[0])
}

// quotient passes the means of a on to n = a/b, and returns n. If b has means, or if a is a sum of means and b is not
// one value without a gradient, n counts as nonlinear.
func (n *Node) quotient(where string, a, b *Node) *Node {
	switch {
	case b.origin != unweighted:
		return n.nonlinear(where, b)
	case a.origin != sumOfMeans:
		return n.scaled(a, 1)
	case len(b.data) != 1 || b.requires:
		return n.nonlinear(where, a)
	}
	return n.scaled(a, 1/b.data[0])
}

// added passes the means of both operands on to n = a + sign*b. A mean that both operands contain becomes one term.
func (n *Node) added(where string, a, b *Node, sign float32) {
	switch {
	case a.origin == b.origin && a.origin >= unweighted:
		n.origin = a.origin
	case a.origin == notLinear || b.origin == notLinear || len(a.data) != 1 || len(b.data) != 1:
		n.nonlinear(where, a)
		n.nonlinear(where, b)
		for _, x := range [2]*Node{a, b} {
			if x.origin == notLinear {
				n.nonlinearOp = x.nonlinearOp
			}
		}
	default:
		n.origin = sumOfMeans
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

// counts reports whether n has a mean whose weight is not 0. It also returns true if n has no mean with a weight or was
// computed by a nonlinear operation.
func (n *Node) counts() bool {
	var room [8]Term
	weighted := false
	for _, term := range n.appendTerms(room[:0]) {
		if set := term.Weight == term.Weight; set && term.Weight != 0 {
			return true
		} else if set {
			weighted = true
		}
	}
	return !weighted
}

// scaleTerms stores the factors of [Node.BackwardScaled] for the Backward of each addition of means, and returns the
// gradient of n with which the backward pass begins.
func (n *Node) scaleTerms(scale float32, factors []float32) float32 {
	t := n.tape
	lo := len(t.terms)
	t.terms = n.appendTerms(t.terms)
	t.loss = t.terms[lo:]
	if len(factors) != len(t.loss) {
		panic(&UsageError{Where: "autograd.Node.BackwardScaled", What: fmt.Sprintf("%d factors for a loss of %d means", len(factors), len(t.loss))})
	}
	if t.scales = factors; n.origin != sumOfMeans {
		return scale * factors[0]
	}
	return scale
}

// takeTerms returns a copy of terms in memory that is valid until the run ends.
func (t *Tape) takeTerms(terms ...Term) []Term {
	lo := len(t.terms)
	t.terms = append(t.terms, terms...)
	return t.terms[lo:len(t.terms):len(t.terms)]
}

// scaleOf returns the factor by which [Node.BackwardScaled] multiplies the gradient of x, an operand of an addition of
// means. If x is itself such an addition, the factor is 1, because its own operands get their factors.
func (t *Tape) scaleOf(x *Node) float32 {
	for i, term := range t.loss {
		if term.origin == x.origin {
			return t.scales[i]
		}
	}
	return 1
}

// JoinMeans returns the mean over all that counts in several means, such as the losses of the windows of a long sequence
// ([Recompute]). With the weights w of the means ([Node.SetWeight]) it is
//
//	sum over i of w[i]*means[i] / sum over i of w[i]
//
// and has the sum of the weights as its weight. A mean of weight 0 is left out; if all are, the result is 0. If none of the means
// has a weight, all count alike, and the result has no weight.
//
// A mean may itself be a sum of means, if all of them have the same weight. Losses with different weights, such as the losses of two
// tasks, are joined one by one and then added. JoinMeans panics with a [*ShapeError] if a mean does not have exactly one value, and with a
// [*UsageError] if there are no means, if one has no single weight although others have a weight, or if it is computed from a mean by a
// nonlinear operation.
func JoinMeans(means ...*Node) *Node {
	const where = "autograd.JoinMeans"
	t := TapeOf(where, means...)
	o := joinOp{t.list(len(means), 0), t.Scratch(len(means)), t.New(1)}
	copy(o.means, means)
	total, unset := 0.0, 0
	for i, m := range means {
		if m == nil {
			panic(&UsageError{Where: where, What: fmt.Sprintf("mean %d is nil", i)})
		}
		m.single(where)
		w, ok := m.Weight()
		switch {
		case !ok && m.origin != unweighted:
			panic(&UsageError{Where: where, What: fmt.Sprintf("mean %d is a sum of means with different weights, or computed from a mean by a nonlinear operation", i)})
		case !ok:
			w = 1
			unset++
		}
		o.factors[i] = w
		total += float64(w)
	}
	if unset > 0 && unset < len(means) {
		panic(&UsageError{Where: where, What: fmt.Sprintf("%d of %d means have no weight", unset, len(means))})
	}
	sum, requires := 0.0, false
	for i, m := range means {
		if o.factors[i] != 0 {
			part := float64(o.factors[i]) / total
			sum += part * float64(m.data[0])
			o.factors[i], requires = float32(part), requires || m.requires
		}
	}
	if o.y.data[0] = float32(sum); unset == 0 {
		o.y.SetWeight(float32(total))
	}
	if requires {
		Record(t, o, o.y)
	}
	return o.y
}

type joinOp struct {
	means   []*Node
	factors []float32 // the part of each mean in y
	y       *Node
}

func (o joinOp) String() string { return "autograd.JoinMeans" }

func (o joinOp) Backward() {
	if o.y.grad == nil {
		return
	}
	for i, m := range o.means {
		if m.requires && o.factors[i] != 0 {
			m.AccumulateGrad()[0] += o.factors[i] * o.y.grad[0]
		}
	}
}
