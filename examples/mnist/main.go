// Command mnist trains a recurrent network to read handwritten digits: each picture is a sequence of 28 rows of 28
// pixels, and from the network's last state a dense layer tells the digit.
//
//	go run ./examples/mnist
//
// It reads MNIST from a folder, the cache or the network; where none of them has it, it draws digits instead. It
// writes history.csv, model.safetensors and curves.png, and for the test pictures confusion.png (how often each digit was
// taken for each other) and mistakes.png (of the pictures it got wrong, the 40 whose label it found least likely).
//
// Ctrl-C, SIGTERM and SIGHUP end the training after the running batch. The same command then continues where it was, from the
// checkpoint in the output folder, also after a SIGKILL or a power failure, and ends with the same weights, bit for bit, as
// without the interruption.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"iter"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
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
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	const hangUp = syscall.Signal(1) // the terminal is gone; not all systems have a name for it
	if !signal.Ignored(hangUp) {     // as nohup wants it
		signals = append(signals, hangUp)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
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
		o.settings["pictures"] = fmt.Sprintf("%d, CRC %08x", digits.Train.Len(), crc32.ChecksumIEEE(digits.Train.Pixels))
		if err := m.learn(ctx, o, digits.Train, digits.Valid); err != nil {
			return err
		}
	}
	tested, err := m.test(digits.Test)
	if err != nil {
		return err
	}
	fmt.Printf("test accuracy : %.4f\n", tested.confusion.Accuracy())
	if err := tested.draw(o.out, digits.Test); err != nil || o.load != "" {
		return err
	}
	return os.RemoveAll(o.checkpoints()) // nothing is left to continue
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

// learn trains for o.epochs epochs and writes the results. If the output folder has a checkpoint, it continues from there. When
// ctx is canceled, it ends after the running step and writes a checkpoint and the results so far.
func (m *model) learn(ctx context.Context, o options, pictures, valid dataset.Source) (err error) {
	step := train.NewStep(m.params, m.loss)
	step.Workers = o.workers
	adam := optim.NewAdam(m.params, o.lr)
	rate := optim.Constant(o.lr)
	if o.recipe == "best" {
		batches := (pictures.Len() + o.batch - 1) / o.batch
		rate = optim.OneCycle(o.lr, o.epochs*batches, optim.OneCycleOptions{})
	}
	history := train.NewHistory("epoch", "acc_batch", "acc_valid", "loss_batch", "seconds")
	seconds := 0.0 // of the epoch so far
	var best *autograd.Params
	if o.patience > 0 {
		best = m.params // of which a copy is kept
	}
	stopping := train.NewEarlyStopping(best, o.patience)
	stopping.Maximize = true
	loop := &train.Loop{Dir: o.checkpoints(), Interval: o.saveEvery, Parts: train.Checkpoint{"model": m.params, "optim": adam,
		"step": step, "history": history, "stopping": stopping, "seconds": &seconds, "flags": o.settings}}
	if err := loop.Resume(); err != nil {
		return fmt.Errorf("%w; to start anew, remove %s or choose another folder by -out", err, loop.Dir)
	}
	if loop.Steps > 0 {
		fmt.Printf("continuing : epoch %03d after %d steps in all, from %s\n", loop.Epoch, loop.Steps, loop.Dir)
	} else if o.resume {
		return fmt.Errorf("-resume: there is no checkpoint in %s", loop.Dir)
	}
	watcher, err := watch(o, loop.Steps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watcher.Close()) }()
	var line *progress.Line
	var start time.Time
	for batch, err := range loop.Batches(ctx, o.epochs, func(epoch uint64) iter.Seq[dataset.Rows] {
		line = progress.New(fmt.Sprintf("epoch %03d", epoch), "steps", max(1, pictures.Len()/o.batch)-loop.Batch)
		start = time.Now()
		read := pictures
		if o.recipe == "best" {
			read = shifted{pictures, o.seed + epoch<<32}
		}
		return dataset.Shuffled(read, o.batch, o.seed, epoch)
	}) {
		if err != nil { // the training is interrupted, or there is no room for a checkpoint
			if line != nil {
				line.Done()
			}
			return errors.Join(m.save(o, history), err)
		}
		adam.LR = rate(loop.Steps)
		value, err := step.Run(batch)
		if err != nil {
			line.Done()
			return fmt.Errorf("epoch %d: %w", loop.Epoch, err)
		}
		adam.Step(step.Grads())
		watcher.Scalar("loss/train", loop.Steps, float64(value))
		line.Note = fmt.Sprintf("loss %.4f", value)
		line.Add(1)
		seconds += time.Since(start).Seconds()
		start = time.Now()
		if !loop.Last {
			continue
		}
		line.Done()
		// The last batch is evaluated again, because its loss in training is from before its update.
		accBatch, err := m.accuracy(batch)
		if err != nil {
			return err
		}
		accValid, err := m.accuracy(valid)
		if err != nil {
			return err
		}
		lossBatch, err := step.Run(batch)
		if err != nil {
			return err
		}
		m.watchEpoch(watcher, loop.Steps, step.Grads(), accBatch, accValid)
		history.Add(float64(loop.Epoch), accBatch, accValid, float64(lossBatch), seconds)
		fmt.Printf("epoch : %03d acc_batch : %.4f, acc_valid : %.4f loss_batch : %.4f time : %.1fs\n",
			loop.Epoch, accBatch, accValid, lossBatch, seconds)
		seconds = 0
		if o.patience > 0 && stopping.Step(accValid) {
			loop.Done = true
			fmt.Println("stopped early : the best epoch was", stopping.BestStep-1)
		}
	}
	stopping.Restore()
	return m.save(o, history)
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
