package kernel

import (
	"math"
	"unsafe"
)

// Sqrt computes dst[i] = sqrt(src[i]): NaN for negative numbers. dst may be src.
func Sqrt(dst, src []float32) {
	dst = dst[:len(src)]
	if asm.sqrt != nil {
		asm.sqrt(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
		return
	}
	for i, x := range src {
		dst[i] = float32(math.Sqrt(float64(x)))
	}
}

// SqrtGrad computes dst[i] = grad[i] / (2*y[i]), the gradient through y = sqrt(x), and 0 where grad[i] is 0.
func SqrtGrad(dst, grad, y []float32) {
	dst, grad = dst[:len(y)], grad[:len(y)]
	if asm.sqrtGrad != nil {
		asm.sqrtGrad(unsafe.SliceData(dst), unsafe.SliceData(grad), unsafe.SliceData(y), len(y))
		return
	}
	for i, v := range y {
		if dst[i] = 0; grad[i] != 0 {
			dst[i] = grad[i] / (2 * v)
		}
	}
}

// Pow computes dst[i] = src[i]^p, in float64.
func Pow(dst, src []float32, p float64) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = float32(math.Pow(float64(x), p))
	}
}

// PowGrad computes dst[i] = grad[i] * p*x[i]^(p-1), the gradient through y = x^p. It is 0 for p = 0, also where x[i] is 0.
func PowGrad(dst, grad, x []float32, p float64) {
	dst, grad = dst[:len(x)], grad[:len(x)]
	if p == 0 {
		clear(dst)
		return
	}
	for i, v := range x {
		dst[i] = grad[i] * float32(p*math.Pow(float64(v), p-1))
	}
}

// Abs computes dst[i] = |src[i]|.
func Abs(dst, src []float32) {
	dst = dst[:len(src)]
	if asm.abs != nil {
		asm.abs(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
		return
	}
	for i, x := range src {
		dst[i] = abs32(x)
	}
}

// AbsGrad computes dst[i] = grad[i]*sign(x[i]), the gradient through y = |x|. It is 0 where x[i] is 0.
func AbsGrad(dst, grad, x []float32) {
	dst, grad = dst[:len(x)], grad[:len(x)]
	if asm.absGrad != nil {
		asm.absGrad(unsafe.SliceData(dst), unsafe.SliceData(grad), unsafe.SliceData(x), len(x))
		return
	}
	for i, v := range x {
		switch {
		case v > 0:
			dst[i] = grad[i]
		case v < 0:
			dst[i] = -grad[i]
		default:
			dst[i] = 0
		}
	}
}

// Limit computes dst[i] = min(max(src[i], lo), hi). NaN stays NaN.
func Limit(dst, src []float32, lo, hi float32) {
	dst = dst[:len(src)]
	if asm.limit != nil {
		asm.limit(unsafe.SliceData(dst), unsafe.SliceData(src), lo, hi, len(src))
		return
	}
	for i, x := range src {
		dst[i] = min(max(x, lo), hi)
	}
}

// LimitGrad is the gradient through [Limit]: dst[i] = grad[i] where lo <= x[i] <= hi, and 0 elsewhere.
func LimitGrad(dst, grad, x []float32, lo, hi float32) {
	dst, grad = dst[:len(x)], grad[:len(x)]
	if asm.limitGrad != nil {
		asm.limitGrad(unsafe.SliceData(dst), unsafe.SliceData(grad), unsafe.SliceData(x), lo, hi, len(x))
		return
	}
	for i, v := range x {
		if dst[i] = 0; lo <= v && v <= hi {
			dst[i] = grad[i]
		}
	}
}

// Maximum computes dst[i] = max(a[i], b[i]), which is NaN if one of them is.
func Maximum(dst, a, b []float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	if asm.maximum != nil {
		asm.maximum(unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b), len(a))
		return
	}
	for i, v := range a {
		dst[i] = max(v, b[i])
	}
}

// Minimum computes dst[i] = min(a[i], b[i]), which is NaN if one of them is.
func Minimum(dst, a, b []float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	if asm.minimum != nil {
		asm.minimum(unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b), len(a))
		return
	}
	for i, v := range a {
		dst[i] = min(v, b[i])
	}
}

// AddWhereLarger is one half of the gradient through [Maximum]: dst[i] += grad[i] where a[i] > b[i], and half of it where they are equal.
func AddWhereLarger(dst, grad, a, b []float32) {
	dst, grad, b = dst[:len(a)], grad[:len(a)], b[:len(a)]
	if asm.addWhereLarger != nil {
		asm.addWhereLarger(unsafe.SliceData(dst), unsafe.SliceData(grad), unsafe.SliceData(a), unsafe.SliceData(b), len(a))
		return
	}
	for i, v := range a {
		if w := b[i]; v > w {
			dst[i] += grad[i]
		} else if v == w {
			dst[i] += grad[i] / 2
		}
	}
}

// TakeWhereEqual is the backward pass of a maximum y over several x, called for one x after the other: where x[i] equals y[i] or is
// NaN, it adds left[i], the gradient of y that no earlier x took, to dst[i] and sets left[i] to 0.
func TakeWhereEqual(dst, left, x, y []float32) {
	dst, left, y = dst[:len(x)], left[:len(x)], y[:len(x)]
	for i, v := range x {
		if v == y[i] || v != v {
			dst[i] += left[i]
			left[i] = 0
		}
	}
}

// Magnitude computes dst[i] = sqrt(re[i]^2 + im[i]^2).
func Magnitude(dst, re, im []float32) {
	re, im = re[:len(dst)], im[:len(dst)]
	for i := range dst {
		dst[i] = float32(math.Sqrt(float64(float32(re[i]*re[i]) + float32(im[i]*im[i]))))
	}
}

// AddMagnitudeGrad adds the gradient through y = [Magnitude] of re and im: dre[i] += grad[i]*re[i]/y[i], and dim[i] likewise. It
// adds nothing where y[i] is 0.
func AddMagnitudeGrad(dre, dim, grad, re, im, y []float32) {
	for i, v := range y {
		if v != 0 {
			g := grad[i] / v
			dre[i] += float32(g * re[i])
			dim[i] += float32(g * im[i])
		}
	}
}
