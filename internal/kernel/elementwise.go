package kernel

import (
	"math"
	"unsafe"
)

// Mul computes dst[i] = x[i]*y[i]. dst may be x or y.
func Mul(dst, x, y []float32) {
	dst, y = dst[:len(x)], y[:len(x)]
	if asm.mul != nil {
		asm.mul(unsafe.SliceData(dst), unsafe.SliceData(x), unsafe.SliceData(y), len(x))
		return
	}
	for i, v := range x {
		dst[i] = v * y[i]
	}
}

// Blend computes dst[i] = (1-m[i])*a[i] + m[i]*b[i]. dst may be a or b.
func Blend(dst, a, b, m []float32) {
	dst, a, b = dst[:len(m)], a[:len(m)], b[:len(m)]
	if asm.blend != nil {
		asm.blend(unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b), unsafe.SliceData(m), len(m))
		return
	}
	for i, x := range m {
		dst[i] = float32((1-x)*a[i]) + float32(x*b[i])
	}
}

// BlendConst is [Blend] with the same m for all.
func BlendConst(dst, a, b []float32, m float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	for i, x := range a {
		dst[i] = float32((1-m)*x) + float32(m*b[i])
	}
}

// Div computes dst[i] = x[i]/y[i].
func Div(dst, x, y []float32) {
	dst, y = dst[:len(x)], y[:len(x)]
	for i, v := range x {
		dst[i] = v / y[i]
	}
}

// Log computes dst[i] = ln(src[i]).
func Log(dst, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = float32(math.Log(float64(x)))
	}
}

// SigmoidGrad computes dst[i] = grad[i]*y[i]*(1-y[i]), the gradient through y = sigmoid(x).
func SigmoidGrad(dst, grad, y []float32) {
	dst, grad = dst[:len(y)], grad[:len(y)]
	for i, v := range y {
		dst[i] = grad[i] * float32(v*(1-v))
	}
}

// GELU computes dst[i] = x*P(X <= x) for X of the standard normal distribution.
func GELU(dst, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = float32(float64(x) * normal(float64(x)))
	}
}

// GELUGrad computes dst[i] = grad[i]*(P(X <= x) + x*density(x)), the gradient through y = GELU(x).
func GELUGrad(dst, grad, x []float32) {
	dst, grad = dst[:len(x)], grad[:len(x)]
	for i, v := range x {
		x := float64(v)
		density := math.Exp(-x*x/2) / math.Sqrt(2*math.Pi)
		dst[i] = float32(float64(grad[i]) * (normal(x) + float64(x*density)))
	}
}

// normal is the standard normal distribution's P(X <= x).
func normal(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// Softmax computes p = softmax(logits), of one row.
func Softmax(p, logits []float32) {
	if len(logits) > 0 {
		softmax(p[:len(logits)], logits)
	}
}

// LogSoftmax computes y[i] = (logits[i]-max) - ln(sum(e^(logits-max))), of one row.
func LogSoftmax(y, logits []float32) {
	if len(logits) == 0 {
		return
	}
	top, sum := softmax(y[:len(logits)], logits)
	log := float32(math.Log(float64(sum)))
	for i, x := range logits {
		y[i] = (x - top) - log
	}
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

// SoftmaxGrad adds y[i]*(grad[i] - sum(grad*y)) to dx, the gradient through y = softmax(x), of one row.
func SoftmaxGrad(dx, grad, y []float32) {
	dx, grad = dx[:len(y)], grad[:len(y)]
	sum := float32(Dot(grad, y))
	for i, v := range y {
		dx[i] += v * (grad[i] - sum)
	}
}

// LogSoftmaxGrad adds grad[i] - e^y[i]*sum(grad) to dx, the gradient through y = log softmax(x), of one row.
func LogSoftmaxGrad(dx, grad, y []float32) {
	dx, grad = dx[:len(y)], grad[:len(y)]
	sum := float32(Sum(grad))
	for i, v := range y {
		dx[i] += grad[i] - float32(exp32(v)*sum)
	}
}

// AddConstant computes dst[i] += s.
func AddConstant(dst []float32, s float32) {
	for i := range dst {
		dst[i] += s
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

// LayerNorm computes y[i] = (x[i]-mean)*rstd * w[i] + b[i] of one row, where
//
//	rstd = 1/sqrt(mean((x-mean)^2) + eps)
//
// and mean((x-mean)^2) is summed in float64.
func LayerNorm(y, x, w, b []float32, eps float64) (mean, rstd float32) {
	y, w, b = y[:len(x)], w[:len(x)], b[:len(x)]
	mean = float32(Sum(x) / float64(len(x)))
	for i, v := range x {
		y[i] = v - mean
	}
	norm := Norm(y)
	rstd = float32(1 / math.Sqrt(norm*norm/float64(len(x))+eps))
	for i, v := range y {
		y[i] = float32(float32(v*rstd)*w[i]) + b[i]
	}
	return mean, rstd
}

// LayerNormGrad adds the gradients through [LayerNorm] of one row: with n = (x-mean)*rstd and g = grad*w,
//
//	dw += grad*n, db += grad, dx += rstd*(g - mean(g) - n*mean(g*n))
//
// A nil dx, dw or db is not wanted.
func LayerNormGrad(dx, dw, db, grad, x, w []float32, mean, rstd float32) {
	grad, w = grad[:len(x)], w[:len(x)]
	var sum, dot [16]float64
	for i, v := range x {
		n, g := (v-mean)*rstd, grad[i]*w[i]
		sum[i%16] += float64(g)
		dot[i%16] += float64(float64(g) * float64(n))
		if dw != nil {
			dw[i] += float32(grad[i] * n)
		}
		if db != nil {
			db[i] += grad[i]
		}
	}
	if dx == nil {
		return
	}
	m, d := float32(joined(&sum)/float64(len(x))), float32(joined(&dot)/float64(len(x)))
	for i, v := range x {
		n, g := (v-mean)*rstd, float32(grad[i]*w[i])
		dx[i] += float32(rstd * (g - m - float32(n*d)))
	}
}
