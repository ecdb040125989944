package dataset

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// numbers is a source of n examples: example i has label 10*i.
type numbers int

func (n numbers) Len() int { return int(n) }

func (n numbers) Gather(rows []int, into *Batch) error {
	into.Labels = into.Labels[:0]
	for _, r := range rows {
		if r < 0 || r >= int(n) {
			return fmt.Errorf("no example %d", r)
		}
		into.Labels = append(into.Labels, int32(10*r))
	}
	return nil
}

// collect returns copies of the indices of all batches.
func collect(batches iter.Seq[Rows]) (all [][]int) {
	for rows := range batches {
		all = append(all, slices.Clone(rows.Index))
	}
	return all
}

func sizes(batches [][]int) (n []int) {
	for _, b := range batches {
		n = append(n, len(b))
	}
	return n
}

func TestBatches(t *testing.T) {
	for _, c := range []struct {
		n, size int
		want    [][]int
	}{
		{0, 3, nil},
		{1, 1, [][]int{{0}}},
		{6, 3, [][]int{{0, 1, 2}, {3, 4, 5}}},
		{7, 3, [][]int{{0, 1, 2}, {3, 4, 5}, {6}}},
		{2, 3, [][]int{{0, 1}}},
		{3, math.MaxInt, [][]int{{0, 1, 2}}},
	} {
		assert.Equal(t, c.want, collect(Batches(numbers(c.n), c.size)), "%d in %d", c.n, c.size)
	}
	seq := Batches(numbers(5), 2)
	assert.Equal(t, collect(seq), collect(seq), "a sequence can be run again")
	for rows := range seq {
		assert.Equal(t, numbers(5), rows.Source)
	}
}

func TestShuffledCutsAsArraySplit(t *testing.T) {
	batches := collect(Shuffled(numbers(55000), 150, 42, 0))
	require.Len(t, batches, 366)
	for i, b := range batches {
		want := 150
		if i < 55000-366*150 {
			want = 151
		}
		require.Len(t, b, want, "batch %d", i)
	}
	for _, c := range []struct {
		n, size int
		want    []int
	}{
		{0, 4, nil},
		{1, 1, []int{1}},
		{5, 1, []int{1, 1, 1, 1, 1}},
		{11, 4, []int{6, 5}},
		{12, 4, []int{4, 4, 4}},
		{7, 4, []int{7}},
		{3, 4, []int{3}},
		{3, math.MaxInt, []int{3}},
	} {
		assert.Equal(t, c.want, sizes(collect(Shuffled(numbers(c.n), c.size, 1, 2))), "%d in %d", c.n, c.size)
	}
}

func TestShuffledOrder(t *testing.T) {
	const n = 1000
	order := func(seed, epoch uint64) []int {
		return slices.Concat(collect(Shuffled(numbers(n), 30, seed, epoch))...)
	}
	inOrder := slices.Concat(collect(Batches(numbers(n), n))...)
	var seen [][]int
	for seed := range uint64(3) {
		for epoch := range uint64(3) {
			o := order(seed, epoch)
			assert.Equal(t, o, order(seed, epoch), "the same seed and epoch")
			sorted := slices.Sorted(slices.Values(o))
			require.Equal(t, inOrder, sorted, "each row once")
			seen = append(seen, o)
		}
	}
	for i, a := range seen {
		for _, b := range append(seen[i+1:], inOrder) {
			same := 0
			for k := range a {
				if a[k] == b[k] {
					same++
				}
			}
			// Two independent orders agree in one place on average, and in ten once in millions.
			assert.Less(t, same, 10)
		}
	}
}

// A seed must give the same order with the next release and on every platform: training runs are repeated with it.
func TestShuffledOrderStays(t *testing.T) {
	assert.Equal(t, [][]int{{3, 6, 9, 2}, {7, 8, 4}, {0, 5, 1}}, collect(Shuffled(numbers(10), 3, 42, 1)))
}

