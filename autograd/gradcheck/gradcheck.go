// Package gradcheck compares the gradients that a model computes with differences of its loss, to prove a new operation
// or layer:
//
//	params := autograd.NewParams(1)
//	layer := NewMine(params.In("mine"))
//	x := params.New("x", autograd.Normal(1), 4, 3) // an input is checked as a weight is
//	err := gradcheck.Check(params, func(t *autograd.Tape) *autograd.Node {
//		return gradcheck.Project(layer.Forward(t.Param(x)))
//	}, gradcheck.Options{})
//
// # What is compared
//
// For each weight w with gradient g, and for some directions d whose elements are 1 and -1 at random, the directional
// derivative g·d is compared with the central difference of the loss L, of fourth order,
//
//	(8 (L(w+hd) - L(w-hd)) - (L(w+2hd) - L(w-2hd))) / 12h
//
// (Abramowitz & Stegun 1964, equation 25.3.6). The loss is a float32, so the difference is only good to some digits: too large a
// step bends, too small a one drowns in rounding. Three steps are tried, and the best of them must agree. Ten
// directions would find a wrong element among thousands; what no direction can find is an error that is small beside
// the whole gradient of that weight. Keep weights small, then, and losses near 1.
package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// Options are the settings of [Check]; the zero value is good for most.
type Options struct {
	// Tolerance is the largest error relative to the derivative; 0 means 1e-2.
	Tolerance float64
	// Directions is how many are tried for each weight; 0 means 4.
	Directions int
	// Seed of the directions and of what is random in the model.
	Seed uint64
}

// steps are those tried, relative to the weight's size.
var steps = [...]float64{0x1p-6, 0x1p-9, 0x1p-12}

// Check returns an error that names the weight, the two derivatives and their relative error if a gradient of model, which
// returns its loss, is not that of its values, and Backward's error if there is one. The model must give the same loss each
// time: what is random in it comes from the tape. Weights are moved and set back; frozen ones are not checked. A
// derivative that is lost in the loss's rounding counts as zero.
func Check(p *autograd.Params, model func(*autograd.Tape) *autograd.Node, o Options) error {
	if o.Tolerance == 0 {
		o.Tolerance = 1e-2
	}
	if o.Directions == 0 {
		o.Directions = 4
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
	for w := range p.All() {
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

// scaleOf is the size of a weight's values, at least 1/16.
func scaleOf(w *autograd.Param) float64 {
	sum := 0.0
	for _, v := range w.Value.Data() {
		sum += float64(v) * float64(v)
	}
	return max(1.0/16, math.Sqrt(sum/float64(w.Value.Len())))
}

// nearest returns the difference that is nearest to got, and its relative error.
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

// along returns the derivative of value as w moves along d.
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

// Project returns the sum of x's elements, each times a number of its own between 1/2 and 3/2 over the root of their
// count: a loss to which every element of an output matters, and differently.
func Project(x *autograd.Node) *autograd.Node {
	t := autograd.TapeOf("gradcheck.Project", x)
	factors := tensor.New(x.Shape()...)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range factors.Data() {
		factors.Data()[i] = float32((0.5 + r.Float64()) / math.Sqrt(float64(len(x.Data()))))
	}
	return autograd.Sum(autograd.Mul(x, t.Input(factors)))
}
