package train_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

const letters = 27

// reader is a character model whose loss is computed in windows of size steps, each by a Recompute.
type reader struct {
	params    *autograd.Params
	embedding *layers.Embedding
	layer     rnn.Layer
	head      *layers.Dense
	state     *rnn.State
	size      int
	keep      bool // call the functions of the windows once
}

// keep is autograd.Recompute without the saving of memory.
func keep(t *autograd.Tape, f func(t *autograd.Tape, in []*autograd.Node) []*autograd.Node, in ...*autograd.Node) []*autograd.Node {
	return f(t, append(make([]*autograd.Node, 0, 6), in...))
}

func newReader(lstm bool, hidden int, dropout float32, rows, size int) *reader {
	p := autograd.NewParams(7)
	m := &reader{params: p, embedding: layers.NewEmbedding(p.In("embedding"), letters, hidden/2), size: size}
	if lstm {
		m.layer = rnn.NewLSTM(p.In("rnn"), rnn.LSTMConfig{Input: hidden / 2, Hidden: hidden, Layers: 2, Dropout: dropout, RecurrentDropout: dropout})
	} else {
		m.layer = rnn.NewGRU(p.In("rnn"), rnn.GRUConfig{Input: hidden / 2, Hidden: hidden, WeightDropout: dropout})
	}
	m.head, m.state = layers.NewDense(p.In("head"), hidden, letters), m.layer.NewState(rows)
	return m
}

// window is one window of a batch. A tape keeps it (autograd.Reuse) with the method value f, which would be allocated otherwise.
type window struct {
	m           *reader
	ids, labels []int32
	rows        int
	f           func(*autograd.Tape, []*autograd.Node) []*autograd.Node
}

func (w *window) run(t *autograd.Tape, in []*autograd.Node) []*autograd.Node {
	y, end := w.m.layer.Forward(w.m.embedding.Lookup(t, w.ids, w.rows), rnn.Options{Start: rnn.Carry{H: in[0], C: in[1]}})
	return append(in[:0], loss.SparseSoftmaxCrossEntropy(w.m.head.Forward(y), w.labels), end.H, end.C)
}

func (m *reader) loss(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	rows := b.Rows()
	carry := m.state.Carry(t, b.First, rows)
	losses := autograd.Reuse[[]*autograd.Node](t)
	*losses = (*losses)[:0]
	for ids, labels := b.IDs, b.Labels; len(ids) > 0; {
		n := min(m.size*rows, len(ids))
		w := autograd.Reuse[window](t)
		if w.f == nil {
			w.f = w.run
		}
		w.m, w.ids, w.labels, w.rows = m, ids[:n], labels[:n], rows
		var out []*autograd.Node
		if m.keep {
			out = keep(t, w.f, carry.H, carry.C)
		} else {
			out = autograd.Recompute(t, w.f, carry.H, carry.C)
		}
		*losses, carry = append(*losses, out[0]), rnn.Carry{H: out[1], C: out[2]}
		ids, labels = ids[n:], labels[n:]
	}
	m.state.Set(carry, b.First)
	return autograd.JoinMeans(*losses...)
}

// texts is a stream of random letters, of which some do not count: all of the first window of size steps, all of the second but for
// one row, and others.
type texts struct {
	*dataset.Sequences // the first windows of all rows, then the second ones
	rows, size         int
}

func newTexts(rows, steps, size int) texts {
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]int32, rows*(2*steps+1))
	for i := range ids {
		ids[i] = int32(r.IntN(letters))
	}
	s, parts := &dataset.Sequences{}, dataset.NextTokens(ids).Parts(rows)
	for lo := 0; lo < 2*steps; lo += steps {
		for row := range rows {
			s.IDs = append(s.IDs, parts.IDs[row][lo:lo+steps])
			s.StepLabels = append(s.StepLabels, parts.StepLabels[row][lo:lo+steps])
		}
	}
	return texts{s, rows, size}
}

