package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

var (
	inf = float32(math.Inf(1))
	nan = float32(math.NaN())
)

func TestTopKRow(t *testing.T) {
	for _, c := range []struct {
		name  string
		row   []float32
		label int32
		right []bool // for K = 1, 2, ...; the last one for all larger K
	}{
		{"largest", []float32{1, 3, 2}, 1, []bool{true}},
		{"second", []float32{1, 3, 2}, 2, []bool{false, true}},
		{"last", []float32{1, 3, 2}, 0, []bool{false, false, true}},
		{"one class", []float32{-7}, 0, []bool{true}},
		{"negative", []float32{-1, -3, -2}, 0, []bool{true}},
		{"zeros of both signs tie", []float32{0, float32(math.Copysign(0, -1))}, 1, []bool{true}},
		{"tie for the first place, first", []float32{2, 2, 1}, 0, []bool{true}},
		{"tie for the first place, second", []float32{2, 2, 1}, 1, []bool{true}},
		{"behind a tie for the first place", []float32{2, 2, 1}, 2, []bool{false, false, true}},
		{"tie across the boundary", []float32{1, 0, 0, 0}, 3, []bool{false, true}},
		{"all tie", []float32{5, 5, 5, 5}, 3, []bool{true}},
		{"next float32", []float32{1, math.Nextafter32(1, 2)}, 0, []bool{false, true}},
		{"NaN is its own", []float32{1, nan, 2}, 1, []bool{false}},
		{"NaN before", []float32{nan, 2, 1}, 1, []bool{false}},
		{"NaN behind", []float32{1, 2, nan}, 1, []bool{false}},
		{"all NaN", []float32{nan, nan}, 0, []bool{false}},
		{"NaN behind larger ones", []float32{0, 1, 2, nan}, 0, []bool{false}},
		{"-Inf masks another", []float32{-inf, 1, 2}, 1, []bool{false, true}},
		{"all others masked", []float32{-inf, 1, -inf}, 1, []bool{true}},
		{"+Inf of another", []float32{inf, 1, 2}, 2, []bool{false, true}},
		{"own is +Inf", []float32{0, inf, 0}, 1, []bool{false}},
		{"own is -Inf", []float32{0, -inf, 0}, 1, []bool{false}},
		{"all +Inf", []float32{inf, inf}, 0, []bool{false}},
		{"label one too large", []float32{1, 3, 2}, 3, []bool{false}},
		{"label far too large", []float32{1, 3, 2}, math.MaxInt32, []bool{false}},
		{"label -1", []float32{1, 3, 2}, -1, []bool{false}},
		{"label beside Ignore", []float32{1, 3, 2}, Ignore - 1, []bool{false}},
		{"smallest label", []float32{1, 3, 2}, math.MinInt32, []bool{false}},
	} {
		for k := 0; k <= len(c.row)+2; k++ {
			want := c.right[min(max(k, 1), len(c.right))-1]
			m := TopK{K: k}
			m.Add(c.row, []int32{c.label})
			assert.Equal(t, 1, m.Count(), "%s, K %d", c.name, k)
			assert.Equal(t, want, m.Value() == 1, "%s, K %d", c.name, k)
		}
		huge := TopK{K: math.MaxInt}
		huge.Add(c.row, []int32{c.label})
		assert.Equal(t, c.right[len(c.right)-1], huge.Value() == 1, "%s, K MaxInt", c.name)
	}
}

func TestTopKBatches(t *testing.T) {
	logits := []float32{
		3, 2, 1,
		3, 2, 1,
		1, 2, 3,
		9, 0, 0,
	}
	labels := []int32{0, 1, 2, Ignore}
	var m TopK
	assert.True(t, math.IsNaN(m.Value()), "nothing was added")
	assert.Zero(t, m.Count())

	m.Add(nil, nil)
	m.Add([]float32{}, []int32{})
	assert.True(t, math.IsNaN(m.Value()), "no rows were added")

	m.Add(logits[9:], labels[3:])
	assert.Zero(t, m.Count(), "an ignored row")
	assert.True(t, math.IsNaN(m.Value()))

	m.Add(logits, labels)
	assert.Equal(t, 3, m.Count())
	assert.Equal(t, 2.0/3, m.Value())

	m.Add([]float32{0, 1}, []int32{1}) // another number of classes
	assert.Equal(t, 4, m.Count())
	assert.Equal(t, 3.0/4, m.Value())

	m.K = 2
	m.Reset()
	assert.Equal(t, TopK{K: 2}, m)
	m.Add(logits, labels)
	assert.Equal(t, 1.0, m.Value())
}

// TestTopKSorted compares with a rank found by sorting.
func TestTopKSorted(t *testing.T) {
	const rows, classes = 200, 7
	r := rand.New(rand.NewPCG(1, 2))
	logits, labels := make([]float32, rows*classes), make([]int32, rows)
	for i := range logits {
		logits[i] = float32(r.IntN(9)) // many ties
	}
	for i := range labels {
		labels[i] = int32(r.IntN(classes))
	}
	for k := 1; k <= classes; k++ {
		right := 0
		for b, label := range labels {
			row := slices.Clone(logits[b*classes:][:classes])
			own := row[label]
			slices.Sort(row)
			slices.Reverse(row)
			if slices.Index(row, own) < k {
				right++
			}
		}
		m := TopK{K: k}
		m.Add(logits, labels)
		assert.Equal(t, float64(right)/rows, m.Value(), "K %d", k)
		if k < 4 {
			assert.Less(t, right, rows, "the case tells nothing")
		}
	}
}

