// Command mnist trains a recurrent network to read handwritten digits: each picture is a sequence of 28 rows of 28
// pixels, and from the network's last state a dense layer tells the digit.
//
//	go run ./examples/mnist
//
// It reads MNIST from a folder, the cache or the network; where none of them has it, it draws digits instead. It
// writes history.csv, model.safetensors and curves.png, and for the test pictures confusion.png (how often each digit was
// taken for each other) and mistakes.png (of the pictures it got wrong, the 40 whose label it found least likely).
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/examples/progress"
	"github.com/unroll-go/unroll/examples/show"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/train"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "interrupted")
		os.Exit(130)
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	if errors.As(err, new(usageError)) {
		os.Exit(2)
	}
	os.Exit(1)
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	m := newModel(o)
	if o.load != "" {
		if _, err := safetensors.Load(o.load, m.params); err != nil {
			return err
		}
	}
	digits, err := loadDigits(ctx, o)
	if err != nil {
		return err
	}
	fmt.Println("train_x.shape :", digits.Train.Shape())
	fmt.Println("valid_x.shape :", digits.Valid.Shape())
	fmt.Println("test_x.shape :", digits.Test.Shape())
	if err := show.WritableFolder(o.out); err != nil { // better now than after training
		return err
	}
	if o.load == "" {
		if err := m.learn(ctx, o, digits.Train, digits.Valid); err != nil {
			return err
		}
	}
	tested, err := m.test(digits.Test)
	if err != nil {
		return err
	}
	fmt.Printf("test accuracy : %.4f\n", tested.confusion.Accuracy())
	return tested.draw(o.out, digits.Test)
}

// model is a classifier of sequences: a dense layer computes 10 logits from the last output of a recurrent layer.
type model struct {
	params  *autograd.Params
	cell    rnn.Layer
	head    *layers.Dense
	options rnn.Options
	dropout float32
}

func newModel(o options) *model {
	m := &model{params: autograd.NewParams(o.seed), options: rnn.Options{Truncate: o.truncate}, dropout: float32(o.dropout)}
	in, width := m.params.In("rnn"), o.hidden
	if o.bidirectional {
		width *= 2
	}
	switch o.cell {
	case "lstm":
		m.cell = rnn.NewLSTM(in, rnn.LSTMConfig{Input: 28, Hidden: o.hidden, Layers: o.layers, Bidirectional: o.bidirectional, Dropout: m.dropout})
	case "gru":
		m.cell = rnn.NewGRU(in, rnn.GRUConfig{Input: 28, Hidden: o.hidden, Layers: o.layers, Bidirectional: o.bidirectional, Dropout: m.dropout})
	default:
		m.cell = rnn.NewElman(in, rnn.ElmanConfig{Input: 28, Hidden: o.hidden, Layers: o.layers, Bidirectional: o.bidirectional, Dropout: m.dropout})
	}
	m.head = layers.NewDense(m.params.In("head"), width, 10)
	return m
}

// classify returns the logits [B,10] of a batch of pictures [28,B,28].
func (m *model) classify(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	h, _ := m.cell.Last(t.Input(b.X), m.options)
	return m.head.Forward(autograd.Dropout(h, m.dropout))
}

func (m *model) loss(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	return loss.SparseSoftmaxCrossEntropy(m.classify(t, b), b.Labels)
}

// accuracy returns the share of pictures that are classified correctly.
func (m *model) accuracy(pictures dataset.Source) (float64, error) {
	top := metrics.TopK{K: 1}
	err := train.Evaluate(m.params, pictures, 256, m.classify, func(logits *autograd.Node, b *dataset.Batch) {
		top.Add(logits.Data(), b.Labels)
	})
	return top.Value(), err
}

// learn trains for o.epochs epochs and writes the results. When ctx is canceled, it ends after the running step and
// writes the results so far.
func (m *model) learn(ctx context.Context, o options, pictures, valid dataset.Source) (err error) {
	step := train.NewStep(m.params, m.loss)
	step.Workers = o.workers
	adam := optim.NewAdam(m.params, o.lr)
	rate := optim.Constant(o.lr)
	if o.recipe == "best" {
		batches := (pictures.Len() + o.batch - 1) / o.batch
		rate = optim.OneCycle(o.lr, o.epochs*batches, optim.OneCycleOptions{})
	}
	steps := 0
	watcher, err := watch(o, steps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watcher.Close()) }()
	history := train.NewHistory("epoch", "acc_batch", "acc_valid", "loss_batch", "seconds")
	for epoch := 0; epoch < o.epochs && ctx.Err() == nil; epoch++ {
		line := progress.New(fmt.Sprintf("epoch %03d", epoch), "steps", (pictures.Len()+o.batch-1)/o.batch)
		start := time.Now()
		var last dataset.Rows
		read := pictures
		if o.recipe == "best" {
			read = shifted{pictures, o.seed + uint64(epoch)<<32}
		}
		for last = range dataset.Shuffled(read, o.batch, o.seed, uint64(epoch)) {
			adam.LR = rate(steps)
			steps++
			value, err := step.Run(last)
			if err != nil {
				line.Done()
				return fmt.Errorf("epoch %d: %w", epoch, err)
			}
			adam.Step(step.Grads())
			watcher.Scalar("loss/train", steps-1, float64(value))
			line.Note = fmt.Sprintf("loss %.4f", value)
			line.Add(1)
			if ctx.Err() != nil {
				break
			}
		}
		seconds := time.Since(start).Seconds()
		line.Done()
		if ctx.Err() != nil {
			break
		}
		// The last batch is evaluated again, because its loss in training is from before its update.
		accBatch, err := m.accuracy(last)
		if err != nil {
			return err
		}
		accValid, err := m.accuracy(valid)
		if err != nil {
			return err
		}
		lossBatch, err := step.Run(last)
		if err != nil {
			return err
		}
		m.watchEpoch(watcher, steps-1, step.Grads(), accBatch, accValid)
		history.Add(float64(epoch), accBatch, accValid, float64(lossBatch), seconds)
		fmt.Printf("epoch : %03d acc_batch : %.4f, acc_valid : %.4f loss_batch : %.4f time : %.1fs\n",
			epoch, accBatch, accValid, lossBatch, seconds)
	}
	return errors.Join(m.save(o, history), ctx.Err())
}

// save writes the history, the weights and the curves into the output folder.
func (m *model) save(o options, history *train.History) error {
	var table bytes.Buffer
	if err := history.WriteCSV(&table); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.out, "history.csv"), table.Bytes(), 0o666); err != nil {
		return err
	}
	if err := safetensors.Save(filepath.Join(o.out, "model.safetensors"), m.params, nil); err != nil {
		return err
	}
	if history.Len() == 0 { // interrupted in the first epoch
		return nil
	}
	return show.WritePlots(filepath.Join(o.out, "curves.png"),
		show.Plot{Title: "accuracy", Curves: []show.Curve{
			{Name: "last batch", Values: history.Column("acc_batch")}, {Name: "validation", Values: history.Column("acc_valid")}}},
		show.Plot{Title: "loss", Zero: true, Curves: []show.Curve{{Name: "last batch", Values: history.Column("loss_batch")}}})
}
