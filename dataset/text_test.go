package dataset

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

func upTo(n int) (ids []int32) {
	for i := range n {
		ids = append(ids, int32(i))
	}
	return ids
}

func TestText(t *testing.T) {
	for _, c := range []struct{ tokens, steps, stride, want int }{
		{0, 3, 0, 0}, {1, 1, 0, 0}, {2, 1, 0, 1}, {3, 3, 0, 0}, {4, 3, 0, 1}, {6, 3, 0, 1}, {7, 3, 0, 2},
		{7, 3, 1, 4}, {7, 3, 2, 2}, {8, 3, 2, 3}, {7, 1, 4, 2}, {7, 3, 100, 1},
	} {
		s := NewText(upTo(c.tokens), c.steps, c.stride)
		assert.Equal(t, c.want, s.Len(), "%v", c)
		for i := range s.Len() {
			assert.Equal(t, c.steps, s.Length(i))
			require.NoError(t, s.Gather([]int{i}, new(Batch)))
		}
	}
	b := full()
	require.NoError(t, NewText(upTo(9), 3, 2).Gather([]int{2, 0}, b))
	assert.Equal(t, []int32{4, 0, 5, 1, 6, 2}, b.IDs)
	assert.Equal(t, []int32{5, 1, 6, 2, 7, 3}, b.Labels)
	assert.Nil(t, b.X)
	assert.Nil(t, b.Target)
	assert.Nil(t, b.Lengths)
	assert.Equal(t, 7, b.First)
	require.NoError(t, NewText(upTo(9), 3, 0).Gather(nil, b))
	assert.Empty(t, b.IDs)
	assert.Nil(t, b.Lengths)
}

func TestStreams(t *testing.T) {
	for tokens := range 40 {
		for rows := 1; rows < 5; rows++ {
			for steps := 1; steps < 6; steps++ {
				s := NewStreams(upTo(tokens), rows, steps)
				each := max(0, tokens-1) / rows
				at := make([]int32, rows) // the token that each stream goes on with
				for b := range at {
					at[b] = int32(b * each)
				}
				var b Batch
				for batch := range Batches(s, rows) {
					require.Len(t, batch.Index, rows)
					require.NoError(t, batch.Source.Gather(batch.Index, &b))
					require.Nil(t, b.Lengths)
					require.NotEmpty(t, b.IDs)
					for i, id := range b.IDs {
						require.Equal(t, at[i%rows], id)
						require.Equal(t, id+1, b.Labels[i])
						at[i%rows]++
					}
				}
				for i := range at {
					require.Equal(t, int32((i+1)*each), at[i], "a stream ends where the next one begins")
				}
			}
		}
	}
}

func TestStreamsOfBatchesMixed(t *testing.T) {
	s := NewStreams(upTo(12), 2, 3) // two streams of 5: windows of 3 and 2
	require.Equal(t, 4, s.Len())
	var b Batch
	require.NoError(t, s.Gather([]int{3, 0}, &b))
	assert.Equal(t, []int32{8, 0, 9, 1, 0, 2}, b.IDs)
	assert.Equal(t, []int32{9, 1, 10, 2, -100, 3}, b.Labels)
	assert.Equal(t, []int{2, 3}, b.Lengths)
	require.NoError(t, s.Gather([]int{2, 3}, &b))
	assert.Equal(t, []int32{3, 8, 4, 9}, b.IDs)
	assert.Nil(t, b.Lengths)
}

func TestStreamsOfAnyLength(t *testing.T) {
	s := NewStreams(upTo(7), 2, math.MaxInt)
	require.Equal(t, 2, s.Len())
	var b Batch
	require.NoError(t, s.Gather([]int{0, 1}, &b))
	assert.Equal(t, []int32{0, 3, 1, 4, 2, 5}, b.IDs)
	assert.Nil(t, b.Lengths)
}

func TestTextPanics(t *testing.T) {
	panicsWith[*tensor.UsageError](t, "dataset.NewText: 0 steps, stride 1, want at least 1 step and no negative stride",
		func() { NewText(nil, 0, 1) })
	panicsWith[*tensor.UsageError](t, "dataset.NewText: 1 steps, stride -1, want at least 1 step and no negative stride",
		func() { NewText(nil, 1, -1) })
	panicsWith[*tensor.UsageError](t, "dataset.NewStreams: 0 rows of 3 steps, want at least 1 of each", func() { NewStreams(nil, 0, 3) })
	panicsWith[*tensor.UsageError](t, "dataset.NewStreams: 3 rows of 0 steps, want at least 1 of each", func() { NewStreams(nil, 3, 0) })
}
