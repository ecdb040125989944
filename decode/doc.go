// Package decode turns the logits of a model into sequences of tokens: the best token, a random token, or the best sequences that a beam search finds.
//
// A model that writes texts, or anything else that consists of tokens, computes at each step one logit for each token of its vocabulary; softmax turns
// the logits into the probabilities of the next token. Decoding chooses a token, which the model reads at the next step.
//
// # One token at a time
//
// [Argmax] returns the most likely token. To choose it at each step is called greedy decoding.
//
// A [Sampler] draws a token at random. Its settings shift the balance between texts that are dull and texts that are wrong:
//
//   - Temperature divides the logits. Below 1, likely tokens become more likely; at 0, the sampler is greedy.
//   - TopK leaves the K most likely tokens.
//   - TopP leaves the nucleus, the fewest tokens whose probabilities add up to P (Holtzman, Buys, Du, Forbes & Choi 2019, "The curious case of
//     neural text degeneration", arXiv:1904.09751): few where the model is sure, many where it is not.
//
// A stream of a trained model that writes n tokens:
//
//	sampler := decode.NewSampler(decode.SamplerConfig{Temperature: 0.8, TopP: 0.95}, rand.New(rand.NewPCG(seed, 0)))
//	for range n {
//		logits := chain.Step(vector(token))
//		if token, err = sampler.Next(logits); err != nil {
//			return err
//		}
//		...
//	}
//
// # Whole sequences
//
// The sequence of the most likely tokens is often not the most likely sequence: a good first token may have no good second one. The
// probability of a sequence is the product of the probabilities of its tokens, and there are too many sequences to try them all. [Beam] keeps the
// Width best beginnings, called hypotheses, and extends all of them at each step. With a Width of 1 it is greedy decoding.
//
// All hypotheses of a step are one batch, so the model takes them in one step. The model is given as a function, a [Step], which gets the last token of each
// hypothesis and the row that its state has after the step before. With a State of package rnn, of Width rows, that takes three lines:
//
//	state := decoder.NewState(width)
//	state.Set(end, 0) // the end of the encoder, one row
//	best, err := decode.Beam(decode.BeamConfig{Width: width, Start: start, End: end, MaxSteps: 50}, func(tokens []int32, parents []int) ([]float32, error) {
//		tape.Reset()
//		h, next := decoder.Step(autograd.Gather(tape.Param(embedding.Weight), tokens), state.CarryRows(tape, parents))
//		state.Set(next, 0)
//		return head.Forward(h).Data(), nil
//	})
//
// # Logits that forbid
//
// A logit of -Inf forbids its token: set it in the logits before they go to a function of this package. Logits that are NaN or +Inf, and rows in which every
// token is forbidden, are errors, because a model that diverged computes them. Where tokens or sequences are equally likely, the
// smaller token and the better parent come first, so that the same logits and seeds give the same result.
package decode
