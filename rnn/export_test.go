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
