package train_test

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// trial is a small training with a state in every place where a training can have one.
type trial struct {
	cell     string
	dropout  float32
	streams  bool // truncated backpropagation through time that keeps its state; otherwise, sequences in buckets
	two      bool // a sum of two means, whose weights are proportional in the first batches alone
	adam     *optim.AdamW
	head     *optim.SGD
	step     *train.Step
	state    *rnn.State
	history  *train.History
	plateau  *optim.Plateau
	stopping *train.EarlyStopping
	ema      *optim.EMA
	skips    *train.Skips
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
	c.ema, c.stopping, c.skips = optim.NewEMA(params, 0.9), train.NewEarlyStopping(params, 9), &train.Skips{}
	c.step = train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		x, o := embedding.Forward(t, b), rnn.Options{Lengths: b.Lengths}
		if !c.streams {
			y, _ := layer.Forward(x, o)
			return loss.SparseSoftmaxCrossEntropy(dense.Forward(y), b.Labels)
		}
		o.Start = c.state.Carry(t, b.First, b.Rows())
		y, end := layer.Forward(x, o)
		c.state.Set(end, b.First)
		logits := dense.Forward(y)
		sum := loss.SparseSoftmaxCrossEntropy(logits, b.Labels)
		if c.two {
			some := slices.Clone(b.Labels)
			for i, label := range some {
				if b.Index[0] >= 2*streamRows && label == 1 {
					some[i] = loss.Ignore
				}
			}
			sum = autograd.Add(sum, loss.SparseSoftmaxCrossEntropy(logits, some))
		}
		return sum
	})
	c.step.Workers, c.step.Shards = workers, 3
	c.history, c.plateau = train.NewHistory("epoch", "loss"), optim.NewPlateau(0.1)
	c.plateau.Patience, c.plateau.Maximize = 0, true // lowered after the first epoch
	c.schedule = optim.Cosine(0.02, 0.001, 8)
	c.random = rand.NewPCG(1, 2)
	c.loop = &train.Loop{Dir: dir, Every: 3, Parts: train.Checkpoint{"model": params, "optim": optim.Groups{c.adam, c.head, c.ema}, "step": c.step,
		"state": c.state, "history": c.history, "plateau": c.plateau, "stopping": c.stopping, "skips": c.skips, "random": c.random, "cell": train.Settings{"cell": c.cell}}}
	return &c
}

func (c *trial) order(epoch uint64) iter.Seq[dataset.Rows] {
	if c.streams {
		ids := make([]int32, 90)
		for i := range ids {
			ids[i] = int32(i*i) % tokens
		}
		return dataset.Streams{Rows: streamRows, K1: 6}.Batches(dataset.Documents(dataset.Batches(dataset.NextTokens(ids).Parts(streamRows), streamRows)))
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
		if batches--; batches == 0 {
			cancel() // the body goes on to its end
		}
		if c.loop.Batch == 0 {
			c.state.Zero()
		}
		c.adam.LR = c.schedule(c.loop.Steps) * (1 + rand.New(c.random).Float64())
		loss, err := c.step.Run(batch)
		if c.skips.Skip(fmt.Errorf("batch %d: %w", c.loop.Steps, autograd.ErrNotFinite)) && c.loop.Steps == 5 {
			continue // as if it were so
		}
		if err != nil {
			return err
		}
		optim.ClipNorm(c.step.Grads(), 1)
		optim.Groups{c.adam, c.head, c.ema}.Step(c.step.Grads())
		if c.loop.Last {
			c.head.LR = c.plateau.Step(-float64(loss) * float64(c.loop.Epoch))
			c.history.Add(float64(c.loop.Epoch), float64(loss))
			c.stopping.Step(float64(c.loop.Epoch)) // the first is the best
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
				c := trial{cell: cell, dropout: dropout, streams: streams, two: streams && dropout > 0}
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
					end.stopping.Restore()
					whole.stopping.Restore()
					assert.NotEqual(t, saved(t, train.Checkpoint{"now": whole.stopping.Weights}), saved(t, train.Checkpoint{"now": trial{}.process("", 1).stopping.Weights}))
					assert.Equal(t, saved(t, whole.loop.Parts), saved(t, end.loop.Parts))
				})
			}
		}
	}
}

