package train_test

import (
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// training is all that a training remembers from one step to the next.
type training struct {
	params *autograd.Params
	state  *rnn.State
	adam   *optim.Adam
	step   *train.Step
}

const streamRows, tokens = 4, 5

func newTraining() *training {
	g := &training{params: autograd.NewParams(42)}
	embedding := layers.NewEmbedding(g.params.In("embedding"), tokens, 6)
	layer := rnn.NewLSTM(g.params.In("rnn"), rnn.LSTMConfig{Input: 6, Hidden: 8, RecurrentDropout: 0.2})
	head := layers.NewDense(g.params.In("head"), layer.Out(), tokens)
	g.state = layer.NewState(streamRows)
	g.adam = optim.NewAdam(g.params, 0.01)
	g.step = train.NewStep(g.params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		y, end := layer.Forward(embedding.Forward(t, b), rnn.Options{Start: g.state.Carry(t, b.First, b.Rows())})
		g.state.Set(end, b.First)
		return loss.SparseSoftmaxCrossEntropy(head.Forward(y), b.Labels)
	})
	return g
}

func (g *training) run(batches ...dataset.Rows) {
	for _, batch := range batches {
		if _, err := g.step.Run(batch); err != nil {
			log.Fatal(err)
		}
		g.adam.Step(g.step.Grads())
	}
}

// rest returns, under a name each, the numbers besides the weights: those of the optimizer and the state of the streams. The
// tensors share the memory of both, so that to load them is to restore them.
func (g *training) rest() map[string]*tensor.Tensor {
	all := maps.Clone(g.state.Tensors())
	for name, values := range g.adam.State() {
		all[name] = tensor.Of(values, len(values))
	}
	return all
}

func (g *training) save(dir string) error {
	runs := map[string]string{"runs": strconv.FormatUint(g.step.Runs, 10)}
	if err := safetensors.SaveTensors(filepath.Join(dir, "training.safetensors"), g.rest(), runs); err != nil {
		return err
	}
	return safetensors.Save(filepath.Join(dir, "model.safetensors"), g.params, nil)
}

func (g *training) load(dir string) error {
	metadata, err := safetensors.LoadTensors(filepath.Join(dir, "training.safetensors"), g.rest())
	if err != nil {
		return err
	}
	if g.step.Runs, err = strconv.ParseUint(metadata["runs"], 10, 64); err != nil {
		return err
	}
	_, err = safetensors.Load(filepath.Join(dir, "model.safetensors"), g.params)
	return err
}

// A training that is saved and goes on in another program, and ends with the weights, bit for bit, of one without a pause.
func Example_resume() {
	var ids []int32
	for i := range int32(400) {
		ids = append(ids, i*i%tokens)
	}
	var batches []dataset.Rows
	for batch := range dataset.Batches(dataset.NewStreams(ids, streamRows, 10), streamRows) {
		batches = append(batches, dataset.Rows{Source: batch.Source, Index: slices.Clone(batch.Index)})
	}
	dir, err := os.MkdirTemp("", "training")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	whole := newTraining()
	whole.run(batches[:6]...)
	if err := whole.save(dir); err != nil {
		log.Fatal(err)
	}
	whole.run(batches[6:]...)

	resumed := newTraining()
	if err := resumed.load(dir); err != nil {
		log.Fatal(err)
	}
	resumed.run(batches[6:]...)
	same := true
	for p := range whole.params.All() {
		same = same && slices.Equal(p.Value.Data(), resumed.params.Get(p.Name).Value.Data())
	}
	fmt.Println(resumed.step.Runs, "runs, the same weights:", same)
	// Output: 10 runs, the same weights: true
}
