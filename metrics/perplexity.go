package metrics

import "math"

// Perplexity is e to the power of the mean loss of a token in nats (the loss of SparseSoftmaxCrossEntropy): a model with a
// perplexity of n does as well as a choice among n equally likely tokens.
type Perplexity struct{ mean Mean }

// Add adds the mean loss of a number of tokens, such as the loss of a batch and its weight. It panics as [Mean.Add] does.
func (p *Perplexity) Add(loss, tokens float64) { p.mean.Add(loss, tokens) }

// Value returns the perplexity, or NaN if no token was added.
func (p *Perplexity) Value() float64 { return math.Exp(p.mean.Value()) }

// Tokens returns the number of tokens added.
func (p *Perplexity) Tokens() float64 { return p.mean.Weight() }

// Reset forgets all tokens.
func (p *Perplexity) Reset() { *p = Perplexity{} }

// Merge adds the sums of o, as if its losses had been added to p.
func (p *Perplexity) Merge(o Perplexity) { p.mean.Merge(o.mean) }
