package autograd

import "github.com/unroll-go/unroll/internal/kernel"

// packed returns the matrix [k,n] at place i of b, or its transpose, packed as the right-hand side of a product. A weight, or
// the transpose of a weight, is packed once for each version of the weights, any other matrix once in a run. Matrices of
// which b holds several share one place in memory, so each of them is valid until the next call.
func (t *Tape) packed(b *Node, i, k, n int, transposed bool) *kernel.Matrix {
	if len(b.data) > k*n {
		pack(&t.matrix, b.data[i*k*n:], k, n, transposed)
		return &t.matrix
	}
	which := 0
	if transposed != b.flipped {
		which = 1
	}
	if b.weight != nil {
		return b.weight.packed[which].Get()
	}
	if b.packs == nil {
		if t.packsUsed == len(t.packs) {
			t.packs = append(t.packs, &packs{})
		}
		b.packs = t.packs[t.packsUsed]
		b.packs.done = [2]bool{}
		t.packsUsed++
	}
	m := &b.packs.matrix[which]
	if !b.packs.done[which] {
		pack(m, b.data, k, n, transposed)
		b.packs.done[which] = true
	}
	return m
}

// packs holds the packed copies of the matrix of a node, as it is and transposed, which last for the run.
type packs struct {
	matrix [2]kernel.Matrix
	done   [2]bool
}

// pack sets m to the row-major matrix [k,n], or to its transpose.
func pack(m *kernel.Matrix, matrix []float32, k, n int, transposed bool) {
	if transposed {
		m.Reset(n, k)
		m.SetRowsT(0, n, matrix, n)
		return
	}
	m.Reset(k, n)
	m.SetRows(0, k, matrix, n)
}
