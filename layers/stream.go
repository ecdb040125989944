package layers

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// DenseStream is a [Dense] layer on one row of plain numbers at a time, as a part of an rnn.Chain. It owns the memory of its output and allocates nothing.
type DenseStream struct {
	d *Dense
	y []float32
}

// NewStream returns the layer for one row at a time.
func (d *Dense) NewStream() *DenseStream { return &DenseStream{d, make([]float32, d.Out())} }

// Step computes y [out] from x [in], with the bits of Forward. y is good until the next Step. It panics with a [*autograd.ShapeError] if x has another
// length.
func (s *DenseStream) Step(x []float32) (y []float32) {
	d := s.d
	if len(x) != d.In() {
		panic(&autograd.ShapeError{Where: d.Weight.Name, Got: fmt.Sprintf("input has %d features", len(x)), Want: fmt.Sprint(d.In())})
	}
	kernel.Affine(s.y, len(s.y), 1, valuesOf(d.Bias), kernel.Block{Data: x, Stride: len(x), Cols: len(x)}, kernel.Block{}, d.forward.Get())
	return s.y
}
