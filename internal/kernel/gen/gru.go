package main

// gru emits the kernels of the GRU. The blocks 0 to 3 of gates are n, r, z and hn, the recurrent part of n; where the
// reset gate acts before the recurrent product, block 3 is r*hPrev.
func gru() {
	update := func(p *pass, n, z vec) {
		p.store("gates0", n)
		p.store("h", p.load("hPrev").sub(n).times(z, n))
	}
	each("gru", "computes the gates n, r and z in place, and h.", 2, "gates4 hPrev h", "", func(p *pass) {
		r := sigmoid(p.load("gates1"))
		p.store("gates1", r)
		n := tanh(r.times(p.load("gates3"), p.load("gates0")))
		z := sigmoid(p.load("gates2"))
		p.store("gates2", z)
		update(p, n, z)
	})
	each("gruReset", "computes the gates r and z in place, and r*hPrev.", 2, "gates4 hPrev", "", func(p *pass) {
		r := sigmoid(p.load("gates1"))
		p.store("gates1", r)
		p.store("gates2", sigmoid(p.load("gates2")))
		p.store("gates3", r.mul(p.load("hPrev")))
	})
	each("gruUpdate", "computes the gate n in place, and h.", 2, "gates4 hPrev h", "", func(p *pass) {
		update(p, tanh(p.load("gates0")), p.load("gates2"))
	})
	// updateGrad computes the gradients of the sums of n and z, and dh. It returns dn.
	updateGrad := func(p *pass) vec {
		dh, n, z := p.load("dh"), p.load("gates0"), p.load("gates2")
		dn := dh.mul(z.from(one())).mul(tanhSlope(n))
		p.store("dgates0", dn)
		p.store("dgates2", dh.mul(p.load("hPrev").sub(n)).mul(sigmoidSlope(z)))
		p.store("dh", dh.mul(z))
		return dn
	}
	each("gruGrad", "computes the gradients of the gates' sums and of hn, and dh.", 1, "gates4 dgates4 hPrev dh", "", func(p *pass) {
		dn, r := updateGrad(p), p.load("gates1")
		p.store("dgates1", dn.mul(p.load("gates3")).mul(sigmoidSlope(r)))
		p.store("dgates3", dn.mul(r))
	})
	each("gruUpdateGrad", "computes the gradients of the sums of n and z, and dh.", 1, "gates4 dgates4 hPrev dh", "", func(p *pass) {
		updateGrad(p)
	})
	each("gruResetGrad", "computes the gradient of the sum of r, and that of hPrev in the place of the gradient of r*hPrev.", 1, "gates4 dgates4 hPrev", "", func(p *pass) {
		drh, r := p.load("dgates3"), p.load("gates1")
		p.store("dgates1", drh.mul(p.load("hPrev")).mul(sigmoidSlope(r)))
		p.store("dgates3", drh.mul(r))
	})
}
