// Command towns learns to tell the country of a town from its name, letter by letter: an example of sequences that
// are not of one length.
//
//	go run ./examples/towns
//	go run ./examples/towns grindelwald novgorod
//
// The names, 180 of each of 8 countries, are in towns.txt, in small letters without accents. A bidirectional GRU reads a
// name in both directions, and a dense layer tells the country from the last output of each direction. The command
// compares the accuracy on names that were not trained on with that of two baselines, and writes confusion.png. Names on
// the command line are classified after training.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/examples/progress"
	"github.com/unroll-go/unroll/examples/show"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

//go:embed towns.txt
var list string // a line for each country: "Poland: andrychow augustow ..."

const (
	features = 24 // of a letter
	hidden   = 64 // units of each direction
	dropout  = 0.5
)

func main() {
	out := flag.String("out", "towns-run", "folder for confusion.png")
	epochs := flag.Int("epochs", 40, "passes over the training names")
	seed := flag.Uint64("seed", 42, "seed of the weights, of the division into training and test names and of their order")
	flag.Parse()
	if err := run(*out, *epochs, *seed, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(out string, epochs int, seed uint64, asked []string) error {
	if err := show.WritableFolder(out); err != nil {
		return err
	}
	letters, err := dataset.BuildVocabulary(strings.SplitSeq("abcdefghijklmnopqrstuvwxyz", ""))
	if err != nil {
		return err
	}
	countries, names, err := load(letters, seed)
	if err != nil {
		return err
	}
	question := &dataset.Sequences{}
	for _, name := range asked {
		ids, err := letters.Encode(strings.ToLower(name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		question.IDs = append(question.IDs, ids)
	}
	training, test := dataset.Split(names, names.Len()*4/5)
	fmt.Printf("names : %d of %d countries, %d of them for training\n", names.Len(), len(countries), training.Len())

	m := newModel(seed, letters.Len(), len(countries))
	if err := m.learn(training, epochs, seed); err != nil {
		return err
	}
	confusion := metrics.ConfusionMatrix{Names: countries}
	err = train.Evaluate(m.params, test, 64, m.classify, func(logits *autograd.Node, b *dataset.Batch) {
		confusion.Add(logits.Data(), b.Labels)
	})
	if err != nil {
		return err
	}
	fmt.Printf("always the same country       : accuracy %.3f\n", 1/float64(len(countries)))
	fmt.Printf("letters without their order   : accuracy %.3f\n", bayes(names, training.Len(), letters.Len(), len(countries)))
	fmt.Printf("a GRU that reads both ways    : accuracy %.3f on %d names\n", confusion.Accuracy(), test.Len())
	if err := show.WriteConfusion(filepath.Join(out, "confusion.png"), &confusion); err != nil {
		return err
	}
	return train.Evaluate(m.params, question, 1, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return autograd.Softmax(m.classify(t, b))
	}, func(likely *autograd.Node, b *dataset.Batch) {
		p := likely.Data()
		best := slices.Index(p, slices.Max(p))
		fmt.Printf("%s : %s (%.0f %%)\n", letters.Decode(b.IDs), countries[best], 100*p[best])
	})
}

// load returns the countries and the names, with the letters of a name as its tokens and its country as its label, in an order
// that follows from the seed.
func load(letters *dataset.Vocabulary, seed uint64) (countries []string, names *dataset.Sequences, err error) {
	names = &dataset.Sequences{}
	for line := range strings.Lines(list) {
		country, towns, _ := strings.Cut(line, ": ")
		for _, town := range strings.Fields(towns) {
			ids, err := letters.Encode(town)
			if err != nil {
				return nil, nil, err
			}
			names.IDs, names.Labels = append(names.IDs, ids), append(names.Labels, int32(len(countries)))
		}
		countries = append(countries, country)
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(names.Len(), func(i, j int) {
		names.IDs[i], names.IDs[j] = names.IDs[j], names.IDs[i]
		names.Labels[i], names.Labels[j] = names.Labels[j], names.Labels[i]
	})
	return countries, names, nil
}

type model struct {
	params  *autograd.Params
	letters *layers.Embedding
	gru     *rnn.GRU
	head    *layers.Dense
}

func newModel(seed uint64, letters, countries int) *model {
	p := autograd.NewParams(seed)
	return &model{
		params:  p,
		letters: layers.NewEmbedding(p.In("letters"), letters, features),
		gru:     rnn.NewGRU(p.In("gru"), rnn.GRUConfig{Input: features, Hidden: hidden, Bidirectional: true}),
		head:    layers.NewDense(p.In("head"), 2*hidden, countries),
	}
}

// classify returns the logits [B,countries] of a batch of names. Names shorter than the longest of the batch are padded;
// Lengths tells the GRU where each one ends, so that the padding changes nothing.
func (m *model) classify(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	x := autograd.Dropout(m.letters.Forward(t, b), dropout) // [T,B,features]
	h, _ := m.gru.Last(x, rnn.Options{Lengths: b.Lengths})  // [B,2*hidden]
	return m.head.Forward(autograd.Dropout(h, dropout))
}

// learn trains on batches of names that are about as long as each other, so that there is little padding.
func (m *model) learn(names dataset.Source, epochs int, seed uint64) error {
	step := train.NewStep(m.params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.SparseSoftmaxCrossEntropy(m.classify(t, b), b.Labels)
	})
	adam := optim.NewAdam(m.params, 0)
	rate := optim.Cosine(5e-3, 0, epochs*(names.Len()/32))
	line, steps := progress.New("learning", "epochs", epochs), 0
	defer line.Done()
	for epoch := range epochs {
		for rows := range dataset.Buckets(names, 32, seed, uint64(epoch)) {
			if _, err := step.Run(rows); err != nil {
				return fmt.Errorf("epoch %d: %w", epoch, err)
			}
			optim.ClipNorm(step.Grads(), 1)
			adam.LR = rate(steps)
			adam.Step(step.Grads())
			steps++
		}
		line.Add(1)
	}
	return nil
}

// bayes returns the accuracy of a naive Bayes classifier that knows how often each country uses each letter, and no more: it counts
// the letters of the first n names and classifies the others.
func bayes(names *dataset.Sequences, n, letters, countries int) float64 {
	counts, sums := make([]float64, countries*letters), make([]float64, countries)
	for i := range n {
		for _, letter := range names.IDs[i] {
			counts[int(names.Labels[i])*letters+int(letter)]++
			sums[names.Labels[i]]++
		}
	}
	right := 0
	for i := n; i < names.Len(); i++ {
		scores := make([]float64, countries)
		for country := range scores {
			for _, letter := range names.IDs[i] {
				scores[country] += math.Log((counts[country*letters+int(letter)] + 1) / (sums[country] + float64(letters)))
			}
		}
		if slices.Index(scores, slices.Max(scores)) == int(names.Labels[i]) {
			right++
		}
	}
	return float64(right) / float64(names.Len()-n)
}