// small is a loop over five batches an epoch, whose body counts.
func small(dir string) (loop *train.Loop, order func(uint64) iter.Seq[dataset.Rows], count *int) {
	count = new(int)
	source := &dataset.Tensors{X: tensor.New(10, 1, 1)}
	return &train.Loop{Dir: dir, Parts: train.Checkpoint{"count": count}},
		func(epoch uint64) iter.Seq[dataset.Rows] { return dataset.Shuffled(source, 2, 1, epoch) }, count
}

// names returns the names of the files in a folder.
func names(t *testing.T, dir string) (all []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestLoopWithoutFolder: a loop yields what the loops that it replaces yield.
func TestLoopWithoutFolder(t *testing.T) {
	loop, order, _ := small("")
	require.NoError(t, loop.Resume())
	var want, got [][]int
	for epoch := range uint64(2) {
		for rows := range order(epoch) {
			want = append(want, rows.Index)
		}
	}
	for rows, err := range loop.Batches(t.Context(), 2, order) {
		require.NoError(t, err)
		assert.Equal(t, len(got), loop.Steps)
		assert.Equal(t, len(got), 5*int(loop.Epoch)+loop.Batch)
		assert.Equal(t, loop.Batch == 4, loop.Last)
		got = append(got, slices.Clone(rows.Index))
	}
	assert.Equal(t, want, got)
	assert.Equal(t, []any{uint64(2), 0, 10}, []any{loop.Epoch, loop.Batch, loop.Steps})
	for range loop.Batches(t.Context(), 2, order) {
		t.Error("nothing is left")
	}
	groups := func(epoch uint64) iter.Seq[[]dataset.Rows] { // in the same memory
		return func(yield func([]dataset.Rows) bool) {
			group := make([]dataset.Rows, 0, 3)
			for batch := range order(epoch) {
				if group = append(group, batch); len(group) == 3 && !yield(group) {
					return
				}
				group = group[:len(group)%3]
			}
			yield(group)
		}
	}
	got = nil
	again := &train.Loop{Batch: 1}
	for group, err := range again.Groups(t.Context(), 2, groups) {
		require.NoError(t, err)
		for _, rows := range group {
			got = append(got, rows.Index)
		}
	}
	assert.Equal(t, want[3:], got)
	assert.Equal(t, []int{0, 3}, []int{again.Batch, again.Steps})
	for _, err := range loop.Batches(t.Context(), 3, func(uint64) iter.Seq[dataset.Rows] { return dataset.Batches(&dataset.Sequences{}, 1) }) {
		assert.EqualError(t, err, "train: epoch 2 has no batch number 0, want as many batches as when the checkpoint was written")
	}
}

func TestLoopFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "in", "checkpoints")
	loop, order, count := small(dir)
	loop.Every, loop.Keep = 2, 3
	for _, err := range loop.Batches(t.Context(), 2, order) {
		require.NoError(t, err)
		*count++
		loop.Best = loop.Steps == 6
	}
	assert.Equal(t, []string{"best.safetensors", "step-000000000006.safetensors", "step-000000000008.safetensors", "step-000000000010.safetensors"}, names(t, dir))
	best, _, counted := small("")
	best.Parts["loop"] = &struct {
		Epoch, Batch, Steps int
		Done                bool
	}{}
	require.NoError(t, best.Parts.Load(filepath.Join(dir, "best.safetensors")))
	assert.Equal(t, 7, *counted, "after the body that says so")

	// A loop that does not resume would write files that look older than those.
	again, order, count := small(dir)
	for _, err := range again.Batches(t.Context(), 2, order) {
		assert.EqualError(t, err, "train: there is a checkpoint "+filepath.Join(dir, "step-000000000010.safetensors")+
			", but the loop is at step 0; call Resume first, or choose another folder")
	}
	assert.Len(t, names(t, dir), 4)

	// More epochs continue from the end. To break saves nothing; Done does.
	require.NoError(t, again.Resume())
	assert.Equal(t, 10, *count)
	for _, err := range again.Batches(t.Context(), 4, order) {
		require.NoError(t, err)
		*count++
		break
	}
	assert.Equal(t, 10, again.Steps)
	again, order, count = small(dir)
	require.NoError(t, again.Resume())
	for _, err := range again.Batches(t.Context(), 4, order) {
		require.NoError(t, err)
		*count++
		again.Done = again.Steps == 12
	}
	done, order, count := small(dir)
	require.NoError(t, done.Resume())
	assert.Equal(t, []int{13, 13}, []int{done.Steps, *count})
	for range done.Batches(t.Context(), 4, order) {
		t.Error("nothing is left to do")
	}

	// A damaged file is told, with the one before it.
	newest := filepath.Join(dir, "step-000000000013.safetensors")
	require.NoError(t, os.Truncate(newest, 100))
	err := done.Resume()
	require.ErrorIs(t, err, train.ErrDamaged)
	assert.ErrorContains(t, err, newest)
	assert.ErrorContains(t, err, "; remove the file to continue from "+filepath.Join(dir, "step-000000000010.safetensors"))
	require.NoError(t, os.Remove(newest))
	require.NoError(t, done.Resume())
	assert.Equal(t, 10, done.Steps)

	// A context that is canceled before saves, and yields no batch.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fresh, order, _ := small(t.TempDir())
	for rows, err := range fresh.Batches(ctx, 1, order) {
		assert.Nil(t, rows.Source)
		assert.Equal(t, context.Canceled, err)
	}
	assert.Equal(t, []string{"step-000000000000.safetensors"}, names(t, fresh.Dir))
}

