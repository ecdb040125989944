package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// Reshape returns the elements of x, in their order, under another shape. It shares x's memory. Reshape panics with a
// [*ShapeError] if the shape has another number of elements.
func Reshape(x *Node, shape ...int) *Node {
	t := TapeOf("autograd.Reshape", x)
	if n := tensor.Size(shape); n != len(x.data) {
		panic(&ShapeError{Where: "autograd.Reshape", Got: fmt.Sprintf("shape %v", slices.Clone(shape)),
			Want: fmt.Sprintf("%d elements as in shape %v", len(x.data), slices.Clone(x.shape))})
	}
	return part("autograd.Reshape", x, t.View(x.data, shape...), extent{1, len(x.data), 1}, 0, len(x.data))
}

// Slice returns the elements of x with places from, inclusive, to to, exclusive, along dimension dim: PyTorch's narrow. Along
// the first dimension it is a view of x's memory, along others a copy. Slice panics with a [*ShapeError] if x has no such
// dimension or places.
func Slice(x *Node, dim, from, to int) *Node {
	const where = "autograd.Slice"
	t := TapeOf(where, x)
	e := along(where, x, dim)
	if from < 0 || from > to || to > e.n {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("%d to %d along dimension %d of shape %v", from, to, dim, slices.Clone(x.shape)),
			Want: fmt.Sprintf("a part of 0 to %d", e.n)})
	}
	var room [8]int
	shape := append(room[:0], x.shape...)
	shape[dim] = to - from
	if e.outer == 1 {
		return part(where, x, t.View(x.data[from*e.inner:to*e.inner], shape...), e, from, to)
	}
	y := t.New(shape...)
	size := (to - from) * e.inner
	kernel.CopyRows(y.data, size, e.from(x.data, from), e.n*e.inner, e.outer, size)
	return part(where, x, y, e, from, to)
}

// from returns the slab from place i of the dimension on.
func (e extent) from(slab []float32, i int) []float32 { return slab[min(i*e.inner, len(slab)):] }

// part records that y is the elements [from, to) of x along e.
func part(where string, x, y *Node, e extent, from, to int) *Node {
	if x.requires {
		Record(y.tape, partOp{where, x, y, e, from, to}, y)
	}
	return y.moved(where, x)
}

type partOp struct {
	where    string
	x, y     *Node
	e        extent
	from, to int
}

func (o partOp) String() string { return o.where }

func (o partOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx, first := o.x.ownGrad()
	if first && len(o.y.grad) < len(dx) {
		clear(dx)
	}
	size := (o.to - o.from) * o.e.inner
	rowsGrad(o.e.from(dx, o.from), o.e.n*o.e.inner, o.y.grad, size, o.e.outer, size, first)
}

// rowsGrad copies the rows of dy to rows of d if first is true, and adds them otherwise.
func rowsGrad(d []float32, stride int, dy []float32, dyStride, rows, cols int, first bool) {
	if first {
		kernel.CopyRows(d, stride, dy, dyStride, rows, cols)
	} else {
		kernel.AddRows(d, stride, dy, dyStride, rows, cols)
	}
}

// Concat joins the xs along dimension dim, in their order. It panics with a [*ShapeError] if their other dimensions differ,
// and with a [*UsageError] if there are no xs.
func Concat(dim int, xs ...*Node) *Node {
	const where = "autograd.Concat"
	if len(xs) == 0 {
		panic(&UsageError{Where: where, What: "nothing to join"})
	}
	t := TapeOf(where, xs[0])
	TapeOf(where, xs...)
	operands := t.list(len(xs), 0)
	copy(operands, xs)
	first, total := along(where, xs[0], dim), 0
	requires := false
	for i, x := range xs {
		if x == nil || len(x.shape) != len(xs[0].shape) || !slices.Equal(x.shape[:dim], xs[0].shape[:dim]) || !slices.Equal(x.shape[dim+1:], xs[0].shape[dim+1:]) {
			panic(&ShapeError{Where: where, Got: fmt.Sprintf("operand %d of %s", i, shapeOf(x)),
				Want: fmt.Sprintf("%v as the first but for dimension %d", slices.Clone(xs[0].shape), dim)})
		}
		total += x.shape[dim]
		requires = requires || x.requires
	}
	var room [8]int
	shape := append(room[:0], xs[0].shape...)
	shape[dim] = total
	o := concatOp{operands, t.New(shape...), dim, extent{first.outer, total, first.inner}}
	o.each(func(x *Node, n, at int) {
		kernel.CopyRows(o.e.from(o.y.data, at), total*o.e.inner, x.data, n*o.e.inner, o.e.outer, n*o.e.inner)
	})
	if requires {
		Record(t, o, o.y)
	}
	o.y.origin = xs[0].origin
	for _, x := range xs {
		if x.origin != xs[0].origin || x.origin < unweighted {
			o.y.nonlinear(where, x)
			o.y.nonlinear(where, xs[0])
		}
	}
	return o.y
}

func shapeOf(x *Node) string {
	if x == nil {
		return "nil"
	}
	return fmt.Sprintf("shape %v", slices.Clone(x.shape))
}

type concatOp struct {
	xs  []*Node
	y   *Node
	dim int
	e   extent
}

func (o concatOp) String() string { return "autograd.Concat" }

// each calls f for each operand, with its size along the dimension and its first place in y.
func (o concatOp) each(f func(x *Node, n, at int)) {
	at := 0
	for _, x := range o.xs {
		f(x, x.shape[o.dim], at)
		at += x.shape[o.dim]
	}
}

