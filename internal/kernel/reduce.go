package kernel

import "math"

// Norm returns the Euclidean norm of x, summed in float64 in four interleaved
// partial sums, added as (s0+s1)+(s2+s3).
func Norm(x []float32) float64 {
	var s [4]float64
	for i, v := range x {
		s[i%4] += float64(float64(v) * float64(v))
	}
	return math.Sqrt((s[0] + s[1]) + (s[2] + s[3]))
}
