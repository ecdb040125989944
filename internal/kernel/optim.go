package kernel

import (
	"math"
	"unsafe"
)

// smallest is the smallest normal float32. An eps below it, which the assembly would take for zero, counts as this number.
const smallest = 0x1p-126

// Adam computes one step of Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1) on the weights w, with the gradient g
// and the moments m and v. step and root contain the bias corrections: step is the learning rate divided by 1-beta1^t,
// root is 1/sqrt(1-beta2^t). rest1 and rest2 are 1-beta1 and 1-beta2, rounded once.
//
//	m[i] = beta1*m[i] + rest1*g[i]
//	v[i] = beta2*v[i] + rest2*g[i]^2
//	w[i] -= step * m[i] / (sqrt(v[i])*root + eps)
func Adam(w, g, m, v []float32, beta1, rest1, beta2, rest2, step, root, eps float32) {
	g, m, v, eps = g[:len(w)], m[:len(w)], v[:len(w)], max(eps, smallest)
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

// ScaleByRMS divides the gradient g by the root of v, a running average of its squares. With rest = 1-decay that is
// RMSProp (Tieleman & Hinton 2012, lecture 6.5 of "Neural Networks for Machine Learning"); with decay = rest = 1 it is
// Adagrad (Duchi et al. 2011, "Adaptive Subgradient Methods", JMLR 12). u may be g.
//
//	v[i] = decay*v[i] + rest*g[i]^2
//	u[i] = g[i] / (sqrt(v[i]) + eps)
func ScaleByRMS(u, g, v []float32, decay, rest, eps float32) {
	g, v, eps = g[:len(u)], v[:len(u)], max(eps, smallest)
	if asm.scaleByRMS != nil {
		asm.scaleByRMS(unsafe.SliceData(u), unsafe.SliceData(g), unsafe.SliceData(v), decay, rest, eps, len(u))
		return
	}
	for i, d := range g {
		v[i] = float32(decay*v[i]) + float32(rest*float32(d*d))
		u[i] = d / (float32(math.Sqrt(float64(v[i]))) + eps)
	}
}

// ScaleByDeviation divides the gradient g by its running standard deviation, computed from m, the running average of g,
// and v, the running average of its squares. That is the centered RMSProp of Graves (2013, arXiv:1308.0850, equations 38
// to 41), except that eps is added outside the root, as in PyTorch. u may be g. A variance that rounding made negative
// counts as 0.
//
//	v[i] = decay*v[i] + rest*g[i]^2
//	m[i] = decay*m[i] + rest*g[i]
//	u[i] = g[i] / (sqrt(max(v[i] - m[i]^2, 0)) + eps)
func ScaleByDeviation(u, g, v, m []float32, decay, rest, eps float32) {
	g, v, m, eps = g[:len(u)], v[:len(u)], m[:len(u)], max(eps, smallest)
	if asm.scaleByDeviation != nil {
		asm.scaleByDeviation(unsafe.SliceData(u), unsafe.SliceData(g), unsafe.SliceData(v), unsafe.SliceData(m), decay, rest, eps, len(u))
		return
	}
	for i, d := range g {
		v[i] = float32(decay*v[i]) + float32(rest*float32(d*d))
		m[i] = float32(decay*m[i]) + float32(rest*d)
		variance := max(v[i]-float32(m[i]*m[i]), 0) // of NaN, max is NaN
		u[i] = d / (float32(math.Sqrt(float64(variance))) + eps)
	}
}

// Lion computes one step of Lion (Chen et al. 2023, arXiv:2302.06675, algorithm 2) without its weight decay. rest1 and
// rest2 are 1-beta1 and 1-beta2, rounded once. sign(0) is 0, and sign(NaN) is NaN.
//
//	w[i] -= rate * sign(beta1*m[i] + rest1*g[i])
//	m[i] = beta2*m[i] + rest2*g[i]
func Lion(w, g, m []float32, beta1, rest1, beta2, rest2, rate float32) {
	g, m = g[:len(w)], m[:len(w)]
	if asm.lion != nil {
		asm.lion(unsafe.SliceData(w), unsafe.SliceData(g), unsafe.SliceData(m), beta1, rest1, beta2, rest2, rate, len(w))
		return
	}
	for i, d := range g {
		c := float32(beta1*m[i]) + float32(rest1*d)
		if math.Abs(float64(c)) > 0 {
			w[i] -= float32(math.Copysign(float64(rate), float64(c)))
		} else {
			w[i] += c // 0 or NaN
		}
		m[i] = float32(beta2*m[i]) + float32(rest2*d)
	}
}

// Momentum computes one step of gradient descent with momentum (Sutskever et al. 2013, "On the importance of initialization and momentum in deep
// learning") on the weights w, with the gradient g and the sum b of earlier gradients.
//
//	b[i] = decay*b[i] + rest*g[i]
//	w[i] -= rate*b[i]
func Momentum(w, g, b []float32, decay, rest, rate float32) {
	g, b = g[:len(w)], b[:len(w)]
	if asm.momentum != nil {
		asm.momentum(unsafe.SliceData(w), unsafe.SliceData(g), unsafe.SliceData(b), decay, rest, -rate, len(w))
		return
	}
	for i, d := range g {
		b[i] = float32(decay*b[i]) + float32(rest*d)
		w[i] -= float32(rate * b[i])
	}
}

// Nesterov is [Momentum] with Nesterov's correction, whose part of the step is ahead, the product of the learning rate and decay.
//
//	b[i] = decay*b[i] + rest*g[i]
//	w[i] -= rate*g[i] + ahead*b[i]
//
// The two products are subtracted one after the other.
func Nesterov(w, g, b []float32, decay, rest, rate, ahead float32) {
	g, b = g[:len(w)], b[:len(w)]
	if asm.nesterov != nil {
		asm.nesterov(unsafe.SliceData(w), unsafe.SliceData(g), unsafe.SliceData(b), decay, rest, -rate, -ahead, len(w))
		return
	}
	for i, d := range g {
		b[i] = float32(decay*b[i]) + float32(rest*d)
		w[i] -= float32(rate * d)
		w[i] -= float32(ahead * b[i])
	}
}
