package kernel

import "unsafe"

// The functions in this file compute one row of h units of a MinGRU. The rows gates and dgates [2h] have the blocks z and n, of h elements each.

// MinGRU computes the gate and the state of a row. gates [2h] comes in with the sums, the products plus the bias, and leaves with the gate z in the
// place of its sum. h may be hPrev.
//
//	z[j] = sigmoid(z[j])
//	h[j] = (1-z[j])*hPrev[j] + z[j]*n[j]
func MinGRU(gates, hPrev, h []float32) {
	size := len(h)
	z, n := gates[:size], gates[size:][:size]
	hPrev = hPrev[:size]
	if asm.minGRU != nil {
		asm.minGRU(unsafe.SliceData(gates), unsafe.SliceData(hPrev), unsafe.SliceData(h), 4*size, size)
		return
	}
	for j := range h {
		z[j] = sigmoid32(z[j])
		h[j] = float32((1-z[j])*hPrev[j]) + float32(z[j]*n[j])
	}
}

// MinGRUGrad is the backward pass of [MinGRU] for a row. gates [2h] is as MinGRU left it. dgates [2h] gets the gradients of the sums of z and n. dh [h]
// comes in as the gradient of h and leaves as the gradient of hPrev.
//
//	dz    = dh[j]*(n[j]-hPrev[j]) * z[j]*(1 - z[j])
//	dn    = dh[j]*z[j]
//	dh[j] = dh[j] - dn
func MinGRUGrad(dgates, dh, gates, hPrev []float32) {
	size := len(dh)
	z, n := gates[:size], gates[size:][:size]
	dz, dn := dgates[:size], dgates[size:][:size]
	hPrev = hPrev[:size]
	if asm.minGRUGrad != nil {
		asm.minGRUGrad(unsafe.SliceData(gates), unsafe.SliceData(dgates), unsafe.SliceData(hPrev), unsafe.SliceData(dh), 4*size, size)
		return
	}
	for j, d := range dh {
		dz[j] = float32(d*(n[j]-hPrev[j])) * float32(z[j]*(1-z[j]))
		new := float32(d * z[j])
		dn[j] = new
		dh[j] = d - new
	}
}
