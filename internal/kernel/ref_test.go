package kernel

import "math"

// The functions here say what each kernel computes, bit for bit, in the plainest loops. All of them
// compute with mulAdd, mul, add, sub, div and squareRoot, so that these alone say how the kernels round.

// flush returns x, or in the assembly, to which a denormal number is zero, a zero of x's sign.
func flush(x float32) float32 {
	if lanes > 0 && abs32(x) < 0x1p-126 {
		return float32(math.Copysign(0, float64(x)))
	}
	return x
}

// narrow rounds x to float32. In the assembly the result is zero if it is below the smallest normal number when it is rounded as if exponents had no limit,
// which float32 does for x times 2^64.
func narrow(x float64) float32 {
	if lanes > 0 && math.Abs(x) < 0x1p-125 && math.Abs(float64(float32(x*0x1p64))) < 0x1p-62 {
		return float32(math.Copysign(0, x))
	}
	return float32(x)
}

func mul(a, b float32) float32     { return narrow(float64(flush(a)) * float64(flush(b))) }
func add(a, b float32) float32     { return flush(flush(a) + flush(b)) }
func sub(a, b float32) float32     { return flush(flush(a) - flush(b)) }
func div(a, b float32) float32     { return narrow(float64(flush(a)) / float64(flush(b))) }
func squareRoot(a float32) float32 { return float32(math.Sqrt(float64(flush(a)))) }

// mulAdd returns a*b + c: in the portable version the product is rounded before it is added, and c too if it is one;
// the assembly rounds once.
func mulAdd(a, b, c float32) float32 {
	if lanes == 0 {
		return float32(a*b) + float32(c)
	}
	// The product is exact in float64. The sum is not, and rounding it twice could go wrong, so it is first
	// rounded to odd: the last bit is set wherever something was lost (Boldo & Melquiond 2008, "Emulation of
	// a FMA and correctly rounded sums").
	p := float64(flush(a)) * float64(flush(b))
	addend := float64(flush(c))
	sum := p + addend
	rest := addend - (sum - p)
	rest += p - (sum - (sum - p))
	if rest != 0 && sum-sum == 0 && math.Float64bits(sum)&1 == 0 {
		if (rest > 0) == (sum > 0) {
			sum = math.Float64frombits(math.Float64bits(sum) + 1)
		} else {
			sum = math.Float64frombits(math.Float64bits(sum) - 1)
		}
	}
	return narrow(sum)
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
	square := mul(r, r)
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
		return float32(math.Copysign(float64(sub(1, div(2, add(refExp(a+a), 1)))), float64(x)))
	case a == 0:
		return x
	}
	z := mul(x, x)
	p := horner(z, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	return float32(math.Copysign(float64(mulAdd(mul(p, z), x, x)), float64(x)))
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
	return div(1, add(1, refExp(-x)))
}

func refLog(x float32) float32 {
	x = flush(x)
	switch {
	case x < 0:
		return nan
	case x == 0:
		return -inf
	case x != x || x > math.MaxFloat32:
		return x
	}
	fraction, n := math.Frexp(float64(x))
	if float32(fraction) < math.Float32frombits(0x3f3504f3) {
		fraction, n = 2*fraction, n-1
	}
	m, e := float32(fraction)-1, float32(n)
	p := horner(m, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
	z := mul(m, m)
	p = mulAdd(e, -2.12194440e-4, mul(mul(p, m), z))
	p = mulAdd(z, -0.5, p)
	return mulAdd(e, 0.693359375, add(m, p))
}

func refTail(x float32) (limited, q float32) {
	x = min(max(flush(x), -16), 16)
	a := float32(math.Abs(float64(x)))
	t := div(1, mulAdd(a, 0.35355339059, 1))
	p := horner(t, 0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223)
	return x, mul(mul(refExp(mulAdd(mul(a, a), -0.5, p)), t), 0.5)
}

func refTanhGrad(grad, y float32) float32 { return mul(grad, refTanhSlope(y)) }

func refTanhSlope(y float32) float32 { return mulAdd(-y, y, 1) }

func refSigmoidSlope(y float32) float32 { return mul(y, sub(1, y)) }

// refLSTM takes the sums of one unit's gates to their values.
func refLSTM(z [4]float32, cPrev float32) (gates [4]float32, c, tc, h float32) {
	i, f, g, o := refSigmoid(z[0]), refSigmoid(z[1]), refTanh(z[2]), refSigmoid(z[3])
	c = mulAdd(f, cPrev, mul(i, g))
	tc = refTanh(c)
	return [4]float32{i, f, g, o}, c, tc, mul(o, tc)
}

func refLSTMGrad(dc, dh float32, gates [4]float32, cPrev, tc float32) (dz [4]float32, dcPrev float32) {
	i, f, g, o := gates[0], gates[1], gates[2], gates[3]
	sum := mulAdd(mul(dh, o), refTanhSlope(tc), dc)
	return [4]float32{
		mul(mul(sum, g), refSigmoidSlope(i)),
		mul(mul(sum, cPrev), refSigmoidSlope(f)),
		mul(mul(sum, i), refTanhSlope(g)),
		mul(mul(dh, tc), refSigmoidSlope(o)),
	}, mul(sum, f)
}

func refAdam(w, g, m, v, beta1, rest1, beta2, rest2, step, root, eps float32) (w1, m1, v1 float32) {
	m = mulAdd(beta1, m, mul(rest1, g))
	v = mulAdd(beta2, v, mul(rest2, mul(g, g)))
	return sub(w, div(mul(step, m), mulAdd(squareRoot(v), root, eps))), m, v
}

func refSoftmax(logits []float32, label int) (p []float32, loss float32) {
	top, s := -inf, [16]float32{}
	for _, x := range logits {
		top = max(top, x)
	}
	for i, x := range logits {
		p = append(p, refExp(sub(x, top)))
		s[i%16] = add(s[i%16], p[i])
	}
	sum := refJoin(s[:])
	for i := range p {
		p[i] = div(p[i], sum)
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
		s[i%16] += f(float64(flush(v))) // a square is exact, so that it does not matter whether it is fused
	}
	return refJoin(s[:])
}
