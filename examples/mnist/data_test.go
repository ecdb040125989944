package main

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/dataset/digits"
)

// TestPixels reads pictures pixel by pixel, in their order and in another.
func TestPixels(t *testing.T) {
	pictures := digits.New(3, 5, 1, 1).Train
	for _, permute := range []bool{false, true} {
		var batch dataset.Batch
		source := options{read: "pixels", permute: permute}.reading(pictures)
		require.NoError(t, source.Gather([]int{4, 1}, &batch))
		require.Equal(t, []int{784, 2, 1}, batch.X.Shape())
		for b, picture := range []int{4, 1} {
			assert.Equal(t, int32(pictures.Labels[picture]), batch.Labels[b])
			var seen []uint8
			for step := range 784 {
				seen = append(seen, uint8(batch.X.Data()[step*2+b]*255+0.5))
			}
			want := pictures.Picture(picture)
			assert.Equal(t, !permute, slices.Equal(want, seen))
			seen = slices.Clone(seen)
			slices.Sort(seen)
			want = slices.Clone(want)
			slices.Sort(want)
			assert.Equal(t, want, seen, "the same pixels")
		}
	}
}

// TestRecomputeChangesNothing trains pixel by pixel with all states kept and with windows that are computed again.
func TestRecomputeChangesNothing(t *testing.T) {
	o := options{cell: "gru", read: "pixels", permute: true, recipe: "best", epochs: 1, layers: 2}
	_, want, err := small(t, context.Background(), o)
	require.NoError(t, err)
	o.recompute = 28
	_, got, err := small(t, context.Background(), o)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}
