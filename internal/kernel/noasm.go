//go:build !amd64 || noasm

package kernel

// Without assembly the portable version runs.

const lanes = 0

var asm assembly
