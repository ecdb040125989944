package rnn

import "github.com/unroll-go/unroll/internal/kernel"

// Uses of a run's random numbers.
const (
	OfState   = ofState
	OfWeights = ofWeights
	OfZone    = ofZone
	OfZoneC   = ofZoneC
	OfInput   = ofInput
)

// Mask is the first n elements of a mask of the run whose seed is the tape's first random number.
func Mask(seed uint64, use, k, n int, rate, hit, miss float32) []float32 {
	noise, mask := noise{seed: seed}, make([]float32, n)
	kernel.Bernoulli(mask, noise.stream(use, k), 0, rate, hit, miss)
	return mask
}

// RecomputedWindow is the number of steps of a window that Backward computes again, in a run of Last over so many steps; 0 if nothing is computed again.
func RecomputedWindow(layer *MinGRU, steps, batch int, o Options) int {
	r := run{s: &layer.stack, rows: rows{steps: steps, batch: batch}, record: true, lanes: make([]lane, len(layer.weights))}
	if w := r.newWindows(steps, o); w.again {
		return w.size
	}
	return 0
}
