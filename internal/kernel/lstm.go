package kernel

import "unsafe"

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
