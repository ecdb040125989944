package kernel

import "unsafe"

// The functions in this file compute one row of h units of an LSTM. The rows gates and dgates [4h] have the blocks i, f,
// g and o, of h elements each.

// LSTM computes the gates and the states of a row. gates [4h] comes in with the sums of the gates, the products plus the
// bias, and leaves with their values. c [h] is the cell state, tc [h] its hyperbolic tangent, h [h] the output. c may be
// cPrev.
//
//	i, f, o = sigmoid(i), sigmoid(f), sigmoid(o)
//	g       = tanh(g)
//	c[j]    = f[j]*cPrev[j] + i[j]*g[j]
//	tc[j]   = tanh(c[j])
//	h[j]    = o[j]*tc[j]
func LSTM(gates, cPrev, c, tc, h []float32) {
	n := len(h)
	i, f, g, o := gates[:n], gates[n:][:n], gates[2*n:][:n], gates[3*n:][:n]
	cPrev, c, tc = cPrev[:n], c[:n], tc[:n]
	if asm.lstm != nil {
		asm.lstm(unsafe.SliceData(gates), unsafe.SliceData(cPrev), unsafe.SliceData(c), unsafe.SliceData(tc), unsafe.SliceData(h), 4*n, n)
		return
	}
	for j := range h {
		i[j], f[j], g[j], o[j] = sigmoid32(i[j]), sigmoid32(f[j]), tanh32(g[j]), sigmoid32(o[j])
		c[j] = float32(f[j]*cPrev[j]) + float32(i[j]*g[j])
		tc[j] = tanh32(c[j])
		h[j] = o[j] * tc[j]
	}
}

// LSTMGrad is the backward pass of [LSTM] for a row. gates [4h], cPrev [h] and tc [h] are as LSTM left them, dh [h] is the
// gradient of h. dgates [4h] gets the gradients of the sums of the gates. dc [h] comes in as the gradient of c that the
// next step computed, and leaves as the gradient of cPrev.
//
//	dc'   = dc[j] + dh[j]*o[j]*(1 - tc[j]^2)
//	di    = dc'*g[j]     * i[j]*(1 - i[j])
//	df    = dc'*cPrev[j] * f[j]*(1 - f[j])
//	dg    = dc'*i[j]     * (1 - g[j]^2)
//	do    = dh[j]*tc[j]  * o[j]*(1 - o[j])
//	dc[j] = dc'*f[j]
func LSTMGrad(dgates, dc, dh, gates, cPrev, tc []float32) {
	n := len(dh)
	i, f, g, o := gates[:n], gates[n:][:n], gates[2*n:][:n], gates[3*n:][:n]
	di, df, dg, do := dgates[:n], dgates[n:][:n], dgates[2*n:][:n], dgates[3*n:][:n]
	dc, cPrev, tc = dc[:n], cPrev[:n], tc[:n]
	if asm.lstmGrad != nil {
		asm.lstmGrad(unsafe.SliceData(gates), unsafe.SliceData(dgates), unsafe.SliceData(cPrev), unsafe.SliceData(tc), unsafe.SliceData(dc), unsafe.SliceData(dh), 4*n, n)
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

// LSTMPeephole is [LSTM] with peephole connections: the cell state enters the gates i, f and o. The weights p [3h] have
// the blocks pi, pf and po.
//
//	i = sigmoid(i + pi*cPrev)
//	f = sigmoid(f + pf*cPrev)
//	o = sigmoid(o + po*c)
func LSTMPeephole(gates, p, cPrev, c, tc, h []float32) {
	n := len(h)
	i, f, g, o := gates[:n], gates[n:][:n], gates[2*n:][:n], gates[3*n:][:n]
	pi, pf, po := p[:n], p[n:][:n], p[2*n:][:n]
	cPrev, c, tc = cPrev[:n], c[:n], tc[:n]
	if asm.lstmPeephole != nil {
		asm.lstmPeephole(unsafe.SliceData(gates), unsafe.SliceData(p), unsafe.SliceData(cPrev), unsafe.SliceData(c), unsafe.SliceData(tc), unsafe.SliceData(h), 4*n, n)
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

// LSTMPeepholeGrad is the backward pass of [LSTMPeephole] for a row. It is [LSTMGrad] with the gradients through the
// peepholes added:
//
//	dc'   = dc[j] + dh[j]*o[j]*(1 - tc[j]^2) + do*po
//	dc[j] = dc'*f[j] + di*pi + df*pf
func LSTMPeepholeGrad(dgates, dc, dh, gates, p, cPrev, tc []float32) {
	n := len(dh)
	i, f, g, o := gates[:n], gates[n:][:n], gates[2*n:][:n], gates[3*n:][:n]
	di, df, dg, do := dgates[:n], dgates[n:][:n], dgates[2*n:][:n], dgates[3*n:][:n]
	pi, pf, po := p[:n], p[n:][:n], p[2*n:][:n]
	dc, cPrev, tc = dc[:n], cPrev[:n], tc[:n]
	if asm.lstmPeepholeGrad != nil {
		asm.lstmPeepholeGrad(unsafe.SliceData(gates), unsafe.SliceData(dgates), unsafe.SliceData(p), unsafe.SliceData(cPrev), unsafe.SliceData(tc), unsafe.SliceData(dc), unsafe.SliceData(dh), 4*n, n)
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

// AddPeepholeGrad adds the gradients that a row gives to the peepholes pi, pf and po to the blocks of dp [3h]. gates [4h] and cPrev [h] are as
// [LSTMPeephole] left them, dgates [4h] as [LSTMPeepholeGrad] left it. The cell state that the gate o saw, c', is computed again, because the one that was
// kept may have been changed by zoneout.
//
//	c'     = f[j]*cPrev[j] + i[j]*g[j]
//	dpi[j] += di[j]*cPrev[j]
//	dpf[j] += df[j]*cPrev[j]
//	dpo[j] += do[j]*c'
func AddPeepholeGrad(dp, dgates, gates, cPrev []float32) {
	n := len(cPrev)
	i, f, g := gates[:n], gates[n:][:n], gates[2*n:][:n]
	di, df, do := dgates[:n], dgates[n:][:n], dgates[3*n:][:n]
	dpi, dpf, dpo := dp[:n], dp[n:][:n], dp[2*n:][:n]
	if asm.addPeepholeGrad != nil {
		asm.addPeepholeGrad(unsafe.SliceData(dp), unsafe.SliceData(gates), unsafe.SliceData(dgates), unsafe.SliceData(cPrev), 4*n, n)
		return
	}
	for j, before := range cPrev {
		dpi[j] += float32(di[j] * before)
		dpf[j] += float32(df[j] * before)
		dpo[j] += float32(do[j] * (float32(f[j]*before) + float32(i[j]*g[j])))
	}
}
