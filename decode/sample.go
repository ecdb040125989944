package decode

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// Argmax returns the token with the largest logit, the first of them if there are several. It returns an error if a logit is NaN or +Inf or if all are
// -Inf. It panics with a [*tensor.ShapeError] if there are no logits.
func Argmax(logits []float32) (token int32, err error) {
	if len(logits) == 0 {
		panic(&tensor.ShapeError{Where: "decode", Got: "0 logits", Want: "at least 1"})
	}
	best := 0
	for i, x := range logits {
		if x != x || x > math.MaxFloat32 {
			return 0, fmt.Errorf("decode: logit %d of %d is %v", i, len(logits), x)
		}
		if x > logits[best] {
			best = i
		}
	}
	if logits[best] < -math.MaxFloat32 {
		return 0, fmt.Errorf("decode: all %d logits are -Inf, so no token may follow", len(logits))
	}
	return int32(best), nil
}

// SamplerConfig says how a [Sampler] draws a token. The zero value is greedy decoding.
type SamplerConfig struct {
	// Temperature divides the logits. 1 draws from the model's own distribution. 0 is the limit of small temperatures: the sampler returns
	// what Argmax does, and needs no random numbers.
	Temperature float32
	// TopK leaves the K most likely tokens. 0, or a K of the size of the vocabulary or more, leaves all.
	TopK int
	// TopP leaves the nucleus: the fewest tokens, the most likely first, whose probabilities add up to P or more. These are the probabilities
	// after Temperature and TopK, which add up to 1. 0 and 1 leave all.
	TopP float32
}

// Sampler draws tokens at random. It reuses its memory, so that a draw allocates nothing once the size of the vocabulary repeats. It is used by one
// goroutine at a time.
type Sampler struct {
	config  SamplerConfig
	r       *rand.Rand
	weights []float32 // the probability of each token, divided by that of the most likely one
	order   []int32   // the tokens: a heap, and behind it the tokens that were taken from it, in the reverse order
}

// NewSampler returns a sampler that takes its random numbers from r, one a token; the same seed gives the same tokens. It panics with a
// [*tensor.UsageError] if the configuration cannot be, or if r is nil and the temperature is not 0.
func NewSampler(c SamplerConfig, r *rand.Rand) *Sampler {
	what := ""
	switch {
	case !(c.Temperature >= 0 && c.Temperature <= math.MaxFloat32):
		what = fmt.Sprintf("Temperature is %v, want 0 or a positive number", c.Temperature)
	case c.TopK < 0:
		what = fmt.Sprintf("TopK is %d, want 0 or more", c.TopK)
	case !(c.TopP >= 0 && c.TopP <= 1):
		what = fmt.Sprintf("TopP is %v, want 0 to 1", c.TopP)
	case r == nil && c.Temperature > 0:
		what = "no source of random numbers, want one for a temperature above 0"
	}
	if what != "" {
		panic(&tensor.UsageError{Where: "decode.NewSampler", What: what})
	}
	return &Sampler{config: c, r: r}
}

// Next draws a token. It returns an error and panics as [Argmax] does. It does not change the logits.
func (s *Sampler) Next(logits []float32) (token int32, err error) {
	best, err := Argmax(logits)
	if err != nil || s.config.Temperature == 0 {
		return best, err
	}
	s.weights, s.order = s.weights[:0], s.order[:0]
	for i, x := range logits {
		s.weights, s.order = append(s.weights, (x-logits[best])/s.config.Temperature), append(s.order, int32(i))
	}
	kernel.Exp(s.weights, s.weights)
	kept := s.truncate(logits)
	threshold, sum := s.r.Float64()*s.sum(kept), 0.0
	for _, token := range kept {
		if sum += float64(s.weights[token]); sum > threshold {
			return token, nil
		}
	}
	return best, nil // not reached: the sum is larger than the threshold in the end
}

// sum returns the sum of the weights of some tokens.
func (s *Sampler) sum(tokens []int32) (sum float64) {
	for _, token := range tokens {
		sum += float64(s.weights[token])
	}
	return sum
}

// truncate returns the tokens that TopK and TopP leave.
func (s *Sampler) truncate(logits []float32) []int32 {
	n, k := len(logits), len(logits)
	if s.config.TopK > 0 {
		k = min(k, s.config.TopK)
	}
	nucleus := s.config.TopP > 0 && s.config.TopP < 1
	if k == n && !nucleus {
		return s.order
	}
	heap := s.order // shrinks; behind it are the tokens that were taken from it
	for i := n/2 - 1; i >= 0; i-- {
		sift(heap, i, logits)
	}
	if k < n {
		for range k {
			heap = pop(heap, logits)
		}
	}
	if !nucleus {
		return s.order[n-k:]
	}
	likely := s.order[n-k:] // the k most likely tokens
	from, sum, want := k, 0.0, float64(s.config.TopP)*s.sum(likely)
	for from > 0 && sum < want {
		if from--; n-k+from < len(heap) {
			heap = pop(heap, logits)
		}
		sum += float64(s.weights[likely[from]])
	}
	return likely[from:]
}

// pop moves the most likely token of a heap behind its end, and returns the rest of the heap.
func pop(heap []int32, logits []float32) []int32 {
	last := len(heap) - 1
	heap[0], heap[last] = heap[last], heap[0]
	sift(heap[:last], 0, logits)
	return heap[:last]
}

// sift moves the token at i down to its place in a heap, where each token is more likely than the two below it.
func sift(heap []int32, i int, logits []float32) {
	more := func(a, b int32) bool { return logits[a] > logits[b] || logits[a] == logits[b] && a < b }
	for {
		below := 2*i + 1
		if below >= len(heap) {
			return
		}
		if below+1 < len(heap) && more(heap[below+1], heap[below]) {
			below++
		}
		if !more(heap[below], heap[i]) {
			return
		}
		heap[i], heap[below] = heap[below], heap[i]
		i = below
	}
}
