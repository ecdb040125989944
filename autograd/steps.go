package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/internal/length"
)

// The two operations of this file are the products of attention (layers.Attention). Their operands are time-major, and they
// do not read the padding.

// DotSteps returns the dot product of each query with each valid step of the keys of its row: queries [U,B,N] and keys
// [T,B,N] give [U,B,T], and one query for each row, [B,N], gives [B,T]:
//
//	y[u,b,t] = query[u,b]·keys[t,b] for t < lengths[b], and 0 for the steps after them
//
// lengths is as in [MeanSteps]. DotSteps panics with a [*ShapeError] for other shapes.
func DotSteps(query, keys *Node, lengths []int) *Node {
	const where = "autograd.DotSteps"
	t := TapeOf(where, query, keys)
	q, k := query.shape, keys.shape
	if len(q) != 2 && len(q) != 3 || len(k) != 3 || !slices.Equal(q[len(q)-2:], k[1:]) {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("query of shape %v and keys of shape %v", slices.Clone(q), slices.Clone(k)),
			Want: "[B,N] or [U,B,N], and [T,B,N]"})
	}
	p := stepProductsOf(where, t, query, keys, lengths)
	o := dotStepsOp{p, query, keys, p.output(query, p.steps)}
	p.addDots(o.y.data, query.data, keys.data)
	if query.requires || keys.requires {
		Record(t, o, o.y)
	}
	return o.y.product(where, query, keys)
}

type dotStepsOp struct {
	p              stepProducts
	query, keys, y *Node
}

func (o dotStepsOp) String() string { return "autograd.DotSteps" }

func (o dotStepsOp) Backward() {
	dy := o.y.grad
	if dy == nil {
		return
	}
	if o.query.requires {
		o.p.addSums(o.query.AccumulateGrad(), dy, o.keys.data)
	}
	if o.keys.requires {
		o.p.addOuter(o.keys.AccumulateGrad(), dy, o.query.data)
	}
}

// SumSteps returns weighted sums of the valid steps of the values: weights [U,B,T] and values [T,B,N] give [U,B,N], and
// one weight for each step, [B,T], gives [B,N]:
//
//	y[u,b] = sum over t < lengths[b] of weights[u,b,t] * values[t,b]
//
// A row of length 0 gives zeros. lengths is as in [MeanSteps]. SumSteps panics with a [*ShapeError] for other shapes.
func SumSteps(weights, values *Node, lengths []int) *Node {
	const where = "autograd.SumSteps"
	t := TapeOf(where, weights, values)
	w, v := weights.shape, values.shape
	if len(w) != 2 && len(w) != 3 || len(v) != 3 || w[len(w)-2] != v[1] || w[len(w)-1] != v[0] {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("weights of shape %v and values of shape %v", slices.Clone(w), slices.Clone(v)),
			Want: "[B,T] or [U,B,T], and [T,B,N]"})
	}
	p := stepProductsOf(where, t, weights, values, lengths)
	o := sumStepsOp{p, weights, values, p.output(weights, p.n)}
	p.addSums(o.y.data, weights.data, values.data)
	if weights.requires || values.requires {
		Record(t, o, o.y)
	}
	return o.y.product(where, weights, values)
}

type sumStepsOp struct {
	p                  stepProducts
	weights, values, y *Node
}

func (o sumStepsOp) String() string { return "autograd.SumSteps" }

func (o sumStepsOp) Backward() {
	dy := o.y.grad
	if dy == nil {
		return
	}
	if o.weights.requires {
		o.p.addDots(o.weights.AccumulateGrad(), dy, o.values.data)
	}
	if o.values.requires {
		o.p.addOuter(o.values.AccumulateGrad(), o.weights.data, dy)
	}
}

// stepProducts holds the sizes for three products of which each is the gradient of the other two: addDots, addSums and
// addOuter. In their formulas q is [U,B,N], k is [T,B,N] and w is [U,B,T], and t runs over the valid steps of row b.
type stepProducts struct {
	t                        *Tape
	queries, batch, steps, n int // U, B, T, N
	lengths                  []int
}

// stepProductsOf returns the sizes for queries of shape [B,...] or [U,B,...] and steps of shape [T,B,N].
func stepProductsOf(where string, t *Tape, queries, steps *Node, lengths []int) stepProducts {
	p := stepProducts{t: t, queries: 1, steps: steps.shape[0], batch: steps.shape[1], n: steps.shape[2], lengths: lengths}
	if len(queries.shape) == 3 {
		p.queries = queries.shape[0]
	}
	length.Check(where, lengths, p.batch, p.steps)
	return p
}

// output returns a node of zeros whose shape is the shape of x with another last dimension.
func (p stepProducts) output(x *Node, last int) *Node {
	var room [3]int
	shape := append(room[:0], x.shape...)
	shape[len(shape)-1] = last
	y := p.t.New(shape...)
	clear(y.data)
	return y
}

// addDots computes w[u,b,t] += q[u,b]·k[t,b].
func (p stepProducts) addDots(w, q, k []float32) {
	p.each(func(b, steps int, transposed []float32) {
		p.t.products.matrix.Reset(p.n, p.queries)
		p.t.products.matrix.SetRowsT(0, p.n, q[b*p.n:], p.batch*p.n)
		kernel.Affine(transposed, p.queries, steps, nil, kernel.Block{Data: k[b*p.n:], Stride: p.batch * p.n, Cols: p.n}, kernel.Block{}, &p.t.products.matrix)
		for u := range p.queries {
			row := w[(u*p.batch+b)*p.steps:][:steps]
			for t := range row {
				row[t] += transposed[t*p.queries+u]
			}
		}
	})
}

// addSums computes q[u,b] += sum over t of w[u,b,t]*k[t,b].
func (p stepProducts) addSums(q, w, k []float32) {
	p.each(func(b, steps int, transposed []float32) {
		for u := range p.queries {
			for t, v := range w[(u*p.batch+b)*p.steps:][:steps] {
				transposed[t*p.queries+u] = v
			}
		}
		kernel.GemmT(q[b*p.n:], p.batch*p.n, p.queries, p.n, steps, transposed, p.queries, k[b*p.n:], p.batch*p.n)
	})
}

// addOuter computes k[t,b] += sum over u of w[u,b,t]*q[u,b].
func (p stepProducts) addOuter(k, w, q []float32) {
	p.each(func(b, steps int, _ []float32) {
		kernel.GemmT(k[b*p.n:], p.batch*p.n, steps, p.n, p.queries, w[b*p.steps:], p.batch*p.steps, q[b*p.n:], p.batch*p.n)
	})
}

// each calls f for each row b that has valid steps, with the number of them and with scratch memory for the transpose
// [steps,U] of w[:,b,:steps].
func (p stepProducts) each(f func(b, steps int, transposed []float32)) {
	if p.queries == 0 || p.n == 0 {
		return
	}
	taken := p.t.taken
	transposed := p.t.Scratch(p.steps * p.queries)
	for b := range p.batch {
		steps := p.steps
		if p.lengths != nil {
			steps = p.lengths[b]
		}
		if steps > 0 {
			f(b, steps, transposed)
		}
	}
	p.t.taken = taken
}
