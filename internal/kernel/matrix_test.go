package kernel

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rowsOf reads a Matrix back: row k is what a one in column k of A picks.
func rowsOf(b *Matrix) []float32 {
	all, one := Alloc(b.K*b.N), Alloc(b.K)
	for k := range b.K {
		clear(one)
		one[k] = 1
		Gemm(all[k*b.N:], b.N, 1, Block{Data: one, Stride: b.K, Cols: b.K}, b)
	}
	return all
}

// TestMatrix packs blocks of rows, in any order, from both kinds of source, over what the memory held before.
func TestMatrix(t *testing.T) {
	var b Matrix
	for run, shape := range [][2]int{{31, 150}, {151, 75}, {7, 13}, {150, 150}, {1, 1}, {9, 8}, {28, 33}} {
		k, n := shape[0], shape[1]
		mem := newMemory(t, uint64(run))
		want := mem.matrix("want", k, n, n, tame)
		b.Reset(k, n)
		require.Equal(t, [2]int{k, n}, [2]int{b.K, b.N})
		cut := k / 3
		b.SetRows(cut, k-cut, want[cut*n:], n)
		stride := cut + 3
		turned := mem.matrix("turned", n, cut, stride, tame)
		for l := range cut {
			for j := range n {
				turned[j*stride+l] = want[l*n+j]
			}
		}
		b.SetRowsT(0, cut, turned, stride)
		same(t, want, rowsOf(&b), "%v", shape)

		b.SetRows(k-1, 1, make([]float32, n), n)
		clear(want[(k-1)*n:])
		same(t, want, rowsOf(&b), "%v, the last row set again", shape)
	}
	w := Alloc(150 * 150)
	assert.Zero(t, testing.AllocsPerRun(5, func() {
		b.Reset(28, 150)
		b.SetRows(0, 28, w, 150)
		b.Reset(150, 150)
		b.SetRowsT(0, 150, w, 150)
	}), "memory was there")
}

func TestTranspose(t *testing.T) {
	for _, shape := range [][2]int{{0, 3}, {3, 0}, {1, 1}, {1, 40}, {40, 1}, {16, 16}, {17, 33}, {50, 7}} {
		rows, cols := shape[0], shape[1]
		mem := newMemory(t, uint64(rows))
		src, dst, sum := mem.vector("src", rows*cols, tame), mem.vector("dst", rows*cols, walls), mem.vector("sum", rows*cols, tame)
		want, wantSum := make([]float32, rows*cols), slices.Clone(sum)
		for i := range rows {
			for j := range cols {
				want[j*rows+i] = src[i*cols+j]
				wantSum[j*rows+i] += src[i*cols+j]
			}
		}
		Transpose(dst, src, rows, cols, false)
		Transpose(sum, src, rows, cols, true)
		mem.check("dst", "sum")
		same(t, want, dst, "%v", shape)
		same(t, wantSum, sum, "%v, added", shape)
	}
}
