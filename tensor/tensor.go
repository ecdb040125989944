// Package tensor holds plain numbers with a shape: what goes into a model, what
// its weights are, and what comes out. It knows nothing of gradients (that is
// package autograd).
//
// A [Tensor] is a shape and a []float32 in row-major order: the last dimension is
// contiguous, and element (t, b, f) of a [T,B,F] sequence is Data()[(t*B+b)*F+f].
// There are no strides and no views of a part: a tensor is what its slice is.
//
// # With gonum
//
// [Tensor.General] shares memory with gonum's float32 BLAS ([blas32.General]).
// [FromMatrix] and [Tensor.Dense] copy from and to gonum's float64 matrices.
package tensor

import (
	"fmt"
	"math"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"
)

// ShapeError is what the library panics with when sizes do not fit together: the
// caller's bug, told by what was met and what was wanted there. autograd.Try
// turns the panic into an error.
type ShapeError struct {
	Where string // the operation or the parameter, such as "rnn.weight_ih_l0"
	Got   string // what was found, such as "input has 27 features"
	Want  string // what was expected, such as "28"
}

func (e *ShapeError) Error() string { return e.Where + ": " + e.Got + ", want " + e.Want }

// UsageError is what the library panics with when it is used in a way that its rules forbid: a
// name given twice, a setting out of range, a node of an earlier run. autograd.Try turns the
// panic into an error.
type UsageError struct {
	Where string // the operation, the type or the parameter
	What  string // what was found, and what to do instead
}

func (e *UsageError) Error() string { return e.Where + ": " + e.What }

// Tensor is a dense array of float32 in row-major order. The zero value is
// empty: shape [0], no data; [Tensor.Resize] gives it a shape.
//
// A Tensor may be read by many goroutines, and written by one that nobody reads.
type Tensor struct {
	shape  []int // nil only in the zero value; a scalar has an empty shape that is not nil
	data   []float32
	weight string // the name of the weight whose value this tensor is, or ""
}

// New returns a tensor of zeros. It panics with a [*ShapeError] if a dimension
// is negative or the number of elements is more than an int can hold.
func New(shape ...int) *Tensor {
	n := Size(shape)
	return &Tensor{shape: append([]int{}, shape...), data: kernel.Alloc(n)}
}

// NewWeight is [New] for the value of a weight, which package autograd makes. The tensor knows the
// weight's name ([Tensor.Weight]) and keeps its shape: [Tensor.Resize] panics.
//
// Layers keep copies of their weights that are packed for matrix products, and renew them after
// autograd.Params.Update alone. A function that writes into tensors outside of an update must therefore
// refuse a weight, as safetensors.LoadTensors does. A tensor that [Of] makes over a weight's memory is
// not recognised.
func NewWeight(name string, shape ...int) *Tensor {
	t := New(shape...)
	t.weight = name
	return t
}

// Of returns a tensor over data, which it borrows: both see the same memory. It
// panics with a [*ShapeError] if data does not have as many elements as shape.
func Of(data []float32, shape ...int) *Tensor {
	if n := Size(shape); len(data) != n {
		panic(&ShapeError{"tensor.Of", fmt.Sprintf("%d values", len(data)),
			fmt.Sprintf("%d for shape %v", n, shape)})
	}
	return &Tensor{shape: append([]int{}, shape...), data: data}
}

// Size returns the number of elements of a shape; that of no dimensions is 1. It
// panics with a [*ShapeError] if a dimension is negative or the product overflows.
func Size(shape []int) int {
	n, ok := TrySize(shape)
	if !ok {
		// The copy keeps shape from escaping, so that callers' literals stay on the stack.
		panic(&ShapeError{"tensor", fmt.Sprintf("shape %v", slices.Clone(shape)),
			"dimensions of at least 0 whose product fits an int"})
	}
	return n
}

// TrySize is [Size] for shapes that come from data: ok is false where Size panics.
func TrySize(shape []int) (n int, ok bool) {
	n = 1
	zero := false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, false
		case d == 0:
			zero = true
		case n > math.MaxInt/d:
			return 0, false
		default:
			n *= d
		}
	}
	if zero {
		return 0, true
	}
	return n, true
}

// Shape returns the dimensions. It is the tensor's own slice: do not change it.
func (t *Tensor) Shape() []int {
	if t.shape == nil {
		return []int{0}
	}
	return t.shape
}

// Data returns the elements in row-major order: the tensor's memory, not a copy.
func (t *Tensor) Data() []float32 { return t.data }

// Len returns the number of elements.
func (t *Tensor) Len() int { return len(t.data) }

// Dim returns the size of dimension i, counted from 0.
func (t *Tensor) Dim(i int) int { return t.Shape()[i] }

// Weight returns the full name of the weight whose value t is, such as "rnn.weight_ih_l0", or "" if t is
// not the value of a weight.
func (t *Tensor) Weight() string { return t.weight }

// Resize gives t a new shape and memory for it, and reuses its present memory if that is large
// enough. The values afterwards are undefined. It panics as [New] does, and with a [*UsageError] if t is
// the value of a weight.
func (t *Tensor) Resize(shape ...int) {
	if t.weight != "" {
		panic(&UsageError{t.weight, "resized; a weight keeps its shape"})
	}
	n := Size(shape)
	if cap(t.data) < n || t.data == nil {
		t.data = kernel.Alloc(n)
	}
	t.data = t.data[:n]
	if t.shape == nil {
		t.shape = make([]int, 0, len(shape))
	}
	t.shape = append(t.shape[:0], shape...)
}

// Clone returns a copy with memory of its own. The copy of a weight is not itself a weight.
func (t *Tensor) Clone() *Tensor {
	c := New(t.Shape()...)
	copy(c.data, t.data)
	return c
}

// Zero sets every element to 0.
func (t *Tensor) Zero() { clear(t.data) }

// String tells the shape, not the values: "tensor[28 150 28]".
func (t *Tensor) String() string { return fmt.Sprintf("tensor%v", t.Shape()) }

// General returns a matrix of gonum's float32 BLAS over t's memory: t's rows and
// columns if it has two dimensions, one column if it has one. It panics with a
// [*ShapeError] for other numbers of dimensions.
func (t *Tensor) General() blas32.General {
	rows, cols := t.matrix("tensor.General")
	return blas32.General{Rows: rows, Cols: cols, Stride: max(1, cols), Data: t.data}
}

// Dense returns a copy of t as gonum's float64 matrix, under the rules of
// [Tensor.General]. A dimension of 0 panics as [mat.NewDense] does.
func (t *Tensor) Dense() *mat.Dense {
	rows, cols := t.matrix("tensor.Dense")
	d := mat.NewDense(rows, cols, nil)
	for i := range rows {
		for j := range cols {
			d.Set(i, j, float64(t.data[i*cols+j]))
		}
	}
	return d
}

// FromMatrix returns a copy of a gonum matrix, each element rounded to float32.
func FromMatrix(m mat.Matrix) *Tensor {
	rows, cols := m.Dims()
	t := New(rows, cols)
	for i := range rows {
		for j := range cols {
			t.data[i*cols+j] = float32(m.At(i, j))
		}
	}
	return t
}

func (t *Tensor) matrix(where string) (rows, cols int) {
	switch s := t.Shape(); len(s) {
	case 1:
		return s[0], 1
	case 2:
		return s[0], s[1]
	default:
		panic(&ShapeError{where, fmt.Sprintf("shape %v", s), "one or two dimensions"})
	}
}
