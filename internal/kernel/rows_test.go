package kernel

import (
	"slices"
	"testing"
)

// TestRows: every number of columns, between others that stay as they are, moved to the bit or added.
func TestRows(t *testing.T) {
	for name, fill := range fills {
		for _, cols := range append([]int{0, manyColumns + 5}, lengths...) {
			for _, rows := range []int{0, 1, 2, 5} {
				mem := newMemory(t, uint64(rows*cols))
				copied, added, src := mem.block("copied", rows, cols, fill), mem.block("added", rows, cols, fill), mem.block("src", rows, cols, fill)
				moved, sum := slices.Clone(copied.Data), slices.Clone(added.Data)
				for i := range rows {
					for j := range cols {
						v := src.Data[i*src.Stride+j]
						moved[i*copied.Stride+j] = v
						sum[i*added.Stride+j] = add(sum[i*added.Stride+j], v)
					}
				}
				CopyRows(copied.Data, copied.Stride, src.Data, src.Stride, rows, cols)
				AddRows(added.Data, added.Stride, src.Data, src.Stride, rows, cols)
				mem.check("copied", "added")
				same(t, moved, copied.Data, "%d rows of %d %s numbers", rows, cols, name)
				same(t, sum, added.Data, "the sum of %d rows of %d %s numbers", rows, cols, name)
			}
		}
	}
}
