package kernel

import (
	"math"
	"unsafe"
)

// A sum has 16 partial sums: element i is added to partial sum i%16. At the end the partial sums are added in halves,
// first those 8 apart, then 4, 2 and 1.

// joined returns the sum of the partial sums s.
func joined[T float32 | float64](s *[16]T) T {
	for half := 8; half > 0; half /= 2 {
		for i := range half {
			s[i] += s[i+half]
		}
	}
	return s[0]
}

// Sum returns the sum of x, in float64.
func Sum(x []float32) float64 {
	if asm.sum != nil {
		return asm.sum(unsafe.SliceData(x), len(x))
	}
	var s [16]float64
	for i, v := range x {
		s[i%16] += float64(v)
	}
	return joined(&s)
}

// Norm returns the Euclidean norm of x, summed in float64.
func Norm(x []float32) float64 {
	if asm.squares != nil {
		return math.Sqrt(asm.squares(unsafe.SliceData(x), len(x)))
	}
	return math.Sqrt(Dot(x, x))
}

// Dot returns the sum of x[i]*y[i], in float64.
func Dot(x, y []float32) float64 {
	y = y[:len(x)]
	if asm.dot != nil {
		return asm.dot(unsafe.SliceData(x), unsafe.SliceData(y), len(x))
	}
	var s [16]float64
	for i, v := range x {
		s[i%16] += float64(float64(v) * float64(y[i]))
	}
	return joined(&s)
}

// AddColumns adds the sum of each column of the row-major a [rows,len(dst)], whose rows start stride elements apart, to
// dst.
//
//	for i := range rows { for j := range dst { dst[j] += a[i*stride+j] } }
func AddColumns(dst, a []float32, stride, rows int) {
	if rows == 0 {
		return
	}
	a = a[:(rows-1)*stride+len(dst)]
	if asm.addColumns != nil {
		asm.addColumns(unsafe.SliceData(dst), unsafe.SliceData(a), 4*stride, rows, len(dst))
		return
	}
	for i := range rows {
		Add(dst, a[i*stride:][:len(dst)])
	}
}

// MaxColumns sets dst[j] to the largest element of column j of the row-major x [rows,len(dst)], or to NaN if the column
// has a NaN. rows is at least 1.
func MaxColumns(dst, x []float32, rows int) {
	copy(dst, x)
	for k := 1; k < rows; k++ {
		row := x[k*len(dst):][:len(dst)]
		if asm.larger != nil && len(row) >= lanes {
			asm.larger(unsafe.SliceData(dst), unsafe.SliceData(row), len(row))
			continue
		}
		for j, v := range row {
			if m := dst[j]; m == m && !(v <= m) {
				dst[j] = v
			}
		}
	}
}

// MaxColumnsGrad is the backward pass of [MaxColumns]: for each column j of x [rows,len(y)] it adds grad[j] to the element
// of dx where the column first equals its maximum y[j], or first is NaN.
func MaxColumnsGrad(dx, grad, x, y []float32, rows int) {
	n := len(y)
	dx, grad, x = dx[:rows*n], grad[:n], x[:rows*n]
	if asm.largestGrad != nil {
		asm.largestGrad(unsafe.SliceData(dx), unsafe.SliceData(grad), unsafe.SliceData(x), unsafe.SliceData(y), 4*n, rows, n)
		return
	}
	for j, m := range y {
		for k := range rows {
			if v := x[k*n+j]; v == m || v != v {
				dx[k*n+j] += grad[j]
				break
			}
		}
	}
}
