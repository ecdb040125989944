// Package tensor defines [Tensor], an array of float32 with a shape. The inputs, weights and outputs of models are
// tensors. Gradients are the business of package autograd.
//
// A tensor stores its elements in row-major order, so that the last dimension is contiguous: element (t, b, f) of a
// sequence [T,B,F] is Data()[(t*B+b)*F+f]. There are no strides and no views of parts of a tensor.
//
// The package also defines the errors with which the whole library panics on a caller's bug: [ShapeError] for sizes that
// do not fit together, and [UsageError] for everything else.
//
// # With gonum
//
// [Tensor.General] returns a matrix of gonum's float32 BLAS ([blas32.General]) that shares the tensor's memory.
// [FromMatrix] copies from a float64 matrix of gonum, and [Tensor.Dense] copies to one.
package tensor

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"
)

// ShapeError is the error with which the library panics when sizes do not fit together, which is a bug of the caller.
// autograd.Try turns the panic into an error.
type ShapeError struct {
	Where string // the operation or the parameter, such as "rnn.weight_ih_l0"
	Got   string // what was found, such as "input has 27 features"
	Want  string // what was expected, such as "28"
}

func (e *ShapeError) Error() string { return e.Where + ": " + e.Got + ", want " + e.Want }

// UsageError is the error with which the library panics when it is used in a way that its rules forbid, which is a bug of
// the caller: a name given twice, a setting out of range, a node of an earlier run. autograd.Try turns the panic into
// an error.
type UsageError struct {
	Where string // the operation, the type or the parameter
	What  string // what was found, and what to do instead
}

func (e *UsageError) Error() string { return e.Where + ": " + e.What }

// Tensor is a dense array of float32 in row-major order. The zero value is
// empty: shape [0], no data; [Tensor.Resize] gives it a shape.
//
// Any number of goroutines may read a Tensor at the same time, but not while one writes to it.
type Tensor struct {
	shape  []int // nil only in the zero value; a scalar has an empty shape that is not nil
	data   []float32
	weight string // the name of the weight whose value this tensor is, or ""
}

// New returns a tensor of zeros. It panics with a [*ShapeError] if a dimension is negative or if the number of elements
// does not fit an int.
func New(shape ...int) *Tensor {
	n := Size(shape)
	return &Tensor{shape: append([]int{}, shape...), data: kernel.Alloc(n)}
}

// NewWeight is [New] for the value of a weight. Package autograd calls it; users get weights from autograd.Params. The
// tensor knows the name of the weight ([Tensor.Weight]) and keeps its shape: [Tensor.Resize] panics.
//
// Layers keep copies of their weights that are packed for matrix products, and renew the copies only after
// autograd.Params.Update. A function that writes into tensors outside of an update must therefore refuse weights, as
// safetensors.LoadTensors does. A tensor that [Of] makes over the memory of a weight is not recognised as a weight.
func NewWeight(name string, shape ...int) *Tensor {
	t := New(shape...)
	t.weight = name
	return t
}

// Of returns a tensor that uses data as its memory. It panics with a [*ShapeError] if data does not have as many
// elements as shape.
func Of(data []float32, shape ...int) *Tensor {
	if n := Size(shape); len(data) != n {
		panic(&ShapeError{"tensor.Of", fmt.Sprintf("%d values", len(data)),
			fmt.Sprintf("%d for shape %v", n, shape)})
	}
	return &Tensor{shape: append([]int{}, shape...), data: data}
}

// Size returns the number of elements of a shape: the product of its dimensions, which is 1 for a scalar, without
// dimensions. It panics with a [*ShapeError] if a dimension is negative or if the product does not fit an int.
func Size(shape []int) int {
	n, ok := TrySize(shape)
	if !ok {
		// The copy keeps shape from escaping, so that callers' literals stay on the stack.
		panic(&ShapeError{"tensor", fmt.Sprintf("shape %v", slices.Clone(shape)),
			"dimensions of at least 0 whose product fits an int"})
	}
	return n
}

// TrySize is [Size] for shapes that come from data: it returns false for ok if Size would panic.
func TrySize(shape []int) (n int, ok bool) {
	n = 1
	zero := false
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		if d == 0 {
			zero = true
			continue
		}
		high, low := bits.Mul(uint(n), uint(d))
		if high != 0 || low > math.MaxInt {
			return 0, false
		}
		n = int(low)
	}
	if zero {
		return 0, true
	}
	return n, true
}

// Shape returns the dimensions. The slice belongs to the tensor: do not change it.
func (t *Tensor) Shape() []int {
	if t.shape == nil {
		return []int{0}
	}
	return t.shape
}

// Data returns the elements in row-major order. It is the memory of the tensor, not a copy.
func (t *Tensor) Data() []float32 { return t.data }

// Len returns the number of elements.
func (t *Tensor) Len() int { return len(t.data) }

// Dim returns the size of dimension i, counted from 0. It panics if there is no such dimension.
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

// String returns the shape without the values, such as "tensor[28 150 28]".
func (t *Tensor) String() string { return fmt.Sprintf("tensor%v", t.Shape()) }

// General returns a matrix of gonum's float32 BLAS that uses the memory of t. A tensor of two dimensions [rows,columns] is
// that matrix, a tensor of one dimension [rows] a matrix with one column. Other numbers of dimensions panic with a
// [*ShapeError].
func (t *Tensor) General() blas32.General {
	rows, cols := t.matrix("tensor.General")
	return blas32.General{Rows: rows, Cols: cols, Stride: max(1, cols), Data: t.data}
}

// Dense returns a copy of t as a float64 matrix of gonum, with rows and columns as in [Tensor.General]. It panics as
// [mat.NewDense] does if a dimension is 0.
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

// FromMatrix returns a copy of a matrix of gonum, shape [rows,columns], with each element rounded to float32.
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

// matrix returns the numbers of rows and columns of t as a matrix.
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
