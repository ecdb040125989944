package decode

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
	"gonum.org/v1/gonum/stat/distuv"
)

var (
	inf = float32(math.Inf(1))
	nan = float32(math.NaN())
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func TestArgmax(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		want   int32
	}{
		{[]float32{5}, 0},
		{[]float32{1, 3, 2}, 1},
		{[]float32{1, 3, 3}, 1},
		{[]float32{-inf, -inf, -7}, 2},
		{[]float32{-math.MaxFloat32, math.MaxFloat32}, 1},
	} {
		token, err := Argmax(c.logits)
		require.NoError(t, err)
		assert.Equal(t, c.want, token)
	}
}

// Logits of a model that diverged are an error of all functions; that there are none is a mistake of the caller.
func TestBadLogits(t *testing.T) {
	sampler := NewSampler(SamplerConfig{Temperature: 1, TopK: 2, TopP: 0.5}, seeded(1))
	step := func(logits []float32) Step { return func([]int32, []int) ([]float32, error) { return logits, nil } }
	for want, logits := range map[string][]float32{
		"logit 1 of 3 is NaN":                           {1, nan, nan},
		"logit 2 of 3 is +Inf":                          {1, 2, inf},
		"all 2 logits are -Inf, so no token may follow": {-inf, -inf},
	} {
		_, err := Argmax(logits)
		assert.EqualError(t, err, "decode: "+want)
		_, err = sampler.Next(logits)
		assert.EqualError(t, err, "decode: "+want)
		_, err = Beam(BeamConfig{Width: 2, MaxSteps: 2}, step(logits))
		assert.EqualError(t, err, "step 1, row 0: decode: "+want)
	}
	var shape *tensor.ShapeError
	assert.PanicsWithError(t, "decode: 0 logits, want at least 1", func() { Argmax(nil) })
	assert.Panics(t, func() { sampler.Next(nil) })
	assert.ErrorAs(t, caught(func() { Beam(BeamConfig{Width: 2, MaxSteps: 2}, step(nil)) }), &shape)
}

// caught returns the error with which f panics.
func caught(f func()) (err error) {
	defer func() { err, _ = recover().(error) }()
	f()
	return nil
}

// expected returns the probabilities of a sampler, computed from their definition in float64.
func expected(logits []float32, c SamplerConfig) []float64 {
	p := make([]float64, len(logits))
	normalize := func() {
		sum := 0.0
		for _, v := range p {
			sum += v
		}
		for i := range p {
			p[i] /= sum
		}
	}
	for i, x := range logits {
		p[i] = math.Exp(float64(x) / float64(c.Temperature))
	}
	normalize()
	rank := func(i int) (better int, mass float64) { // how many tokens are better than i, and their probability
		for j := range p {
			if p[j] > p[i] || p[j] == p[i] && j < i {
				better, mass = better+1, mass+p[j]
			}
		}
		return better, mass
	}
	leave := func(kept func(better int, mass float64) bool) {
		out := make([]bool, len(p))
		for i := range p {
			out[i] = !kept(rank(i))
		}
		for i := range p {
			if out[i] {
				p[i] = 0
			}
		}
		normalize()
	}
	if c.TopK > 0 {
		leave(func(better int, _ float64) bool { return better < c.TopK })
	}
	if c.TopP > 0 && c.TopP < 1 {
		leave(func(_ int, mass float64) bool { return mass < float64(c.TopP) })
	}
	return p
}

// The tokens have the distribution that the definitions give: Pearson's chi-square test at a level of 0.001, with fixed seeds.
func TestDistribution(t *testing.T) {
	logits := []float32{0.3, -1, 2, 2, -inf, 0.5, 1.25, -3, 0, 1}
	const draws = 20000
	for i, c := range []SamplerConfig{
		{Temperature: 1}, {Temperature: 0.5}, {Temperature: 3}, {Temperature: 1, TopK: 1}, {Temperature: 1, TopK: 3}, {Temperature: 1, TopK: 10},
		{Temperature: 1, TopK: 11}, {Temperature: 1, TopP: 1}, {Temperature: 1, TopP: 0.3}, {Temperature: 1, TopP: 0.8}, {Temperature: 1, TopP: 0.9999999},
		{Temperature: 2, TopP: 1e-9}, {Temperature: 2, TopK: 4, TopP: 0.7}, {Temperature: 2, TopK: 4, TopP: 0.99}, {Temperature: 1, TopK: 9},
	} {
		s, counts := NewSampler(c, seeded(uint64(i))), make([]float64, len(logits))
		for range draws {
			token, err := s.Next(logits)
			require.NoError(t, err)
			counts[token]++
		}
		chi, free := 0.0, -1.0
		for token, p := range expected(logits, c) {
			if p == 0 {
				assert.Zero(t, counts[token], "%+v draws token %d", c, token)
				continue
			}
			chi += (counts[token] - draws*p) * (counts[token] - draws*p) / (draws * p)
			free++
		}
		if free > 0 {
			assert.Less(t, chi, distuv.ChiSquared{K: free}.Quantile(0.999), "%+v", c)
		}
	}
}

