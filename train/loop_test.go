package train_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

// trial is a small training with a state in every place where a training can have one.
type trial struct {
	cell     string
	dropout  float32
	streams  bool // truncated backpropagation through time that keeps its state; otherwise, sequences in buckets
	adam     *optim.AdamW
	head     *optim.SGD
	step     *train.Step
	state    *rnn.State
	history  *train.History
	plateau  *optim.Plateau
	random   *rand.PCG
	loop     *train.Loop
	schedule optim.Schedule
}

// process makes all anew, as a process that starts does.
func (c trial) process(dir string, workers int) *trial {
	params := autograd.NewParams(42)
	embedding := layers.NewEmbedding(params.In("embedding"), tokens, 4)
	var layer rnn.Layer
	switch in := params.In("rnn"); c.cell {
	case "lstm":
		layer = rnn.NewLSTM(in, rnn.LSTMConfig{Input: 4, Hidden: 5, Layers: 2, Dropout: c.dropout, RecurrentDropout: c.dropout})
	case "gru":
		layer = rnn.NewGRU(in, rnn.GRUConfig{Input: 4, Hidden: 5, Layers: 2, Dropout: c.dropout, RecurrentDropout: c.dropout})
	default:
		layer = rnn.NewElman(in, rnn.ElmanConfig{Input: 4, Hidden: 5, Layers: 2, Dropout: c.dropout, RecurrentDropout: c.dropout})
	}
	dense := layers.NewDense(params.In("head"), 5, tokens)
	c.state = layer.NewState(streamRows)
	c.adam, c.head = optim.NewAdamW(params.In("rnn"), 0.02), optim.NewSGD(params.In("head"), 0.1)
	c.head.Momentum = 0.9
	c.step = train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		x, o := embedding.Forward(t, b), rnn.Options{Lengths: b.Lengths}
		if !c.streams {
			y, _ := layer.Forward(x, o)
			return loss.SparseSoftmaxCrossEntropy(dense.Forward(y), b.Labels)
		}
		o.Start = c.state.Carry(t, b.First, b.Rows())
		y, end := layer.Forward(x, o)
		c.state.Set(end, b.First)
		return loss.SparseSoftmaxCrossEntropy(dense.Forward(y), b.Labels)
	})
	c.step.Workers, c.step.Shards = workers, 3
	c.history, c.plateau = train.NewHistory("epoch", "loss"), optim.NewPlateau(0.1)
	c.plateau.Patience, c.plateau.Maximize = 0, true // lowered after the first epoch
	c.schedule = optim.Cosine(0.02, 0.001, 8)
	c.random = rand.NewPCG(1, 2)
	c.loop = &train.Loop{Dir: dir, Every: 3, Parts: train.Checkpoint{"model": params, "optim": optim.Groups{c.adam, c.head}, "step": c.step,
		"state": c.state, "history": c.history, "plateau": c.plateau, "random": c.random, "cell": train.Settings{"cell": c.cell}}}
	return &c
}

func (c *trial) order(epoch uint64) iter.Seq[dataset.Rows] {
	if c.streams {
		ids := make([]int32, 90)
		for i := range ids {
			ids[i] = int32(i*i) % tokens
		}
		return dataset.Batches(dataset.NewStreams(ids, streamRows, 6), streamRows)
	}
	s := &dataset.Sequences{}
	for i := range 12 {
		ids := make([]int32, 2+i%5)
		for j := range ids {
			ids[j] = int32(i*j) % tokens
		}
		s.IDs, s.StepLabels = append(s.IDs, ids), append(s.StepLabels, ids)
	}
	return dataset.Buckets(s, 3, 7, epoch)
}

// train trains two epochs, or until so many batches are done in this process.
func (c *trial) train(batches int) error {
	if err := c.loop.Resume(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for batch, err := range c.loop.Batches(ctx, 2, c.order) {
		if err != nil {
			return err
		}
		if c.loop.Batch == 0 {
			c.state.Zero()
		}
		c.adam.LR = c.schedule(c.loop.Steps) * (1 + rand.New(c.random).Float64())
		loss, err := c.step.Run(batch)
		if err != nil {
			return err
		}
		optim.ClipNorm(c.step.Grads(), 1)
		optim.Groups{c.adam, c.head}.Step(c.step.Grads())
		if c.loop.Last {
			c.head.LR = c.plateau.Step(-float64(loss) * float64(c.loop.Epoch))
			c.history.Add(float64(c.loop.Epoch), float64(loss))
		}
		if batches--; batches == 0 {
			cancel()
		}
	}
	return nil
}

// TestResumeIsExact interrupts trainings at every batch boundary of two epochs: each boundary in a training of its own, and
// all of them in one training. The checkpoint at the end, which has everything, is that of the training without a pause, byte by
// byte. The number of workers changes in between.
func TestResumeIsExact(t *testing.T) {
	for _, cell := range []string{"elman", "lstm", "gru"} {
		for _, dropout := range []float32{0, 0.3} {
			for _, streams := range []bool{false, true} {
				c := trial{cell: cell, dropout: dropout, streams: streams}
				t.Run(fmt.Sprintf("%s, dropout %v, streams %v", cell, dropout, streams), func(t *testing.T) {
					t.Parallel()
					const steps = 8
					last := fmt.Sprintf("step-%012d.safetensors", steps)
					whole := c.process(t.TempDir(), 1)
					require.NoError(t, whole.train(-1))
					require.Equal(t, steps, whole.loop.Steps)
					want, err := os.ReadFile(filepath.Join(whole.loop.Dir, last))
					require.NoError(t, err)
					assert.NotEqual(t, whole.plateau.LR, 0.1)
					for boundary := 1; boundary <= steps; boundary++ {
						dir := t.TempDir()
						require.ErrorIs(t, c.process(dir, 1+boundary%3).train(boundary), context.Canceled)
						require.NoError(t, c.process(dir, 3).train(-1))
						got, err := os.ReadFile(filepath.Join(dir, last))
						require.NoError(t, err)
						assert.True(t, string(want) == string(got), "interrupted after batch %d", boundary)
					}
					dir := t.TempDir()
					for i := range steps {
						require.ErrorIs(t, c.process(dir, 1+i%3).train(1), context.Canceled)
					}
					end := c.process(dir, 2)
					require.NoError(t, end.train(-1), "nothing is left to do")
					got, err := os.ReadFile(filepath.Join(dir, last))
					require.NoError(t, err)
					assert.True(t, string(want) == string(got), "interrupted after every batch")
					assert.Equal(t, whole.history, end.history)
				})
			}
		}
	}
}
