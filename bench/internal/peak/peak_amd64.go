package peak

import "golang.org/x/sys/cpu"

// chains is how many multiply-adds of the loops do not wait for each other: more than two units of latency 5 can have
// under way.
const chains = 12

// Loops returns the loops that this processor can run, the widest last.
func Loops() (l []Loop) {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		l = append(l, Loop{"AVX2", chains * 2 * 8, fmaAVX2})
	}
	if cpu.X86.HasAVX512F {
		l = append(l, Loop{"AVX-512", chains * 2 * 16, fmaAVX512})
	}
	return l
}

// fmaAVX2 computes y = y*x + x in each lane of twelve registers.
//
//go:noescape
func fmaAVX2(turns int, x float32)

// fmaAVX512 does so in registers of twice the width.
//
//go:noescape
func fmaAVX512(turns int, x float32)
