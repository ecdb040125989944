package kernel

import "unsafe"

// The functions in this file compute one row of h units of a GRU, with PyTorch's names. The rows gates and dgates [4h]
// have four blocks of h elements: the new gate n, the reset gate r, the update gate z, and hn. In GRU, hn is the
// recurrent part of n, W_hn·hPrev + b_hn, which r scales. In GRUReset and GRUUpdate, where the reset gate acts before the
// recurrent product, the fourth block is rh = r*hPrev, the operand of that product.

// GRU computes the gates and the state of a row whose reset gate acts after the recurrent product. gates [4h] comes in
// with the sums of r and z, the input part of n, and hn; it leaves with the values of n, r and z. h may be hPrev.
//
//	r, z = sigmoid(r), sigmoid(z)
//	n[j] = tanh(n[j] + r[j]*hn[j])
//	h[j] = n[j] + z[j]*(hPrev[j]-n[j])
func GRU(gates, hPrev, h []float32) {
	size := len(h)
	n, r, z, hn := gates[:size], gates[size:][:size], gates[2*size:][:size], gates[3*size:][:size]
	hPrev = hPrev[:size]
	if asm.gru != nil {
		asm.gru(unsafe.SliceData(gates), unsafe.SliceData(hPrev), unsafe.SliceData(h), 4*size, size)
		return
	}
	for j := range h {
		r[j], z[j] = sigmoid32(r[j]), sigmoid32(z[j])
		n[j] = tanh32(n[j] + float32(r[j]*hn[j]))
		h[j] = n[j] + float32(z[j]*(hPrev[j]-n[j]))
	}
}

// GRUGrad is the backward pass of [GRU] for a row. gates [4h] is as GRU left it. dgates [4h] gets the gradients of the
// sums of n, r and z, and of hn. dh [h] comes in as the gradient of h and leaves as the part of the gradient of hPrev
// that does not go through the gates.
//
//	dn    = dh[j]*(1-z[j])        * (1 - n[j]^2)
//	dr    = dn*hn[j]              * r[j]*(1 - r[j])
//	dz    = dh[j]*(hPrev[j]-n[j]) * z[j]*(1 - z[j])
//	dhn   = dn*r[j]
//	dh[j] = dh[j]*z[j]
func GRUGrad(dgates, dh, gates, hPrev []float32) {
	size := len(dh)
	n, r, z, hn := gates[:size], gates[size:][:size], gates[2*size:][:size], gates[3*size:][:size]
	dn, dr, dz, dhn := dgates[:size], dgates[size:][:size], dgates[2*size:][:size], dgates[3*size:][:size]
	hPrev = hPrev[:size]
	if asm.gruGrad != nil {
		asm.gruGrad(unsafe.SliceData(gates), unsafe.SliceData(dgates), unsafe.SliceData(hPrev), unsafe.SliceData(dh), 4*size, size)
		return
	}
	for j, d := range dh {
		new := float32(d*(1-z[j])) * (1 - float32(n[j]*n[j]))
		dn[j] = new
		dr[j] = float32(new*hn[j]) * float32(r[j]*(1-r[j]))
		dz[j] = float32(d*(hPrev[j]-n[j])) * float32(z[j]*(1-z[j]))
		dhn[j] = new * r[j]
		dh[j] = d * z[j]
	}
}

// GRUReset is the first half of a step whose reset gate acts before the recurrent product of n. gates [4h] comes in with
// the sums of r and z and leaves with their values and with rh.
//
//	r, z  = sigmoid(r), sigmoid(z)
//	rh[j] = r[j]*hPrev[j]
func GRUReset(gates, hPrev []float32) {
	size := len(hPrev)
	r, z, rh := gates[size:][:size], gates[2*size:][:size], gates[3*size:][:size]
	if asm.gruReset != nil {
		asm.gruReset(unsafe.SliceData(gates), unsafe.SliceData(hPrev), 4*size, size)
		return
	}
	for j, h := range hPrev {
		r[j], z[j] = sigmoid32(r[j]), sigmoid32(z[j])
		rh[j] = r[j] * h
	}
}

// GRUUpdate is the second half of the step that [GRUReset] begins. The block n of gates [4h] comes in with the sum of n,
// which includes the product with rh, and leaves with its value. h may be hPrev.
//
//	n[j] = tanh(n[j])
//	h[j] = n[j] + z[j]*(hPrev[j]-n[j])
func GRUUpdate(gates, hPrev, h []float32) {
	size := len(h)
	n, z := gates[:size], gates[2*size:][:size]
	_, hPrev = gates[:4*size], hPrev[:size]
	if asm.gruUpdate != nil {
		asm.gruUpdate(unsafe.SliceData(gates), unsafe.SliceData(hPrev), unsafe.SliceData(h), 4*size, size)
		return
	}
	for j := range h {
		n[j] = tanh32(n[j])
		h[j] = n[j] + float32(z[j]*(hPrev[j]-n[j]))
	}
}

// GRUUpdateGrad is the backward pass of [GRUUpdate] for a row: dgates [4h] gets the gradients of the sums of n and z, and
// dh [h] becomes the part of the gradient of hPrev that does not go through the gates. The formulas are those of
// [GRUGrad].
func GRUUpdateGrad(dgates, dh, gates, hPrev []float32) {
	size := len(dh)
	n, z := gates[:size], gates[2*size:][:size]
	dn, dz := dgates[:size], dgates[2*size:][:size]
	_, _, hPrev = gates[:4*size], dgates[:4*size], hPrev[:size]
	if asm.gruUpdateGrad != nil {
		asm.gruUpdateGrad(unsafe.SliceData(gates), unsafe.SliceData(dgates), unsafe.SliceData(hPrev), unsafe.SliceData(dh), 4*size, size)
		return
	}
	for j, d := range dh {
		dn[j] = float32(d*(1-z[j])) * (1 - float32(n[j]*n[j]))
		dz[j] = float32(d*(hPrev[j]-n[j])) * float32(z[j]*(1-z[j]))
		dh[j] = d * z[j]
	}
}

// GRUResetGrad is the backward pass of [GRUReset] for a row. The fourth block of dgates [4h] comes in as drh, the gradient
// of rh, and leaves as the part of the gradient of hPrev that goes through rh. The second block gets dr, the gradient of
// the sum of r.
//
//	dr     = drh[j]*hPrev[j] * r[j]*(1 - r[j])
//	drh[j] = drh[j]*r[j]
func GRUResetGrad(dgates, gates, hPrev []float32) {
	size := len(hPrev)
	r, dr, drh := gates[size:][:size], dgates[size:][:size], dgates[3*size:][:size]
	_ = gates[:4*size]
	if asm.gruResetGrad != nil {
		asm.gruResetGrad(unsafe.SliceData(gates), unsafe.SliceData(dgates), unsafe.SliceData(hPrev), 4*size, size)
		return
	}
	for j, h := range hPrev {
		dr[j] = float32(drh[j]*h) * float32(r[j]*(1-r[j]))
		drh[j] *= r[j]
	}
}
