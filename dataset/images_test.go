package dataset

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// pictures returns n pictures of 3x2 pixels. No two pixels next to each other are the same, and labels count up.
func pictures(n int) *Images {
	m := &Images{Height: 3, Width: 2}
	for i := range n {
		m.Labels = append(m.Labels, uint8(i))
		for p := range 6 {
			m.Pixels = append(m.Pixels, uint8(37*i+41*p))
		}
	}
	return m
}

func TestImages(t *testing.T) {
	m := pictures(5)
	assert.Equal(t, 5, m.Len())
	assert.Equal(t, []int{5, 3, 2}, m.Shape())
	assert.Equal(t, []uint8{74, 115, 156, 197, 238, 23}, m.Picture(2))
	assert.Equal(t, 6, cap(m.Picture(2)), "appending leaves the next picture alone")
	assert.Panics(t, func() { m.Picture(5) })
}

func TestImagesGather(t *testing.T) {
	m := pictures(5)
	b := Batch{First: 9}
	for _, rows := range [][]int{{3, 0, 4, 3}, {1}, {}, {4, 3, 2, 1, 0, 1, 2}, {0, 0}} {
		require.NoError(t, m.Gather(rows, &b))
		require.Equal(t, []int{3, len(rows), 2}, b.X.Shape())
		require.Len(t, b.Labels, len(rows))
		for row, i := range rows {
			assert.Equal(t, int32(i), b.Labels[row])
			for step := range 3 {
				for f := range 2 {
					want := float32(m.Pixels[(i*3+step)*2+f]) / 255
					assert.Equal(t, want, b.X.Data()[(step*len(rows)+row)*2+f], "rows %v: [%d,%d,%d]", rows, step, row, f)
				}
			}
		}
	}
	assert.Equal(t, 9, b.First)
}

func TestImagesGatherScale(t *testing.T) {
	m := &Images{Height: 1, Width: 256, Labels: []uint8{255}}
	for p := range 256 {
		m.Pixels = append(m.Pixels, uint8(p))
	}
	var b Batch
	require.NoError(t, m.Gather([]int{0}, &b))
	for p, x := range b.X.Data() {
		assert.Equal(t, float32(p)/255, x)
	}
	assert.Equal(t, []float32{0, 1}, []float32{b.X.Data()[0], b.X.Data()[255]})
	assert.Equal(t, []int32{255}, b.Labels)
}

func TestImagesGatherOutOfRange(t *testing.T) {
	m := pictures(5)
	b := Batch{X: tensor.Of([]float32{1, 2}, 2), Labels: []int32{7}}
	for row, want := range map[int]string{
		5:  "dataset: row 5 of a set of 5 pictures",
		-1: "dataset: row -1 of a set of 5 pictures",
	} {
		assert.EqualError(t, m.Gather([]int{0, row}, &b), want)
		assert.Equal(t, []float32{1, 2}, b.X.Data(), "the batch stays as it was")
		assert.Equal(t, []int32{7}, b.Labels)
	}
	assert.EqualError(t, m.Slice(1, 3).Gather([]int{2}, &b), "dataset: row 2 of a set of 2 pictures")
}

func TestImagesGatherAllocatesNothing(t *testing.T) {
	m := pictures(40)
	_, rest := Split(m, 8)
	large, small := []int{31, 2, 7, 7, 0}, []int{4, 1}
	var b Batch
	var errs error
	allocs := testing.AllocsPerRun(100, func() {
		errs = errors.Join(errs, m.Gather(large, &b), m.Gather(small, &b), rest.Gather(large, &b))
	})
	require.NoError(t, errs)
	assert.Zero(t, allocs)
	assert.Equal(t, []int32{39, 10, 15, 15, 8}, b.Labels)
}

func TestImagesSlice(t *testing.T) {
	m := pictures(5)
	s := m.Slice(1, 4)
	assert.Equal(t, []int{3, 3, 2}, s.Shape())
	assert.Equal(t, m.Picture(1), s.Picture(0))
	assert.Equal(t, m.Picture(3), s.Picture(2))
	assert.Equal(t, []uint8{1, 2, 3}, s.Labels)
	assert.Equal(t, []int{3, 18}, []int{cap(s.Labels), cap(s.Pixels)}, "appending leaves the rest alone")
	s.Pixels[0] = 99
	assert.Equal(t, uint8(99), m.Picture(1)[0], "the memory is the same")
	assert.Equal(t, []uint8{2}, s.Slice(1, 2).Labels)
	assert.Zero(t, m.Slice(5, 5).Len())
	for _, c := range [][2]int{{-1, 2}, {3, 2}, {0, 1 << 20}} {
		assert.Panics(t, func() { m.Slice(c[0], c[1]) }, "%v", c)
	}
}

func TestImagesErrors(t *testing.T) {
	m := pictures(5)
	m.Pixels = m.Pixels[:29]
	b := full()
	assert.EqualError(t, m.Gather([]int{0}, b), "dataset: Images has 29 pixels, want 30 for shape [5 3 2]")
	assert.Equal(t, full(), b, "the batch stays as it was")
}
