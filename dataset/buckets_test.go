package dataset

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// long is a source whose example i has long[i] steps.
type long []int

func (l long) Len() int                    { return len(l) }
func (l long) Length(i int) int            { return l[i] }
func (l long) Gather([]int, *Batch) error  { return nil }
func (l long) padding(batch []int) (p int) { return len(batch)*l.longest(batch) - l.sum(batch) }

func (l long) sum(batch []int) (n int) {
	for _, i := range batch {
		n += l[i]
	}
	return n
}

func (l long) longest(batch []int) (n int) {
	for _, i := range batch {
		n = max(n, l[i])
	}
	return n
}

// lengths returns n lengths from 1 to most, each the larger of two uniform random numbers.
func lengths(n, most int) (l long) {
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		l = append(l, max(1+r.IntN(most), 1+r.IntN(most)))
	}
	return l
}

func TestBuckets(t *testing.T) {
	for _, c := range []struct{ n, size, most int }{
		{0, 4, 9}, {1, 4, 9}, {3, 4, 9}, {11, 4, 9}, {1000, 32, 1}, {1000, 32, 200}, {2000, 1, 50}, {5000, 64, 1000},
	} {
		l := lengths(c.n, c.most)
		batches := collect(Buckets(l, c.size, 1, 2))
		inOrder := slices.Sorted(slices.Values(slices.Concat(batches...)))
		for i, row := range inOrder {
			require.Equal(t, i, row, "each row once")
		}
		require.Len(t, inOrder, c.n)
		want := sizes(collect(Shuffled(l, c.size, 1, 2)))
		assert.ElementsMatch(t, want, sizes(batches), "sizes as Shuffled's")
		if c.n < 1000 {
			continue
		}
		padded := 0
		for _, b := range batches {
			padded += l.padding(b)
		}
		assert.LessOrEqual(t, float64(padded), 0.12*float64(l.sum(inOrder)), "%v", c)
	}
}

func TestBucketsAreShuffled(t *testing.T) {
	l := lengths(1000, 100)
	batches := func(seed, epoch uint64) [][]int { return collect(Buckets(l, 20, seed, epoch)) }
	first := batches(1, 1)
	assert.Equal(t, first, batches(1, 1), "the same seed and epoch")
	for _, other := range [][][]int{batches(1, 2), batches(2, 1)} {
		together := 0 // pairs of rows that are in one batch in both
		in := map[int]int{}
		for i, b := range other {
			for _, row := range b {
				in[row] = i
			}
		}
		pairs := 0
		for _, b := range first {
			for i, row := range b {
				for _, mate := range b[:i] {
					pairs++
					if in[row] == in[mate] {
						together++
					}
				}
			}
		}
		assert.Less(t, together, pairs/3, "rows have other company")
	}
	// Neither short nor long batches come first.
	rising := 0
	for i := range first[1:] {
		if l.longest(first[i+1]) > l.longest(first[i]) {
			rising++
		}
	}
	assert.InDelta(t, len(first)/2, rising, 12)
}

// A seed must give the same order with the next release and on every platform, as it does in Shuffled.
func TestBucketsOrderStays(t *testing.T) {
	l := long{5, 1, 9, 3, 3, 7, 2, 8, 6, 4}
	assert.Equal(t, [][]int{{9, 0, 8}, {5, 7, 2}, {1, 6, 4, 3}}, collect(Buckets(l, 3, 42, 1)))
}

func TestBucketsOfParts(t *testing.T) {
	l := lengths(100, 50)
	_, part := Split(l, 40)
	part, _ = Split(part, 50)
	all := collect(Batches(part, 50))[0]
	seen, padded := 0, 0
	for rows := range Buckets(part, 10, 1, 1) {
		padded += l[40:].padding(rows.Index)
		for _, i := range rows.Index {
			require.Less(t, i, 50)
			seen++
		}
	}
	assert.Less(t, padded, l[40:].sum(all)/4)
	assert.Equal(t, 50, seen)
	for range Buckets(l, 10, 1, 1) {
		break
	}
}

func TestBucketsOfSources(t *testing.T) {
	for name, s := range everySource(t) {
		m, ok := s.(Measured)
		if !ok {
			continue
		}
		var b Batch
		for i := range s.Len() {
			require.NoError(t, s.Gather([]int{i}, &b), name)
			want := []int{m.Length(i)}
			if b.Lengths == nil { // all steps are valid
				want = nil
				steps := len(b.IDs)
				if b.X != nil {
					steps = b.X.Dim(0)
				}
				assert.Equal(t, steps, m.Length(i), name)
			}
			assert.Equal(t, want, b.Lengths, name)
		}
	}
}

// Fields that do not fit together are an error of Gather. Buckets, which asks for lengths before that, must not panic.
func TestBucketsOfSourcesThatDoNotFit(t *testing.T) {
	for name, s := range map[string]Source{
		"[] is not a sequence": &Sequences{X: []*tensor.Tensor{tensor.New(), nil, counted(2, 1)}},
		"lengths too few":      &Tensors{X: counted(3, 2, 1), Lengths: []int{1}},
	} {
		for rows := range Buckets(s, 3, 1, 1) {
			assert.Error(t, rows.Source.Gather(rows.Index, new(Batch)), name)
		}
	}
}

func TestBucketsPanics(t *testing.T) {
	panicsWith[*tensor.UsageError](t, "dataset: batch size is 0, want at least 1", func() { Buckets(long{1}, 0, 1, 1) })
	part, _ := Split(numbers(3), 2)
	for name, s := range map[string]Source{"numbers": numbers(3), "Rows": part, "joined": Join(numbers(2), part)} {
		panicsWith[*tensor.UsageError](t, "dataset.Buckets: a source of type dataset."+name+
			", want one with a method Length(i int) int, or made of such a source", func() { Buckets(s, 1, 1, 1) })
	}
}
