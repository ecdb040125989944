package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// loop runs body while counter, which it counts down, is positive.
func loop(name string, counter Register, body func()) {
	TESTQ(counter, counter)
	JLE(LabelRef(name + "_end"))
	Label(name)
	body()
	DECQ(counter)
	JNZ(LabelRef(name))
	Label(name + "_end")
}

// while runs body while counter is step or more, and counts it down by step. Flags tell of what is left of it, for a JZ.
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

// unrolled runs body(i), i below times, as often as counter says, and counts it down: next(n) moves on by n of them.
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

// end is where the bodies of choose, and the loops of each, go on: it returns.
func end() {
	Label("end")
	VZEROUPPER()
	RET()
}
