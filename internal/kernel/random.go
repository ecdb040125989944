package kernel

import "unsafe"

// Bernoulli sets each element of dst to hit with probability p, and else to miss. Element i depends on seed and first+i
// alone, so that any part of a stream can be computed again. In 32 bits, where high and low are the halves of seed mixed
// with the upper half of first,
//
//	x = low + first+i
//	x = (x ^ x>>16) * 0x21f0aaad
//	x = (x ^ x>>15) * 0xd35a2d97   (Wellons 2018, "Prospecting for hash functions")
//	x = (x ^ x>>15 ^ high) * 0x21f0aaad
//	x =  x ^ x>>16
//
// Element i is hit where x < p*2^32.
func Bernoulli(dst []float32, seed, first uint64, p, hit, miss float32) {
	if left := 1<<32 - first&(1<<32-1); uint64(len(dst)) > left { // the upper half of first+i changes
		Bernoulli(dst[left:], seed, first+left, p, hit, miss)
		dst = dst[:left]
	}
	if p <= 0 {
		hit = miss
	} else if p >= 1 {
		miss = hit
	}
	limit := uint32(min(float64(p)*(1<<32), 1<<32-1))
	mixed := mix(seed ^ mix(first>>32))
	x, high := uint32(mixed)+uint32(first), uint32(mixed>>32)
	if asm.bernoulli != nil {
		asm.bernoulli(unsafe.SliceData(dst), hit, miss, x, high, limit^1<<31, len(dst))
		return
	}
	for i := range dst {
		if hash(x+uint32(i), high) < limit {
			dst[i] = hit
		} else {
			dst[i] = miss
		}
	}
}

// mix is the function of SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

const (
	hash1 = 0x21f0aaad
	hash2 = 0xd35a2d97
)

// hash returns the last x in the formulas of [Bernoulli].
func hash(x, high uint32) uint32 {
	x = (x ^ x>>16) * hash1
	x = (x ^ x>>15) * hash2
	x = (x ^ x>>15 ^ high) * hash1
	return x ^ x>>16
}
