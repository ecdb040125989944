package tensor

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"
)

// panicsWith asserts that f panics with a *ShapeError of that text.
func panicsWith(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		e, ok := recover().(*ShapeError)
		if assert.True(t, ok, "want a panic with a *ShapeError: %s", want) {
			assert.Equal(t, want, e.Error())
		}
	}()
	f()
}

func counted(shape ...int) *Tensor {
	t := New(shape...)
	for i := range t.data {
		t.data[i] = float32(i + 1)
	}
	return t
}

func TestSize(t *testing.T) {
	const big = math.MaxInt
	half := 1 << (strconv.IntSize / 2) // its square is one more than an int can hold, twice over
	for _, c := range []struct {
		shape []int
		n     int
		ok    bool
	}{
		{nil, 1, true},
		{[]int{}, 1, true},
		{[]int{0}, 0, true},
		{[]int{7}, 7, true},
		{[]int{28, 150, 28}, 117600, true},
		{[]int{3, 0, 5}, 0, true},
		{[]int{1, 1, 1, 1, 1, 1}, 1, true},
		{[]int{big}, big, true},
		{[]int{1, big, 1}, big, true},
		{[]int{big / 2, 2}, big - 1, true},
		{[]int{half / 2, half - 1}, half / 2 * (half - 1), true},
		{[]int{-1}, 0, false},
		{[]int{0, -1}, 0, false},
		{[]int{-1, 0}, 0, false},
		{[]int{-2, -3}, 0, false},
		{[]int{math.MinInt}, 0, false},
		{[]int{big, 2}, 0, false},
		{[]int{big/2 + 1, 2}, 0, false},
		{[]int{half / 2, half}, 0, false}, // wraps to the smallest int
		{[]int{half, half}, 0, false},     // wraps to 0
		{[]int{half, half, half}, 0, false},
		{[]int{0, big, 2}, 0, false}, // a 0 excuses no overflow, wherever it stands
		{[]int{big, 2, 0}, 0, false},
		{[]int{0, big}, 0, true},
	} {
		n, ok := TrySize(c.shape)
		assert.Equal(t, c.ok, ok, "%v", c.shape)
		assert.Equal(t, c.n, n, "%v", c.shape)
		if c.ok {
			assert.Equal(t, c.n, Size(c.shape), "%v", c.shape)
			continue
		}
		want := fmt.Sprintf("tensor: shape %v, want dimensions of at least 0 whose product fits an int", c.shape)
		panicsWith(t, want, func() { Size(c.shape) })
		panicsWith(t, want, func() { New(c.shape...) })
		panicsWith(t, want, func() { Of(nil, c.shape...) })
		x := counted(2, 3)
		panicsWith(t, want, func() { x.Resize(c.shape...) })
		assert.Equal(t, counted(2, 3).data, x.data, "a failed Resize changed something")
		assert.Equal(t, []int{2, 3}, x.Shape())
	}
	if strconv.IntSize == 32 {
		panicsWith(t, "tensor: shape [65536 65536], want dimensions of at least 0 whose product fits an int",
			func() { New(1<<16, 1<<16) })
	}
}

func TestNew(t *testing.T) {
	for _, shape := range [][]int{{0}, {1}, {5}, {2, 3}, {28, 3, 28}, {4, 0, 2}} {
		x := New(shape...)
		n := Size(shape)
		assert.Equal(t, shape, x.Shape())
		assert.Equal(t, n, x.Len())
		assert.Equal(t, make([]float32, n), x.Data())
		for i, d := range shape {
			assert.Equal(t, d, x.Dim(i))
		}
	}
}

func TestNewCopiesShape(t *testing.T) {
	shape := []int{2, 3}
	x, y := New(shape...), Of(make([]float32, 6), shape...)
	shape[0] = 99
	assert.Equal(t, []int{2, 3}, x.Shape())
	assert.Equal(t, []int{2, 3}, y.Shape())
}

func TestAlignment(t *testing.T) {
	for n := 1; n < 200; n++ {
		x := New(n)
		assert.Zero(t, uintptr(unsafe.Pointer(&x.data[0]))%64, "%d elements", n)
		c := x.Clone()
		assert.Zero(t, uintptr(unsafe.Pointer(&c.data[0]))%64, "clone of %d elements", n)
	}
}

