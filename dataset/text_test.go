package dataset

import (
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

func TestTextPanics(t *testing.T) {
	panicsWith[*tensor.UsageError](t, "dataset.NewText: 0 steps, stride 1, want at least 1 step and no negative stride",
		func() { NewText(nil, 0, 1) })
	panicsWith[*tensor.UsageError](t, "dataset.NewText: 1 steps, stride -1, want at least 1 step and no negative stride",
		func() { NewText(nil, 1, -1) })
}
