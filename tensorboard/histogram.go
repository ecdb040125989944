package tensorboard

import (
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// limits are the upper limits of the buckets, in ascending order: 0, 1e-12 times the powers of 1.1 below 1e20, the greatest
// float64, and the same with a minus (tensorflow/core/lib/histogram/histogram.cc, InitDefaultBucketsInner).
var limits = func() []float64 {
	var positive, all []float64
	for v := 1e-12; v < 1e20; v *= 1.1 {
		positive = append(positive, v)
	}
	positive = append(positive, math.MaxFloat64)
	for _, v := range slices.Backward(positive) {
		all = append(all, -v)
	}
	return append(append(all, 0), positive...)
}()

// histogram counts numbers by buckets.
type histogram struct {
	least, most, num, sum, squares float64
	counts                         []float64 // how many numbers lie in [limits[i-1], limits[i])
}

// newHistogram counts the values that are finite.
func newHistogram(values []float32) *histogram {
	h := &histogram{least: math.Inf(1), most: math.Inf(-1), counts: make([]float64, len(limits))}
	for _, value := range values {
		v := float64(value)
		if v-v != 0 { // NaN or infinite
			continue
		}
		h.least, h.most = min(h.least, v), max(h.most, v)
		h.num++
		h.sum += v
		h.squares += v * v
		i, equal := slices.BinarySearch(limits, v)
		if equal {
			i++
		}
		h.counts[i]++
	}
	return h
}

// encode returns the fields of a HistogramProto in their order. Empty buckets at both ends are left out.
func (h *histogram) encode() (m []byte) {
	first, last := 0, len(limits)
	for first < last && h.counts[first] == 0 {
		first++
	}
	for first < last && h.counts[last-1] == 0 {
		last--
	}
	number := protowire.Number(1)
	for _, v := range []float64{h.least, h.most, h.num, h.sum, h.squares} {
		m = protowire.AppendFixed64(field(m, number, protowire.Fixed64Type), math.Float64bits(v))
		number++
	}
	for _, list := range [][]float64{limits[first:last], h.counts[first:last]} {
		var packed []byte
		for _, v := range list {
			packed = protowire.AppendFixed64(packed, math.Float64bits(v))
		}
		m = protowire.AppendBytes(field(m, number, protowire.BytesType), packed)
		number++
	}
	return m
}