func (s texts) Gather(rows []int, b *dataset.Batch) error {
	if err := s.Sequences.Gather(rows, b); err != nil {
		return err
	}
	n := len(b.Index)
	for i := range b.Labels {
		step, row := i/n, b.Index[i%n]
		if step < s.size || step < 2*s.size && row%s.rows != 3 || (step*row)%5 == 1 {
			b.Labels[i] = loss.Ignore
		}
	}
	return nil
}

// trained is what a Step computed over the batches of a source.
type trained struct {
	losses, weights []float32
	grads           [][]float32
	state           []float32
}

func trainReader(t *testing.T, m *reader, source texts, workers, shards int) (r trained) {
	step := train.NewStep(m.params, m.loss)
	step.Workers, step.Shards = workers, shards
	m.state.Zero()
	for rows := range dataset.Batches(source, source.rows) {
		l, err := step.Run(rows)
		require.NoError(t, err)
		r.losses, r.weights, r.grads = append(r.losses, l), append(r.weights, step.Weight()), append(r.grads, slices.Clone(step.Grads().Data))
	}
	r.state = m.state.H.Data()
	return r
}

// TestRecomputedWindows: the loss, the gradients and the states of a long text in windows that Backward computes again are the bits of
// those in windows that it does not, for any number of workers; without dropout they are those of the text in one piece, to rounding.
func TestRecomputedWindows(t *testing.T) {
	const rows, steps, size = 12, 50, 8 // the last window is shorter
	source := newTexts(rows, steps, size)
	for _, lstm := range []bool{false, true} {
		for _, dropout := range []float32{0, 0.3} {
			for _, shards := range []int{1, 5} {
				plain := newReader(lstm, 10, dropout, rows, size)
				plain.keep = true
				want := trainReader(t, plain, source, 2, shards)
				require.Len(t, want.losses, 2)
				require.Less(t, want.weights[0], float32(rows*(steps-size)))
				for _, workers := range []int{1, 2, 3, 7} {
					assert.Equal(t, want, trainReader(t, newReader(lstm, 10, dropout, rows, size), source, workers, shards))
				}
				if dropout > 0 {
					continue
				}
				whole := newReader(lstm, 10, 0, rows, steps)
				whole.keep = true
				one := trainReader(t, whole, source, 2, shards)
				assert.Equal(t, one.weights, want.weights)
				assert.Equal(t, one.state, want.state)
				assert.InDeltaSlice(t, one.losses, want.losses, 1e-6)
				for i, g := range one.grads {
					assert.InDeltaSlice(t, g, want.grads[i], 1e-7)
				}
			}
		}
	}
}

// TestRecomputedTasks: two means, each joined over the windows, whose weights are not proportional in the shards.
func TestRecomputedTasks(t *testing.T) {
	source := twoTasks(40)
	for _, workers := range []int{1, 2, 3, 7} {
		var results [2][]float32
		for i, call := range []func(*autograd.Tape, func(*autograd.Tape, []*autograd.Node) []*autograd.Node, ...*autograd.Node) []*autograd.Node{keep, autograd.Recompute} {
			m := newTasks()
			step := train.NewStep(m.params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
				first := call(tape, func(_ *autograd.Tape, in []*autograd.Node) []*autograd.Node {
					_, end := m.cell.Forward(autograd.Slice(in[0], 0, 0, 2), rnn.Options{})
					return append(in[:0], end.H)
				}, tape.Input(b.X))
				out := call(tape, func(_ *autograd.Tape, in []*autograd.Node) []*autograd.Node {
					h, _ := m.cell.Last(autograd.Slice(in[0], 0, 2, 4), rnn.Options{Start: rnn.Carry{H: in[1]}})
					ce := loss.SparseSoftmaxCrossEntropy(m.class.Forward(h), b.Labels)
					mse := loss.MSE{}.Of(m.size.Forward(h), b.Target)
					return append(in[:0], ce, mse, autograd.Add(ce, mse))
				}, tape.Input(b.X), first[0])
				both := autograd.Add(autograd.JoinMeans(out[0]), autograd.Scale(autograd.JoinMeans(out[1]), 0.3))
				return autograd.Add(both, out[2])
			})
			step.Workers, step.Shards = workers, 4
			for range 2 { // the first in one phase, and then in two
				l, err := step.Run(dataset.Rows{Source: source, Index: numbers(40)})
				require.NoError(t, err)
				results[i] = append(append(results[i], l), step.Grads().Data...)
			}
		}
		assert.Equal(t, results[0], results[1])
	}
}

