package unroll_test

import (
	"fmt"
	"log"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/dataset/digits"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

// reader is a classifier of pictures that reads each one row by row, as a sequence of 28 steps of 28 pixels.
type reader struct {
	gru  *rnn.GRU
	head *layers.Dense
}

// classify returns the logits [B,10] of a batch of pictures [28,B,28].
func (r reader) classify(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	h, _ := r.gru.Last(t.Input(b.X), rnn.Options{})
	return r.head.Forward(h)
}

// A whole program: it draws digits, learns to tell them apart and counts how many unseen ones it gets right.
func Example() {
	drawn := digits.New(42, 3000, 0, 1000)

	params := autograd.NewParams(42)
	model := reader{
		gru:  rnn.NewGRU(params.In("gru"), rnn.GRUConfig{Input: 28, Hidden: 32}),
		head: layers.NewDense(params.In("head"), 32, 10),
	}

	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.SparseSoftmaxCrossEntropy(model.classify(t, b), b.Labels)
	})
	adam := optim.NewAdam(params, 0.01)
	for epoch := range uint64(4) {
		for rows := range dataset.Shuffled(drawn.Train, 30, 42, epoch) {
			if _, err := step.Run(rows); err != nil {
				log.Fatal(err)
			}
			optim.ClipNorm(step.Grads(), 1)
			adam.Step(step.Grads())
		}
	}

	accuracy := metrics.TopK{K: 1}
	err := train.Evaluate(params, drawn.Test, 250, model.classify, func(logits *autograd.Node, b *dataset.Batch) {
		accuracy.Add(logits.Data(), b.Labels)
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("more than three in four are right:", accuracy.Value() > 0.75)
	// Output: more than three in four are right: true
}
