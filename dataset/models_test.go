package dataset_test

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
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

// Steps past a row's length do not count in regression.
func TestPaddingHasNoWeight(t *testing.T) {
	target := tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3, 1)
	part := func(lo, hi int) *tensor.Tensor { return tensor.Of(target.Data()[lo:hi], hi-lo, 1) }
	tokens := [][]int32{{1, 2, 3}, {4}}
	for name, s := range map[string]dataset.Source{
		"Tensors":   &dataset.Tensors{X: tensor.New(2, 3, 1), Target: target, Lengths: []int{3, 1}},
		"Sequences": &dataset.Sequences{IDs: tokens, StepTargets: []*tensor.Tensor{part(0, 3), part(3, 4)}},
	} {
		var b dataset.Batch
		require.NoError(t, s.Gather([]int{0, 1}, &b), name)
		tape := autograd.NewTape(autograd.NewParams(1), 0)
		l := loss.MSE{}.Of(tape.Leaf(tensor.New(b.Steps(), b.Rows(), 1)), b.Target)
		require.NoError(t, l.Backward())
		weight, ok := l.Weight()
		assert.True(t, ok, name)
		assert.Equal(t, float32(4), weight, name)
		assert.Equal(t, float32(1+4+9+16)/4, l.Value(), name)
	}
}

// The output of a dense layer over a table has the shape of the table's targets.
func TestTableMeetsDense(t *testing.T) {
	table, err := dataset.CSV{Targets: []string{"3"}}.Read(strings.NewReader("1,2,5\n3,4,11\n5,6,17\n"))
	require.NoError(t, err)
	params := autograd.NewParams(1)
	dense := layers.NewDense(params, 2, 1)
	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.MSE{}.Of(dense.Forward(t.Input(b.X)), b.Target)
	})
	params.Update(func() {
		copy(dense.Weight.Value.Data(), []float32{1, 2})
		dense.Bias.Value.Data()[0] = 1
	})
	for rows := range dataset.Batches(table, 3) {
		l, err := step.Run(rows)
		require.NoError(t, err)
		assert.Equal(t, float32(1), l, "each target is 1 less")
	}
}

// TestPairsTrain learns to reverse words of 1 to 4 letters with an encoder and a decoder. The loss is the mean over all
// tokens of a batch, however it is cut into shards whose longest pairs differ, and a step allocates nothing.
func TestPairsTrain(t *testing.T) {
	const start, end, letters, hidden = 0, 1, 5, 24
	r := rand.New(rand.NewPCG(1, 2))
	words, reversed := make([][]int32, 300), make([][]int32, 300)
	for i := range words {
		for range 1 + r.IntN(4) {
			words[i] = append(words[i], end+1+r.Int32N(letters))
		}
		reversed[i] = slices.Clone(words[i])
		slices.Reverse(reversed[i])
	}
	pairs := dataset.Pairs(&dataset.Sequences{IDs: words}, reversed, start, end)

	params := autograd.NewParams(3)
	embedding := layers.NewEmbedding(params.In("embedding"), end+1+letters, 8)
	encoder := rnn.NewGRU(params.In("encoder"), rnn.GRUConfig{Input: 8, Hidden: hidden})
	decoder := rnn.NewGRU(params.In("decoder"), rnn.GRUConfig{Input: 8, Hidden: hidden})
	head := layers.NewDense(params.In("head"), hidden, end+1+letters)
	logits := func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		from, to := &b.Parts[0], &b.Parts[1]
		_, state := encoder.Last(embedding.Forward(t, from), rnn.Options{Lengths: from.Lengths})
		y, _ := decoder.Forward(embedding.Forward(t, to), rnn.Options{Start: state, Lengths: to.Lengths})
		return head.Forward(y)
	}
	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.SparseSoftmaxCrossEntropy(logits(t, b), b.Parts[1].Labels)
	})
	step.Workers = 1

	whole := slices.Collect(dataset.Batches(pairs, 300))[0]
	step.Shards = 1
	want, err := step.Run(whole)
	require.NoError(t, err)
	step.Shards = 7
	got, err := step.Run(whole)
	require.NoError(t, err)
	assert.InEpsilon(t, want, got, 1e-6)
	run := func() {
		if _, err := step.Run(whole); err != nil {
			t.Error(err)
		}
	}
	for range 8 { // a node's memory goes round in a few runs
		run()
	}
	assert.Zero(t, testing.AllocsPerRun(10, run))

	step.Shards = 0
	adam := optim.NewAdam(params, 0.01)
	for epoch := range uint64(40) {
		for rows := range dataset.Buckets(pairs, 30, 1, epoch) {
			_, err := step.Run(rows)
			require.NoError(t, err)
			adam.Step(step.Grads())
		}
	}
	last, err := step.Run(whole)
	require.NoError(t, err)
	assert.Less(t, last, float32(0.05), "from %v", want)
}

