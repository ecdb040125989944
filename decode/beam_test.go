package decode

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// model is a model whose state is the whole sequence so far, so that a state in the wrong row shows.
type model struct {
	logits func(sequence []int32) []float32
	states [][]int32
	rows   []int // of each step
}

func (m *model) step(tokens []int32, parents []int) (logits []float32, err error) {
	if m.states == nil {
		m.states = [][]int32{nil}
	}
	var next [][]int32
	for i, token := range tokens {
		next = append(next, append(slices.Clone(m.states[parents[i]]), token))
		logits = append(logits, m.logits(next[i][1:])...)
	}
	m.states, m.rows = next, append(m.rows, len(tokens))
	return logits, nil
}

// random returns a model of random logits, which depend on the whole sequence.
func random(seed uint64, vocabulary int, scale float64) *model {
	return &model{logits: func(sequence []int32) (logits []float32) {
		place := seed // of the sequence
		for _, token := range sequence {
			place = place*31 + uint64(token) + 1
		}
		r := seeded(place)
		for range vocabulary {
			logits = append(logits, float32(scale*r.NormFloat64()))
		}
		return logits
	}}
}

// logSoftmax returns the log-probabilities in float64.
func logSoftmax(logits []float32) []float64 {
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x))
	}
	logs := make([]float64, len(logits))
	for i, x := range logits {
		logs[i] = float64(x) - math.Log(sum)
	}
	return logs
}

// every returns all sequences that end within the steps, the best first.
func (m *model) every(c BeamConfig) (all []Hypothesis) {
	var grow func(sequence []int32, sum float64)
	grow = func(sequence []int32, sum float64) {
		if len(sequence) == c.MaxSteps {
			return
		}
		for token, log := range logSoftmax(m.logits(sequence)) {
			if int32(token) == c.End {
				p := sum + log
				all = append(all, Hypothesis{slices.Clone(sequence), p, p / math.Pow((5+float64(len(sequence)+1))/6, c.LengthPenalty), true})
				continue
			}
			grow(append(slices.Clone(sequence), int32(token)), sum+log)
		}
	}
	grow(nil, 0)
	slices.SortStableFunc(all, func(a, b Hypothesis) int { return cmp.Compare(b.Score, a.Score) })
	return all
}

// A beam that holds all hypotheses finds the best sequences of an exhaustive search.
func TestBeamIsExactIfWide(t *testing.T) {
	for seed := range uint64(60) {
		vocabulary, steps := 2+int(seed%3), 1+int(seed%5)
		c := BeamConfig{Width: 1000, Start: 1, End: int32(seed) % int32(vocabulary), MaxSteps: steps, Best: 1 + int(seed%7), LengthPenalty: float64(seed%4) / 2}
		m := random(seed, vocabulary, 1.5)
		got, err := Beam(c, m.step)
		require.NoError(t, err)
		want := m.every(c)
		for i, h := range got {
			if i >= len(want) {
				assert.False(t, h.Ended, "all that ended are there")
				assert.Len(t, h.Tokens, steps)
				continue
			}
			assert.Equal(t, want[i].Tokens, append([]int32(nil), h.Tokens...), "seed %d", seed)
			assert.InDelta(t, want[i].LogProb, h.LogProb, 1e-5)
			assert.InDelta(t, want[i].Score, h.Score, 1e-5)
			assert.True(t, h.Ended)
		}
		assert.GreaterOrEqual(t, len(got), min(c.Best, len(want)))
	}
}

// byHand is the model of two tokens, a and b, and an end: a is likelier than b, but has only bad sequels.
//
//	first: a 0.6, b 0.4, end 0
//	after a: a 0.3, b 0.3, end 0.4
//	after b: end 0.9, a and b 0.05 each
//	later: end 1
func byHand() *model {
	return &model{logits: func(sequence []int32) []float32 {
		p := []float64{0, 0, 1}
		switch {
		case len(sequence) == 0:
			p = []float64{0.6, 0.4, 0}
		case len(sequence) == 1 && sequence[0] == 0:
			p = []float64{0.3, 0.3, 0.4}
		case len(sequence) == 1:
			p = []float64{0.05, 0.05, 0.9}
		}
		var logits []float32
		for _, v := range p {
			logits = append(logits, float32(math.Log(v)))
		}
		return logits
	}}
}

