package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// MatMul returns the matrix product a·b: [..., K] times [K,N] is [..., N]. If b has more than two dimensions, a and b are
// batches of matrices with equal leading dimensions, and each matrix of a is multiplied with the matrix of b at the same
// place: [B,M,K] times [B,K,N] is [B,M,N]. MatMul panics with a [*ShapeError] for other shapes; it does not broadcast.
func MatMul(a, b *Node) *Node {
	const where = "autograd.MatMul"
	t := TapeOf(where, a, b)
	batch := len(b.shape) - 2 // dimensions
	if batch < 0 || len(a.shape) < max(1, batch) || batch > 0 && (len(a.shape) != len(b.shape) || !slices.Equal(a.shape[:batch], b.shape[:batch])) ||
		a.shape[len(a.shape)-1] != b.shape[batch] {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("shapes %v and %v", slices.Clone(a.shape), slices.Clone(b.shape)),
			Want: "[..., K] and [K,N], or [..., M,K] and [..., K,N] with the same dimensions before"})
	}
	o := matMulOp{t: t, where: where, a: a, b: b, k: b.shape[batch], n: b.shape[batch+1], rows: 1, batches: tensor.Size(b.shape[:batch])}
	for _, d := range a.shape[batch : len(a.shape)-1] {
		o.rows *= d
	}
	var room [8]int
	o.y = t.New(append(append(room[:0], a.shape[:len(a.shape)-1]...), o.n)...)
	if len(a.data) == 0 || len(b.data) == 0 {
		clear(o.y.data)
		return o.y
	}
	for i := range o.batches {
		kernel.Affine(o.y.data[i*o.rows*o.n:], o.n, o.rows, nil, kernel.Block{Data: a.data[i*o.rows*o.k:], Stride: o.k, Cols: o.k}, kernel.Block{},
			t.packed(b, i, o.k, o.n, false))
	}
	if a.requires || b.requires {
		Record(t, o, o.y)
	}
	return o.y.product(where, a, b)
}

// AddMatMul returns sum + a·b, PyTorch's addmm, with fewer passes over memory than [Add] of [MatMul]: [..., K] times [K,N] is
// [..., N], and sum has the shape of the product, or is a bias [N] that is added to each row. AddMatMul panics with a
// [*ShapeError] for other shapes.
//
// The sums of a recurrent step, x·U + h·W + b, are AddMatMul(AddMatMul(b, x, U), h, W).
func AddMatMul(sum, a, b *Node) *Node {
	const where = "autograd.AddMatMul"
	t := TapeOf(where, sum, a, b)
	last := len(a.shape) - 1
	if last < 0 || len(b.shape) != 2 || a.shape[last] != b.shape[0] || len(sum.shape) == 0 || sum.shape[len(sum.shape)-1] != b.shape[1] ||
		len(sum.shape) > 1 && !slices.Equal(sum.shape[:len(sum.shape)-1], a.shape[:last]) {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("shapes %v, %v and %v", slices.Clone(sum.shape), slices.Clone(a.shape), slices.Clone(b.shape)),
			Want: "[..., N] or [N], [..., K] and [K,N]"})
	}
	if len(a.data) == 0 || len(b.data) == 0 {
		return Add(MatMul(a, b), sum)
	}
	o := matMulOp{t: t, where: where, sum: sum, a: a, b: b, k: b.shape[0], n: b.shape[1], rows: len(a.data) / b.shape[0], batches: 1}
	var room [8]int
	o.y = t.New(append(append(room[:0], a.shape[:last]...), o.n)...)
	matrix, block := t.packed(b, 0, o.k, o.n, false), kernel.Block{Data: a.data, Stride: o.k, Cols: o.k}
	if len(sum.shape) == 1 {
		kernel.Affine(o.y.data, o.n, o.rows, sum.data, block, kernel.Block{}, matrix)
	} else {
		copy(o.y.data, sum.data)
		kernel.Gemm(o.y.data, o.n, o.rows, block, matrix)
	}
	if sum.requires || a.requires || b.requires {
		Record(t, o, o.y)
	}
	return o.y.nonlinear(where, sum).nonlinear(where, a).nonlinear(where, b)
}

type matMulOp struct {
	t                   *Tape
	where               string
	sum, a, b, y        *Node // sum is nil for MatMul
	batches, rows, k, n int
}

func (o matMulOp) String() string { return o.where }

// Backward adds dy·bᵀ to the gradient of a, aᵀ·dy to the gradient of b, and dy to the gradient of sum.
func (o matMulOp) Backward() {
	if o.y.grad == nil {
		return
	}
	switch {
	case o.sum == nil || !o.sum.requires:
	case len(o.sum.shape) == 1:
		kernel.AddColumns(o.sum.AccumulateGrad(), o.y.grad, o.n, o.rows)
	default:
		ds, first := o.sum.ownGrad()
		addGrad(o.t, ds, o.y.grad, nil, nil, first)
	}
	var da, db []float32
	first := false
	if o.a.requires {
		da, first = o.a.ownGrad()
	}
	switch {
	case !o.b.requires:
	case o.b.weight != nil:
		o.addWeightGrad()
	default:
		db = o.b.AccumulateGrad()
	}
	for i := range o.batches {
		dy := kernel.Block{Data: o.y.grad[i*o.rows*o.n:], Stride: o.n, Cols: o.n}
		switch {
		case first:
			kernel.Affine(da[i*o.rows*o.k:], o.k, o.rows, nil, dy, kernel.Block{}, o.t.packed(o.b, i, o.k, o.n, true))
		case da != nil:
			kernel.Gemm(da[i*o.rows*o.k:], o.k, o.rows, dy, o.t.packed(o.b, i, o.k, o.n, true))
		}
		if db != nil {
			kernel.GemmT(db[i*o.k*o.n:], o.n, o.k, o.n, o.rows, o.a.data[i*o.rows*o.k:], o.k, dy.Data, o.n)
		}
	}
}

