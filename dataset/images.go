package dataset

import (
	"fmt"

	"github.com/unroll-go/unroll/internal/kernel"
)

// Images is a Source of grey pictures with a class each, kept as bytes. Each
// picture is read as a sequence from top to bottom: a step is one row of pixels.
// Gather fills Batch.X, [T,B,F] with T = Height and F = Width, with pixel/255, and Batch.Labels. Pixels of another number
// than Height, Width and Labels tell are an error of Gather.
type Images struct {
	Height, Width int
	Pixels        []uint8 // picture by picture, each row by row: len is Len()*Height*Width
	Labels        []uint8 // class of each picture
}

// Len returns the number of pictures.
func (m *Images) Len() int { return len(m.Labels) }

// Shape returns the shape of the whole set: [pictures, Height, Width].
func (m *Images) Shape() []int { return []int{m.Len(), m.Height, m.Width} }

// Picture returns the pixels of picture i, row by row: m's own memory.
func (m *Images) Picture(i int) []uint8 {
	n := m.Height * m.Width
	return m.Pixels[i*n : (i+1)*n : (i+1)*n]
}

// Slice returns pictures lo to hi, over the same memory. It panics where a slice expression does.
func (m *Images) Slice(lo, hi int) *Images {
	n := m.Height * m.Width
	return &Images{m.Height, m.Width, m.Pixels[lo*n : hi*n : hi*n], m.Labels[lo:hi:hi]}
}

// Gather implements [Source].
func (m *Images) Gather(rows []int, into *Batch) error {
	if want := m.Len() * m.Height * m.Width; len(m.Pixels) != want {
		return fmt.Errorf("dataset: Images has %d pixels, want %d for shape %v", len(m.Pixels), want, m.Shape())
	}
	if err := checkRows(rows, m.Len(), "pictures"); err != nil {
		return err
	}
	into.start(rows)
	into.X = shaped(into.X, m.Height, len(rows), m.Width)
	into.IDs, into.Target, into.Lengths = nil, nil, nil // a source of another kind may have filled them
	into.Labels = into.Labels[:0]
	x := into.X.Data()
	for b, r := range rows {
		into.Labels = append(into.Labels, int32(m.Labels[r]))
		kernel.Pixels(x[b*m.Width:], len(rows)*m.Width, m.Picture(r), m.Width)
	}
	return nil
}
