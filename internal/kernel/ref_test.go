package kernel

import "math"

// The functions here say what each kernel computes, bit for bit, in the plainest loops. All of them
// multiply and add through mulAdd, so that it alone says how the kernels round.

// mulAdd returns a*b + c: in the portable version the product is rounded before it is added, and c too if it is one;
// the assembly rounds once.
func mulAdd(a, b, c float32) float32 {
	if lanes == 0 {
		return float32(a*b) + float32(c)
	}
	// The product is exact in float64. The sum is not, and rounding it twice could go wrong, so it is first
	// rounded to odd: the last bit is set wherever something was lost (Boldo & Melquiond 2008, "Emulation of
	// a FMA and correctly rounded sums").
	p := float64(a) * float64(b)
	sum := p + float64(c)
	rest := float64(c) - (sum - p)
	rest += p - (sum - (sum - p))
	if rest != 0 && sum-sum == 0 && math.Float64bits(sum)&1 == 0 {
		if (rest > 0) == (sum > 0) {
			sum = math.Float64frombits(math.Float64bits(sum) + 1)
		} else {
			sum = math.Float64frombits(math.Float64bits(sum) - 1)
		}
	}
	return float32(sum)
}

// roundsProducts is false where kernels fuse multiply and add.
func roundsProducts() bool { return mulAdd(1+0x1p-12, 1+0x1p-12, -1) == 0x1p-11 }

// refProduct adds A·B to C [m,n] for A(i,l) and B(l,j): one accumulator an element, l ascending.
func refProduct(c []float32, ldc, m, n, k int, a, b func(i, j int) float32) {
	for i := range m {
		for j := range n {
			s := c[i*ldc+j]
			for l := range k {
				s = mulAdd(a(i, l), b(l, j), s)
			}
			c[i*ldc+j] = s
		}
	}
}

func rowMajor(v []float32, stride int) func(i, j int) float32 {
	return func(i, j int) float32 { return v[i*stride+j] }
}

func transposed(v []float32, stride int) func(i, j int) float32 {
	return func(i, j int) float32 { return v[j*stride+i] }
}

func refExp(x float32) float32 {
	switch {
	case x != x:
		return x
	case x > 88.72283935546875:
		return inf
	case x <= -87.33654785156250:
		return 0
	}
	n := refExponent(x)
	r := mulAdd(n, -0.693359375, x)
	r = mulAdd(n, 2.12194440e-4, r)
	square := r * r
	p := mulAdd(1.9875691500e-4, r, 1.3981999507e-3)
	p = mulAdd(p, square, mulAdd(8.3334519073e-3, r, 4.1665795894e-2))
	p = mulAdd(p, square, mulAdd(1.6666665459e-1, r, 5.0000001201e-1))
	return float32(math.Ldexp(float64(mulAdd(p, square, r)+1), int(n)))
}

// refExponent rounds x's logarithm to base 2: the last bit of 3·2^22 is worth 1.
func refExponent(x float32) float32 { return mulAdd(x, 1.44269504088896341, 3<<22) - 3<<22 }

func refTanh(x float32) float32 {
	switch a := float32(math.Abs(float64(x))); {
	case a > 9.1:
		return float32(math.Copysign(1, float64(x)))
	case a >= 0.625:
		return float32(math.Copysign(float64(1-2/(refExp(a+a)+1)), float64(x)))
	case a == 0:
		return x
	}
	z := x * x
	p := horner(z, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	return mulAdd(p*z, x, x)
}

// horner evaluates a polynomial, the highest coefficient first.
func horner(x float32, coefficients ...float32) float32 {
	p := coefficients[0]
	for _, c := range coefficients[1:] {
		p = mulAdd(p, x, c)
	}
	return p
}

func refSigmoid(x float32) float32 {
	if refExponent(-x) >= 128 {
		return 0
	}
	return 1 / (1 + refExp(-x))
}

func refTanhGrad(grad, y float32) float32 { return grad * mulAdd(-y, y, 1) }

// refLSTM takes the sums of one unit's gates to their values.
func refLSTM(z [4]float32, cPrev float32) (gates [4]float32, c, tc, h float32) {
	i, f, g, o := refSigmoid(z[0]), refSigmoid(z[1]), refTanh(z[2]), refSigmoid(z[3])
	c = mulAdd(f, cPrev, i*g)
	tc = refTanh(c)
	return [4]float32{i, f, g, o}, c, tc, o * tc
}

func refLSTMGrad(dc, dh float32, gates [4]float32, cPrev, tc float32) (dz [4]float32, dcPrev float32) {
	i, f, g, o := gates[0], gates[1], gates[2], gates[3]
	sum := mulAdd(dh*o, mulAdd(-tc, tc, 1), dc)
	return [4]float32{
		float32(sum*g) * float32(i*(1-i)),
		float32(sum*cPrev) * float32(f*(1-f)),
		float32(sum*i) * mulAdd(-g, g, 1),
		float32(dh*tc) * float32(o*(1-o)),
	}, sum * f
}

func refAdam(w, g, m, v, beta1, rest1, beta2, rest2, step, root, eps float32) (w1, m1, v1 float32) {
	m = mulAdd(beta1, m, rest1*g)
	v = mulAdd(beta2, v, rest2*float32(g*g))
	return w - float32(step*m)/mulAdd(float32(math.Sqrt(float64(v))), root, eps), m, v
}

func refSoftmax(logits []float32, label int) (p []float32, loss float32) {
	top, s := -inf, [16]float32{}
	for _, x := range logits {
		top = max(top, x)
	}
	for i, x := range logits {
		p = append(p, refExp(x-top))
		s[i%16] += p[i]
	}
	sum := refJoin(s[:])
	for i := range p {
		p[i] /= sum
	}
	return p, float32(math.Log(float64(sum))) - (logits[label] - top)
}

// refJoin adds to each number of the first half the one that is half of all further on, until one is left.
func refJoin[T float32 | float64](s []T) T {
	if len(s) == 1 {
		return s[0]
	}
	half := len(s) / 2
	shorter := make([]T, half)
	for i := range shorter {
		shorter[i] = s[i] + s[half+i]
	}
	return refJoin(shorter)
}

// refSum sums f of x in sixteen places, as lanes of a vector do.
func refSum(x []float32, f func(float64) float64) float64 {
	var s [16]float64
	for i, v := range x {
		s[i%16] += f(float64(v)) // a square is exact, so that it does not matter whether it is fused
	}
	return refJoin(s[:])
}