func TestTopKMerge(t *testing.T) {
	logits, labels := []float32{3, 2, 1, 3, 2, 1, 1, 2, 3}, []int32{0, 1, 2}
	var all TopK
	all.Add(logits, labels)
	for cut := range len(labels) + 1 {
		a, b := TopK{}, TopK{K: 1} // K 0 and 1 are the same
		a.Add(logits[:cut*3], labels[:cut])
		b.Add(logits[cut*3:], labels[cut:])
		a.Merge(b)
		assert.Equal(t, all, a, "cut at %d", cut)
	}
}

func TestTopKTied(t *testing.T) {
	for _, c := range []struct {
		k      int
		row    []float32
		label  int32
		right  float64
		wanted int
	}{
		{1, []float32{0, 0, 0}, 2, 1, 1},
		{1, []float32{3, 3, 1}, 1, 1, 1},
		{1, []float32{3, 2, 2}, 0, 1, 0},
		{1, []float32{3, 2, 2}, 1, 0, 0},
		{2, []float32{3, 2, 2}, 1, 1, 1},
		{2, []float32{2, 2, 1}, 0, 1, 0}, // both are in, in any order
		{3, []float32{0, 0, 0}, 1, 1, 0},
		{1, []float32{0, 0, nan}, 0, 0, 0},
	} {
		m := TopK{K: c.k}
		m.Add(c.row, []int32{c.label})
		assert.Equal(t, c.right, m.Value(), "%v", c)
		assert.Equal(t, c.wanted, m.Tied(), "%v", c)
		m.Merge(m)
		assert.Equal(t, 2*c.wanted, m.Tied())
		m.Reset()
		assert.Zero(t, m.Tied())
	}
}

func TestMean(t *testing.T) {
	var m Mean
	assert.True(t, math.IsNaN(m.Value()), "nothing was added")
	m.Add(5, 0)
	m.Add(math.NaN(), 0)
	m.Add(math.Inf(1), 0)
	assert.Equal(t, Mean{}, m, "a weight of 0 adds nothing")

	m.Add(2, 150)
	m.Add(4, 50)
	assert.Equal(t, 2.5, m.Value())
	assert.Equal(t, 200.0, m.Weight())
	m.Add(-2.5, 200)
	assert.Zero(t, m.Value())
	m.Reset()
	assert.Equal(t, Mean{}, m)
}

func TestMeanNotFinite(t *testing.T) {
	pos, neg, not := math.Inf(1), math.Inf(-1), math.NaN()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{1, pos, 2}, pos},
		{[]float64{pos, pos}, pos},
		{[]float64{1, neg}, neg},
		{[]float64{pos, 1, neg, 1}, not},
		{[]float64{1, not, 2}, not},
		{[]float64{not, pos}, not},
	} {
		var one, merged Mean
		for _, v := range c.values {
			one.Add(v, 3)
			var part Mean
			part.Add(v, 3)
			merged.Merge(part)
		}
		for name, got := range map[string]float64{"added": one.Value(), "merged": merged.Value()} {
			same := got == c.want || math.IsNaN(got) && math.IsNaN(c.want)
			assert.True(t, same, "%v %s: got %v, want %v", c.values, name, got, c.want)
		}
		assert.Equal(t, 3*float64(len(c.values)), merged.Weight())
	}
}

// TestMeanCompensated adds what a plain sum loses.
func TestMeanCompensated(t *testing.T) {
	var m Mean
	for _, v := range []float64{1, 1e100, 1, -1e100} {
		m.Add(v, 1)
	}
	assert.Equal(t, 0.5, m.Value())

	var tenths Mean
	plain := 0.0
	for range 1_000_000 {
		tenths.Add(0.1, 1)
		plain += 0.1
	}
	assert.NotEqual(t, 0.1, plain/1e6, "the case tells nothing")
	assert.Equal(t, 0.1, tenths.Value())
}

// TestMeanOrder adds values of many magnitudes forward, backward, shuffled and merged from parts of uneven sizes.
func TestMeanOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	type pair struct{ value, weight float64 }
	pairs := make([]pair, 10_000)
	for i := range pairs {
		pairs[i] = pair{r.NormFloat64() * math.Exp(8*r.NormFloat64()), float64(1 + r.IntN(200))}
	}
	mean := func(p []pair) (m Mean) {
		for _, v := range p {
			m.Add(v.value, v.weight)
		}
		return m
	}
	want := mean(pairs)

	var parts Mean
	for lo, n := 0, 1; lo < len(pairs); lo, n = lo+n, 2*n {
		parts.Merge(mean(pairs[lo:min(lo+n, len(pairs))]))
	}
	got := map[string]Mean{"parts": parts}
	slices.Reverse(pairs)
	got["backward"] = mean(pairs)
	r.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	got["shuffled"] = mean(pairs)
	for name, m := range got {
		assert.InEpsilon(t, want.Value(), m.Value(), 1e-15, name)
		assert.Equal(t, want.Weight(), m.Weight(), name)
	}
}

func TestNoAllocations(t *testing.T) {
	logits, labels := make([]float32, 150*10), make([]int32, 150)
	var top, topAll TopK
	var mean, meanAll Mean
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		top.Add(logits, labels)
		topAll.Merge(top)
		top.Reset()
		mean.Add(0.5, 150)
		meanAll.Merge(mean)
		mean.Reset()
	}))
}

func BenchmarkTopK(b *testing.B) {
	logits, labels := make([]float32, 150*10), make([]int32, 150)
	var m TopK
	for b.Loop() {
		m.Add(logits, labels)
	}
}
