package main

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/rnn"
)

// streaming has everybody take one step of one sequence after the other.
func streaming(b *bench) (all []*Contest, err error) {
	releases := b.pytorches()
	runtime, name := b.onnxRuntime()
	libTorch := b.program("PyTorch", b.libTorch)
	nexus := b.program("nexus-inference", b.nexus)
	b.note("A reading of the clock takes %s µs of each single step of ours.", figure(1e6*timedSingly(func() {}, 0.5)))
	for _, cell := range slices.Concat(cells, own) {
		for _, units := range []int{8, 16, 32, 64, 150, 400} {
			j := job{Cell: cell, Hidden: units, Batch: 1, Steps: 1}
			step := j.stepper()
			for _, f := range stepFigures {
				c := &Contest{Name: fmt.Sprintf("%s, %d units%s", cell, units, f.name)}
				if f.quantile == 0 {
					c.addFunc(ours, step)
					c.addFunc("its kernels alone", j.kernels())
				} else {
					c.add(ours, 1, func() (float64, error) { return timedSingly(step, f.quantile), nil })
				}
				all = append(all, c)
				if slices.Contains(own, cell) {
					continue
				}
				if runtime != nil {
					c.add(name, 1, runtime.seconds(request{Do: "read", job: j, Quantile: f.quantile}, 1))
				}
				q := request{Do: "step", job: j, Quantile: f.quantile}
				for _, p := range releases {
					child, err := b.torch(p, p.settings[0])
					if err != nil {
						return nil, err
					}
					c.add(p.name, 1, child.seconds(q, 1))
				}
				if libTorch != nil {
					c.add("PyTorch "+shorten(libTorch.version)+", C++", 1, libTorch.seconds(q, 1))
				}
				if nexus != nil && cell != elman {
					c.add("nexus-inference "+nexus.version, 1, nexus.seconds(q, 1))
				}
			}
		}
	}
	return all, nil
}

// stepFigures are what is told of a step: the mean of many, and quantiles of single ones.
var stepFigures = []struct {
	name     string
	quantile float64
}{{"", 0}, {", median", 0.5}, {", p99", 0.99}}

// stepper returns a step of our layer.
func (j job) stepper() func() {
	layer := j.layer(autograd.NewParams(1))
	stream, x := layer.(interface{ NewStream() *rnn.Stream }).NewStream(), noise(pixels)
	return func() { stream.Step(x) }
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
