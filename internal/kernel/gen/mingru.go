package main

// minGRU emits the kernels of the MinGRU. The blocks 0 and 1 of gates are z and n.
func minGRU() {
	each("minGRU", "computes the gate z in place, and h.", 2, "gates4 hPrev h", "", func(p *pass) {
		z := sigmoid(p.load("gates0"))
		p.store("gates0", z)
		p.store("h", z.times(p.load("gates1"), z.from(one()).mul(p.load("hPrev"))))
	})
	each("minGRUGrad", "computes the gradients of the sums of z and n, and dh.", 1, "gates4 dgates4 hPrev dh", "", func(p *pass) {
		dh, z := p.load("dh"), p.load("gates0")
		p.store("dgates0", p.load("gates1").sub(p.load("hPrev")).mul(dh).mul(sigmoidSlope(z)))
		dn := dh.mul(z)
		p.store("dgates1", dn)
		p.store("dh", dh.sub(dn))
	})
}
