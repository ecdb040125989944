package kernel

import (
	"slices"
	"testing"
)

// TestPixels: every byte, in rows of every length.
func TestPixels(t *testing.T) {
	for _, cols := range lengths {
		for _, rows := range []int{0, 1, 3, 256} {
			mem := newMemory(t, uint64(rows*cols))
			stride := cols + mem.r.IntN(4)
			src := make([]uint8, rows*cols)
			for i := range src {
				src[i] = uint8(i * 37)
			}
			dst := mem.matrix("dst", rows, cols, stride, walls)
			want := slices.Clone(dst)
			for i, p := range src {
				want[i/cols*stride+i%cols] = float32(p) / 255
			}
			Pixels(dst, stride, src, cols)
			mem.check("dst")
			same(t, want, dst, "%d rows of %d", rows, cols)
		}
	}
}
