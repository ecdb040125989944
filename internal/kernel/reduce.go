package kernel

import (
	"math"
	"unsafe"
)

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
	var s [16]float64
	for i, v := range x {
		s[i%16] += float64(float64(v) * float64(v))
	}
	return math.Sqrt(joined(&s))
}

// Dot returns the sum of x[i]*y[i], in float64 and in 16 places.
func Dot(x, y []float32) float64 {
	y = y[:len(x)]
	var s [16]float64
	for i, v := range x {
		s[i%16] += float64(float64(v) * float64(y[i]))
	}
	return joined(&s)
}

// AddColumns adds the sum of each column of the row-major a [rows,len(dst)], rows stride apart, to dst.
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

// MaxColumns sets dst to the largest element of each column of the row-major x [rows,len(dst)], NaN if one is. There
// is at least one row.
func MaxColumns(dst, x []float32, rows int) {
	copy(dst, x)
	for k := 1; k < rows; k++ {
		for j, v := range x[k*len(dst):][:len(dst)] {
			if m := dst[j]; m == m && !(v <= m) {
				dst[j] = v
			}
		}
	}
}

// MaxColumnsGrad adds grad[j] to dx where column j of x [rows,len(y)] is first y[j], its largest element.
func MaxColumnsGrad(dx, grad, x, y []float32, rows int) {
	n := len(y)
	for j, m := range y {
		for k := range rows {
			if v := x[k*n+j]; v == m || v != v {
				dx[k*n+j] += grad[j]
				break
			}
		}
	}
}
