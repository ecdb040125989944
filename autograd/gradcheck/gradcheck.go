// Package gradcheck compares the gradients of a model with differences of its loss. It is for proving a new operation or
// layer:
//
//	params := autograd.NewParams(1)
//	layer := NewMine(params.In("mine"))
//	x := params.New("x", autograd.Normal(1), 4, 3) // an input is checked in the same way as a weight
//	err := gradcheck.Check(params, func(t *autograd.Tape) *autograd.Node {
//		return gradcheck.Project(layer.Forward(t.Param(x)))
//	}, gradcheck.Options{})
//
// # The comparison
//
// For each weight w with gradient g, and for some directions d whose elements are 1 and -1 at random, the directional
// derivative g·d is compared with the central difference of the loss L, of fourth order,
//
//	(8 (L(w+hd) - L(w-hd)) - (L(w+2hd) - L(w-2hd))) / 12h
//
// (Abramowitz & Stegun 1964, equation 25.3.6). The loss is a float32, so the difference has only a few correct digits: a
// large step h adds the loss's curvature to the difference, a small one its rounding error. Three steps are tried, and the
// best of them must agree. Ten directions find a wrong element among thousands. No direction finds an error that is small
// beside the whole gradient of that weight, so check small weights, and losses near 1.
package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// Options are the settings of [Check]. The zero value suits most models.
type Options struct {
	// Tolerance is the largest allowed error relative to the derivative; 0 means 1e-2.
	Tolerance float64
	// Directions is the number of directions for each weight; 0 means 4.
	Directions int
	// Seed determines the directions and the random numbers of the model's tape.
	Seed uint64
}

// steps are the values of h that are tried, relative to the size of the weight.
var steps = [...]float64{0x1p-6, 0x1p-9, 0x1p-12}

// Check compares the gradients of all weights under p's prefix, except frozen ones, with differences of the loss that
// model returns. If a gradient is wrong, the error names the weight, the two derivatives and their relative error. Check
// also returns the error of Backward, and an error if there is nothing to compare because p has no weight or all are frozen.
//
// The model must return the same loss each time; it takes random numbers from the tape. Check changes the weights and
// restores them. A derivative that is smaller than the rounding error of the loss counts as zero.
func Check(p *autograd.Params, model func(*autograd.Tape) *autograd.Node, o Options) error {
	if o.Tolerance == 0 {
		o.Tolerance = 1e-2
	}
	if o.Directions == 0 {
		o.Directions = 4
	}
	weights := slices.Collect(p.All())
	switch {
	case len(weights) == 0:
		return fmt.Errorf("gradcheck: nothing to check under %q: there are no weights", p.Prefix())
	case !slices.ContainsFunc(weights, func(w *autograd.Param) bool { return !w.Frozen }):
		return fmt.Errorf("gradcheck: nothing to check under %q: all %d weights are frozen", p.Prefix(), len(weights))
	}
	tape, grads := autograd.NewTape(p, o.Seed), autograd.NewGrads(p)
	value := func() float64 {
		tape.Start(o.Seed, grads)
		return float64(model(tape).Value())
	}
	tape.Start(o.Seed, grads)
	loss := model(tape)
	if err := loss.Backward(); err != nil {
		return fmt.Errorf("gradcheck: %w", err)
	}
	size := math.Abs(float64(loss.Value()))
	gradient := autograd.NewGrads(p)
	copy(gradient.Data, grads.Data)
	r := rand.New(rand.NewPCG(o.Seed, 0))
	for _, w := range weights {
		if w.Frozen {
			continue
		}
		for range o.Directions {
			d := make([]float32, w.Value.Len())
			got := 0.0
			for i, g := range gradient.Of(w) {
				d[i] = float32(1 - 2*int(r.Uint64()&1))
				got += float64(g * d[i])
			}
			want, off := nearest(got, size, func(h float64) float64 { return along(p, w, d, h, value) }, scaleOf(w))
			if !(off <= o.Tolerance) {
				return fmt.Errorf("gradcheck: %s: derivative %.6g along a direction, but the loss changes by %.6g: relative error %.2g, want at most %.2g",
					w.Name, got, want, off, o.Tolerance)
			}
		}
	}
	return nil
}

// scaleOf returns the root mean square of a weight's values, at least 1/16.
func scaleOf(w *autograd.Param) float64 {
	sum := 0.0
	for _, v := range w.Value.Data() {
		sum += float64(v) * float64(v)
	}
	return max(1.0/16, math.Sqrt(sum/float64(w.Value.Len())))
}

// nearest returns the difference, over all steps, with the smallest error relative to the derivative got, and that error.
func nearest(got, size float64, difference func(h float64) float64, scale float64) (want, off float64) {
	off = math.Inf(1)
	for _, s := range steps {
		h := s * scale
		d := difference(h)
		rounding := 4 * 0x1p-24 * size / h
		wrong := max(0, math.Abs(got-d)-rounding) / max(math.Abs(got), math.Abs(d))
		if got == d || math.Abs(got-d) <= rounding && math.Abs(got) <= rounding {
			wrong = 0
		}
		if wrong < off || math.IsInf(off, 1) {
			want, off = d, wrong
		}
	}
	return want, off
}

// along returns the central difference of value in direction d of the weight w, with step h.
func along(p *autograd.Params, w *autograd.Param, d []float32, h float64, value func() float64) float64 {
	data := w.Value.Data()
	before := append([]float32(nil), data...)
	at := func(steps float64) float64 {
		p.Update(func() {
			for i, v := range before {
				data[i] = float32(float64(v) + steps*h*float64(d[i]))
			}
		})
		return value()
	}
	near := at(1) - at(-1)
	far := at(2) - at(-2)
	p.Update(func() { copy(data, before) })
	return (8*near - far) / (12 * h)
}

// Project returns a loss that depends on every element of x with a different derivative: the sum of the elements, each
// times a fixed random factor between 1/2 and 3/2 over the square root of their number.
func Project(x *autograd.Node) *autograd.Node {
	t := autograd.TapeOf("gradcheck.Project", x)
	factors := tensor.New(x.Shape()...)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range factors.Data() {
		factors.Data()[i] = float32((0.5 + r.Float64()) / math.Sqrt(float64(len(x.Data()))))
	}
	return autograd.Sum(autograd.Mul(x, t.Input(factors)))
}
