package kernel

import "unsafe"

// The functions in this file compute one row of h units of a gated recurrent unit. z and dz [4h] have four blocks: of
// the gates n, r and u (PyTorch's n, r and z), and m, the part of n that the reset gate r scales.

// GRU computes the gates and the state of a row whose reset gate acts after the product. z holds the sums: of n its
// input's part, of r and u, and, in m, the recurrent part of n. It is left with the values.
//
//	r, u = sigmoid(r), sigmoid(u)
//	n[j] = tanh(n[j] + r[j]*m[j])
//	h[j] = n[j] + u[j]*(hPrev[j]-n[j])
//
// h may be hPrev.
func GRU(z, hPrev, h []float32) {
	size := len(h)
	n, r, u, m := z[:size], z[size:][:size], z[2*size:][:size], z[3*size:][:size]
	hPrev = hPrev[:size]
	if asm.gru != nil {
		asm.gru(unsafe.SliceData(z), unsafe.SliceData(hPrev), unsafe.SliceData(h), 4*size, size)
		return
	}
	for j := range h {
		r[j], u[j] = sigmoid32(r[j]), sigmoid32(u[j])
		n[j] = tanh32(n[j] + float32(r[j]*m[j]))
		h[j] = n[j] + float32(u[j]*(hPrev[j]-n[j]))
	}
}

// GRUGrad takes a row back through [GRU]: z holds the values and is left as it is, dz gets the gradients of the sums.
// dh comes in as the gradient of h and leaves as what of it goes to hPrev directly.
//
//	dn = dh[j]*(1-u[j])         * (1 - n[j]^2)
//	dr = dn*m[j]                * r[j]*(1 - r[j])
//	du = dh[j]*(hPrev[j]-n[j])  * u[j]*(1 - u[j])
//	dm = dn*r[j]
//	dh[j] = dh[j]*u[j]
func GRUGrad(dz, dh, z, hPrev []float32) {
	size := len(dh)
	n, r, u, m := z[:size], z[size:][:size], z[2*size:][:size], z[3*size:][:size]
	dn, dr, du, dm := dz[:size], dz[size:][:size], dz[2*size:][:size], dz[3*size:][:size]
	hPrev = hPrev[:size]
	if asm.gruGrad != nil {
		asm.gruGrad(unsafe.SliceData(z), unsafe.SliceData(dz), unsafe.SliceData(hPrev), unsafe.SliceData(dh), 4*size, size)
		return
	}
	for j, d := range dh {
		new := float32(d*(1-u[j])) * (1 - float32(n[j]*n[j]))
		dn[j] = new
		dr[j] = float32(new*m[j]) * float32(r[j]*(1-r[j]))
		du[j] = float32(d*(hPrev[j]-n[j])) * float32(u[j]*(1-u[j]))
		dm[j] = new * r[j]
		dh[j] = d * u[j]
	}
}

// GRUReset computes what comes before the recurrent product of n where the reset gate acts before it: from the sums of
// r and u their values, and what the product reads.
//
//	r, u = sigmoid(r), sigmoid(u)
//	m[j] = r[j]*hPrev[j]
func GRUReset(z, hPrev []float32) {
	size := len(hPrev)
	r, u, m := z[size:][:size], z[2*size:][:size], z[3*size:][:size]
	if asm.gruReset != nil {
		asm.gruReset(unsafe.SliceData(z), unsafe.SliceData(hPrev), 4*size, size)
		return
	}
	for j, h := range hPrev {
		r[j], u[j] = sigmoid32(r[j]), sigmoid32(u[j])
		m[j] = r[j] * h
	}
}

// GRUUpdate computes what comes after it, from the sum of n.
//
//	n[j] = tanh(n[j])
//	h[j] = n[j] + u[j]*(hPrev[j]-n[j])
//
// h may be hPrev.
func GRUUpdate(z, hPrev, h []float32) {
	size := len(h)
	n, u := z[:size], z[2*size:][:size]
	_, hPrev = z[:4*size], hPrev[:size]
	if asm.gruUpdate != nil {
		asm.gruUpdate(unsafe.SliceData(z), unsafe.SliceData(hPrev), unsafe.SliceData(h), 4*size, size)
		return
	}
	for j := range h {
		n[j] = tanh32(n[j])
		h[j] = n[j] + float32(u[j]*(hPrev[j]-n[j]))
	}
}

// GRUUpdateGrad takes a row back through [GRUUpdate]: dz gets the gradients of the sums of n and u, dh becomes what goes to
// hPrev directly, as in [GRUGrad].
func GRUUpdateGrad(dz, dh, z, hPrev []float32) {
	size := len(dh)
	n, u := z[:size], z[2*size:][:size]
	dn, du := dz[:size], dz[2*size:][:size]
	_, _, hPrev = z[:4*size], dz[:4*size], hPrev[:size]
	if asm.gruUpdateGrad != nil {
		asm.gruUpdateGrad(unsafe.SliceData(z), unsafe.SliceData(dz), unsafe.SliceData(hPrev), unsafe.SliceData(dh), 4*size, size)
		return
	}
	for j, d := range dh {
		dn[j] = float32(d*(1-u[j])) * (1 - float32(n[j]*n[j]))
		du[j] = float32(d*(hPrev[j]-n[j])) * float32(u[j]*(1-u[j]))
		dh[j] = d * u[j]
	}
}

// GRUResetGrad takes a row back through [GRUReset]: dz's block m comes in as the gradient of m. dr gets that of r's sum, and
// m becomes that of hPrev.
//
//	dr    = dm[j]*hPrev[j] * r[j]*(1 - r[j])
//	dm[j] = dm[j]*r[j]
func GRUResetGrad(dz, z, hPrev []float32) {
	size := len(hPrev)
	r, dr, dm := z[size:][:size], dz[size:][:size], dz[3*size:][:size]
	_ = z[:4*size]
	if asm.gruResetGrad != nil {
		asm.gruResetGrad(unsafe.SliceData(z), unsafe.SliceData(dz), unsafe.SliceData(hPrev), 4*size, size)
		return
	}
	for j, h := range hPrev {
		dr[j] = float32(dm[j]*h) * float32(r[j]*(1-r[j]))
		dm[j] *= r[j]
	}
}
