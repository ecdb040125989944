package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/decode"
	"github.com/unroll-go/unroll/examples/charlm/lm"
	"github.com/unroll-go/unroll/examples/progress"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/train"
)

// learn trains a model and saves it. If the output folder has a checkpoint, it continues from there. When ctx is canceled, it ends
// after the running window, and saves a checkpoint and the model as it is.
func learn(ctx context.Context, m *lm.Model, o options, documents, heldOut []document) error {
	state := m.NewState(o.streams)
	step := train.NewStep(m.Params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node { return m.Loss(t, b, state, o.k2) })
	step.Workers = o.workers
	adam := optim.NewAdamW(m.Params, o.lr)
	rate := o.schedule()
	validation := newValidation(m, o, heldOut)
	loss := 0.0 // sum over the windows since the last line

	o.settings["text"] = fmt.Sprintf("%d documents of %d characters", len(documents), size(documents))
	loop := &train.Loop{Dir: filepath.Join(o.out, "checkpoints"), Interval: o.saveEvery, Parts: train.Checkpoint{"model": m.Params,
		"optim": adam, "step": step, "state": state, "loss": &loss, "flags": o.settings}}
	if err := loop.Resume(); err != nil {
		return fmt.Errorf("%w; to start anew, remove %s or choose another folder by -out", err, loop.Dir)
	}
	if loop.Steps > 0 {
		fmt.Printf("continuing : after %d updates, from %s\n", loop.Steps, loop.Dir)
	}
	line := progress.New("training", "updates", o.steps-loop.Steps)
	defer line.Done()
	last, timed := time.Now(), loop.Steps // the time of the last line, and the number of updates before
	for window, err := range loop.Batches(ctx, math.MaxInt, func(epoch uint64) iter.Seq[dataset.Rows] {
		return dataset.Streams{Rows: o.streams, K1: o.k1, K2: o.k2}.Batches(open(documents, o.seed, epoch))
	}) {
		if err != nil { // the training is interrupted, or there is no room for a checkpoint
			return errors.Join(m.Save(filepath.Join(o.out, "model.safetensors")), err)
		}
		adam.LR = rate(loop.Steps)
		value, err := step.Run(window)
		if err != nil {
			return err
		}
		optim.ClipNorm(step.Grads(), o.clip)
		adam.Step(step.Grads())
		loss += float64(value)
		line.Note = fmt.Sprintf("%.3f bits a character", value/math.Ln2)
		line.Add(1)

		done := loop.Steps + 1
		loop.Done = done == o.steps
		if done%o.every != 0 && !loop.Done {
			continue
		}
		line.Done()
		speed := float64((done-timed)*o.streams*o.k1) / time.Since(last).Seconds()
		bits, err := validation.bits()
		if err != nil {
			return err
		}
		loss /= float64((done-1)%o.every + 1)
		fmt.Printf("update : %d bits_train : %.3f bits_held_out : %.3f characters/s : %.0f\n", done, loss/math.Ln2, bits, speed)
		loss, last, timed = 0, time.Now(), done
	}
	return m.Save(filepath.Join(o.out, "model.safetensors"))
}

// schedule returns the learning rate of each update: it rises over the first twentieth of the updates, and then falls to 0.
func (o options) schedule() optim.Schedule {
	warmup := o.steps / 20
	return optim.Warmup(warmup, optim.Cosine(o.lr, 0, o.steps-warmup))
}

// validation measures a model on texts that are held out.
type validation struct {
	run     *train.Evaluator[*autograd.Node]
	windows func() iter.Seq[dataset.Rows]
	zero    func()
}

func newValidation(m *lm.Model, o options, heldOut []document) validation {
	state := m.NewState(o.streams)
	v := validation{zero: state.Zero, run: train.NewEvaluator(m.Params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return m.Loss(t, b, state, 0)
	})}
	v.run.Workers = o.workers
	v.windows = func() iter.Seq[dataset.Rows] {
		return func(yield func(dataset.Rows) bool) {
			left := o.heldOut
			for window := range (dataset.Streams{Rows: o.streams, K1: o.k1}).Batches(open(heldOut, o.seed, 0)) {
				if left <= 0 || !yield(window) {
					return
				}
				left -= o.streams * o.k1
			}
		}
	}
	return v
}

// bits returns the mean number of bits for a character.
func (v validation) bits() (float64, error) {
	v.zero()
	nats, characters := 0.0, 0.0
	err := v.run.RunBatches(v.windows(), func(loss *autograd.Node, _ *dataset.Batch) {
		if n, _ := loss.Weight(); n > 0 {
			nats += float64(loss.Value()) * float64(n)
			characters += float64(n)
		}
	})
	return nats / characters / math.Ln2, err
}

// sample writes the prompt and the text with which the model continues it.
func sample(w io.Writer, m *lm.Model, o options) error {
	sampler := decode.NewSampler(o.sampler(), rand.New(rand.NewPCG(o.seed, 0)))
	stream, text, logits := m.NewStream(), []byte(o.prompt), []float32(nil)
	for _, c := range text {
		logits = stream.Step(c)
	}
	for range o.sample {
		c, err := sampler.Next(logits)
		if err != nil {
			return err
		}
		text = append(text, byte(c))
		logits = stream.Step(byte(c))
	}
	_, err := fmt.Fprintf(w, "%s\n", text)
	return err
}
