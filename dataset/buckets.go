package dataset

import (
	"cmp"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/unroll-go/unroll/tensor"
)

// Measured is a Source that knows how long its examples are.
type Measured interface {
	Source
	// Length returns the number of steps of example i.
	Length(i int) int
}

// Buckets returns the rows of s in batches of examples of about the same length, so that little is padded: every
// example once, in batches of the sizes that [Shuffled] makes. The batches, and the order of the examples in them, follow
// from (seed, epoch) alone. An Index may be kept.
//
// The examples are sorted by their length times a random factor from 0.9 to 1.1, so that an example shares its batch with
// other examples in each epoch. Then they are cut into batches, and the batches are shuffled (AllenNLP's
// BucketBatchSampler with its padding_noise of 0.1).
//
// s must be [Measured], or made of such a source by [Split], [Rows] or [Join]. Buckets panics with a
// [*tensor.UsageError] if it is not, or if size is not positive.
func Buckets(s Source, size int, seed, epoch uint64) iter.Seq[Rows] {
	checkSize(size)
	length := lengthOf(s)
	if length == nil {
		panic(&tensor.UsageError{Where: "dataset.Buckets",
			What: fmt.Sprintf("a source of type %T, want one with a method Length(i int) int, or made of such a source", s)})
	}
	return func(yield func(Rows) bool) {
		n := s.Len()
		if n == 0 {
			return
		}
		r := rand.New(rand.NewPCG(seed, epoch))
		order, keys := r.Perm(n), make([]int64, n)
		for i := range keys {
			keys[i] = int64(length(i)) * (900 + r.Int64N(201))
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(keys[a], keys[b]) })
		batches := max(1, n/size)
		for _, i := range r.Perm(batches) {
			lo, hi := Cut(n, batches, i)
			if !yield(Rows{s, order[lo:hi:hi]}) {
				return
			}
		}
	}
}

// lengthOf returns a function that returns the length of an example of s, or nil if s does not know its lengths.
func lengthOf(s Source) func(i int) int {
	switch s := s.(type) {
	case Measured:
		return s.Length
	case Rows:
		if length := lengthOf(s.Source); length != nil {
			return func(i int) int { return length(s.Index[i]) }
		}
	case joined:
		var lengths []func(i int) int
		for _, part := range s {
			if length := lengthOf(part); length != nil {
				lengths = append(lengths, length)
			}
		}
		if lengths != nil {
			return func(i int) (sum int) {
				for _, length := range lengths {
					sum += length(i)
				}
				return sum
			}
		}
	}
	return nil
}