func TestShuffledIndexMayBeKept(t *testing.T) {
	var kept, copies [][]int
	for rows := range Shuffled(numbers(10), 3, 42, 1) {
		kept = append(kept, rows.Index)
		copies = append(copies, slices.Clone(rows.Index))
	}
	assert.Equal(t, copies, kept)
	_ = append(kept[0], -1)
	assert.Equal(t, copies, kept, "appending to one leaves the next alone")
}

func TestBreakingOff(t *testing.T) {
	for _, batches := range []iter.Seq[Rows]{Batches(numbers(10), 3), Shuffled(numbers(10), 3, 1, 1)} {
		n := 0
		for range batches {
			n++
			break
		}
		assert.Equal(t, 1, n)
	}
}

// The expected sizes are the results of numpy 2's array_split(arange(n), parts).
func TestCut(t *testing.T) {
	for _, c := range []struct {
		n, parts int
		want     []int
	}{
		{0, 1, []int{0}},
		{0, 3, []int{0, 0, 0}},
		{1, 1, []int{1}},
		{1, 3, []int{1, 0, 0}},
		{7, 3, []int{3, 2, 2}},
		{8, 3, []int{3, 3, 2}},
		{9, 3, []int{3, 3, 3}},
		{10, 4, []int{3, 3, 2, 2}},
		{38, 1, []int{38}},
		{150, 8, []int{19, 19, 19, 19, 19, 19, 18, 18}},
		{151, 4, []int{38, 38, 38, 37}},
	} {
		end := 0
		for i, want := range c.want {
			lo, hi := Cut(c.n, c.parts, i)
			assert.Equal(t, end, lo, "%d in %d: part %d", c.n, c.parts, i)
			assert.Equal(t, want, hi-lo, "%d in %d: part %d", c.n, c.parts, i)
			end = hi
		}
		assert.Equal(t, c.n, end, "%d in %d", c.n, c.parts)
	}
}

func TestSplit(t *testing.T) {
	gather := func(s Source, rows ...int) []int32 {
		var b Batch
		b.First = 7
		require.NoError(t, s.Gather(rows, &b))
		assert.Equal(t, 7, b.First)
		return b.Labels
	}
	for n := range 11 {
		first, rest := Split(numbers(10), n)
		require.Equal(t, []int{n, 10 - n}, []int{first.Len(), rest.Len()})
		if n > 0 {
			assert.Equal(t, []int32{int32(10 * (n - 1)), 0}, gather(first, n-1, 0))
		}
		if n < 10 {
			assert.Equal(t, []int32{90, int32(10 * n)}, gather(rest, 9-n, 0))
		}
	}

	_, rest := Split(numbers(10), 3) // 3 to 9
	middle, last := Split(rest, 4)   // 3 to 6, 7 to 9
	_, ofMiddle := Split(middle, 1)  // 4 to 6
	assert.Equal(t, []int32{60, 30, 40}, gather(middle, 3, 0, 1))
	assert.Equal(t, []int32{90, 70}, gather(last, 2, 0))
	assert.Equal(t, []int32{40, 60, 40, 50}, gather(ofMiddle, 0, 2, 0, 1))
	assert.Equal(t, []int{3, 3}, []int{last.Len(), ofMiddle.Len()})

	// Batches of a part are cut and gathered like batches of any other source.
	var labels []int32
	for rows := range Shuffled(ofMiddle, 2, 1, 1) {
		labels = append(labels, gather(rows.Source, rows.Index...)...)
	}
	assert.ElementsMatch(t, []int32{40, 50, 60}, labels)
}

// Examples outside a part must not be reached through it: they may be the test set.
func TestSplitKeepsRowsApart(t *testing.T) {
	first, rest := Split(numbers(10), 4)
	for _, c := range []struct {
		part Source
		row  int
	}{{first, 4}, {first, -1}, {rest, 6}, {rest, -1}} {
		reached := func() (ok bool) {
			defer func() { recover() }()
			return c.part.Gather([]int{c.row}, new(Batch)) == nil
		}
		assert.False(t, reached(), "row %d", c.row)
	}
}

