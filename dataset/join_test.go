package dataset

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// Two inputs with lengths of their own and two tasks with labels of their own.
func TestJoin(t *testing.T) {
	s := Join(
		&Sequences{IDs: [][]int32{{1}, {2, 3, 4}, {5, 6}}, Labels: []int32{0, 1, 2}},
		&Sequences{X: []*tensor.Tensor{counted(2, 1), counted(1, 1), counted(4, 1)}},
		&Tensors{Labels: []int32{7, 8, 9}})
	require.Equal(t, 3, s.Len())
	b := full()
	require.NoError(t, s.Gather([]int{2, 0}, b))
	require.Len(t, b.Parts, 3)
	assert.Nil(t, b.X)
	assert.Nil(t, b.IDs)
	assert.Nil(t, b.Labels)
	assert.Nil(t, b.Target)
	assert.Nil(t, b.Lengths)
	assert.Equal(t, []int{2, 0}, b.Index)
	assert.Equal(t, 7, b.First)

	words, numbers, task := &b.Parts[0], &b.Parts[1], &b.Parts[2]
	assert.Equal(t, []int32{5, 1, 6, 0}, words.IDs)
	assert.Equal(t, []int{2, 1}, words.Lengths)
	assert.Equal(t, []int32{2, 0}, words.Labels)
	assert.Equal(t, []int{4, 2, 1}, numbers.X.Shape())
	assert.Equal(t, []float32{0, 0, 1, 1, 2, 0, 3, 0}, numbers.X.Data())
	assert.Equal(t, []int{4, 2}, numbers.Lengths)
	assert.Equal(t, []int32{9, 7}, task.Labels)
	for i, steps := range []int{2, 4, 1} {
		assert.Equal(t, 2, b.Parts[i].Rows())
		assert.Equal(t, steps, b.Parts[i].Steps())
		assert.Equal(t, 7, b.Parts[i].First)
	}

	// A source of another kind leaves no parts behind.
	require.NoError(t, counts(3).Gather([]int{1}, b))
	assert.Empty(t, b.Parts)
}

// Each part numbers its rows as its innermost source does; a source of one's own need not set Index.
func TestJoinOfParts(t *testing.T) {
	_, part := Split(numbers(10), 6)
	_, joined := Split(Join(part, counts(4), Rows{Join(numbers(4), counts(4)), []int{3, 2, 1, 0}}), 1)
	var b Batch
	require.NoError(t, joined.Gather([]int{2, 0}, &b))
	assert.Equal(t, []int{3, 1}, b.Index)
	assert.Equal(t, []int{9, 7}, b.Parts[0].Index)
	assert.Equal(t, []int32{90, 70}, b.Parts[0].Labels)
	assert.Equal(t, []int{3, 1}, b.Parts[1].Index)
	assert.Equal(t, []float32{3, 1}, b.Parts[1].X.Data())
	inner := b.Parts[2]
	assert.Equal(t, []int{0, 2}, inner.Index)
	assert.Equal(t, []int32{0, 20}, inner.Parts[0].Labels)
	assert.Equal(t, []int{0, 2}, inner.Parts[0].Index)
	assert.Equal(t, []float32{0, 2}, inner.Parts[1].X.Data())
}

func TestJoinErrors(t *testing.T) {
	s := Join(numbers(3), &Sequences{IDs: [][]int32{{1}, {2}, {}}})
	_, part := Split(s, 1)
	var b Batch
	assert.EqualError(t, part.Gather([]int{0, 1}, &b), "part 1 of dataset.Join: dataset: sequence 2 has no steps, want at least one")
	assert.EqualError(t, s.Gather([]int{3}, &b), "dataset: row 3 of a set of 3 examples")
	panicsWith[*tensor.UsageError](t, "dataset.Join: no sources, want at least one", func() { Join() })
	panicsWith[*tensor.ShapeError](t, "dataset.Join: source 2 has 4 examples, want 3, as source 0 has",
		func() { Join(numbers(3), numbers(3), numbers(4)) })
	panicsWith[*tensor.ShapeError](t, "dataset.Join: source 1 has 1 examples, want 2, as source 0 has",
		func() { Pairs(counts(2), [][]int32{{1}}, 0, 0) })
}

func TestPairs(t *testing.T) {
	s := Pairs(&Sequences{IDs: [][]int32{{5}, {6, 7, 8}, {9, 10}}, Pad: -1}, [][]int32{{11, 12, 13}, {14}, {}}, 1, 2)
	b := full()
	require.NoError(t, s.Gather([]int{0, 1, 2}, b))
	require.Len(t, b.Parts, 2)
	encoder, decoder := &b.Parts[0], &b.Parts[1]
	assert.Equal(t, []int32{5, 6, 9, -1, 7, 10, -1, 8, -1}, encoder.IDs)
	assert.Equal(t, []int{1, 3, 2}, encoder.Lengths)
	assert.Equal(t, []int32{
		1, 1, 1,
		11, 14, 2,
		12, 2, 2,
		13, 2, 2}, decoder.IDs)
	assert.Equal(t, []int32{
		11, 14, 2,
		12, 2, -100,
		13, -100, -100,
		2, -100, -100}, decoder.Labels)
	assert.Equal(t, []int{4, 2, 1}, decoder.Lengths)
	assert.Equal(t, []int{3, 3, 4}, []int{decoder.Rows(), encoder.Steps(), decoder.Steps()})

	require.NoError(t, s.Gather([]int{2}, b))
	assert.Equal(t, []int32{1}, b.Parts[1].IDs)
	assert.Equal(t, []int32{2}, b.Parts[1].Labels)
	require.NoError(t, s.Gather(nil, b))
	assert.Empty(t, b.Parts[1].IDs)
	assert.Zero(t, b.Rows())
	assert.EqualError(t, s.Gather([]int{-1}, b), "dataset: row -1 of a set of 3 examples")
}

// The lengths of the parts that have lengths are added up, through Split too.
func TestBucketsOfPairs(t *testing.T) {
	source, targets := &Sequences{}, [][]int32(nil)
	for i := range 100 {
		source.IDs = append(source.IDs, make([]int32, 1+i*37%100))
		targets = append(targets, make([]int32, i*37%100))
	}
	s := Join(numbers(100), Pairs(source, targets, 1, 2))
	_, part := Split(s, 20)
	var b Batch
	var seen []int
	for rows := range Buckets(part, 10, 1, 1) {
		require.NoError(t, rows.Source.Gather(rows.Index, &b))
		seen = append(seen, b.Index...)
		for _, p := range b.Parts[1].Parts {
			assert.Less(t, slices.Max(p.Lengths)-slices.Min(p.Lengths), 35, "of 100")
		}
	}
	slices.Sort(seen)
	for i, row := range seen {
		require.Equal(t, 20+i, row)
	}
	require.Len(t, seen, 80)
}
