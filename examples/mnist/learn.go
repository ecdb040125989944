package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/examples/progress"
	"github.com/unroll-go/unroll/examples/show"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/train"
)

// learn trains for o.epochs epochs and writes the results. If the output folder has a checkpoint, it continues from there.
// When ctx is canceled, it ends after the running step and writes a checkpoint and the results so far.
func (m *model) learn(ctx context.Context, o options, pictures, valid dataset.Source) (err error) {
	step := train.NewStep(m.params, m.loss)
	step.Workers = o.workers
	adam := optim.NewAdam(m.params, o.lr)
	history := train.NewHistory("epoch", "acc_batch", "acc_valid", "loss_batch", "seconds")
	seconds := 0.0 // of the epoch so far
	stopping := train.NewEarlyStopping(m.params, o.patience)
	stopping.Maximize = true

	loop := &train.Loop{Dir: o.checkpoints(), Interval: o.saveEvery, Parts: train.Checkpoint{"model": m.params, "optim": adam,
		"step": step, "history": history, "seconds": &seconds, "flags": o.settings}}
	if o.patience > 0 {
		loop.Parts["stopping"] = stopping
	}
	if err := resume(loop, o); err != nil {
		return err
	}
	watcher, err := watch(o, loop.Steps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watcher.Close()) }()

	steps := o.epochs * max(1, pictures.Len()/o.batch)
	rate := optim.Constant(o.lr)
	if o.recipe == "best" {
		rate = optim.OneCycle(o.lr, steps, optim.OneCycleOptions{})
	}
	line := progress.New("training", "steps", steps-loop.Steps)
	defer line.Done()
	for batch, err := range loop.Batches(ctx, o.epochs, func(epoch uint64) iter.Seq[dataset.Rows] {
		if o.recipe == "best" {
			return dataset.Shuffled(o.reading(shifted{pictures, o.seed + epoch<<32}), o.batch, o.seed, epoch)
		}
		return dataset.Shuffled(o.reading(pictures), o.batch, o.seed, epoch)
	}) {
		if err != nil { // the training is interrupted, or there is no room for a checkpoint
			return errors.Join(m.save(o, history), err)
		}
		start := time.Now()
		adam.LR = rate(loop.Steps)
		value, err := step.Run(batch)
		if err != nil {
			return fmt.Errorf("epoch %d: %w", loop.Epoch, err)
		}
		adam.Step(step.Grads())
		seconds += time.Since(start).Seconds()
		watcher.Scalar("loss/train", loop.Steps, float64(value))
		line.Note = fmt.Sprintf("epoch %03d, loss %.4f", loop.Epoch, value)
		line.Add(1)
		if !loop.Last {
			continue
		}
		line.Done()
		// The last batch is evaluated again, because its loss in training is from before its update.
		accBatch, err := m.accuracy(batch)
		if err != nil {
			return err
		}
		accValid, err := m.accuracy(o.reading(valid))
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

// resume continues from the checkpoint of the output folder, if there is one.
func resume(loop *train.Loop, o options) error {
	if err := loop.Resume(); err != nil {
		return fmt.Errorf("%w; to start anew, remove %s or choose another folder by -out", err, loop.Dir)
	}
	if loop.Steps > 0 {
		fmt.Printf("continuing : epoch %03d after %d steps in all, from %s\n", loop.Epoch, loop.Steps, loop.Dir)
	} else if o.resume {
		return fmt.Errorf("-resume: there is no checkpoint in %s", loop.Dir)
	}
	return nil
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
