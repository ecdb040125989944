package rnn

import "github.com/unroll-go/unroll/internal/kernel"

// noise makes the masks of a run. An element of a mask is a hash of the run's seed, the use, the layer and direction, and the place of the
// element: Backward makes the masks again, and the mask of a row does not depend on the other rows.
type noise struct {
	on   bool // something is dropped in this run
	seed uint64
	mask []float32 // [B, widest]: scratch for the mask of a step
}

// The uses of masks. Each has its own random numbers for each layer and direction.
const (
	ofState = iota
	ofWeights
	ofZone  // of h
	ofZoneC // of c: ofZone+1
	ofInput
)

func (n *noise) stream(use, k int) uint64 { return n.seed + uint64(use)<<32 + uint64(k) }

// keep fills a mask of dropout for lane k: 0 with probability rate, otherwise 1/(1-rate).
func (n *noise) keep(mask []float32, use, k int, rate float32) {
	kernel.Bernoulli(mask, n.stream(use, k), 0, rate, 0, 1/(1-rate))
}

// step returns a mask for the rows of step t: hit with probability rate, otherwise miss. k is the lane or the layer.
func (n *noise) step(r *rows, use, k, t int, rate, hit, miss float32, width int) []float32 {
	mask, seed := n.mask[:r.count(t)*width], n.stream(use, k)
	for rows := range r.ranges(t) {
		kernel.Bernoulli(mask[rows.i*width:][:rows.n*width], seed, uint64((t*r.batch+rows.row)*width), rate, hit, miss)
	}
	return mask
}

// zoneout replaces units of after, with probability rate, by those of before. In inference it computes the mean over the masks.
func (n *noise) zoneout(r *rows, after, before []float32, use, k, t int, rate float32, width int) {
	if n.on {
		kernel.Blend(after, after, before, n.step(r, use, k, t, rate, 1, 0, width))
	} else {
		kernel.BlendConst(after, after, before, rate)
	}
}