func TestOf(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	x := Of(data, 2, 3)
	x.Data()[5] = 60
	assert.Equal(t, float32(60), data[5], "Of copied")
	assert.Equal(t, []int{2, 3}, x.Shape())
	assert.Equal(t, 0, Of(nil, 3, 0).Len())

	panicsWith(t, "tensor.Of: 6 values, want 8 for shape [2 4]", func() { Of(data, 2, 4) })
	panicsWith(t, "tensor.Of: 6 values, want 4 for shape [2 2]", func() { Of(data, 2, 2) })
	panicsWith(t, "tensor.Of: 6 values, want 1 for shape []", func() { Of(data) })
}

func TestZeroValue(t *testing.T) {
	var x Tensor
	assert.Equal(t, []int{0}, x.Shape())
	assert.Equal(t, 0, x.Dim(0))
	assert.Zero(t, x.Len())
	assert.Empty(t, x.Data())
	assert.Equal(t, "tensor[0]", x.String())
	x.Zero()
	assert.Equal(t, []int{0}, x.Clone().Shape())

	x.Resize(2, 2)
	x.Zero()
	assert.Equal(t, New(2, 2), &x)
}

// TestScalar tests a shape without dimensions, which has one element, and the zero value, which has none.
func TestScalar(t *testing.T) {
	var resized Tensor
	resized.Resize()
	resized.Zero()
	for name, x := range map[string]*Tensor{"New": New(), "Of": Of([]float32{0}), "Resize": &resized} {
		assert.Empty(t, x.Shape(), name)
		assert.Equal(t, 1, x.Len(), name)
		assert.Equal(t, "tensor[]", x.String(), name)
		x.Data()[0] = 7
		assert.Equal(t, []float32{7}, x.Clone().Data(), name)
	}
}

func TestResize(t *testing.T) {
	x := counted(4, 6)
	first := &x.data[0]
	for _, shape := range [][]int{{3, 2}, {24}, {2, 3, 4}, {0, 9}, {1}, {4, 6}} {
		x.Resize(shape...)
		assert.Equal(t, shape, x.Shape())
		require.Equal(t, Size(shape), x.Len())
		if x.Len() > 0 {
			assert.Same(t, first, &x.data[0], "%v: memory was not reused", shape)
		}
	}
	assert.Equal(t, counted(4, 6).data, x.data)

	x.Resize(100, 100)
	assert.Equal(t, []int{100, 100}, x.Shape())
	assert.Equal(t, 10_000, x.Len())
	assert.NotSame(t, first, &x.data[0])
	assert.Zero(t, uintptr(unsafe.Pointer(&x.data[0]))%64)

	shape := []int{5, 5}
	x.Resize(shape...)
	shape[0] = 99
	assert.Equal(t, []int{5, 5}, x.Shape(), "Resize kept the caller's slice")
}

func TestResizeAllocates(t *testing.T) {
	x := New(28, 150, 28)
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		x.Resize(28, 100, 28)
		x.Resize(28, 150, 28)
		x.Resize(28*150, 28)
		x.Resize(0)
	}))
}

func TestClone(t *testing.T) {
	x := counted(2, 3)
	c := x.Clone()
	assert.Equal(t, x, c)
	c.Data()[0] = 99
	c.Resize(3, 2)
	assert.Equal(t, counted(2, 3), x, "the clone shares memory")
}

func TestZero(t *testing.T) {
	x := counted(3, 3)
	x.Zero()
	assert.Equal(t, New(3, 3), x)
}

func TestString(t *testing.T) {
	assert.Equal(t, "tensor[28 150 28]", New(28, 150, 28).String())
	assert.Equal(t, "tensor[3]", fmt.Sprint(New(3)))
}