// products is what a tape keeps for the matrix products of a run.
type products struct {
	matrix     kernel.Matrix // the right-hand side of a product that is not kept
	packs      []*packs      // the others, but for weights
	packsUsed  int           // number of them in use
	transposes []*Node       // of weights
	grads      []*weightGrad // parts of the gradients of weights, on the outermost tape
	gradsUsed  int           // number of them in use
}

// begin begins a run.
func (p *products) begin() {
	p.packsUsed, p.transposes, p.gradsUsed = 0, p.transposes[:0], 0
}

// operand is what a node knows for matrix products whose right-hand side it is.
type operand struct {
	weight  *Param // the weight whose values the node holds if it is a matrix, or nil
	flipped bool   // the node holds the transpose of weight
	packs   *packs // of a node without weight; nil until there is one
}

// packed returns the matrix [k,n] at place i of b, or its transpose, packed as the right-hand side of a product. A weight, or
// the transpose of a weight, is packed once for each version of the weights, any other matrix once in a run. Matrices of
// which b holds several share one place in memory, so each of them is valid until the next call.
func (t *Tape) packed(b *Node, i, k, n int, transposed bool) *kernel.Matrix {
	if len(b.data) > k*n {
		pack(&t.products.matrix, b.data[i*k*n:], k, n, transposed)
		return &t.products.matrix
	}
	which := 0
	if transposed != b.flipped {
		which = 1
	}
	if b.weight != nil {
		return b.weight.packed[which].Get()
	}
	if b.packs == nil {
		if t.products.packsUsed == len(t.products.packs) {
			t.products.packs = append(t.products.packs, &packs{})
		}
		b.packs = t.products.packs[t.products.packsUsed]
		b.packs.done = [2]bool{}
		t.products.packsUsed++
	}
	m := &b.packs.matrix[which]
	if !b.packs.done[which] {
		pack(m, b.data, k, n, transposed)
		b.packs.done[which] = true
	}
	return m
}

// packs holds the packed copies of the matrix of a node, as it is and transposed, which last for the run.
type packs struct {
	matrix [2]kernel.Matrix
	done   [2]bool
}

// pack sets m to the row-major matrix [k,n], or to its transpose.
func pack(m *kernel.Matrix, matrix []float32, k, n int, transposed bool) {
	if transposed {
		m.Reset(n, k)
		m.SetRowsT(0, n, matrix, n)
		return
	}
	m.Reset(k, n)
	m.SetRows(0, k, matrix, n)
}

// addWeightGrad adds aᵀ·dy [k,n] to the gradient of the weight that b holds, or dyᵀ·a [n,k] if b is the transpose of the weight.
func (o matMulOp) addWeightGrad() {
	w, left, right, k, n := o.b.weight, o.a.data, o.y.grad, o.k, o.n
	if o.b.flipped {
		left, right, k, n = right, left, n, k
	}
	if o.rows <= fewRows {
		o.t.outermost().putOff(w, left, right, o.rows, k, n)
	} else {
		kernel.GemmT(o.t.grads.Of(w), n, k, n, o.rows, left, k, right, n)
	}
}

// weightGrad collects the operands of products leftᵀ·right that are to be added to the gradient of a weight [k,n]. A recurrent cell
// multiplies by the same weight at every step; one product over the rows of many steps takes less time than a product for each
// step, which would read and write the whole gradient. The products of Recompute's functions are collected with the others, so that
// they are added in the same order as without Recompute.
type weightGrad struct {
	weight      *Param
	rows        int
	left, right []float32 // [rows,k] and [rows,n]
}

const (
	fewRows  = 16  // a product over more rows is not put off
	manyRows = 128 // the rows of one product, at most
)

// putOff copies left [rows,k] and right [rows,n], whose product addWeightGrads adds to the gradient of w. If there is no room left for
// the rows, the product of those before them is added now.
func (t *Tape) putOff(w *Param, left, right []float32, rows, k, n int) {
	var g *weightGrad
	for _, of := range t.products.grads[:t.products.gradsUsed] {
		if of.weight == w {
			g = of
		}
	}
	if g == nil {
		if t.products.gradsUsed == len(t.products.grads) {
			t.products.grads = append(t.products.grads, &weightGrad{})
		}
		g = t.products.grads[t.products.gradsUsed]
		t.products.gradsUsed++
		g.weight, g.rows = w, 0
	}
	if g.rows+rows > manyRows {
		t.add(g)
	}
	copy(sized(&g.left, manyRows*k)[g.rows*k:], left[:rows*k])
	copy(sized(&g.right, manyRows*n)[g.rows*n:], right[:rows*n])
	g.rows += rows
}

// add adds the product of the rows to the gradient, and forgets them.
func (t *Tape) add(g *weightGrad) {
	k, n := g.weight.Value.Dim(0), g.weight.Value.Dim(1)
	kernel.GemmT(t.grads.Of(g.weight), n, k, n, g.rows, g.left, k, g.right, n)
	g.rows = 0
}

// addWeightGrads adds the products that were put off.
func (t *Tape) addWeightGrads() {
	for _, g := range t.products.grads[:t.products.gradsUsed] {
		t.add(g)
	}
	t.products.gradsUsed = 0
}
