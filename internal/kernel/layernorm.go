package kernel

import "math"

// LayerNorm normalises one row x [n] with weights w [n] and biases b [n]: y[i] = (x[i]-mean)*rstd * w[i] + b[i], where
//
//	rstd = 1/sqrt(mean((x-mean)^2) + eps)
//
// Both means are summed in float64.
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

// LayerNormGrad adds the gradients of x, w and b through [LayerNorm] of one row to dx, dw and db [n]. mean and rstd are
// as LayerNorm returned them, grad [n] is the gradient of y. A gradient whose slice is nil is not computed. With
// n = (x-mean)*rstd and g = grad*w,
//
//	dw += grad*n
//	db += grad
//	dx += rstd*(g - mean(g) - n*mean(g*n))
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
