package kernel

import "unsafe"

// Add computes dst[i] += x[i].
func Add(dst, x []float32) {
	dst = dst[:len(x)]
	if asm.add != nil {
		asm.add(unsafe.SliceData(dst), unsafe.SliceData(x), len(x))
		return
	}
	for i, v := range x {
		dst[i] += v
	}
}

// AddScaled computes dst[i] += s*x[i].
func AddScaled(dst []float32, s float32, x []float32) {
	dst = dst[:len(x)]
	if asm.addScaled != nil {
		asm.addScaled(unsafe.SliceData(dst), unsafe.SliceData(x), s, len(x))
		return
	}
	for i, v := range x {
		dst[i] += float32(s * v)
	}
}

// AddMul computes dst[i] += x[i]*y[i].
func AddMul(dst, x, y []float32) {
	dst, y = dst[:len(x)], y[:len(x)]
	if asm.addMul != nil {
		asm.addMul(unsafe.SliceData(dst), unsafe.SliceData(x), unsafe.SliceData(y), len(x))
		return
	}
	for i, v := range x {
		dst[i] += float32(v * y[i])
	}
}

// AddConstant computes dst[i] += s.
func AddConstant(dst []float32, s float32) {
	if asm.addConstant != nil {
		asm.addConstant(unsafe.SliceData(dst), s, len(dst))
		return
	}
	for i := range dst {
		dst[i] += s
	}
}

// Scale computes dst[i] *= s.
func Scale(dst []float32, s float32) {
	if asm.scale != nil {
		asm.scale(unsafe.SliceData(dst), s, len(dst))
		return
	}
	for i := range dst {
		dst[i] *= s
	}
}

// Scaled computes dst[i] = s*x[i]. dst may be x.
func Scaled(dst []float32, s float32, x []float32) {
	dst = dst[:len(x)]
	if asm.scaled != nil {
		asm.scaled(unsafe.SliceData(dst), unsafe.SliceData(x), s, len(x))
		return
	}
	for i, v := range x {
		dst[i] = s * v
	}
}

// PlusScaled computes dst[i] = x[i] + s*y[i]. dst may be x or y.
func PlusScaled(dst, x []float32, s float32, y []float32) {
	dst, y = dst[:len(x)], y[:len(x)]
	if asm.plusScaled != nil {
		asm.plusScaled(unsafe.SliceData(dst), unsafe.SliceData(x), unsafe.SliceData(y), s, len(x))
		return
	}
	for i, v := range x {
		dst[i] = v + float32(s*y[i])
	}
}

// Plus computes dst[i] = x[i] + y[i]. dst may be x or y.
func Plus(dst, x, y []float32) {
	dst, y = dst[:len(x)], y[:len(x)]
	if asm.plus != nil {
		asm.plus(unsafe.SliceData(dst), unsafe.SliceData(x), unsafe.SliceData(y), len(x))
		return
	}
	for i, v := range x {
		dst[i] = v + y[i]
	}
}

// Sub computes dst[i] = x[i] - y[i]. dst may be x or y.
func Sub(dst, x, y []float32) {
	dst, y = dst[:len(x)], y[:len(x)]
	if asm.sub != nil {
		asm.sub(unsafe.SliceData(dst), unsafe.SliceData(x), unsafe.SliceData(y), len(x))
		return
	}
	for i, v := range x {
		dst[i] = v - y[i]
	}
}

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

// Div computes dst[i] = x[i]/y[i]. dst may be x or y.
func Div(dst, x, y []float32) {
	dst, y = dst[:len(x)], y[:len(x)]
	if asm.div != nil {
		asm.div(unsafe.SliceData(dst), unsafe.SliceData(x), unsafe.SliceData(y), len(x))
		return
	}
	for i, v := range x {
		dst[i] = v / y[i]
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

// BlendConst computes dst[i] = (1-m)*a[i] + m*b[i]: [Blend] with one number m. dst may be a or b.
func BlendConst(dst, a, b []float32, m float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	if asm.blendConst != nil {
		asm.blendConst(unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b), 1-m, m, len(a))
		return
	}
	for i, x := range a {
		dst[i] = float32((1-m)*x) + float32(m*b[i])
	}
}

// Clamp computes x[i] = min(max(x[i], -limit), limit). NaN stays NaN.
func Clamp(x []float32, limit float32) {
	if asm.clamp != nil {
		asm.clamp(unsafe.SliceData(x), limit, len(x))
		return
	}
	for i, v := range x {
		x[i] = min(max(v, -limit), limit)
	}
}
