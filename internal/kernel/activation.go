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

// GELU computes dst[i] = x*P(X <= x), where x is src[i] and X has the standard normal distribution.
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

// normal returns P(X <= x), where X has the standard normal distribution.
func normal(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
