package main

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/train"
)

const recipeEpochs = 5

// accuracies has everybody learn the recipe, from another seed in each round.
func accuracies(b *bench) (all []*Contest, err error) {
	digits, err := pictures()
	if err != nil {
		return nil, err
	}
	for _, cell := range cells {
		j := recipe(cell)
		c := &Contest{Name: cell}
		c.add(ours, 2, seeded(func(seed uint64) (float64, error) {
			t := newTrainer(j, digits.Train, 2, seed)
			if _, err := t.run(recipeEpochs * epochBatches); err != nil {
				return 0, err
			}
			top := metrics.TopK{K: 1}
			err := train.Evaluate(t.params, digits.Test, 256, t.classify, func(logits *autograd.Node, b *dataset.Batch) {
				top.Add(logits.Data(), b.Labels)
			})
			return top.Value(), err
		}))
		for _, p := range b.pytorches() {
			child, err := b.torch(p, p.settings[min(1, len(p.settings)-1)])
			if err != nil {
				return nil, err
			}
			c.add(p.name, 2, seeded(func(seed uint64) (float64, error) {
				r, err := child.ask(request{Do: "epoch", job: j, Epochs: recipeEpochs, Seed: seed})
				return r.Accuracy, err
			}))
			break // one release computes what the other does
		}
		all = append(all, c)
	}
	return all, nil
}

// seeded returns a contestant that is run with seed 1, 2, 3 and so on.
func seeded(run func(seed uint64) (float64, error)) func() (float64, error) {
	seed := uint64(0)
	return func() (float64, error) {
		seed++
		return run(seed)
	}
}

func accuracyTable(contests []*Contest) table {
	t := table{{"model", "", "mean", "least", "most"}}
	for _, c := range contests {
		for _, e := range c.Entries {
			sum := 0.0
			for _, a := range e.Took {
				sum += a
			}
			t = append(t, []string{c.Name, e.Name, share(sum / float64(len(e.Took))), share(slices.Min(e.Took)), share(slices.Max(e.Took))})
		}
	}
	return t
}

func share(x float64) string { return fmt.Sprintf("%.4f", x) }
