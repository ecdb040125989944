package train_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"math/rand/v2"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

// Documents of 5 to 14 tokens, packed into 8 streams without padding. The class of a document is its first token, and is asked
// for at its end, so that the model must remember it through up to 3 windows. An update every 4 steps goes back through 16.
func Example_documents() {
	const rows, classes, tokens, hidden = 8, 4, 10, 24
	r := rand.New(rand.NewPCG(1, 2))
	documents := &dataset.Sequences{}
	for range 2000 {
		ids := make([]int32, 5+r.IntN(10))
		ids[0] = r.Int32N(classes)
		for i := range ids[1:] {
			ids[1+i] = classes + r.Int32N(tokens-classes)
		}
		documents.IDs, documents.Labels = append(documents.IDs, ids), append(documents.Labels, ids[0])
	}
	training, validation := dataset.Split(documents, 1800)
	streams := dataset.Streams{Rows: rows, K1: 4, K2: 16}

	params := autograd.NewParams(42)
	embedding := layers.NewEmbedding(params.In("embedding"), tokens, 8)
	layer := rnn.NewGRU(params.In("rnn"), rnn.GRUConfig{Input: 8, Hidden: hidden})
	head := layers.NewDense(params.In("head"), hidden, classes)
	state := layer.NewState(rows)
	logits := func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		y, end := layer.Forward(embedding.Forward(t, b), rnn.Options{Start: state.Carry(t, b.First, b.Rows()),
			Lengths: b.Lengths, Resets: b.Begins, Overlap: b.Overlap})
		state.Set(end, b.First)
		return head.Forward(y)
	}
	step, adam := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.SparseSoftmaxCrossEntropy(logits(t, b), b.Labels)
	}), optim.NewAdam(params, 0.01)

	loop := &train.Loop{Parts: train.Checkpoint{"model": params, "optim": adam, "step": step, "state": state}}
	for window, err := range loop.Batches(context.Background(), 3, func(epoch uint64) iter.Seq[dataset.Rows] {
		return streams.Batches(dataset.Documents(dataset.Shuffled(training, rows, 42, epoch)))
	}) {
		if err != nil {
			log.Fatal(err)
		}
		if _, err := step.Run(window); errors.Is(err, train.ErrNothingCounted) {
			continue // no document ends in this window
		} else if err != nil {
			log.Fatal(err)
		}
		adam.Step(step.Grads())
	}

	var accuracy metrics.TopK
	windows := streams.Batches(dataset.Documents(dataset.Batches(validation, rows)))
	if err := train.NewEvaluator(params, logits).RunBatches(windows, func(logits *autograd.Node, b *dataset.Batch) {
		accuracy.Add(logits.Data(), b.Labels)
	}); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d documents, %.0f %% right\n", accuracy.Count(), 100*accuracy.Value())
	// Output: 200 documents, 100 % right
}
