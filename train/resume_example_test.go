package train_test

import (
	"context"
	"fmt"
	"iter"
	"log"
	"os"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

const streamRows, tokens = 4, 5

// trainStreams trains on streams of tokens for two epochs, or until ctx is canceled, and returns the weights. It continues
// from the newest checkpoint in dir, if there is one.
func trainStreams(ctx context.Context, dir string) (*autograd.Params, error) {
	params := autograd.NewParams(42)
	embedding := layers.NewEmbedding(params.In("embedding"), tokens, 6)
	layer := rnn.NewLSTM(params.In("rnn"), rnn.LSTMConfig{Input: 6, Hidden: 8, RecurrentDropout: 0.2})
	head := layers.NewDense(params.In("head"), layer.Out(), tokens)
	state := layer.NewState(streamRows)
	adam := optim.NewAdam(params, 0.01)
	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		y, end := layer.Forward(embedding.Forward(t, b), rnn.Options{Start: state.Carry(t, b.First, b.Rows())})
		state.Set(end, b.First)
		return loss.SparseSoftmaxCrossEntropy(head.Forward(y), b.Labels)
	})
	var ids []int32
	for i := range int32(400) {
		ids = append(ids, i*i%tokens)
	}

	loop := &train.Loop{Dir: dir, Every: 100,
		Parts: train.Checkpoint{"model": params, "optim": adam, "step": step, "state": state}}
	if err := loop.Resume(); err != nil {
		return nil, err
	}
	for batch, err := range loop.Batches(ctx, 2, func(epoch uint64) iter.Seq[dataset.Rows] {
		return dataset.Streams{Rows: streamRows, K1: 10}.Batches(dataset.Documents(dataset.Batches(dataset.NextTokens(ids).Parts(streamRows), streamRows)))
	}) {
		if err != nil {
			return nil, err
		}
		if loop.Batch == 0 {
			state.Zero()
		}
		if _, err := step.Run(batch); err != nil {
			return nil, err
		}
		adam.Step(step.Grads())
		interrupt(loop.Steps)
	}
	return params, nil
}

// interrupt stands for the user, who presses Ctrl-C.
var interrupt = func(step int) {}

// A training that is interrupted and continues in another process, and ends with the weights, bit for bit, of one without
// a pause.
func Example_resume() {
	dir, err := os.MkdirTemp("", "training")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	whole, err := trainStreams(context.Background(), "") // without checkpoints
	if err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	interrupt = func(step int) {
		if step == 6 {
			cancel()
		}
	}
	_, err = trainStreams(ctx, dir)
	fmt.Println("the first process:", err)

	resumed, err := trainStreams(context.Background(), dir)
	if err != nil {
		log.Fatal(err)
	}
	same := true
	for p := range whole.All() {
		same = same && slices.Equal(p.Value.Data(), resumed.Get(p.Name).Value.Data())
	}
	fmt.Println("the second process has the same weights:", same)
	// Output:
	// the first process: context canceled
	// the second process has the same weights: true
}
