package autograd

import (
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
)

// Scratch returns memory for n float32 that an operation may keep for its Backward. It is valid until the run ends, or,
// if it was taken within a Backward, until that Backward returns. It is not set to zero.
func (t *Tape) Scratch(n int) []float32 {
	if t.taken == len(t.scratch) {
		t.scratch = append(t.scratch, nil)
	}
	t.taken++
	return sized(&t.scratch[t.taken-1], n)
}

// ScratchInts is [Tape.Scratch] for ints, such as lengths and indices.
func (t *Tape) ScratchInts(n int) []int {
	if t.intsUsed == len(t.ints) {
		t.ints = append(t.ints, nil)
	}
	t.intsUsed++
	buf := &t.ints[t.intsUsed-1]
	if cap(*buf) < n {
		*buf = make([]int, n)
	}
	return (*buf)[:n]
}

// Reuse returns a value of type T that lasts for the run, for an operation that keeps more than numbers for its Backward.
// The next run's k-th call of Reuse, if it is for the same type, returns the value that this run's k-th call returned, as
// it was left: its slices can be used again, so that nothing is allocated. At first the value is zero.
func Reuse[T any](t *Tape) *T {
	if t.keptUsed == len(t.kept) {
		t.kept = append(t.kept, nil)
	}
	t.keptUsed++
	value, ok := t.kept[t.keptUsed-1].(*T)
	if !ok {
		value = new(T)
		t.kept[t.keptUsed-1] = value
	}
	return value
}

// list returns memory for n nodes, all nil, that is valid until the run ends; room more can be appended.
func (t *Tape) list(n, room int) []*Node {
	lo := len(t.lists)
	t.lists = slices.Grow(t.lists, n+room)[:lo+n+room]
	list := t.lists[lo : lo+n : lo+n+room]
	clear(list)
	return list
}

// sized returns *buf with n elements. It allocates only if the memory of *buf is too small.
func sized(buf *[]float32, n int) []float32 {
	if cap(*buf) < n || *buf == nil {
		*buf = kernel.Alloc(n)
	}
	*buf = (*buf)[:n]
	return *buf
}