// TestLoopSavesByTime: a checkpoint is written when the time has passed, here after each batch, and the loop waits for none.
func TestLoopSavesByTime(t *testing.T) {
	dir := t.TempDir()
	loop, order, _ := small(dir)
	loop.Interval = 1
	for _, err := range loop.Batches(t.Context(), 1, order) {
		require.NoError(t, err)
		if loop.Steps == 4 {
			break
		}
	}
	assert.Equal(t, []string{"step-000000000003.safetensors", "step-000000000004.safetensors"}, names(t, dir))
	assert.PanicsWithError(t, `train.Loop: a part is named "loop", which is reserved`, func() {
		(&train.Loop{Dir: dir, Parts: train.Checkpoint{"loop": new(int)}}).Resume()
	})
}

// TestLoopCannotSave: the loop ends with an error, and the checkpoints from before stay.
func TestLoopCannotSave(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{file, filepath.Join(file, "in")} {
		loop, order, _ := small(dir)
		for rows, err := range loop.Batches(t.Context(), 1, order) {
			assert.Nil(t, rows.Source)
			assert.Error(t, err)
		}
	}

	// The file of step 3 cannot be written, because there is a folder of this name.
	dir := t.TempDir()
	loop, order, _ := small(dir)
	loop.Every = 1
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "step-000000000003.safetensors", "in"), 0o777))
	assert.ErrorContains(t, failure(t, loop, order), "step-000000000003.safetensors")
	again, _, count := small(dir)
	require.NoError(t, again.Resume())
	assert.Equal(t, []int{2, 2}, []int{again.Steps, *count})

	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Log("the rest needs a user whom permissions can stop")
		return
	}
	dir = t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o555))
	loop, order, _ = small(dir)
	assert.ErrorIs(t, failure(t, loop, order), fs.ErrPermission)
}

// failure runs an epoch of a loop and returns the error at its end.
func failure(t *testing.T, loop *train.Loop, order func(uint64) iter.Seq[dataset.Rows]) error {
	t.Helper()
	for rows, err := range loop.Batches(t.Context(), 1, order) {
		if err != nil {
			assert.Nil(t, rows.Source)
			return err
		}
		*loop.Parts["count"].(*int)++
	}
	t.Error("no failure")
	return nil
}