// numbers returns 0 to n-1.
func numbers(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// TestRecomputedErrors: a batch of which nothing counts, and a label that is none.
func TestRecomputedErrors(t *testing.T) {
	m := newReader(true, 10, 0, 4, 8)
	step := train.NewStep(m.params, m.loss)
	step.Shards = 2
	for rows := range dataset.Batches(newTexts(4, 20, 20), 4) {
		_, err := step.Run(rows)
		require.ErrorIs(t, err, train.ErrNothingCounted)
		break
	}
	before := slices.Clone(m.state.H.Data())
	assert.NotEqual(t, make([]float32, len(before)), before, "the state went on where nothing counts")
	_, err := step.Run(dataset.Rows{Source: mislabelled{newTexts(4, 20, 2)}, Index: numbers(4)})
	assert.EqualError(t, err, "train: call 1 of autograd.Recompute: loss.SparseSoftmaxCrossEntropy: label 99, want 0 to 26, or -100 to ignore the row: step 3 of row 2 of the batch, example 2 of the source")
	assert.Equal(t, before, m.state.H.Data(), "the state is as before")
}

// mislabelled is texts with a label that is none, of step 11 of row 2.
type mislabelled struct{ texts }

func (s mislabelled) Gather(rows []int, b *dataset.Batch) error {
	err := s.texts.Gather(rows, b)
	if i := slices.Index(b.Index, 2); err == nil && i >= 0 {
		b.Labels[11*len(b.Index)+i] = 99
	}
	return err
}

func TestRecomputedWindowsAllocateNothing(t *testing.T) {
	for _, lstm := range []bool{false, true} {
		m := newReader(lstm, 10, 0.3, 12, 8)
		rows := dataset.Rows{Source: newTexts(12, 40, 4), Index: numbers(12)}
		assert.Zero(t, allocations(m.params, m.loss, rows, 2, 2, func(*autograd.Grads) {}))
	}
}

// TestRecomputedMemory: in windows of the square root of T steps, the memory of a text of T steps grows as the square root of T.
func TestRecomputedMemory(t *testing.T) {
	bytes := func(steps, size int) int {
		m := newReader(true, 16, 0, 2, size)
		tape := autograd.NewTape(m.params, 1)
		var b dataset.Batch
		require.NoError(t, newTexts(2, steps, 0).Gather(numbers(2), &b))
		tape.Reset()
		require.NoError(t, m.loss(tape, &b).Backward())
		return tape.Bytes()
	}
	first := bytes(64, 8)
	for steps := 256; steps <= 4096; steps *= 4 {
		root := int(math.Sqrt(float64(steps)))
		got := bytes(steps, root)
		t.Logf("%d steps: %d bytes", steps, got)
		assert.Less(t, got, first*root/8*5/4, "%d steps", steps)
		assert.Greater(t, got, first*root/8/2, "%d steps", steps)
	}
}

// BenchmarkRecompute is a loss and its gradient over a text of 1,024 steps, in one piece and in 32 windows that Backward
// computes again.
func BenchmarkRecompute(b *testing.B) {
	const rows, steps = 8, 1024
	var batch dataset.Batch
	require.NoError(b, newTexts(rows, steps, 0).Gather(numbers(rows), &batch))
	for _, lstm := range []bool{false, true} {
		for _, size := range []int{steps, 32} {
			b.Run(fmt.Sprintf("lstm=%v/window=%d", lstm, size), func(b *testing.B) {
				m := newReader(lstm, 150, 0, rows, size)
				if size == steps {
					m.keep = true
				}
				tape := autograd.NewTape(m.params, 1)
				for b.Loop() {
					tape.Reset()
					require.NoError(b, m.loss(tape, &batch).Backward())
				}
				b.ReportMetric(float64(tape.Bytes())/1e6, "MB")
			})
		}
	}
}