// streamModel predicts a label for each step from the tokens of a stream. Its state goes from window to window.
type streamModel struct {
	params *autograd.Params
	embed  *layers.Embedding
	layer  *rnn.LSTM
	head   *layers.Dense
	state  *rnn.State
}

func newStreamModel(tokens, rows int) *streamModel {
	m := &streamModel{params: autograd.NewParams(3)}
	m.embed = layers.NewEmbedding(m.params.In("embedding"), tokens, 5)
	m.layer = rnn.NewLSTM(m.params.In("rnn"), rnn.LSTMConfig{Input: 5, Hidden: 7, Layers: 2})
	m.head = layers.NewDense(m.params.In("head"), 7, tokens)
	m.state = m.layer.NewState(rows)
	return m
}

func (m *streamModel) logits(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	y, end := m.layer.Forward(m.embed.Forward(t, b), rnn.Options{Start: m.state.Carry(t, b.First, b.Rows()),
		Lengths: b.Lengths, Resets: b.Begins, Overlap: b.Overlap})
	m.state.Set(end, b.First)
	return m.head.Forward(y)
}

func (m *streamModel) loss(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	return loss.SparseSoftmaxCrossEntropy(m.logits(t, b), b.Labels)
}

// TestStreamsRun: however documents are cut into windows, the outputs of their steps have the bits of each document in a row of its own, and
// in one window the gradient is that of the documents side by side with padding.
func TestStreamsRun(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	documents, tokens := &dataset.Sequences{}, int32(0)
	for range 40 {
		ids := make([]int32, 1+r.IntN(12))
		for i := range ids {
			ids[i] = tokens
			tokens++
		}
		documents.IDs, documents.StepLabels = append(documents.IDs, ids), append(documents.StepLabels, ids)
	}
	const rows = 9
	m := newStreamModel(int(tokens), rows)
	windows := func(s dataset.Streams) iter.Seq[dataset.Rows] {
		return s.Batches(dataset.Documents(dataset.Batches(documents, 7)))
	}
	outputs := func(batches iter.Seq[dataset.Rows]) map[int32][]float32 {
		all := map[int32][]float32{}
		require.NoError(t, train.NewEvaluator(m.params, m.logits).RunBatches(batches, func(logits *autograd.Node, b *dataset.Batch) {
			for i, label := range b.Labels {
				if label != loss.Ignore {
					require.Nil(t, all[label], "a label counts once")
					all[label] = slices.Clone(logits.Data()[i*int(tokens):][:tokens])
				}
			}
		}))
		return all
	}
	m.state = m.layer.NewState(40)
	alone := outputs(dataset.Batches(documents, 40))
	require.Len(t, alone, int(tokens))
	m.state = m.layer.NewState(rows)
	for _, s := range []dataset.Streams{{Rows: rows, K1: 1}, {Rows: rows, K1: 4}, {Rows: rows, K1: 3, K2: 8}, {Rows: rows, K1: 1, K2: 20},
		{Rows: rows, K1: 5, K2: 5}, {Rows: 3, K1: 6, K2: 9}} {
		for i := range m.state.H.Data() {
			m.state.H.Data()[i] = 9 // what was before the first document does not count
		}
		assert.Equal(t, alone, outputs(windows(s)), "%+v", s)
	}

	step := train.NewStep(m.params, m.loss)
	gradient := func(batches iter.Seq[dataset.Rows]) []float32 {
		for rows := range batches {
			_, err := step.Run(rows)
			require.NoError(t, err)
			require.Equal(t, float32(tokens), step.Weight())
		}
		return slices.Clone(step.Grads().Data)
	}
	packed := gradient(windows(dataset.Streams{Rows: rows, K1: 1000}))
	m.state = m.layer.NewState(40)
	assert.InDeltaSlice(t, gradient(dataset.Batches(documents, 40)), packed, 1e-6)
}
