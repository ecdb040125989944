package kernel

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestPortableBits: the versions that round each product give these bits on every platform, so that a model
// trained on one is the model trained on another. A hash is FNV-1a of the results' little-endian bytes.
func TestPortableBits(t *testing.T) {
	if !roundsProducts() {
		t.Skip("the kernels of this build fuse multiply and add")
	}
	const m, k, n = 37, 53, 75
	r := rand.New(rand.NewPCG(2026, 11))
	draw := func(size int) []float32 {
		v := make([]float32, size)
		for i := range v {
			v[i] = 8*r.Float32() - 4
		}
		return v
	}
	x, w, bias := Block{Data: draw(m * k), Stride: k, Cols: k}, draw(k*n), draw(n)
	var b Matrix
	b.Reset(k, n)
	b.SetRows(0, k, w, n)
	affine, gemm, gemmT := make([]float32, m*n), draw(m*n), draw(k*n)
	Affine(affine, n, m, bias, x, Block{}, &b)
	Gemm(gemm, n, m, x, &b)
	GemmT(gemmT, n, k, n, m, x.Data, k, gemm, n)

	values := draw(10_000)
	tanh, sigmoid := make([]float32, len(values)), make([]float32, len(values))
	Tanh(tanh, values)
	Sigmoid(sigmoid, values)
	tanhGrad := make([]float32, len(values))
	TanhGrad(tanhGrad, values, tanh)

	gates, cPrev, c, tc, h := draw(4*n), draw(n), make([]float32, n), make([]float32, n), make([]float32, n)
	LSTM(gates, cPrev, c, tc, h)
	dz, dc, dh := make([]float32, 4*n), draw(n), draw(n)
	LSTMGrad(dz, dc, dh, gates, cPrev, tc)

	moment1, moment2 := make([]float32, len(w)), make([]float32, len(w))
	for range 3 {
		Adam(w, draw(len(w)), moment1, moment2, beta1, 1-beta1, beta2, 1-beta2, step, root, eps)
	}
	p := make([]float32, len(bias))
	SoftmaxCrossEntropy(p, bias, 7)
	AddScaled(h, 0.3, bias)
	AddMul(c, h, tc)

	// What came later draws last, so that the bits above are those they were.
	gru, state, dgru, dstate := draw(4*n), draw(n), make([]float32, 4*n), draw(n)
	after := make([]float32, n)
	GRU(gru, state, after)
	GRUGrad(dgru, dstate, gru, state)
	reset, before, dreset, dbefore := draw(4*n), draw(n), draw(4*n), draw(n)
	updated := make([]float32, n)
	GRUReset(reset, before)
	GRUUpdate(reset, before, updated)
	GRUUpdateGrad(dreset, dbefore, reset, before)
	GRUResetGrad(dreset, reset, before)
	peep, weights, dpeep, dcell := draw(4*n), draw(3*n), make([]float32, 4*n), draw(n)
	cell, tanhCell, out := make([]float32, n), make([]float32, n), make([]float32, n)
	LSTMPeephole(peep, weights, before, cell, tanhCell, out)
	LSTMPeepholeGrad(dpeep, dcell, dh, peep, weights, before, tanhCell)
	blend := make([]float32, n)
	Blend(blend, before, cell, out)

	for _, result := range []struct {
		name string
		want uint64
		of   [][]float32
	}{
		{"Affine", 0x3cbd09c2ab35f2c9, [][]float32{affine}},
		{"Gemm", 0x8738a2fb2356385b, [][]float32{gemm}},
		{"GemmT", 0xf293ebdf5adfaa70, [][]float32{gemmT}},
		{"Tanh", 0x802b4ddadb371fae, [][]float32{tanh}},
		{"TanhGrad", 0xe96cb8efe1145c4e, [][]float32{tanhGrad}},
		{"Sigmoid", 0xcc10b8cb13aa6521, [][]float32{sigmoid}},
		{"LSTM, AddScaled, AddMul", 0x50025549dbf52756, [][]float32{gates, c, tc, h}},
		{"LSTMGrad", 0x7fabd9310f6b0d3c, [][]float32{dz, dc}},
		{"Adam", 0x73912b06b50b8a7d, [][]float32{w, moment1, moment2}},
		{"SoftmaxCrossEntropy", 0xc6b058f48d732997, [][]float32{p}},
		{"GRU", 0x511e58b9b0f00c5a, [][]float32{gru, after, dgru, dstate}},
		{"GRUReset, GRUUpdate", 0xd2d32d0d98921082, [][]float32{reset, updated, dreset, dbefore}},
		{"LSTMPeephole", 0xb5702a43a85f5a8f, [][]float32{peep, cell, tanhCell, out, dpeep, dcell}},
		{"Blend", 0xd0484b33ecb9386c, [][]float32{blend}},
	} {
		hash := fnv.New64a()
		for _, v := range result.of {
			for _, x := range v {
				hash.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(x)))
			}
		}
		assert.Equal(t, result.want, hash.Sum64(), "%s: %#016x", result.name, hash.Sum64())
	}
	assert.Equal(t, 231.82220875636798, Norm(values))
	assert.Equal(t, 402.2231273651123, Sum(values))
}
