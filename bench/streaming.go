package main

import (
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// streaming has everybody take one step of one sequence after the other.
func streaming(b *bench) (all []*Contest, err error) {
	releases := b.pytorches()
	for _, cell := range slices.Concat(cells, own) {
		j := recipe(cell)
		c := &Contest{Name: cell}
		c.addFunc(ours, j.stepper())
		c.addFunc("its kernels alone", j.kernels())
		all = append(all, c)
		if slices.Contains(own, cell) {
			continue
		}
		for _, p := range releases {
			child, err := b.torch(p, p.settings[0])
			if err != nil {
				return nil, err
			}
			c.add(p.name, 1, child.seconds(request{Do: "step", job: j}, 1))
		}
	}
	return all, nil
}

// stepper returns a step of our layer.
func (j job) stepper() func() {
	params := autograd.NewParams(1)
	layer, x := j.layer(params), tensor.Of(noise(pixels), 1, pixels)
	tape, state := autograd.NewInference(params), layer.NewState(1)
	return func() {
		tape.Reset()
		_, next := layer.Step(tape.Input(x), state.Carry(tape, 0, 1))
		state.Set(next, 0)
	}
}

// kernels returns the arithmetic of a step.
func (j job) kernels() func() {
	in, hidden := noise(pixels), noise(j.Hidden)
	x := kernel.Block{Data: in, Stride: pixels, Cols: pixels}
	h := kernel.Block{Data: hidden, Stride: j.Hidden, Cols: j.Hidden}
	z, c, tc := kernel.Alloc(4*j.Hidden), kernel.Alloc(j.Hidden), kernel.Alloc(j.Hidden)
	switch n := j.Hidden; j.Cell {
	case lstm:
		sums := affine(z, 4*n, x, h)
		return func() {
			sums()
			kernel.LSTM(z, c, c, tc, hidden)
		}
	case gru: // whose gate n has its two products apart
		both, ofX, ofH := affine(z[n:], 2*n, x, h), affine(z, n, x, kernel.Block{}), affine(z[3*n:], n, h, kernel.Block{})
		return func() {
			both()
			ofX()
			ofH()
			kernel.GRU(z, hidden, hidden)
		}
	case minGRU:
		sums := affine(z, 2*n, x, kernel.Block{})
		return func() {
			sums()
			kernel.Sigmoid(z[:n], z[:n])
			kernel.Blend(hidden, hidden, z[n:2*n], z[:n])
		}
	case indRNN:
		sums, w := affine(z, n, x, kernel.Block{}), noise(n)
		return func() {
			sums()
			kernel.AddMul(z[:n], w, hidden)
			kernel.ReLU(hidden, z[:n])
		}
	}
	sums := affine(z, j.Hidden, x, h)
	return func() {
		sums()
		kernel.Tanh(hidden, z[:j.Hidden])
	}
}

// affine returns a product of one row with weights of so many columns.
func affine(z []float32, cols int, x, h kernel.Block) func() {
	var w kernel.Matrix
	w.Reset(x.Cols+h.Cols, cols)
	weights := noise(w.K * w.N)
	kernel.Scale(weights, 0.1)
	w.SetRows(0, w.K, weights, cols)
	bias := noise(cols)
	return func() { kernel.Affine(z, cols, 1, bias, x, h, &w) }
}

func streamingTable(contests []*Contest) table { return compare(contests, ours, "µs", 1e6) }
