package kernel

import (
	"math"
	"unsafe"
)

// Sums are taken in 16 places, element i in place i%16, and the places are joined in halves: first those 8 apart,
// then 4, 2 and 1.

func joined[T float32 | float64](s *[16]T) T {
	for half := 8; half > 0; half /= 2 {
		for i := range half {
			s[i] += s[i+half]
		}
	}
	return s[0]
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

// Add computes dst[i] += x[i].
func Add(dst, x []float32) {
	dst = dst[:len(x)]
	if asm.add != nil {
		asm.add(unsafe.SliceData(dst), unsafe.SliceData(x), len(x))
		return
	}
	for i, v := range x {
		dst[i] += v
	}
}

// Scale computes dst[i] *= s.
func Scale(dst []float32, s float32) {
	if asm.scale != nil {
		asm.scale(unsafe.SliceData(dst), s, len(dst))
		return
	}
	for i := range dst {
		dst[i] *= s
	}
}

// AddScaled computes dst[i] += s*x[i].
func AddScaled(dst []float32, s float32, x []float32) {
	dst = dst[:len(x)]
	if asm.addScaled != nil {
		asm.addScaled(unsafe.SliceData(dst), unsafe.SliceData(x), s, len(x))
		return
	}
	for i, v := range x {
		dst[i] += float32(s * v)
	}
}

// AddMul computes dst[i] += x[i]*y[i].
func AddMul(dst, x, y []float32) {
	dst, y = dst[:len(x)], y[:len(x)]
	if asm.addMul != nil {
		asm.addMul(unsafe.SliceData(dst), unsafe.SliceData(x), unsafe.SliceData(y), len(x))
		return
	}
	for i, v := range x {
		dst[i] += float32(v * y[i])
	}
}

// Pixels computes dst[i*stride+j] = src[i*cols+j] / 255, for rows of cols bytes.
func Pixels(dst []float32, stride int, src []uint8, cols int) {
	if len(src) == 0 {
		return
	}
	rows := len(src) / cols
	dst = dst[:(rows-1)*stride+cols]
	if asm.pixels != nil && cols >= lanes {
		asm.pixels(unsafe.SliceData(dst), 4*stride, unsafe.SliceData(src), rows, cols)
		return
	}
	for i := range rows {
		row := dst[i*stride:][:cols]
		for j, p := range src[i*cols:][:cols] {
			row[j] = float32(p) / 255
		}
	}
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

// Adam computes one step of Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1, with the
// bias corrections moved into step and root). rest1 and rest2 are 1-beta1 and 1-beta2, rounded once.
//
//	m[i] = beta1*m[i] + rest1*g[i]
//	v[i] = beta2*v[i] + rest2*g[i]^2
//	w[i] -= step * m[i] / (sqrt(v[i])*root + eps)
func Adam(w, g, m, v []float32, beta1, rest1, beta2, rest2, step, root, eps float32) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	if asm.adam != nil {
		asm.adam(unsafe.SliceData(w), unsafe.SliceData(g), unsafe.SliceData(m), unsafe.SliceData(v), beta1, rest1, beta2, rest2, step, root, eps, len(w))
		return
	}
	for i, d := range g {
		m[i] = float32(beta1*m[i]) + float32(rest1*d)
		v[i] = float32(beta2*v[i]) + float32(rest2*float32(d*d))
		w[i] -= float32(step*m[i]) / (float32(float32(math.Sqrt(float64(v[i])))*root) + eps)
	}
}
