//go:build !amd64 || noasm

package kernel

// Without assembly the portable version runs: lanes is 0 and the table is empty.

const lanes = 0

var asm assembly
