package main

import (
	"errors"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	assert.Equal(t, 2.0, median([]float64{3, 1, 2}))
	assert.Equal(t, 2.5, median([]float64{4, 1, 2, 3}))
	assert.True(t, math.IsNaN(median(nil)))
}

func TestRatioIsOfEachRound(t *testing.T) {
	a, b := &Entry{Took: []float64{2, 40, 6}}, &Entry{Took: []float64{1, 10, 6}}
	assert.Equal(t, 2.0, ratio(a, b))
	assert.True(t, math.IsNaN(ratio(a, nil)))
}

func TestShareAndRate(t *testing.T) {
	e := &Entry{Name: "it", Cores: 2, Took: []float64{4}}
	c := &Contest{Work: 8e9, Entries: []*Entry{{Name: "peak, cores: 1", Took: []float64{2}}, {Name: "peak, cores: 2", Took: []float64{1}}, e}}
	assert.Equal(t, 0.25, c.share(e))
	assert.Equal(t, 2.0, c.rate(e))
	assert.Equal(t, []*Entry{e}, c.contestants())
}

func TestTimedSingly(t *testing.T) {
	runs := 0
	took := timedSingly(func() { runs++ }, 0.99)
	assert.Equal(t, 1+singleSteps, runs)
	assert.GreaterOrEqual(t, took, 0.0)
}

func TestPlayTakesTurns(t *testing.T) {
	var order string
	c := &Contest{Name: "all"}
	for _, name := range []string{"a", "b", "c"} {
		c.add(name, 1, func() (float64, error) {
			order += name
			if name == "b" && len(order) > 3 {
				return 0, errors.New("no breath")
			}
			return float64(len(order)), nil
		})
	}
	notes := play(3, []*Contest{c}, io.Discard)
	assert.Equal(t, "abc"+"bca"+"ac", order)
	assert.Equal(t, []string{"b is left out of all: no breath."}, notes)
	require.Len(t, c.Entries, 2)
	assert.Equal(t, []float64{1, 6, 7}, c.Entries[0].Took)
}

func TestFLOP(t *testing.T) {
	assert.InDelta(t, 233.8e9, recipe(elman).flop(trainRows), 0.1e9)
	assert.Equal(t, 4*recipe(elman).flop(1), recipe(lstm).flop(1))
	assert.Equal(t, 28*4.*28*150, recipe(indRNN).flop(1))
	assert.Equal(t, 2*recipe(indRNN).flop(1), recipe(minGRU).flop(1))
}

func TestGrowthVariesOneThing(t *testing.T) {
	for _, j := range growthJobs() {
		r, same := recipe(j.Cell), 0
		for _, is := range []bool{j.Hidden == r.Hidden, j.Batch == r.Batch, j.Steps == r.Steps} {
			if is {
				same++
			}
		}
		assert.GreaterOrEqual(t, same, 2, j)
	}
}
