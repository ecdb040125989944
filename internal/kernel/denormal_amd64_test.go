//go:build !noasm

package kernel

import (
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// call is a call of a kernel for n elements on arguments of so many floats for each element.
type call struct {
	name   string
	blocks []int
	run    func(v [][]float32, n int)
}

// calls returns a call of every kernel that computes. Numbers that a kernel returns go to the last argument.
func calls() (all []call) {
	for _, c := range elementwise {
		all = append(all, call{c.name, slices.Repeat([]int{1}, len(c.args)), func(v [][]float32, n int) { c.run(v) }})
	}
	for _, c := range rowKernels {
		var blocks []int
		for _, a := range c.args {
			blocks = append(blocks, a.blocks)
		}
		all = append(all, call{c.name, blocks, func(v [][]float32, n int) { c.run(v) }})
	}
	matrix := func(v []float32, k, n int) *Matrix {
		var b Matrix
		b.Reset(k, n)
		b.SetRows(0, k, v, n)
		return &b
	}
	return append(all,
		call{"LSTM", []int{4, 1, 1, 1, 1}, func(v [][]float32, n int) { LSTM(v[0], v[1], v[2], v[3], v[4]) }},
		call{"LSTMGrad", []int{4, 1, 1, 4, 1, 1}, func(v [][]float32, n int) { LSTMGrad(v[0], v[1], v[2], v[3], v[4], v[5]) }},
		call{"Softmax", []int{1, 1}, func(v [][]float32, n int) { Softmax(v[0], v[1]) }},
		call{"SoftmaxGrad", []int{1, 1, 1}, func(v [][]float32, n int) { SoftmaxGrad(v[0], v[1], v[2]) }},
		call{"LogSoftmaxGrad", []int{1, 1, 1}, func(v [][]float32, n int) { LogSoftmaxGrad(v[0], v[1], v[2]) }},
		call{"LayerNorm", []int{1, 1, 1, 1, 2}, func(v [][]float32, n int) {
			v[4][0], v[4][1] = LayerNorm(v[0], v[1], v[2], v[3], 1e-5)
		}},
		call{"LayerNormAdd", []int{1, 1, 1, 1, 2}, func(v [][]float32, n int) {
			v[4][0], v[4][1] = LayerNormAdd(v[0], v[1], v[2], v[3], 1e-5)
		}},
		call{"LayerNormGrad", []int{1, 1, 1, 1, 1, 1}, func(v [][]float32, n int) {
			LayerNormGrad(v[0], v[1], v[2], v[3], v[4], v[5], v[5][0], 316)
		}},
		call{"LayerNormGradInto", []int{1, 1, 1, 1, 1, 1}, func(v [][]float32, n int) {
			LayerNormGradInto(v[0], v[1], v[2], v[3], v[4], v[5], v[5][0], 316)
		}},
		call{"Sum", []int{1, 1}, func(v [][]float32, n int) { v[1][0] = float32(0x1p126 * Sum(v[0])) }},
		call{"Norm", []int{1, 1}, func(v [][]float32, n int) { v[1][0] = float32(0x1p126 * Norm(v[0])) }},
		call{"Dot", []int{1, 1, 1}, func(v [][]float32, n int) { v[2][0] = float32(0x1p252 * Dot(v[0], v[1])) }},
		call{"AddColumns", []int{1, 3}, func(v [][]float32, n int) { AddColumns(v[0], v[1], n, 3) }},
		call{"AddRows", []int{3, 6}, func(v [][]float32, n int) { AddRows(v[0], n, v[1], 2*n, 3, n) }},
		call{"MaxColumnsGrad", []int{3, 1, 3}, func(v [][]float32, n int) { MaxColumnsGrad(v[0], v[1], v[2], v[2][n:2*n], 3) }},
		call{"Affine of a row", []int{1, 1, 8, 8}, func(v [][]float32, n int) {
			Affine(v[0], n, 1, v[1], Block{v[3], 5, 5}, Block{v[3][5:], 3, 3}, matrix(v[2], 8, n))
		}},
		call{"Affine of rows", []int{7, 1, 8, 56}, func(v [][]float32, n int) {
			Affine(v[0], n, 7, v[1], Block{v[3], 5, 5}, Block{v[3][35:], 3, 3}, matrix(v[2], 8, n))
		}},
		call{"Gemm", []int{7, 8, 56}, func(v [][]float32, n int) { Gemm(v[0], n, 7, Block{v[2], 8, 8}, matrix(v[1], 8, n)) }},
		call{"GemmT", []int{7, 63, 9}, func(v [][]float32, n int) { GemmT(v[0], n, 7, n, 9, v[1], 7, v[2], n) }})
}

// vanishing are denormal numbers, and others whose products and quotients are.
func vanishing(r *rand.Rand) float32 {
	switch r.IntN(4) {
	case 0:
		return math.Float32frombits(uint32(r.IntN(1<<23)) | uint32(r.IntN(2))<<31)
	case 1:
		return float32(math.Ldexp(2*r.Float64()-1, r.IntN(100)-126))
	case 2:
		return float32(math.Ldexp(2*r.Float64()-1, r.IntN(20)-126))
	}
	return tame(r)
}

// useSet has the kernels of an instruction set run, by its lanes.
func useSet(n int) {
	lanes, asm = n, assembly{kernelsAVX2, packedProducts}
	if n == 16 {
		asm.kernels = kernelsAVX512
	}
}

// arguments returns arguments of a call; the same seed gives the same.
func (c *call) arguments(n int, seed uint64, fill func(*rand.Rand) float32) (v [][]float32) {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	for _, blocks := range c.blocks {
		v = append(v, make([]float32, blocks*n))
		for i := range v[len(v)-1] {
			v[len(v)-1][i] = fill(r)
		}
	}
	return v
}

// TestDenormals: to every kernel a denormal operand is zero, it leaves no denormal result, and the mode of the processor is what it was.
func TestDenormals(t *testing.T) {
	if lanes == 0 {
		t.Skip("there is no assembly for this processor")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const status = 0x3f // the exceptions since the register was set
	mode := asm.mxcsr() &^ status
	require.EqualValues(t, 0x1f80, mode, "Go's ABI")
	results := 0
	for _, c := range calls() {
		for _, n := range lengths {
			v, zeroed, before := c.arguments(n, 1, vanishing), c.arguments(n, 1, vanishing), c.arguments(n, 1, vanishing)
			for i := range zeroed {
				for j, x := range zeroed[i] {
					zeroed[i][j] = flush(x)
				}
			}
			c.run(v, n)
			require.Equal(t, mode, asm.mxcsr()&^status, "%s of %d", c.name, n)
			c.run(zeroed, n)
			for i := range v {
				for j, x := range v[i] {
					if math.Float32bits(x) == math.Float32bits(before[i][j]) {
						v[i][j] = flush(x) // not written
					} else {
						results++
						require.Equal(t, math.Float32bits(flush(x)), math.Float32bits(x), "%s of %d leaves %v", c.name, n, x)
					}
				}
				same(t, zeroed[i], v[i], "%s of %d, argument %d", c.name, n, i)
			}
		}
	}
	require.Greater(t, results, 10_000)
}

// TestInstructionSetsAgree: AVX2 and AVX-512 give the same bits, on vanishing numbers too.
func TestInstructionSetsAgree(t *testing.T) {
	if lanes < 16 {
		t.Skip("this processor has no AVX-512, or it is switched off")
	}
	defer useSet(16)
	for _, c := range calls() {
		for name, fill := range map[string]func(*rand.Rand) float32{"tame": tame, "wild": wild, "vanishing": vanishing} {
			for _, n := range lengths {
				wide, narrow := c.arguments(n, 2, fill), c.arguments(n, 2, fill)
				useSet(16)
				c.run(wide, n)
				useSet(8)
				c.run(narrow, n)
				for i := range wide {
					same(t, wide[i], narrow[i], "%s of %d %s numbers, argument %d", c.name, n, name, i)
				}
			}
		}
	}
}

// TestCallsAreComplete: calls uses every function of the table, but for those that only move numbers, or cannot meet a denormal number.
func TestCallsAreComplete(t *testing.T) {
	if lanes == 0 {
		t.Skip("there is no assembly for this processor")
	}
	defer func(before assembly) { asm = before }(asm)
	called := map[string]bool{"mxcsr": true, "bernoulli": true, "pixels": true, "larger": true, "copyRows": true}
	table := reflect.ValueOf(&asm.kernels).Elem()
	for i := range table.NumField() {
		field := reflect.NewAt(table.Field(i).Type(), unsafe.Pointer(table.Field(i).UnsafeAddr())).Elem()
		name, kernel := table.Type().Field(i).Name, reflect.ValueOf(field.Interface())
		field.Set(reflect.MakeFunc(field.Type(), func(in []reflect.Value) []reflect.Value {
			called[name] = true
			return kernel.Call(in)
		}))
	}
	for _, c := range calls() {
		c.run(c.arguments(8, 3, tame), 8)
	}
	for i := range table.NumField() {
		assert.True(t, called[table.Type().Field(i).Name], table.Type().Field(i).Name)
	}
}
