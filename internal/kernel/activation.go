package kernel

import (
	"math"
	"unsafe"
)

// exp32 returns e^x: Cephes' expf (Moshier, netlib.org/cephes), x reduced by multiples of
// ln 2 in two parts and a polynomial of degree 6 in the rest. At most 1 ulp off; 0
// below the smallest normal number, which e^-87.34 is.
func exp32(x float32) float32 {
	const (
		log2e = 1.44269504088896341
		ln2hi = 0.693359375
		ln2lo = -2.12194440e-4
	)
	switch {
	case x != x:
		return x
	case x > 88.72283935546875: // ln of the largest float32
		return float32(math.Inf(1))
	case x <= -87.33654785156250: // ln of the smallest normal float32
		return 0
	}
	const magic = 3 << 22 // what is added to it is rounded to a whole number
	n := float32(float32(x*log2e)+magic) - magic
	r := x - float32(n*ln2hi)
	r -= float32(n * ln2lo)
	square := float32(r * r)
	p := float32(1.9875691500e-4*r) + 1.3981999507e-3
	p = float32(p*square) + (float32(8.3334519073e-3*r) + 4.1665795894e-2)
	p = float32(p*square) + (float32(1.6666665459e-1*r) + 5.0000001201e-1)
	p = float32(p*square) + r + 1
	// n is -126 to 128: 2^128 is no float32, so it goes in two steps.
	half := int(n) >> 1
	return p * pow2(half) * pow2(int(n)-half)
}

func pow2(n int) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// tanh32 is Cephes' tanhf: an odd polynomial below 0.625 and 1 - 2/(e^2x + 1) above.
func tanh32(x float32) float32 {
	a := abs32(x)
	if a >= 0.625 {
		if a > 9.1 { // tanh rounds to 1 from 9.011 on
			return math.Float32frombits(math.Float32bits(x)&signBit | math.Float32bits(1))
		}
		t := 1 - 2/(exp32(a+a)+1)
		if x < 0 {
			return -t
		}
		return t
	}
	z := float32(x * x)
	p := float32(-5.70498872745e-3)
	p = float32(p*z) + 2.06390887954e-2
	p = float32(p*z) - 5.37397155531e-2
	p = float32(p*z) + 1.33314422036e-1
	p = float32(p*z) - 3.33332819422e-1
	t := float32(float32(p*z)*x) + x                                               // NaN comes here and stays NaN
	return math.Float32frombits(math.Float32bits(t) | math.Float32bits(x)&signBit) // of -0
}

const signBit = 1 << 31

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ signBit) }

// sigmoid32 is 1/(1 + e^-x); 0 where e^-x is 2^127.5 or more.
func sigmoid32(x float32) float32 {
	if x <= -88.37627 {
		return 0
	}
	return 1 / (1 + exp32(-x))
}

