package main

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// streaming has everybody take one step of one sequence after the other.
func streaming(b *bench) (all []*Contest, err error) {
	releases := b.pytorches()
	for _, cell := range []string{elman, lstm} {
		j := recipe(cell)
		c := &Contest{Name: cell}
		c.addFunc(ours, j.stepper())
		c.addFunc("its kernels alone", j.kernels())
		for _, p := range releases {
			child, err := b.torch(p, p.settings[0])
			if err != nil {
				return nil, err
			}
			c.add(p.name, 1, child.seconds(request{Do: "step", job: j}, 1))
		}
		all = append(all, c)
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
	n := j.gates() * j.Hidden
	p := newProduct(1, n, pixels+j.Hidden)
	kernel.Scale(p.b, 0.1)
	var w kernel.Matrix
	p.pack(&w)
	bias, c, tc := noise(n), kernel.Alloc(j.Hidden), kernel.Alloc(j.Hidden)
	x := kernel.Block{Data: p.a, Stride: pixels, Cols: pixels}
	h := kernel.Block{Data: p.a[pixels:], Stride: j.Hidden, Cols: j.Hidden}
	return func() {
		kernel.Affine(p.c, n, 1, bias, x, h, &w)
		if j.Cell == lstm {
			kernel.LSTM(p.c, c, c, tc, h.Data)
		} else {
			kernel.Tanh(h.Data, p.c)
		}
	}
}

func streamingTable(contests []*Contest) table { return compare(contests, ours, "µs", 1e6) }
