//go:build !noasm

package kernel

import "golang.org/x/sys/cpu"

//go:generate go run -C gen . -isa AVX2 -out ../avx2_amd64.s -stubs ../avx2_stubs_amd64.go -pkg kernel
//go:generate go run -C gen . -isa AVX512 -out ../avx512_amd64.s -stubs ../avx512_stubs_amd64.go -pkg kernel
//go:generate go run -C gen . -dispatch ..

// lanes is the number of float32 in a register of the instruction set that runs: 16 with AVX-512, 8 with AVX2, 0 where
// the portable version runs.
var lanes = func() int {
	switch x := cpu.X86; {
	case x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512BW && x.HasFMA && x.HasAVX2:
		return 16
	case x.HasAVX2 && x.HasFMA:
		return 8
	}
	return 0
}()

// asm is the table of the instruction set that runs; it is empty where the portable version runs.
var asm = map[int]assembly{
	8:  {kernelsAVX2, packedProducts},
	16: {kernelsAVX512, packedProducts},
}[lanes]

var packedProducts = matrixProducts{affine, packedGemmT, setRows}
