package dataset

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/unroll-go/unroll/tensor"
)

// splitStream keeps the random numbers of splits apart from those of [Shuffled], which uses the epoch in this place.
const splitStream = 0x73706c6974

// SplitShuffled returns n examples of s drawn at random, and the others, as Sources over the same memory. Both parts are
// in random order. The draw follows from seed and s.Len() alone. SplitShuffled panics with a [*tensor.UsageError] if n is
// not within 0 and s.Len().
//
// It is for examples that do not depend on each other. Windows of one series do: cut the series with [SplitSeries].
func SplitShuffled(s Source, n int, seed uint64) (first, rest Source) {
	checkSplit("dataset.SplitShuffled", n, s.Len())
	order := rand.New(rand.NewPCG(seed, splitStream)).Perm(s.Len())
	return Rows{s, order[:n:n]}, Rows{s, order[n:]}
}

// SplitStratified is [SplitShuffled] with each class in the same proportion in both parts. If a class has m of the N
// examples, the first part has n*m/N of them, rounded up or down so that the classes add up to n: the largest remainders
// are rounded up, and of equal remainders the one whose class occurs first in labels. labels has the class of each example
// of s, in order, of any comparable type: Images.Labels, Table.Labels, or text. Each value that occurs is a class.
//
// SplitStratified panics with a [*tensor.ShapeError] if labels is not as long as s, and with a [*tensor.UsageError] if n is
// not within 0 and s.Len().
func SplitStratified[L comparable](s Source, labels []L, n int, seed uint64) (first, rest Source) {
	const where = "dataset.SplitStratified"
	total := s.Len()
	if len(labels) != total {
		panic(&tensor.ShapeError{Where: where, Got: fmt.Sprintf("%d labels", len(labels)), Want: fmt.Sprintf("one for each of %d examples", total)})
	}
	checkSplit(where, n, total)
	number, class := map[L]int{}, make([]int, total) // classes are numbered as they occur
	var sizes []int64
	for i, l := range labels {
		c, ok := number[l]
		if !ok {
			c = len(sizes)
			number[l] = c
			sizes = append(sizes, 0)
		}
		class[i] = c
		sizes[c]++
	}
	wanted := shares(int64(n), int64(total), sizes)
	in, out := make([]int, 0, n), make([]int, 0, total-n)
	for _, i := range rand.New(rand.NewPCG(seed, splitStream)).Perm(total) {
		if c := class[i]; wanted[c] > 0 {
			wanted[c]--
			in = append(in, i)
		} else {
			out = append(out, i)
		}
	}
	return Rows{s, in}, Rows{s, out}
}

// shares divides n among classes in proportion to their sizes, which add up to total, by the largest remainders.
func shares(n, total int64, sizes []int64) []int64 {
	parts, byRemainder, left := make([]int64, len(sizes)), make([]int, len(sizes)), n
	for c, size := range sizes {
		parts[c], byRemainder[c] = n*size/total, c
		left -= parts[c]
	}
	slices.SortStableFunc(byRemainder, func(a, b int) int {
		return cmp.Compare(n*sizes[b]%total, n*sizes[a]%total)
	})
	for _, c := range byRemainder[:left] {
		parts[c]++
	}
	return parts
}

// SplitSeries cuts a series [T,F] in time: it returns its first n steps and the rest, as tensors over the same memory.
// Windows over one part share no step with windows over the other. It panics with a [*tensor.UsageError] if n is not
// within 0 and T, and with a [*tensor.ShapeError] if the shape is not [T,F].
func SplitSeries(series *tensor.Tensor, n int) (first, rest *tensor.Tensor) {
	const where = "dataset.SplitSeries"
	steps, width := seriesShape(where, "the series", series)
	checkSplit(where, n, steps)
	cut := n * width
	return tensor.Of(series.Data()[:cut:cut], n, width), tensor.Of(series.Data()[cut:], steps-n, width)
}

// seriesShape returns the dimensions of a series [T,F], which errors call name.
func seriesShape(where, name string, series *tensor.Tensor) (steps, width int) {
	shape := series.Shape()
	if len(shape) != 2 {
		panic(&tensor.ShapeError{Where: where, Got: fmt.Sprintf("%s has shape %v", name, shape), Want: "[T,F]"})
	}
	return shape[0], shape[1]
}

func checkSplit(where string, n, total int) {
	if n < 0 || n > total {
		panic(&tensor.UsageError{Where: where, What: fmt.Sprintf("cut at %d, want within 0 and the %d there are", n, total)})
	}
}
