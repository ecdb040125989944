package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// loop emits a loop that runs body counter times and leaves counter at 0, or as it was if that is less.
func loop(name string, counter Register, body func()) {
	TESTQ(counter, counter)
	JLE(LabelRef(name + "_end"))
	Label(name)
	body()
	DECQ(counter)
	JNZ(LabelRef(name))
	Label(name + "_end")
}

// while emits a loop that runs body as long as counter is at least step, and subtracts step each time. After it, the zero
// flag tells whether the rest of counter is 0.
func while(name string, counter Register, step int, body func()) {
	SUBQ(Imm(uint64(step)), counter)
	JL(LabelRef(name + "_rest"))
	Label(name)
	body()
	SUBQ(Imm(uint64(step)), counter)
	JGE(LabelRef(name))
	Label(name + "_rest")
	ADDQ(Imm(uint64(step)), counter)
}

// unrolled emits a loop that runs body counter times: as long as possible times bodies in a pass, body(0) to
// body(times-1), then one in a pass. After n bodies, next(n) moves the pointers on by n steps.
func unrolled(name string, counter Register, times int, body func(i int), next func(n int)) {
	while(name, counter, times, func() {
		for i := range times {
			body(i)
		}
		next(times)
	})
	loop(name+"_one", counter, func() {
		body(0)
		next(1)
	})
}

// end emits the end of a function, to which the label end leads.
func end() {
	Label("end")
	LDMXCSR(bits(ordinary))
	VZEROUPPER()
	RET()
}
