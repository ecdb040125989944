package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
)

// broadcastOp is a binaryOp of two shapes that broadcast against each other by NumPy's rules. dims says how to walk
// through a, b and y. It holds a triple (n, stepA, stepB) for each dimension of y, from the first to the last: n is the
// size of the dimension, and one step along it moves the index in a by stepA and the index in b by stepB. A step of 0
// repeats the operand. Neighbouring dimensions that repeat the same operands are merged, so the last triple is the
// longest contiguous stretch, in which stepA and stepB are 0 or 1.
type broadcastOp struct {
	binaryOp
	dims []int
}

// broadcast computes and records o for two shapes that differ.
func broadcast(o binaryOp, forward func(y, a, b []float32)) *Node {
	y, dims := broadcastShape(o.where, o.t, o.a, o.b)
	o.y = y
	b := broadcastOp{o, dims}
	b.each(func(i, j, k, n, stepA, stepB int) {
		forward(y.data[k:k+n], o.t.stretch(o.a.data, i, n, stepA), o.t.stretch(o.b.data, j, n, stepB))
	})
	if o.a.requires || o.b.requires {
		Record(o.t, b, y)
	}
	return y
}

// each calls f for each stretch of n elements with the indices i, j and k at which the stretch begins in a, b and y,
// and with the steps of a and b within the stretch. Scratch memory that f takes is given back after f returns.
func (o broadcastOp) each(f func(i, j, k, n, stepA, stepB int)) {
	last := o.dims[len(o.dims)-3:]
	walk(o.dims, 0, 0, 0, func(i, j, k int) {
		taken := o.t.taken
		f(i, j, k, last[0], last[1], last[2])
		o.t.taken = taken
	})
}

// Backward sums the gradients of a and b over the dimensions along which they were repeated.
func (o broadcastOp) Backward() {
	if o.y.grad == nil {
		return
	}
	var da, db []float32
	if o.b.requires {
		db = o.b.AccumulateGrad()
	}
	if o.a.requires {
		da = o.a.AccumulateGrad()
	}
	o.each(func(i, j, k, n, stepA, stepB int) {
		partA, partB := o.t.stretchGrad(da, i, n, stepA), o.t.stretchGrad(db, j, n, stepB)
		dy, a, b := o.y.grad[k:k+n], o.t.stretch(o.a.data, i, n, stepA), o.t.stretch(o.b.data, j, n, stepB)
		if da != nil {
			o.gradA(o.t, partA, dy, a, b, false)
			if stepA == 0 {
				da[i] += float32(kernel.Sum(partA))
			}
		}
		if db != nil {
			o.gradB(o.t, partB, dy, a, b, false)
			if stepB == 0 {
				db[j] += float32(kernel.Sum(partB))
			}
		}
	})
}

// broadcastShape returns a node for the output of a and b, and the dims of a [broadcastOp].
func broadcastShape(where string, t *Tape, a, b *Node) (*Node, []int) {
	rank := max(len(a.shape), len(b.shape))
	dims := t.ScratchInts(3 * max(rank, 1))[:0]
	var room [8]int
	shape := room[:0]
	for i := range rank {
		m, n := dimension(a, rank, i), dimension(b, rank, i)
		size := m
		if m == 1 {
			size = n
		} else if n != m && n != 1 {
			panic(&ShapeError{Where: where, Got: fmt.Sprintf("shapes %v and %v", slices.Clone(a.shape), slices.Clone(b.shape)),
				Want: "dimensions that are equal or 1, counted from the last"})
		}
		shape = append(shape, size)
		moves, last := [2]int{1, 1}, len(dims)-3 // the steps, while the sizes of inner dimensions are not known
		if m != size {
			moves[0] = 0
		}
		if n != size {
			moves[1] = 0
		}
		switch {
		case size == 1:
		case last >= 0 && dims[last+1] == moves[0] && dims[last+2] == moves[1]:
			dims[last] *= size
		default:
			dims = append(dims, size, moves[0], moves[1])
		}
	}
	if len(dims) == 0 {
		dims = append(dims, 1, 1, 1)
	}
	sizeA, sizeB := 1, 1 // of the inner dimensions
	for i := len(dims) - 3; i >= 0; i -= 3 {
		if dims[i+1] != 0 {
			dims[i+1], sizeA = sizeA, sizeA*dims[i]
		}
		if dims[i+2] != 0 {
			dims[i+2], sizeB = sizeB, sizeB*dims[i]
		}
	}
	return t.New(shape...), dims
}

// dimension returns dimension i of x's shape after the shape is extended by leading ones to rank dimensions.
func dimension(x *Node, rank, i int) int {
	if i -= rank - len(x.shape); i >= 0 {
		return x.shape[i]
	}
	return 1
}

// walk calls f, in order, for each contiguous stretch of the output, with the indices at which the stretch begins in a,
// b and the output. i, j and k are the indices of the first stretch. walk returns the index in the output after the
// last stretch.
func walk(dims []int, i, j, k int, f func(i, j, k int)) int {
	if len(dims) == 3 {
		if dims[0] > 0 {
			f(i, j, k)
		}
		return k + dims[0]
	}
	for range dims[0] {
		k = walk(dims[3:], i, j, k, f)
		i, j = i+dims[1], j+dims[2]
	}
	return k
}

// stretch returns n values of an operand from index i on. For step 1 they are the operand's own memory; for step 0 they
// are n copies of the value at i, in scratch memory.
func (t *Tape) stretch(v []float32, i, n, step int) []float32 {
	if step != 0 {
		return v[i : i+n]
	}
	s := t.Scratch(n)
	for k := range s {
		s[k] = v[i]
	}
	return s
}

// stretchGrad returns memory for the gradient of the values that stretch returns. For step 1 it is part of grad, the
// gradient of the operand; for step 0 it is zeros in scratch memory. If grad is nil, stretchGrad returns nil.
func (t *Tape) stretchGrad(grad []float32, i, n, step int) []float32 {
	if grad == nil {
		return nil
	}
	if step != 0 {
		return grad[i : i+n]
	}
	s := t.Scratch(n)
	clear(s)
	return s
}
