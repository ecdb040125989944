package main

import (
	"math"

	"github.com/unroll-go/unroll/internal/kernel"
)

// elements are those of a batch of 80 rows of 150 units.
const elements = 12_000

// activations has everybody compute functions of the same numbers.
func activations(b *bench) (all []*Contest, err error) {
	releases := b.pytorches()
	x, y := noise(elements), kernel.Alloc(elements)
	kernel.Scale(x, 4)
	for _, f := range []struct {
		name string
		ours func(dst, src []float32)
		math func(float64) float64
	}{
		{"tanh", kernel.Tanh, math.Tanh},
		{"sigmoid", kernel.Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }},
		{"exp", kernel.Exp, math.Exp},
	} {
		c := &Contest{Name: f.name}
		c.addFunc(ours, func() { f.ours(y, x) })
		c.addFunc("Go's math in a loop", func() {
			for i, x := range x {
				y[i] = float32(f.math(float64(x)))
			}
		})
		for _, p := range releases {
			child, err := b.torch(p, p.settings[0])
			if err != nil {
				return nil, err
			}
			c.add(p.name, 1, child.seconds(request{Do: "activation", Function: f.name, Size: elements}, 1))
		}
		all = append(all, c)
	}
	return all, nil
}

func activationTable(contests []*Contest) table { return compare(contests, ours, "ns", 1e9/elements) }
