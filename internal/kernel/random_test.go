package kernel

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBernoulliBits: every version makes the same masks, any part of a stream by itself too.
func TestBernoulliBits(t *testing.T) {
	const hit, miss = 3, 5
	for _, seed := range []uint64{0, 1, 1 << 32, 0x9e3779b97f4a7c15, math.MaxUint64} {
		for _, first := range []uint64{0, 7, 1<<32 - 3, 1 << 32, 5<<40 + 9} {
			for _, p := range []float32{0.1, 0.5, 0.999} {
				for _, n := range append([]int{0}, lengths...) {
					mem := newMemory(t, uint64(n))
					mask := mem.vector("mask", n, walls)
					Bernoulli(mask, seed, first, p, hit, miss)
					mem.check("mask")
					for i, got := range mask {
						want := float32(miss)
						at := first + uint64(i)
						mixed := mix(seed ^ mix(at>>32))
						if hash(uint32(mixed)+uint32(at), uint32(mixed>>32)) < uint32(float64(p)*(1<<32)) {
							want = hit
						}
						require.Equal(t, want, got, "seed %d, element %d after %d", seed, i, first)
					}
				}
			}
		}
	}
	// So many that some hashes are the limit but for the last bits.
	const p = 0.3
	mixed, limit := mix(7^mix(0)), uint32(float64(float32(p))*(1<<32))
	mask := make([]float32, 1<<21)
	Bernoulli(mask, 7, 0, p, 1, 0)
	for i, got := range mask {
		if below := hash(uint32(mixed)+uint32(i), uint32(mixed>>32)) < limit; below != (got == 1) {
			require.Failf(t, "other bits", "element %d is %v", i, got)
		}
	}
	for p, want := range map[float32]float32{0: miss, -1: miss, 1: hit, 2: hit} {
		mask := make([]float32, 100)
		Bernoulli(mask, 3, 0, p, hit, miss)
		for _, v := range mask {
			require.Equal(t, want, v, "probability %v", p)
		}
	}
}

// TestHash: a stream stays what it is. mix(0) is SplitMix64's first number of seed 0.
func TestHash(t *testing.T) {
	assert.Equal(t, uint64(0xe220a8397b1dcdaf), mix(0))
	assert.Equal(t, uint32(0xf78b6982), hash(0x12345678, 0x9abcdef0))
}

func TestBernoulliDoesNotAllocate(t *testing.T) {
	mask := Alloc(75)
	assert.Zero(t, testing.AllocsPerRun(5, func() { Bernoulli(mask, 1, 0, 0.5, 0, 2) }))
}

// TestBernoulliIsRandom counts hits, and looks for what neighbours, distant elements and streams of like seeds have in
// common. All limits are five standard deviations.
func TestBernoulliIsRandom(t *testing.T) {
	const n = 1 << 20
	mask := func(seed, first uint64, p float32) []float32 {
		v := make([]float32, n)
		Bernoulli(v, seed, first, p, 1, 0)
		return v
	}
	for _, p := range []float32{0.01, 0.1, 0.5, 0.9} {
		for seed := range uint64(4) {
			hits := Sum(mask(seed<<31, 0, p))
			sigma := math.Sqrt(n * float64(p) * float64(1-p))
			assert.InDelta(t, n*float64(p), hits, 5*sigma, "probability %v", p)
		}
	}
	base := mask(12345<<20, 0, 0.5)
	alike := func(what string, a, b []float32) {
		t.Helper()
		both := 0
		for i := range a[:min(len(a), len(b))] {
			if a[i] == b[i] {
				both++
			}
		}
		size := float64(min(len(a), len(b)))
		assert.InDelta(t, size/2, both, 5*math.Sqrt(size)/2, what)
	}
	for lag := 1; lag <= 64; lag++ {
		alike("a lag", base, base[lag:])
	}
	for _, lag := range []int{150, 300, 4200, 11250} {
		alike("a lag of a layer", base, base[lag:])
	}
	for bit := range 64 {
		alike("a seed of one other bit", base, mask(12345<<20^1<<bit, 0, 0.5))
	}
	// Seeds of one other bit must not give the same stream from another element on either.
	short := base[:1<<15]
	for bit := range 64 {
		other := mask(12345<<20^1<<bit, 0, 0.5)[:1<<15]
		for lag := 1; lag <= 64; lag++ {
			alike("a later part for a seed of one other bit", short, other[lag:])
			alike("an earlier part for a seed of one other bit", short[lag:], other)
		}
	}
	alike("4 billion elements on", base, mask(12345<<20, 1<<32, 0.5))
	// Runs of 16 elements as numbers: their bits are spread evenly.
	var count [16]int
	for i := 0; i < n; i += 16 {
		x := uint16(0)
		for j := range 16 {
			x = x<<1 | uint16(base[i+j])
		}
		count[bits.OnesCount16(x)%16]++
	}
	for k, ways := 1, 16.0; k <= 8; k++ {
		want := float64(n/16) * ways / 65536
		assert.InDelta(t, want, count[k], 5*math.Sqrt(want), "%d hits of 16", k)
		ways = ways * float64(16-k) / float64(k+1)
	}
}
