// Package reference computes what the library computes once more, slowly and so plainly that it can
// be read against the equations: scalar loops over complex128, no code shared with the kernels. The
// tests of other packages compare with it.
//
// # Gradients
//
// Only forward passes are written here. [Gradient] differentiates them by the complex step (Squire &
// Trapp 1998, "Using complex variables to estimate derivatives of real functions"): for an analytic f
// that is real on the real line,
//
//	f(x + ih) = f(x) + ih f'(x) - h²/2 f''(x) - ...
//
// so imag(f(x + ih))/h is f'(x) but for terms of h². Nothing is subtracted, so h can be so small that they
// vanish, and the derivative is as exact as f itself. Functions that are not analytic follow the
// real part: relu(z) is z where real(z) > 0 and 0 elsewhere.
//
// What an imaginary part does not pass through has no derivative. That is all it takes to write a
// constant, such as the state that truncated backpropagation hands from window to window: drop
// the imaginary part.
package reference

import (
	"fmt"
	"math"
	"strings"
)

// Weights are named as in PyTorch's state_dict: weight_ih_l0, bias_hh_l1, head.weight.
type Weights map[string][]complex128

// In returns the weights under a prefix, without it: In("rnn") has as weight_ih_l0 what w has as
// rnn.weight_ih_l0. Both share the numbers.
func (w Weights) In(prefix string) Weights {
	in := Weights{}
	for name, v := range w {
		if rest, ok := strings.CutPrefix(name, prefix+"."); ok {
			in[rest] = v
		}
	}
	return in
}

func (w Weights) get(name string) []complex128 {
	v, ok := w[name]
	if !ok {
		panic(fmt.Sprintf("reference: no weight %q", name))
	}
	return v
}

// Complex returns the values as complex numbers.
func Complex[F float32 | float64](v []F) []complex128 {
	z := make([]complex128, len(v))
	for i, x := range v {
		z[i] = complex(float64(x), 0)
	}
	return z
}

// Real returns the real parts.
func Real(z []complex128) []float64 {
	v := make([]float64, len(z))
	for i, x := range z {
		v[i] = real(x)
	}
	return v
}

// Dot returns the sum of a[i] b[i]: a loss that reaches every element of an output, each
// with a factor of its own.
func Dot(a, b []complex128) complex128 {
	mustHave("Dot: b", len(b), len(a))
	var sum complex128
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// step is a power of two, so that dividing by it is exact, and its square is lost beside any value.
const step = 0x1p-100

// Gradient returns the derivatives of f, a real number, with respect to the elements of at, by
// complex step. It calls f once an element, with that element of at moved by the step; f must
// read at itself each time, not a copy. When it returns, at is as before.
func Gradient(f func() complex128, at []complex128) []float64 {
	gradient := make([]float64, len(at))
	for i, x := range at {
		at[i] = x + complex(0, step)
		gradient[i] = imag(f()) / step
		at[i] = x
	}
	return gradient
}

// MaxRelErr returns the largest error of a tensor relative to its largest value,
//
//	max |got[i] - want[i]| / max |want[i]|
//
// so that an element near zero is measured by the size of its neighbours, as rounding is. Where
// want is all zeros, got must be too. The result is +Inf if a number that should be
// finite is not, or is NaN.
func MaxRelErr[G, W float32 | float64](got []G, want []W) float64 {
	mustHave("MaxRelErr: got", len(got), len(want))
	diff, size := 0.0, 0.0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - float64(w))
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return math.Inf(1)
		}
		diff, size = max(diff, d), max(size, math.Abs(float64(w)))
	}
	if diff == 0 {
		return 0
	}
	return diff / size
}

func mustHave(what string, got, want int) {
	if got != want {
		panic(fmt.Sprintf("reference: %s has %d values, want %d", what, got, want))
	}
}
