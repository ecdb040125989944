package decode

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// Step computes the logits of the next token for each of n hypotheses, [n,V] row-major, where V is the size of the vocabulary. tokens[i] is the
// last token of hypothesis i, and parents[i] the row of the step before that it continues: row i of the model must start from the state that row parents[i]
// had after the step before. Several hypotheses may have the same parent. The first step is that of one hypothesis, BeamConfig.Start with parent
// 0: row 0 of the state is the start.
//
// tokens and parents are valid until Step returns, and the logits must be valid until the next step. An error of Step, such as that of a context, ends the search.
type Step func(tokens []int32, parents []int) (logits []float32, err error)

// BeamConfig says how [Beam] searches. Width and MaxSteps must be given.
type BeamConfig struct {
	Width    int   // hypotheses that are kept at each step; 1: greedy decoding
	Start    int32 // the token that the model reads at the first step
	End      int32 // the token that ends a sequence; negative: none does
	MaxSteps int   // steps at most
	Best     int   // sequences to return at most; 0: one
	// LengthPenalty is the alpha of Wu et al. 2016 ("Google's neural machine translation system", arXiv:1609.08144, equation 14), 0 or more: a
	// sequence of n tokens, End included, has the score
	//
	//	log P / ((5+n)/(5+1))^alpha
	//
	// Every token lowers log P, so that a search without penalty (0) prefers short sequences. Values between 0.6 and 1 are usual.
	LengthPenalty float64
}

// Hypothesis is a sequence that [Beam] found.
type Hypothesis struct {
	Tokens  []int32 // without Start and End
	LogProb float64 // the sum of the natural logarithms of the probabilities of Tokens and of End
	Score   float64 // LogProb after the length penalty
	Ended   bool    // End follows; otherwise the search ended after MaxSteps
}

// Beam searches for the best sequences that a model writes. At each step it extends every hypothesis by every token and keeps the Width best results.
// Those that end are set aside; the search goes on with the others until none of them can become one of the Best, none is left, or
// MaxSteps steps are taken. It returns the sequences that ended, the best first, and then, if these are fewer than
// Best, the others. There is at least one sequence.
//
// The result is the exact one if Width is at least the number of all hypotheses of a step. A smaller Width may lose the best sequence because of its beginning.
//
// Beam returns the error of step, and an error if logits are NaN or +Inf or if all of a row are -Inf. It panics with a [*tensor.UsageError] if the configuration
// cannot be, also because the vocabulary has no End, and with a [*tensor.ShapeError] if step does not return the same number of logits, at least one, for
// each row.
func Beam(c BeamConfig, step Step) ([]Hypothesis, error) {
	c.check()
	c.Best = max(c.Best, 1)
	s := &search{BeamConfig: c, live: []candidate{{token: c.Start}}, trail: []link{{}}}
	for s.length = 1; s.length <= c.MaxSteps && len(s.live) > 0; s.length++ {
		if err := s.extend(step); err != nil {
			return nil, err
		}
		if s.advance(); s.decided() {
			break
		}
	}
	var best []Hypothesis
	for _, c := range s.ended {
		best = append(best, s.hypothesis(c, true))
	}
	for _, c := range s.live[:min(len(s.live), s.Best-len(best))] {
		best = append(best, s.hypothesis(c, false))
	}
	return best, nil
}

func (c *BeamConfig) check() {
	what := ""
	switch {
	case c.Width < 1:
		what = fmt.Sprintf("Width is %d, want at least 1", c.Width)
	case c.MaxSteps < 1:
		what = fmt.Sprintf("MaxSteps is %d, want at least 1", c.MaxSteps)
	case c.Best < 0:
		what = fmt.Sprintf("Best is %d, want 0 or more", c.Best)
	case !(c.LengthPenalty >= 0 && c.LengthPenalty <= math.MaxFloat64):
		what = fmt.Sprintf("LengthPenalty is %v, want 0 or a positive number", c.LengthPenalty)
	}
	if what != "" {
		panic(&tensor.UsageError{Where: "decode.Beam", What: what})
	}
}

// search is a beam search.
type search struct {
	BeamConfig
	length  int         // of the hypotheses of this step, End included
	live    []candidate // the hypotheses that have not ended, the best first
	next    []candidate // the best extensions of live, the best first
	ended   []candidate // the best sequences that ended, the best first
	trail   []link      // all live hypotheses of all steps
	tokens  []int32     // of live
	parents []int       // of live
	logs    []float32   // log-probabilities of a row
}

