package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// softmax emits the softmax of a row in three passes: the maximum, the exponentials and their sum, the quotients.
func softmax() {
	function("softmax", "func(dst, src *float32, n int) (top, sum float32)", "computes dst = e^(src-top) / sum, where top is the largest of src, and sum that of the numerators.")
	n := param("n")
	minusInfinity := bits(0xff800000)
	best := filled(minusInfinity)
	src := param("src")
	rows("max", n, []Register{src}, func(masks []Op) {
		emit(VMAXPS, nil, sixteen(Mem{Base: src}, masks, minusInfinity), best, best)
	})
	x := join(best, VMAXPS)
	Store(x, Return("top"))
	top := spread(x)

	sums := filled(number(0))
	src, dst := param("src"), param("dst")
	rows("exp", n, []Register{src, dst}, func(masks []Op) {
		e := exp(sixteen(Mem{Base: src}, masks, minusInfinity).sub(top))
		if masks != nil {
			e = e.where(masks)
		}
		put(e, masks, Mem{Base: dst})
		emit(VADDPS, nil, e, sums, sums)
	})
	x = join(sums, VADDPS)
	Store(x, Return("sum"))
	sum := spread(x)

	dst = param("dst")
	rows("div", n, []Register{dst}, func(masks []Op) {
		put(sixteen(Mem{Base: dst}, masks, number(0)).div(sum), masks, Mem{Base: dst})
	})
	end()
}

// softmaxGrads emits the gradients through softmax and its logarithm.
func softmaxGrads() {
	each("softmaxGrad", "computes dx += y*(grad-sum).", 1, "dx grad y", "sum", func(p *pass) {
		p.store("dx", p.load("y").times(p.load("grad").sub(p.numbers["sum"]), p.load("dx")))
	})
	each("logSoftmaxGrad", "computes dx += grad - e^y*sum.", 1, "dx grad y", "sum", func(p *pass) {
		p.store("dx", exp(p.load("y")).minus(p.numbers["sum"], p.load("grad")).add(p.load("dx")))
	})
}