// Exp computes dst[i] = e^src[i]. dst may be src.
func Exp(dst, src []float32) {
	dst = dst[:len(src)]
	if asm.exp != nil {
		asm.exp(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
		return
	}
	for i, x := range src {
		dst[i] = exp32(x)
	}
}

// Tanh computes dst[i] = tanh(src[i]). dst may be src.
func Tanh(dst, src []float32) {
	dst = dst[:len(src)]
	if asm.tanh != nil {
		asm.tanh(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
		return
	}
	for i, x := range src {
		dst[i] = tanh32(x)
	}
}

// TanhGrad computes dst[i] = grad[i] * (1 - y[i]^2), the gradient through y = tanh(x). dst may be grad.
func TanhGrad(dst, grad, y []float32) {
	dst, grad = dst[:len(y)], grad[:len(y)]
	if asm.tanhGrad != nil {
		asm.tanhGrad(unsafe.SliceData(dst), unsafe.SliceData(grad), unsafe.SliceData(y), len(y))
		return
	}
	for i, v := range y {
		dst[i] = grad[i] * (1 - float32(v*v))
	}
}

// ReLU computes dst[i] = max(src[i], 0); NaN stays NaN. dst may be src.
func ReLU(dst, src []float32) {
	dst = dst[:len(src)]
	if asm.relu != nil {
		asm.relu(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
		return
	}
	for i, x := range src {
		dst[i] = max(x, 0)
	}
}

// ReLUGrad computes dst[i] = grad[i] where y[i] > 0, or is NaN, and 0 elsewhere: the gradient through
// y = relu(x). dst may be grad.
func ReLUGrad(dst, grad, y []float32) {
	dst, grad = dst[:len(y)], grad[:len(y)]
	if asm.reluGrad != nil {
		asm.reluGrad(unsafe.SliceData(dst), unsafe.SliceData(grad), unsafe.SliceData(y), len(y))
		return
	}
	for i, v := range y {
		if v <= 0 {
			dst[i] = 0
		} else {
			dst[i] = grad[i]
		}
	}
}

// Sigmoid computes dst[i] = 1/(1 + e^-src[i]). dst may be src.
func Sigmoid(dst, src []float32) {
	dst = dst[:len(src)]
	if asm.sigmoid != nil {
		asm.sigmoid(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
		return
	}
	for i, x := range src {
		dst[i] = sigmoid32(x)
	}
}

// LSTM computes the gates and states of one row of h units. z [4h] holds the sums of the gates
// i, f, g, o and is left with their values; c may be cPrev.
//
//	i, f, o = sigmoid(z), g = tanh(z)
//	c[j]  = f[j]*cPrev[j] + i[j]*g[j]
//	tc[j] = tanh(c[j])
//	h[j]  = o[j]*tc[j]
func LSTM(z, cPrev, c, tc, h []float32) {
	n := len(h)
	i, f, g, o := z[:n], z[n:][:n], z[2*n:][:n], z[3*n:][:n]
	cPrev, c, tc = cPrev[:n], c[:n], tc[:n]
	if asm.lstm != nil {
		asm.lstm(unsafe.SliceData(z), unsafe.SliceData(cPrev), unsafe.SliceData(c), unsafe.SliceData(tc), unsafe.SliceData(h), 4*n, n)
		return
	}
	for j := range h {
		i[j], f[j], g[j], o[j] = sigmoid32(i[j]), sigmoid32(f[j]), tanh32(g[j]), sigmoid32(o[j])
		c[j] = float32(f[j]*cPrev[j]) + float32(i[j]*g[j])
		tc[j] = tanh32(c[j])
		h[j] = o[j] * tc[j]
	}
}

// LSTMGrad takes one row back through [LSTM]: z holds the gates' values and is left as it is, dz gets
// the gradients of their sums. dc comes in as the gradient of c from the step after and
// leaves as that of cPrev.
//
//	dc'   = dc[j] + dh[j]*o[j]*(1 - tc[j]^2)
//	di    = dc'*g[j]     * i[j]*(1 - i[j])
//	df    = dc'*cPrev[j] * f[j]*(1 - f[j])
//	dg    = dc'*i[j]     * (1 - g[j]^2)
//	do    = dh[j]*tc[j]  * o[j]*(1 - o[j])
//	dc[j] = dc'*f[j]
func LSTMGrad(dz, dc, dh, z, cPrev, tc []float32) {
	n := len(dh)
	i, f, g, o := z[:n], z[n:][:n], z[2*n:][:n], z[3*n:][:n]
	di, df, dg, do := dz[:n], dz[n:][:n], dz[2*n:][:n], dz[3*n:][:n]
	dc, cPrev, tc = dc[:n], cPrev[:n], tc[:n]
	if asm.lstmGrad != nil {
		asm.lstmGrad(unsafe.SliceData(z), unsafe.SliceData(dz), unsafe.SliceData(cPrev), unsafe.SliceData(tc), unsafe.SliceData(dc), unsafe.SliceData(dh), 4*n, n)
		return
	}
	for j, d := range dh {
		sum := dc[j] + float32(float32(d*o[j])*(1-float32(tc[j]*tc[j])))
		di[j] = float32(sum*g[j]) * float32(i[j]*(1-i[j]))
		df[j] = float32(sum*cPrev[j]) * float32(f[j]*(1-f[j]))
		dg[j] = float32(sum*i[j]) * (1 - float32(g[j]*g[j]))
		do[j] = float32(d*tc[j]) * float32(o[j]*(1-o[j]))
		dc[j] = sum * f[j]
	}
}

// LSTMPeephole is [LSTM] where three gates see the second state: p [3h] holds what scales it for i, f and o.
//
//	i = sigmoid(i + p_i*cPrev), f = sigmoid(f + p_f*cPrev), o = sigmoid(o + p_o*c)
func LSTMPeephole(z, p, cPrev, c, tc, h []float32) {
	n := len(h)
	i, f, g, o := z[:n], z[n:][:n], z[2*n:][:n], z[3*n:][:n]
	pi, pf, po := p[:n], p[n:][:n], p[2*n:][:n]
	cPrev, c, tc = cPrev[:n], c[:n], tc[:n]
	if asm.lstmPeephole != nil {
		asm.lstmPeephole(unsafe.SliceData(z), unsafe.SliceData(p), unsafe.SliceData(cPrev), unsafe.SliceData(c), unsafe.SliceData(tc), unsafe.SliceData(h), 4*n, n)
		return
	}
	for j := range h {
		before := cPrev[j]
		i[j], f[j] = sigmoid32(i[j]+float32(pi[j]*before)), sigmoid32(f[j]+float32(pf[j]*before))
		g[j] = tanh32(g[j])
		c[j] = float32(f[j]*before) + float32(i[j]*g[j])
		tc[j] = tanh32(c[j])
		o[j] = sigmoid32(o[j] + float32(po[j]*c[j]))
		h[j] = o[j] * tc[j]
	}
}

// LSTMPeepholeGrad takes one row back through [LSTMPeephole], as [LSTMGrad] does through LSTM, but that
//
//	dc'   = dc[j] + dh[j]*o[j]*(1 - tc[j]^2) + do*p_o
//	dc[j] = dc'*f[j] + di*p_i + df*p_f
func LSTMPeepholeGrad(dz, dc, dh, z, p, cPrev, tc []float32) {
	n := len(dh)
	i, f, g, o := z[:n], z[n:][:n], z[2*n:][:n], z[3*n:][:n]
	di, df, dg, do := dz[:n], dz[n:][:n], dz[2*n:][:n], dz[3*n:][:n]
	pi, pf, po := p[:n], p[n:][:n], p[2*n:][:n]
	dc, cPrev, tc = dc[:n], cPrev[:n], tc[:n]
	if asm.lstmPeepholeGrad != nil {
		asm.lstmPeepholeGrad(unsafe.SliceData(z), unsafe.SliceData(dz), unsafe.SliceData(p), unsafe.SliceData(cPrev), unsafe.SliceData(tc), unsafe.SliceData(dc), unsafe.SliceData(dh), 4*n, n)
		return
	}
	for j, d := range dh {
		out := float32(d*tc[j]) * float32(o[j]*(1-o[j]))
		sum := dc[j] + float32(float32(d*o[j])*(1-float32(tc[j]*tc[j])))
		sum += float32(out * po[j])
		in := float32(sum*g[j]) * float32(i[j]*(1-i[j]))
		forget := float32(sum*cPrev[j]) * float32(f[j]*(1-f[j]))
		di[j], df[j], do[j] = in, forget, out
		dg[j] = float32(sum*i[j]) * (1 - float32(g[j]*g[j]))
		dc[j] = float32(sum*f[j]) + float32(in*pi[j]) + float32(forget*pf[j])
	}
}

// SoftmaxCrossEntropy returns -log(softmax(logits)[label]), computed as
// log(sum(e^(logit-max))) - (logit[label]-max), and leaves softmax(logits) in p.
func SoftmaxCrossEntropy(p, logits []float32, label int) float32 {
	p = p[:len(logits)]
	top, sum := softmax(p, logits)
	return float32(math.Log(float64(sum))) - (logits[label] - top)
}

func softmax(p, logits []float32) (top, sum float32) {
	if asm.softmax != nil {
		return asm.softmax(unsafe.SliceData(p), unsafe.SliceData(logits), len(p))
	}
	top = logits[0]
	for _, x := range logits {
		top = max(top, x)
	}
	for i, x := range logits {
		p[i] = x - top
	}
	Exp(p, p)
	var s [16]float32
	for i, e := range p {
		s[i%16] += e
	}
	sum = joined(&s)
	for i := range p {
		p[i] /= sum
	}
	return top, sum
}