// candidate is a hypothesis: a live hypothesis and one more token.
type candidate struct {
	token          int32
	parent         int // the row of the live hypothesis
	link           int // the place of the hypothesis in the trail; of a sequence that ended, the place without End
	logProb, score float64
}

// link is the last token of a hypothesis, and the place of the hypothesis without this token in the trail. Place 0 is the empty hypothesis.
type link struct {
	token  int32
	before int
}

// extend runs the step and sets next to the best extensions of the live hypotheses.
func (s *search) extend(step Step) error {
	s.tokens, s.parents, s.next = s.tokens[:0], s.parents[:0], s.next[:0]
	for _, c := range s.live {
		s.tokens, s.parents = append(s.tokens, c.token), append(s.parents, c.parent)
	}
	logits, err := step(s.tokens, s.parents)
	if err != nil {
		return err
	}
	s.checkLogits(logits)
	penalty, size := s.penalty(s.length), len(s.logs)
	worst := math.Inf(-1) // what an extension must exceed to be among the best: a forbidden token, whose score is -Inf, never does
	for row, from := range s.live {
		of := logits[row*size:][:size]
		if _, err := Argmax(of); err != nil {
			return fmt.Errorf("step %d, row %d: %w", s.length, row, err)
		}
		kernel.LogSoftmax(s.logs, of)
		for token, log := range s.logs {
			p := from.logProb + float64(log)
			if score := p / penalty; score > worst {
				s.next = insert(s.next, candidate{int32(token), row, from.link, p, score}, s.Width)
				if len(s.next) == s.Width {
					worst = s.next[s.Width-1].score
				}
			}
		}
	}
	return nil
}

// checkLogits panics if the logits are not those of the live hypotheses. At the first step it finds out the size of the vocabulary.
func (s *search) checkLogits(logits []float32) {
	if s.length == 1 {
		s.logs = make([]float32, len(logits))
		if int(s.End) >= len(logits) && len(logits) > 0 {
			panic(&tensor.UsageError{Where: "decode.Beam", What: fmt.Sprintf("End is %d, want less than the %d tokens of the vocabulary", s.End, len(logits))})
		}
	}
	if rows, size := len(s.live), len(s.logs); size == 0 || len(logits) != rows*size {
		panic(&tensor.ShapeError{Where: "decode.Beam", Got: fmt.Sprintf("%d logits for %d rows", len(logits), rows), Want: fmt.Sprintf("at least 1, and %d for each", size)})
	}
}

// advance parts the extensions into those that ended and the live ones of the next step.
func (s *search) advance() {
	s.live = s.live[:0]
	for _, c := range s.next {
		if c.token == s.End {
			s.ended = insert(s.ended, c, s.Best)
			continue
		}
		s.trail = append(s.trail, link{c.token, c.link})
		c.link = len(s.trail) - 1
		s.live = append(s.live, c)
	}
}

// decided reports whether no live hypothesis can become one of the best. Its log-probability only falls, and the penalty is the largest after MaxSteps.
func (s *search) decided() bool {
	return len(s.ended) == s.Best && len(s.live) > 0 && s.ended[s.Best-1].score >= s.live[0].logProb/s.penalty(s.MaxSteps)
}

// penalty returns the divisor of the log-probability of a sequence of n tokens.
func (s *search) penalty(n int) float64 {
	return math.Pow((5+float64(n))/(5+1), s.LengthPenalty)
}

// hypothesis returns the sequence of a candidate.
func (s *search) hypothesis(c candidate, ended bool) Hypothesis {
	n := 0
	for at := c.link; at > 0; at = s.trail[at].before {
		n++
	}
	h := Hypothesis{make([]int32, n), c.logProb, c.score, ended}
	for at := c.link; at > 0; at = s.trail[at].before {
		n--
		h.Tokens[n] = s.trail[at].token
	}
	return h
}

// insert puts a candidate into a list, the best first and earlier ones before equal ones, and keeps the given number of them.
func insert(list []candidate, c candidate, most int) []candidate {
	if n := len(list); n < most {
		list = append(list, c)
	} else if !(c.score > list[n-1].score) {
		return list
	}
	i := len(list) - 1
	for ; i > 0 && list[i-1].score < c.score; i-- {
		list[i] = list[i-1]
	}
	list[i] = c
	return list
}
