package kernel

import (
	"math"
	"unsafe"
)

// LayerNorm normalises one row x [n] with weights w [n] and biases b [n]: y[i] = (x[i]-mean)*rstd * w[i] + b[i], where
//
//	rstd = 1/sqrt(mean((x-mean)^2) + eps)
//
// Both means are summed in float64. y may be x.
func LayerNorm(y, x, w, b []float32, eps float64) (mean, rstd float32) {
	y, w, b = y[:len(x)], w[:len(x)], b[:len(x)]
	if asm.layerNorm != nil {
		return asm.layerNorm(unsafe.SliceData(y), unsafe.SliceData(x), unsafe.SliceData(w), unsafe.SliceData(b), eps, len(x))
	}
	mean, rstd = moments(x, eps)
	for i, v := range x {
		y[i] = float32(float32((v-mean)*rstd)*w[i]) + b[i]
	}
	return mean, rstd
}

// LayerNormAdd is [LayerNorm] whose result is added to y.
func LayerNormAdd(y, x, w, b []float32, eps float64) (mean, rstd float32) {
	y, w, b = y[:len(x)], w[:len(x)], b[:len(x)]
	if asm.layerNormAdd != nil {
		return asm.layerNormAdd(unsafe.SliceData(y), unsafe.SliceData(x), unsafe.SliceData(w), unsafe.SliceData(b), eps, len(x))
	}
	mean, rstd = moments(x, eps)
	for i, v := range x {
		y[i] += float32(float32((v-mean)*rstd)*w[i]) + b[i]
	}
	return mean, rstd
}

// moments returns the mean and the rstd of [LayerNorm].
func moments(x []float32, eps float64) (mean, rstd float32) {
	mean = float32(Sum(x) / float64(len(x)))
	var squares [16]float64
	for i, v := range x {
		d := float64(v - mean)
		squares[i%16] += float64(d * d)
	}
	return mean, float32(1 / math.Sqrt(joined(&squares)/float64(len(x))+eps))
}

// LayerNormGrad adds the gradients of x, w and b through [LayerNorm] of one row to dx, dw and db [n]. mean and rstd are
// as LayerNorm returned them, grad [n] is the gradient of y. A gradient whose slice is nil is not computed. With
// n = (x-mean)*rstd and g = grad*w,
//
//	dw += grad*n
//	db += grad
//	dx += rstd*(g - mean(g) - n*mean(g*n))
func LayerNormGrad(dx, dw, db, grad, x, w []float32, mean, rstd float32) {
	if asm.layerNormGrad != nil {
		layerNormGrad(asm.layerNormGrad, dx, dw, db, grad, x, w, mean, rstd)
		return
	}
	if m, d := layerNormSums(dw, db, grad, x, w, mean, rstd); dx != nil {
		for i, v := range x {
			n, g := (v-mean)*rstd, float32(grad[i]*w[i])
			dx[i] += float32(rstd * (g - m - float32(n*d)))
		}
	}
}

// LayerNormGradInto is [LayerNormGrad] that sets dx, and does not add to it.
func LayerNormGradInto(dx, dw, db, grad, x, w []float32, mean, rstd float32) {
	if asm.layerNormGradInto != nil {
		layerNormGrad(asm.layerNormGradInto, dx, dw, db, grad, x, w, mean, rstd)
		return
	}
	m, d := layerNormSums(dw, db, grad, x, w, mean, rstd)
	for i, v := range x {
		n, g := (v-mean)*rstd, float32(grad[i]*w[i])
		dx[i] = rstd * (g - m - float32(n*d))
	}
}

// layerNormGrad calls one of the two assembly functions.
func layerNormGrad(f func(dx, dw, db, grad, x, w *float32, mean, rstd float32, n int), dx, dw, db, grad, x, w []float32, mean, rstd float32) {
	n := len(x)
	for _, d := range [3][]float32{dx, dw, db} {
		if d != nil {
			_ = d[:n]
		}
	}
	f(unsafe.SliceData(dx), unsafe.SliceData(dw), unsafe.SliceData(db), unsafe.SliceData(grad[:n]), unsafe.SliceData(x), unsafe.SliceData(w[:n]), mean, rstd, n)
}

// layerNormSums is the part of [LayerNormGrad] before dx. It returns mean(g) and mean(g*n).
func layerNormSums(dw, db, grad, x, w []float32, mean, rstd float32) (m, d float32) {
	var sum, dot [16]float64
	for i, v := range x {
		n, g := (v-mean)*rstd, float32(grad[i]*w[i])
		sum[i%16] += float64(g)
		dot[i%16] += float64(float64(g) * float64(n))
		if dw != nil {
			dw[i] += float32(grad[i] * n)
		}
		if db != nil {
			db[i] += grad[i]
		}
	}
	return float32(joined(&sum) / float64(len(x))), float32(joined(&dot) / float64(len(x)))
}