func (o concatOp) Backward() {
	if o.y.grad == nil {
		return
	}
	o.each(func(x *Node, n, at int) {
		if !x.requires {
			return
		}
		dx, first := x.ownGrad()
		rowsGrad(dx, n*o.e.inner, o.e.from(o.y.grad, at), o.e.n*o.e.inner, o.e.outer, n*o.e.inner, first)
	})
}

// Gather returns the rows of x, which are its parts along the first dimension, with the given indices: PyTorch's
// index_select, the operation of an embedding. rows is borrowed until Backward has run. An index outside x is an error of
// the run ([Tape.Fail]) and gives zeros. Gather panics with a [*ShapeError] if x has no dimension.
func Gather(x *Node, rows []int32) *Node {
	const where = "autograd.Gather"
	t := TapeOf(where, x)
	e := along(where, x, 0)
	var room [8]int
	y := t.New(append(append(room[:0], len(rows)), x.shape[1:]...)...)
	for i, r := range rows {
		to := y.data[i*e.inner:][:e.inner]
		if r < 0 || int(r) >= e.n {
			t.Fail(&DataError{Text: fmt.Sprintf("%s: index %d, want 0 to %d", where, r, e.n-1), Row: i, Rows: len(rows)})
			clear(to)
			continue
		}
		copy(to, x.data[int(r)*e.inner:])
	}
	if x.requires {
		Record(t, gatherOp{x, y, rows, e.inner}, y)
	}
	return y.moved(where, x)
}

type gatherOp struct {
	x, y *Node
	rows []int32
	n    int
}

func (o gatherOp) String() string { return "autograd.Gather" }

func (o gatherOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx := o.x.AccumulateGrad()
	for i, r := range o.rows {
		kernel.Add(dx[int(r)*o.n:][:o.n], o.y.grad[i*o.n:][:o.n])
	}
}

// Transpose returns a copy of x with dimensions i and j exchanged: [M,N] becomes [N,M]. The transpose of a weight is computed
// once for each version of the weights, so a model may ask for it in every run and at every step. As b of [MatMul] it adds to the
// gradient of the weight itself, and has none of its own. Transpose panics with a [*ShapeError] if there is no such dimension.
func Transpose(x *Node, i, j int) *Node {
	const where = "autograd.Transpose"
	t := TapeOf(where, x)
	i, j = min(i, j), max(i, j)
	first, second := along(where, x, i), along(where, x, j)
	if i == j {
		return x
	}
	if x.weight != nil {
		return t.transposeWeight(where, x)
	}
	var room [8]int
	shape := append(room[:0], x.shape...)
	shape[i], shape[j] = shape[j], shape[i]
	o := transposeOp{x, t.New(shape...), [5]int{first.outer, first.n, tensor.Size(x.shape[i+1 : j]), second.n, second.inner}}
	if rows, cols, ok := o.matrices(); ok {
		for lo := 0; lo < len(x.data); lo += rows * cols {
			kernel.Transpose(o.y.data[lo:], x.data[lo:], rows, cols, false)
		}
	} else {
		o.each(func(from, to, n int) { copy(o.y.data[to:to+n], x.data[from:from+n]) })
	}
	if x.requires {
		Record(t, o, o.y)
	}
	return o.y.moved(where, x)
}

// transposeWeight is Transpose of a node that holds a weight [M,N] or its transpose. All calls of a run for one weight return the
// same node.
func (t *Tape) transposeWeight(where string, x *Node) *Node {
	for _, y := range t.products.transposes {
		if y.weight == x.weight && y.flipped != x.flipped {
			return y
		}
	}
	data := x.weight.Value.Data()
	if !x.flipped {
		data = *x.weight.transposed.Get()
	}
	y := t.View(data, x.shape[1], x.shape[0])
	y.weight, y.flipped = x.weight, !x.flipped
	t.products.transposes = append(t.products.transposes, y)
	if x.requires {
		Record(t, transposeOp{x, y, [5]int{1, x.shape[0], 1, x.shape[1], 1}}, y)
	}
	return y.moved(where, x)
}

type transposeOp struct {
	x, y *Node
	dims [5]int // x's shape, merged to five dimensions of which the second and the fourth are exchanged
}

func (o transposeOp) String() string { return "autograd.Transpose" }

// matrices reports whether x is a series of matrices [rows,cols] whose two dimensions are exchanged.
func (o transposeOp) matrices() (rows, cols int, ok bool) {
	return o.dims[1], o.dims[3], o.dims[2] == 1 && o.dims[4] == 1
}

// each calls f for each contiguous stretch of n elements, with its place in x and in y.
func (o transposeOp) each(f func(from, to, n int)) {
	n, from := o.dims[4], 0
	for a := range o.dims[0] {
		for b := range o.dims[1] {
			for c := range o.dims[2] {
				for d := range o.dims[3] {
					to := (((a*o.dims[3]+d)*o.dims[2]+c)*o.dims[1] + b) * n
					f(from, to, n)
					from += n
				}
			}
		}
	}
}

func (o transposeOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx, first := o.x.ownGrad()
	if rows, cols, ok := o.matrices(); ok {
		for lo := 0; lo < len(dx); lo += rows * cols {
			kernel.Transpose(dx[lo:], o.y.grad[lo:], cols, rows, !first)
		}
		return
	}
	o.each(func(from, to, n int) { addGrad(nil, dx[from:from+n], o.y.grad[to:to+n], nil, nil, first) })
}
