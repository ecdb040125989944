package dataset

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parts returns which examples of a source each of two parts has.
func parts(t *testing.T, s Source, first, rest Source) (in, out []int) {
	t.Helper()
	a, b := first.(Rows), rest.(Rows)
	assert.Equal(t, s, a.Source)
	assert.Equal(t, s, b.Source)
	all := slices.Concat(a.Index, b.Index)
	slices.Sort(all)
	for i, row := range all {
		require.Equal(t, i, row, "each example is in one part")
	}
	require.Len(t, all, s.Len())
	return a.Index, b.Index
}

func TestSplitShuffled(t *testing.T) {
	s := numbers(1000)
	first, rest := SplitShuffled(s, 300, 7)
	in, out := parts(t, s, first, rest)
	assert.Len(t, in, 300)
	assert.Len(t, out, 700)
	assert.False(t, slices.IsSorted(in))
	assert.False(t, slices.IsSorted(out))
	low := 0
	for _, i := range in {
		if i < 500 {
			low++
		}
	}
	assert.InDelta(t, 150, low, 40, "from everywhere: 40 is more than five standard deviations")

	var b Batch
	require.NoError(t, first.Gather([]int{0, 1}, &b))
	assert.Equal(t, []int32{int32(10 * in[0]), int32(10 * in[1])}, b.Labels)

	again, _ := SplitShuffled(s, 300, 7)
	assert.Equal(t, first, again, "the same seed")
	other, _ := SplitShuffled(s, 300, 8)
	assert.NotEqual(t, first, other, "another seed")
	for epoch := range uint64(2) {
		for rows := range Shuffled(s, 300, 7, epoch) {
			assert.NotEqual(t, in, rows.Index[:300], "a draw of its own")
			break
		}
	}
	for _, n := range []int{0, 1000} {
		first, rest = SplitShuffled(s, n, 7)
		in, out := parts(t, s, first, rest)
		assert.Equal(t, []int{n, 1000 - n}, []int{len(in), len(out)})
	}
}

func TestSplitStratified(t *testing.T) {
	for _, c := range []struct {
		sizes []int // of the classes 0, 1, ...
		n     int
		want  []int // of each class in the first part
	}{
		{[]int{50, 30, 20}, 10, []int{5, 3, 2}},
		{[]int{5, 5}, 5, []int{3, 2}}, // 2.5 each: of equal remainders the class that occurs first
		{[]int{7, 2, 1}, 5, []int{4, 1, 0}},
		{[]int{97, 2, 1}, 50, []int{49, 1, 0}},
		{[]int{1, 1, 1}, 2, []int{1, 1, 0}},
		{[]int{4, 6}, 0, []int{0, 0}},
		{[]int{4, 6}, 10, []int{4, 6}},
		{[]int{3}, 2, []int{2}},
		{nil, 0, nil},
	} {
		var labels []int32
		for class, size := range c.sizes {
			labels = append(labels, slices.Repeat([]int32{int32(class)}, size)...)
		}
		s := numbers(len(labels))
		first, rest := SplitStratified(s, labels, c.n, 3)
		in, _ := parts(t, s, first, rest)
		got := make([]int, len(c.sizes))
		for _, i := range in {
			got[labels[i]]++
		}
		assert.Len(t, got, len(c.want))
		for class, n := range c.want {
			assert.Equal(t, n, got[class], "%v, %d: class %d", c.sizes, c.n, class)
			assert.InDelta(t, float64(c.n*c.sizes[class])/float64(len(labels)), n, 1-1e-9)
		}
	}

	// Labels of any type, and a draw that depends on the seed.
	words := []string{"a", "b", "a", "b", "b", "b", "a", "a", "b", "b", "b", "b"}
	s := numbers(len(words))
	seen := map[int]bool{}
	for seed := range uint64(40) {
		first, rest := SplitStratified(s, words, 6, seed)
		in, _ := parts(t, s, first, rest)
		a := 0
		for _, i := range in {
			seen[i] = true
			if words[i] == "a" {
				a++
			}
		}
		assert.Equal(t, 2, a)
		again, _ := SplitStratified(s, words, 6, seed)
		assert.Equal(t, first, again)
	}
	assert.Len(t, seen, len(words), "each example is drawn by some seed")
}

func TestSplitSeries(t *testing.T) {
	series := counted(5, 2)
	first, rest := SplitSeries(series, 2)
	assert.Equal(t, []int{2, 2}, first.Shape())
	assert.Equal(t, []float32{0, 1, 2, 3}, first.Data())
	assert.Equal(t, []int{3, 2}, rest.Shape())
	assert.Equal(t, []float32{4, 5, 6, 7, 8, 9}, rest.Data())
	rest.Data()[0] = -1
	assert.Equal(t, float32(-1), series.Data()[4], "the same memory")
	first, rest = SplitSeries(series, 5)
	assert.Equal(t, []int{5, 0}, []int{first.Dim(0), rest.Dim(0)})
}