func TestBeamByHand(t *testing.T) {
	search := func(c BeamConfig) (texts []string, m *model) {
		m = byHand()
		c.Start, c.End, c.MaxSteps = 2, 2, cmp.Or(c.MaxSteps, 5)
		found, err := Beam(c, m.step)
		require.NoError(t, err)
		for _, h := range found {
			text := ""
			for _, token := range h.Tokens {
				text += string("ab"[token])
			}
			if !h.Ended {
				text += "..."
			}
			texts = append(texts, fmt.Sprintf("%s %.3f", text, math.Exp(h.LogProb)))
		}
		return texts, m
	}
	greedy, m := search(BeamConfig{Width: 1})
	assert.Equal(t, []string{"a 0.240"}, greedy)
	assert.Equal(t, []int{1, 1}, m.rows)

	// A beam of two ends with b, and stops: a has 0.24 and ab 0.18, which is less than 0.36 and can only fall.
	two, m := search(BeamConfig{Width: 2})
	assert.Equal(t, []string{"b 0.360"}, two)
	assert.Equal(t, []int{1, 2}, m.rows)

	// The two best of six: 0.36, 0.24; aa and ab, with 0.18 each, end for sure.
	best, _ := search(BeamConfig{Width: 4, Best: 5})
	assert.Equal(t, []string{"b 0.360", "a 0.240", "aa 0.180", "ab 0.180"}, best, "the smaller token first")
	best, _ = search(BeamConfig{Width: 6, Best: 7})
	assert.Equal(t, []string{"b 0.360", "a 0.240", "aa 0.180", "ab 0.180", "ba 0.020", "bb 0.020"}, best, "no more sequences are possible")

	// Sequences that do not end come last, though some are likelier.
	best, _ = search(BeamConfig{Width: 4, Best: 3, MaxSteps: 2})
	assert.Equal(t, []string{"b 0.360", "a 0.240", "aa... 0.180"}, best)
	best, _ = search(BeamConfig{Width: 4, MaxSteps: 1})
	assert.Equal(t, []string{"a... 0.600"}, best)

	// With a penalty of 3, aa has ln 0.18/(8/6)^3 = -0.72 and b ln 0.36/(7/6)^3 = -0.64; with one of 5, -0.41 and -0.47.
	best, _ = search(BeamConfig{Width: 4, LengthPenalty: 3})
	assert.Equal(t, []string{"b 0.360"}, best)
	best, _ = search(BeamConfig{Width: 4, LengthPenalty: 5})
	assert.Equal(t, []string{"aa 0.180"}, best)
}

// Equal logits everywhere give the first sequences in the order of their tokens.
func TestBeamTies(t *testing.T) {
	m := &model{logits: func([]int32) []float32 { return make([]float32, 3) }}
	found, err := Beam(BeamConfig{Width: 4, End: -1, MaxSteps: 3, Best: 4}, m.step)
	require.NoError(t, err)
	var got [][]int32
	for _, h := range found {
		got = append(got, h.Tokens)
		assert.InDelta(t, 3*math.Log(1./3), h.LogProb, 1e-6)
		assert.False(t, h.Ended)
	}
	assert.Equal(t, [][]int32{{0, 0, 0}, {0, 0, 1}, {0, 0, 2}, {0, 1, 0}}, got)
}

