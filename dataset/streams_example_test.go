package dataset_test

import (
	"fmt"
	"iter"
	"log"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

// A model of the next character that keeps its state from window to window, with truncated backpropagation through time. A
// window has 7 steps, but the line has 40 characters: what the model knows of the characters before the window, it knows
// from the state.
func ExampleStreams_training() {
	const rows, steps, features, hidden = 4, 7, 8, 32
	line := "she sells sea shells by the sea shore;\n"
	v, err := dataset.BuildVocabulary(strings.SplitSeq(line, ""))
	if err != nil {
		log.Fatal(err)
	}
	ids, err := v.Encode(strings.Repeat(line, 40))
	if err != nil {
		log.Fatal(err)
	}
	windows := func() iter.Seq[dataset.Rows] {
		parts := dataset.NextTokens(ids).Parts(rows)
		return dataset.Streams{Rows: rows, K1: steps}.Batches(dataset.Documents(dataset.Batches(parts, rows)))
	}

	params := autograd.NewParams(42)
	embedding := layers.NewEmbedding(params.In("embedding"), v.Len(), features)
	cell := rnn.NewLSTM(params.In("rnn"), rnn.LSTMConfig{Input: features, Hidden: hidden})
	head := layers.NewDense(params.In("head"), hidden, v.Len())

	// Each shard of a window has its own rows of the state: b.First and the b.Rows()-1 after it. The state is copied to the
	// tape and back, so that no gradient goes into the window before.
	state := cell.NewState(rows)
	model := func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		x := embedding.Forward(t, b)
		y, end := cell.Forward(x, rnn.Options{Start: state.Carry(t, b.First, b.Rows())})
		state.Set(end, b.First)
		return loss.SparseSoftmaxCrossEntropy(head.Forward(y), b.Labels)
	}

	step, adam := train.NewStep(params, model), optim.NewAdam(params, 0.01)
	step.Shards = 2
	for range 8 {
		state.Zero()
		for window := range windows() {
			if _, err := step.Run(window); err != nil {
				log.Fatal(err)
			}
			adam.Step(step.Grads())
		}
	}

	// The last window has fewer steps than the others, and so counts less.
	var perplexity metrics.Perplexity
	batches := map[int]int{}
	state.Zero()
	err = train.NewEvaluator(params, model).RunBatches(windows(), func(l *autograd.Node, b *dataset.Batch) {
		perplexity.Add(float64(l.Value()), float64(b.Rows()*b.Steps()))
		batches[b.Steps()]++
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("batches of each number of steps:", batches)
	fmt.Printf("perplexity %.1f over %.0f tokens\n", perplexity.Value(), perplexity.Tokens())

	// The model continues a text, one character at a time, with a state of one row.
	tape, one := autograd.NewInference(params), cell.NewState(1)
	text := "she"
	next, err := v.Encode(text)
	if err != nil {
		log.Fatal(err)
	}
	for len(text) < len(line) {
		tape.Reset()
		y, end := cell.Forward(embedding.Lookup(tape, next, 1), rnn.Options{Start: one.Carry(tape, 0, 1)})
		one.Set(end, 0)
		logits := head.Forward(y).Data()
		logits = logits[len(logits)-v.Len():] // of the last step
		best := int32(0)
		for id, x := range logits {
			if x > logits[best] {
				best = int32(id)
			}
		}
		next = []int32{best}
		text += v.Decode(next)
	}
	fmt.Print(text)
	// Output:
	// batches of each number of steps: map[4:1 7:55]
	// perplexity 1.0 over 1556 tokens
	// she sells sea shells by the sea shore;
}
