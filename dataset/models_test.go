package dataset_test

import (
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
