package metrics

import "math"

// Perplexity is e to the mean loss of a token, in nats: of how many tokens, all alike, a model would have to choose
// one to do no better.
type Perplexity struct{ mean Mean }

// Add takes in the mean loss of so many tokens, such as a batch's loss and its weight. It panics as [Mean.Add] does.
func (p *Perplexity) Add(loss, tokens float64) { p.mean.Add(loss, tokens) }

// Value returns the perplexity, NaN if no token was added.
func (p *Perplexity) Value() float64 { return math.Exp(p.mean.Value()) }

// Tokens returns the number of tokens.
func (p *Perplexity) Tokens() float64 { return p.mean.Weight() }

// Reset forgets all tokens.
func (p *Perplexity) Reset() { *p = Perplexity{} }

// Merge adds what o has taken in, as if its losses had been added to p.
func (p *Perplexity) Merge(o Perplexity) { p.mean.Merge(o.mean) }