func TestGeneral(t *testing.T) {
	for _, c := range []struct {
		shape      []int
		rows, cols int
	}{
		{[]int{2, 3}, 2, 3},
		{[]int{3, 1}, 3, 1},
		{[]int{1, 3}, 1, 3},
		{[]int{4}, 4, 1},
		{[]int{0, 3}, 0, 3},
		{[]int{3, 0}, 3, 0},
		{[]int{0}, 0, 1},
	} {
		x := counted(c.shape...)
		g := x.General()
		assert.Equal(t, []int{c.rows, c.cols}, []int{g.Rows, g.Cols}, "%v", c.shape)
		assert.Equal(t, max(1, c.cols), g.Stride, "%v", c.shape)
		assert.Len(t, g.Data, x.Len())
		if x.Len() > 0 {
			g.Data[x.Len()-1] = -5
			assert.Equal(t, float32(-5), x.data[x.Len()-1], "General copied %v", c.shape)
		}
	}

	// BLAS writes into the memory of the tensor.
	a, b, y := counted(2, 3), counted(3, 2), New(2, 2)
	blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, a.General(), b.General(), 0, y.General())
	assert.Equal(t, []float32{22, 28, 49, 64}, y.Data())

	panicsWith(t, "tensor.General: shape [2 3 4], want one or two dimensions", func() { New(2, 3, 4).General() })
	panicsWith(t, "tensor.General: shape [], want one or two dimensions", func() { New().General() })
}

func TestDense(t *testing.T) {
	x := counted(2, 3)
	d := x.Dense()
	assert.True(t, mat.Equal(mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6}), d))
	d.Set(0, 0, 99)
	assert.Equal(t, counted(2, 3), x, "Dense shares memory")
	rows, cols := New(4).Dense().Dims()
	assert.Equal(t, []int{4, 1}, []int{rows, cols})

	panicsWith(t, "tensor.Dense: shape [1 1 1], want one or two dimensions", func() { New(1, 1, 1).Dense() })
	assert.PanicsWithValue(t, mat.ErrZeroLength, func() { New(0, 3).Dense() })
}

func TestFromMatrix(t *testing.T) {
	d := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	assert.Equal(t, counted(2, 3), FromMatrix(d))
	assert.Equal(t, Of([]float32{1, 4, 2, 5, 3, 6}, 3, 2).Data(), FromMatrix(d.T()).Data(), "a transposed view")
	assert.Equal(t, []float32{2, 3, 5, 6}, FromMatrix(d.Slice(0, 2, 1, 3)).Data(), "a view with a stride")
	assert.Equal(t, []int{3, 1}, FromMatrix(mat.NewVecDense(3, nil)).Shape())
	assert.Equal(t, []int{0, 0}, FromMatrix(&mat.Dense{}).Shape())

	// Each element is rounded once, to the nearest float32. An element too large for a float32 becomes infinite.
	values := []float64{0.1, 1 << 24, 1<<24 + 1, 1e-50, math.MaxFloat64, -math.MaxFloat64, math.NaN(), math.Inf(-1)}
	got := FromMatrix(mat.NewDense(2, 4, values)).Data()
	for i, v := range values {
		assert.Equal(t, math.Float32bits(float32(v)), math.Float32bits(got[i]), "%v", v)
	}

	x := Of([]float32{0.1, -2.5, math.MaxFloat32, math.SmallestNonzeroFloat32, 0, 1}, 2, 3)
	assert.Equal(t, x.Data(), FromMatrix(x.Dense()).Data(), "there and back")
}

func TestWeight(t *testing.T) {
	w := NewWeight("rnn.bias", 2, 3)
	assert.Equal(t, "rnn.bias", w.Weight())
	assert.Equal(t, []int{2, 3}, w.Shape())
	assert.Equal(t, make([]float32, 6), w.Data())
	assert.Empty(t, w.Clone().Weight())
	assert.Equal(t, New(2, 3), w.Clone())
	assert.Empty(t, New(2).Weight())
	for _, shape := range [][]int{{2, 3}, {3}} {
		assert.PanicsWithError(t, "rnn.bias: resized; a weight keeps its shape", func() { w.Resize(shape...) })
	}
	assert.Equal(t, []int{2, 3}, w.Shape())
	panicsWith(t, "tensor: shape [-1], want dimensions of at least 0 whose product fits an int", func() { NewWeight("w", -1) })
}
