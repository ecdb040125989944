package kernel

import (
	"math"
	"unsafe"
)

// exp32 returns e^x as Cephes' expf does (Moshier, netlib.org/cephes): x is reduced by a multiple of ln 2, subtracted in
// two parts, and a polynomial of degree 6 is evaluated at the remainder. The result is at most 1 ulp off. It is 0 where
// e^x is less than the smallest normal number, e^-87.34.
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
	const magic = 3 << 22 // adding it to a small number rounds that to an integer
	n := float32(float32(x*log2e)+magic) - magic
	r := x - float32(n*ln2hi)
	r -= float32(n * ln2lo)
	square := float32(r * r)
	p := float32(1.9875691500e-4*r) + 1.3981999507e-3
	p = float32(p*square) + (float32(8.3334519073e-3*r) + 4.1665795894e-2)
	p = float32(p*square) + (float32(1.6666665459e-1*r) + 5.0000001201e-1)
	p = float32(p*square) + r + 1
	// n is -126 to 128. 2^128 is not a float32, so p is multiplied by 2^n in two steps.
	half := int(n) >> 1
	return p * pow2(half) * pow2(int(n)-half)
}

// pow2 returns 2^n for n from -126 to 127.
func pow2(n int) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// tanh32 returns tanh(x) as Cephes' tanhf does: an odd polynomial for |x| < 0.625, and 1 - 2/(e^2x + 1) beyond.
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
	t := float32(float32(p*z)*x) + x // NaN comes here and stays NaN
	// For x = -0, t is 0 without its sign.
	return math.Float32frombits(math.Float32bits(t) | math.Float32bits(x)&signBit)
}

const signBit = 1 << 31

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ signBit) }

// sigmoid32 returns 1/(1 + e^-x), and 0 where e^-x is 2^127.5 or more.
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

// SigmoidGrad computes dst[i] = grad[i]*y[i]*(1-y[i]), the gradient through y = sigmoid(x). dst may be grad.
func SigmoidGrad(dst, grad, y []float32) {
	dst, grad = dst[:len(y)], grad[:len(y)]
	if asm.sigmoidGrad != nil {
		asm.sigmoidGrad(unsafe.SliceData(dst), unsafe.SliceData(grad), unsafe.SliceData(y), len(y))
		return
	}
	for i, v := range y {
		dst[i] = grad[i] * float32(v*(1-v))
	}
}

// ReLU computes dst[i] = max(src[i], 0). NaN stays NaN. dst may be src.
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

// ReLUGrad computes the gradient through y = relu(x): dst[i] = grad[i] where y[i] is positive or NaN, and 0 elsewhere.
// dst may be grad.
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

// GELU computes dst[i] = x*P(X <= x), where x is src[i] and X has the standard normal distribution. dst may be src.
func GELU(dst, src []float32) {
	dst = dst[:len(src)]
	if asm.gelu != nil {
		asm.gelu(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
		return
	}
	for i, x := range src {
		limited, q := tail32(x)
		dst[i] = max(x, 0) - float32(abs32(limited)*q)
	}
}

// GELUGrad computes dst[i] = grad[i]*(P(X <= x) + x*density(x)), the gradient through y = GELU(x). dst may be grad.
func GELUGrad(dst, grad, x []float32) {
	dst, grad = dst[:len(x)], grad[:len(x)]
	if asm.geluGrad != nil {
		asm.geluGrad(unsafe.SliceData(dst), unsafe.SliceData(grad), unsafe.SliceData(x), len(x))
		return
	}
	for i, v := range x {
		x, below := tail32(v)
		if x > 0 {
			below = 1 - below
		}
		density := float32(exp32(float32(float32(x*x)*-0.5)) * 0.39894228040143268)
		dst[i] = grad[i] * (below + float32(x*density))
	}
}

// tail32 returns x, limited to 16, and the probability that a number of the standard normal distribution is larger than |x|, half of the complementary
// error function of |x|/sqrt(2). That is computed as in Press et al. (1992, "Numerical Recipes in C", section 6.2), where its relative error is at most
// 1.2e-7; in float32 it is at most 1e-6 + x^2/2 * 1e-7.
func tail32(x float32) (limited, q float32) {
	x = min(max(x, -16), 16)
	a := abs32(x)
	t := 1 / (1 + float32(a*0.35355339059))
	p := float32(0.17087277)
	for _, c := range [...]float32{-0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223} {
		p = float32(p*t) + c
	}
	return x, float32(exp32(p-float32(float32(a*a)*0.5))*t) * 0.5
}

// Log computes dst[i] = ln(src[i]): -Inf for 0, NaN for negative numbers. dst may be src.
func Log(dst, src []float32) {
	dst = dst[:len(src)]
	if asm.log != nil {
		asm.log(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
		return
	}
	for i, x := range src {
		dst[i] = log32(x)
	}
}

// log32 returns ln(x) as Cephes' logf does: x = 2^n * (1+m), where 1+m is from sqrt(1/2) to sqrt(2), and a polynomial of m. The result is at most 1 ulp
// off.
func log32(x float32) float32 {
	switch {
	case x < 0:
		return float32(math.NaN())
	case x == 0:
		return float32(math.Inf(-1))
	case x != x || x > math.MaxFloat32:
		return x
	}
	shift := int32(0)
	if x < 0x1p-126 { // the exponent of a denormal number is in its leading zeros
		x, shift = x*(1<<23), 23
	}
	const rootOfHalf = 0x3f3504f3
	u := math.Float32bits(x)
	n := int32(u-rootOfHalf) >> 23
	m, e := math.Float32frombits(u-uint32(n)<<23)-1, float32(n-shift)
	z := float32(m * m)
	p := float32(7.0376836292e-2)
	for _, c := range [...]float32{-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1} {
		p = float32(p*m) + c
	}
	p = float32(float32(p*m)*z) + float32(e*-2.12194440e-4)
	p -= float32(z * 0.5)
	return (m + p) + float32(e*0.693359375)
}