// A beam of one is Argmax at each step.
func TestBeamOfOneIsGreedy(t *testing.T) {
	for seed := range uint64(30) {
		m := random(seed, 6, 2)
		found, err := Beam(BeamConfig{Width: 1, Start: 4, End: 0, MaxSteps: 12, LengthPenalty: 0.6}, m.step)
		require.NoError(t, err)
		require.Len(t, found, 1)
		tokens, sum, ended := []int32{}, 0.0, false
		for len(tokens) < 12 && !ended {
			logits := m.logits(tokens)
			token, err := Argmax(logits)
			require.NoError(t, err)
			sum += logSoftmax(logits)[token]
			if ended = token == 0; !ended {
				tokens = append(tokens, token)
			}
		}
		assert.Equal(t, tokens, found[0].Tokens)
		assert.Equal(t, ended, found[0].Ended)
		assert.InDelta(t, sum, found[0].LogProb, 1e-5)
	}
}

func TestBeamStepError(t *testing.T) {
	canceled, steps := errors.New("canceled"), 0
	m := random(1, 4, 1)
	_, err := Beam(BeamConfig{Width: 2, End: -1, MaxSteps: 9}, func(tokens []int32, parents []int) ([]float32, error) {
		if steps++; steps == 3 {
			return nil, canceled
		}
		return m.step(tokens, parents)
	})
	assert.Equal(t, canceled, err)
	assert.Equal(t, 3, steps)
}

func TestBeamPanics(t *testing.T) {
	step := func(counts ...int) Step {
		return func([]int32, []int) ([]float32, error) {
			n := counts[0]
			counts = counts[1:]
			return make([]float32, n), nil
		}
	}
	var usage *tensor.UsageError
	for want, c := range map[string]BeamConfig{
		"Width is 0, want at least 1":                          {MaxSteps: 1},
		"MaxSteps is 0, want at least 1":                       {Width: 1},
		"Best is -1":                                           {Width: 1, MaxSteps: 1, Best: -1},
		"LengthPenalty is -1":                                  {Width: 1, MaxSteps: 1, LengthPenalty: -1},
		"LengthPenalty is NaN":                                 {Width: 1, MaxSteps: 1, LengthPenalty: math.NaN()},
		"End is 3, want less than the 3 tokens of the vocabul": {Width: 1, MaxSteps: 1, End: 3},
	} {
		err := caught(func() { Beam(c, step(3)) })
		require.ErrorAs(t, err, &usage)
		assert.ErrorContains(t, err, want)
	}
	var shape *tensor.ShapeError
	c := BeamConfig{Width: 2, MaxSteps: 3, End: -1}
	err := caught(func() { Beam(c, step(3, 7)) })
	require.ErrorAs(t, err, &shape)
	assert.ErrorContains(t, err, "7 logits for 2 rows, want at least 1, and 3 for each")
	assert.ErrorAs(t, caught(func() { Beam(c, step(3, 0)) }), &shape)
	assert.ErrorAs(t, caught(func() { Beam(c, step(0)) }), &shape)
}

// A step allocates nothing: a search of a thousand steps allocates no more often than its slices grow.
func TestBeamSteps(t *testing.T) {
	r, logits := seeded(1), make([]float32, 5*100)
	for i := range logits {
		logits[i] = float32(r.NormFloat64())
	}
	count := func(steps int) float64 {
		return testing.AllocsPerRun(3, func() {
			Beam(BeamConfig{Width: 5, End: -1, MaxSteps: steps}, func(tokens []int32, _ []int) ([]float32, error) { return logits[:100*len(tokens)], nil })
		})
	}
	assert.LessOrEqual(t, count(1000), count(10)+15)
}

func BenchmarkBeamStep(b *testing.B) {
	const size, width = 50000, 5
	r, logits := seeded(1), make([]float32, width*size)
	for i := range logits {
		logits[i] = float32(3 * r.NormFloat64())
	}
	Beam(BeamConfig{Width: width, End: -1, MaxSteps: max(b.N, 1)}, func(tokens []int32, _ []int) ([]float32, error) { return logits[:size*len(tokens)], nil })
}
