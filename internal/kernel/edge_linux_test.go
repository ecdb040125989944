package kernel

import (
	"math/rand/v2"
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// edges are pieces of memory between pages that must not be touched: what is read before or behind a slice, which no
// comparison of values shows, is a fault there.
type edges struct {
	t      require.TestingT
	pieces [][]byte
	taken  int
	end    bool // hand out the ends of the pieces, or else their beginnings
}

func newEdges(t *testing.T, pieces, size int) *edges {
	e := &edges{t: t}
	page := syscall.Getpagesize()
	size = (size + page - 1) / page * page
	for range pieces {
		all, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		require.NoError(t, err)
		t.Cleanup(func() { syscall.Munmap(all) })
		require.NoError(t, syscall.Mprotect(all[:page], syscall.PROT_NONE))
		require.NoError(t, syscall.Mprotect(all[page+size:], syscall.PROT_NONE))
		e.pieces = append(e.pieces, all[page:][:size])
	}
	return e
}

// slice returns n values that touch an edge, none of which is shared with others of this run.
func (e *edges) slice(n int) []float32 {
	piece := e.pieces[e.taken]
	e.taken++
	if e.end {
		piece = piece[len(piece)-4*n:]
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(piece))), n)
}

// try runs f at both edges and fails if it leaves them.
func (e *edges) try(f func(), format string, args ...any) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for _, e.end = range []bool{false, true} {
		e.taken = 0
		func() {
			defer func() {
				if v := recover(); v != nil {
					require.Failf(e.t, "touched what is before or behind a slice", format+", at the end %v: %v", append(args, e.end, v)...)
				}
			}()
			f()
		}()
	}
}

func TestEdgesAreWatched(t *testing.T) {
	e := newEdges(t, 1, 4)
	for at, caught := range map[int]bool{-1: true, 0: false, 6: false, 7: true} {
		var found failure
		e.t = &found
		e.try(func() {
			*(*float32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(e.slice(7))), 4*at)) = 1
		}, "element %d", at)
		require.Equal(t, caught, bool(found), "element %d of 7", at)
	}
}

func TestElementwiseAtEdges(t *testing.T) {
	e := newEdges(t, 7, 4*12*200)
	for _, n := range lengths {
		for _, c := range elementwise {
			e.try(func() {
				v := make([][]float32, len(c.args))
				for i := range v {
					v[i] = e.slice(n)
				}
				c.run(v)
			}, "%s of %d", c.name, n)
		}
		e.try(func() { LSTM(e.slice(4*n), e.slice(n), e.slice(n), e.slice(n), e.slice(n)) }, "LSTM of %d", n)
		e.try(func() { LSTMGrad(e.slice(4*n), e.slice(n), e.slice(n), e.slice(4*n), e.slice(n), e.slice(n)) }, "LSTMGrad of %d", n)
		for _, c := range rowKernels {
			e.try(func() {
				v := make([][]float32, len(c.args))
				for i, a := range c.args {
					v[i] = e.slice(a.blocks * n)
				}
				c.run(v)
			}, "%s of %d", c.name, n)
		}
		e.try(func() { Bernoulli(e.slice(n), 1, 0, 0.5, 1, 0) }, "Bernoulli of %d", n)
		e.try(func() { SoftmaxCrossEntropy(e.slice(n), e.slice(n), n-1) }, "SoftmaxCrossEntropy of %d", n)
		e.try(func() { Norm(e.slice(n)) }, "Norm of %d", n)
		e.try(func() { Sum(e.slice(n)) }, "Sum of %d", n)
		e.try(func() { MaxColumns(e.slice(n), e.slice(3*n), 3) }, "MaxColumns of %d", n)
		e.try(func() { Dot(e.slice(n), e.slice(n)) }, "Dot of %d", n)
		e.try(func() { SoftmaxGrad(e.slice(n), e.slice(n), e.slice(n)) }, "SoftmaxGrad of %d", n)
		e.try(func() { LogSoftmaxGrad(e.slice(n), e.slice(n), e.slice(n)) }, "LogSoftmaxGrad of %d", n)
		e.try(func() { LayerNorm(e.slice(n), e.slice(n), e.slice(n), e.slice(n), 1e-5) }, "LayerNorm of %d", n)
		e.try(func() { LayerNormAdd(e.slice(n), e.slice(n), e.slice(n), e.slice(n), 1e-5) }, "LayerNormAdd of %d", n)
		e.try(func() { LayerNormGrad(e.slice(n), e.slice(n), e.slice(n), e.slice(n), e.slice(n), e.slice(n), 0, 1) }, "LayerNormGrad of %d", n)
		e.try(func() { LayerNormGradInto(e.slice(n), nil, nil, e.slice(n), e.slice(n), e.slice(n), 0, 1) }, "LayerNormGradInto of %d", n)
		e.try(func() { AddColumns(e.slice(n), e.slice(2*(n+3)+n), n+3, 3) }, "AddColumns of %d", n)
		e.try(func() { CopyRows(e.slice(2*(n+3)+n), n+3, e.slice(2*(n+1)+n), n+1, 3, n) }, "CopyRows of %d", n)
		e.try(func() { AddRows(e.slice(2*(n+3)+n), n+3, e.slice(2*(n+1)+n), n+1, 3, n) }, "AddRows of %d", n)
		e.try(func() { MaxColumnsGrad(e.slice(3*n), e.slice(n), e.slice(3*n), e.slice(n), 3) }, "MaxColumnsGrad of %d", n)
		e.try(func() {
			src := e.slice(3 * n)
			Pixels(e.slice(3*4*n), 4*n, unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(src))), 3*4*n), 4*n)
		}, "Pixels of %d", 4*n)
	}
}

// TestProductsAtEdges: the last rows of operands end at their last column, not at a stride.
func TestProductsAtEdges(t *testing.T) {
	e := newEdges(t, 5, 4*205*205)
	r := rand.New(rand.NewPCG(1, 1))
	products(func(m, k, n int) {
		if m*k > 200*200 || k*n > 200*200 {
			return
		}
		split, pad := r.IntN(k+1), r.IntN(3)
		matrix := func(rows, cols int) Block {
			if cols == 0 {
				return Block{}
			}
			return Block{e.slice((rows-1)*(cols+pad) + cols), cols + pad, cols}
		}
		var b Matrix
		e.try(func() {
			w := matrix(k, n)
			b.Reset(k, n)
			b.SetRows(0, k, w.Data, w.Stride)
			c := matrix(m, n)
			Affine(c.Data, c.Stride, m, e.slice(n), matrix(m, split), matrix(m, k-split), &b)
		}, "Affine of %d, %d, %d", m, k, n)
		e.try(func() {
			w := matrix(n, k)
			b.SetRowsT(0, k, w.Data, w.Stride)
			c := matrix(m, n)
			Gemm(c.Data, c.Stride, m, matrix(m, k), &b)
		}, "Gemm of %d, %d, %d", m, k, n)
		e.try(func() {
			c, x, y := matrix(m, n), matrix(k, m), matrix(k, n)
			GemmT(c.Data, c.Stride, m, n, k, x.Data, x.Stride, y.Data, y.Stride)
		}, "GemmT of %d, %d, %d", m, k, n)
	})
}