// The best tokens are those of a sort, for any number of tokens and many ties.
func TestTruncate(t *testing.T) {
	r := seeded(3)
	for n := range 40 {
		logits := make([]float32, n+1)
		for i := range logits {
			logits[i] = float32(r.IntN(6))
		}
		for k := range n + 1 {
			s := NewSampler(SamplerConfig{Temperature: 1, TopK: k + 1, TopP: 1}, r)
			_, err := s.Next(logits)
			require.NoError(t, err)
			want := expected(logits, s.config)
			for token := range s.order[:n-k] {
				assert.Zero(t, want[s.order[token]])
			}
			for _, token := range s.order[n-k:] {
				assert.NotZero(t, want[token])
			}
		}
	}
}

func TestSamplerLimits(t *testing.T) {
	logits := []float32{1, 5, 5, -inf}
	for _, c := range []SamplerConfig{{}, {TopK: 2, TopP: 0.5}, {Temperature: 1, TopK: 1}, {Temperature: 1, TopP: 1e-6}} {
		token, err := NewSampler(c, seeded(1)).Next(logits)
		require.NoError(t, err)
		assert.EqualValues(t, 1, token, "%+v", c)
	}
	token, err := NewSampler(SamplerConfig{}, nil).Next(logits)
	require.NoError(t, err)
	assert.EqualValues(t, 1, token)
	for _, c := range []SamplerConfig{{Temperature: math.SmallestNonzeroFloat32}, {Temperature: math.MaxFloat32}} {
		s := NewSampler(c, seeded(1))
		for range 1000 {
			token, err := s.Next([]float32{-math.MaxFloat32, 1, math.MaxFloat32, -inf})
			require.NoError(t, err)
			assert.NotEqualValues(t, 3, token, "a forbidden token")
			if c.Temperature < 1 {
				assert.EqualValues(t, 2, token)
			}
		}
	}
}

// constant is a source of one random number.
type constant uint64

func (c constant) Uint64() uint64 { return uint64(c) }

// The smallest and the largest random number draw tokens that are allowed, and a nucleus has no more tokens than it needs.
func TestSamplerEdges(t *testing.T) {
	draw := func(c SamplerConfig, random uint64, logits ...float32) int32 {
		c.Temperature = 1
		token, err := NewSampler(c, rand.New(constant(random))).Next(logits)
		require.NoError(t, err)
		return token
	}
	for _, random := range []uint64{0, math.MaxUint64} {
		for _, c := range []SamplerConfig{{}, {TopK: 4}, {TopK: 5}, {TopP: 0.9999999}} {
			assert.Contains(t, []int32{1, 2, 3}, draw(c, random, -inf, 0, 1, 0, -inf), "%+v", c)
		}
		assert.EqualValues(t, 0, draw(SamplerConfig{TopP: 0.5}, random, 2, 2), "half of the probability is one token of two")
	}
}

func TestSamplerSeed(t *testing.T) {
	draw := func(seed uint64) (tokens []int32) {
		s := NewSampler(SamplerConfig{Temperature: 1, TopK: 50, TopP: 0.9}, seeded(seed))
		r, logits := seeded(9), make([]float32, 100)
		for range 50 {
			for i := range logits {
				logits[i] = float32(r.NormFloat64())
			}
			token, err := s.Next(logits)
			require.NoError(t, err)
			tokens = append(tokens, token)
		}
		return tokens
	}
	assert.Equal(t, draw(1), draw(1))
	assert.NotEqual(t, draw(1), draw(2))
}

func TestNewSamplerPanics(t *testing.T) {
	for want, c := range map[string]SamplerConfig{
		"Temperature is -1, want 0 or a positive number": {Temperature: -1},
		"Temperature is NaN":                             {Temperature: nan},
		"Temperature is +Inf":                            {Temperature: inf},
		"TopK is -1, want 0 or more":                     {TopK: -1},
		"TopP is 1.5, want 0 to 1":                       {TopP: 1.5},
		"TopP is NaN":                                    {TopP: nan},
		"no source of random numbers":                    {Temperature: 1},
	} {
		err := caught(func() { NewSampler(c, nil) })
		var usage *tensor.UsageError
		require.ErrorAs(t, err, &usage)
		assert.ErrorContains(t, err, want)
	}
}

func TestSamplerDoesNotAllocate(t *testing.T) {
	r, logits := seeded(1), make([]float32, 1000)
	for i := range logits {
		logits[i] = float32(r.NormFloat64())
	}
	for _, c := range []SamplerConfig{{}, {Temperature: 1}, {Temperature: 1, TopK: 10}, {Temperature: 1, TopK: 10, TopP: 0.5}, {Temperature: 1, TopP: 0.9}} {
		s := NewSampler(c, r)
		assert.Zero(t, testing.AllocsPerRun(20, func() { s.Next(logits) }), "%+v", c)
	}
}

func BenchmarkSampler(b *testing.B) {
	r, logits := seeded(1), make([]float32, 50000)
	for i := range logits {
		logits[i] = float32(3 * r.NormFloat64())
	}
	for name, c := range map[string]SamplerConfig{"greedy": {}, "all": {Temperature: 1}, "k=50": {Temperature: 1, TopK: 50}, "p=0.9": {Temperature: 1, TopP: 0.9}} {
		b.Run(name, func(b *testing.B) {
			s := NewSampler(c, r)
			for b.Loop() {
				s.Next(logits)
			}
		})
	}
}