func TestRows(t *testing.T) {
	rows := Rows{numbers(10), []int{8, 2, 5}}
	assert.Equal(t, 3, rows.Len())
	var b Batch
	require.NoError(t, rows.Gather([]int{2, 0, 2}, &b))
	assert.Equal(t, []int32{50, 80, 50}, b.Labels)

	inner := Rows{rows, []int{1, 2}}
	require.NoError(t, inner.Gather([]int{1, 0}, &b))
	assert.Equal(t, []int32{50, 20}, b.Labels)
	require.NoError(t, inner.Gather(nil, &b))
	assert.Empty(t, b.Labels)

	assert.EqualError(t, Rows{numbers(10), []int{10}}.Gather([]int{0}, &b), "no example 10")
}

func TestRowsGatherAllocatesNothing(t *testing.T) {
	_, rest := Split(numbers(100), 10)
	_, rest = Split(rest, 10)
	index := []int{79, 3, 5, 0}
	var b Batch
	var errs error
	allocs := testing.AllocsPerRun(100, func() { errs = errors.Join(errs, rest.Gather(index, &b)) })
	require.NoError(t, errs)
	assert.Zero(t, allocs)
	assert.Equal(t, []int32{990, 230, 250, 200}, b.Labels)
	assert.Equal(t, []int{79, 3, 5, 0}, index, "the caller's rows stay as they are")
}

func TestPanics(t *testing.T) {
	for _, size := range []int{0, -1} {
		want := fmt.Sprintf("dataset: batch size is %d, want at least 1", size)
		panicsWith[*tensor.UsageError](t, want, func() { Batches(numbers(3), size) })
		panicsWith[*tensor.UsageError](t, want, func() { Shuffled(numbers(3), size, 0, 0) })
	}
	for _, n := range []int{-1, 4} {
		panicsWith[*tensor.UsageError](t,
			fmt.Sprintf("dataset.Split: cut at %d, want within 0 and the source's 3 examples", n),
			func() { Split(numbers(3), n) })
	}
	for _, parts := range []int{0, -1} {
		panicsWith[*tensor.UsageError](t, fmt.Sprintf("dataset.Cut: %d parts, want at least 1", parts), func() { Cut(3, parts, 0) })
	}
}

// panicsWith asserts that f panics with an error of type E and of that text.
func panicsWith[E error](t *testing.T, want string, f func()) {
	t.Helper()
	err := caught(f)
	if assert.EqualError(t, err, want) {
		_, ok := err.(E)
		assert.True(t, ok, "type is %T", err)
	}
}

// caught returns the error that f panics with, nil if there is none.
func caught(f func()) (err error) {
	defer func() { err, _ = recover().(error) }()
	f()
	return nil
}

func TestGrouped(t *testing.T) {
	source := &Tensors{Labels: []int32{0, 1, 2, 3, 4}}
	for n, want := range map[int][][][]int{
		1: {{{0, 1}}, {{2, 3}}, {{4}}},
		2: {{{0, 1}, {2, 3}}, {{4}}},
		3: {{{0, 1}, {2, 3}, {4}}},
		9: {{{0, 1}, {2, 3}, {4}}},
	} {
		var got [][][]int
		for group := range Grouped(Batches(source, 2), n) {
			var indices [][]int
			for _, rows := range group {
				assert.Same(t, source, rows.Source)
				indices = append(indices, slices.Clone(rows.Index))
			}
			got = append(got, indices)
		}
		assert.Equal(t, want, got)
		for group := range Grouped(Batches(source, 2), n) {
			assert.Equal(t, []int{0, 1}, group[0].Index)
			break
		}
	}
	assert.PanicsWithError(t, "dataset.Grouped: groups of 0 batches, want at least 1", func() { Grouped(Batches(source, 2), 0) })
}
