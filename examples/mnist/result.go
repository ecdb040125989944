package main

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/examples/show"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/train"
)

// result is the performance of a model on the test pictures.
type result struct {
	confusion metrics.ConfusionMatrix
	mistakes  []mistake // in ascending order of likely
}

// mistake is a picture that was taken for another digit.
type mistake struct {
	picture      int     // its number in the test set
	label, guess int     // the guess is metrics.None if a logit is NaN
	likely       float64 // the probability of the label, by the model
}

// test classifies all pictures.
func (m *model) test(pictures dataset.Source) (r result, err error) {
	r.confusion.Classes = 10
	first := 0
	err = train.Evaluate(m.params, pictures, 256, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return autograd.LogSoftmax(m.classify(t, b))
	}, func(logs *autograd.Node, b *dataset.Batch) {
		r.confusion.Add(logs.Data(), b.Labels)
		for i, label := range b.Labels {
			row := logs.Data()[10*i:][:10]
			if guess := slices.Index(row, slices.Max(row)); guess != int(label) {
				r.mistakes = append(r.mistakes, mistake{first + i, int(label), guess, math.Exp(float64(row[label]))})
			}
		}
		first += len(b.Labels)
	})
	slices.SortStableFunc(r.mistakes, func(a, b mistake) int { return cmp.Compare(a.likely, b.likely) })
	return r, err
}

// draw writes confusion.png and mistakes.png.
func (r *result) draw(dir string, pictures *dataset.Images) error {
	if err := show.WriteConfusion(filepath.Join(dir, "confusion.png"), &r.confusion); err != nil {
		return err
	}
	title := fmt.Sprintf("mistakes: %d in %d pictures, the worst first: label as guess, probability of the label",
		len(r.mistakes), r.confusion.Total())
	var worst []show.Captioned
	for _, w := range r.mistakes[:min(40, len(r.mistakes))] {
		worst = append(worst, show.Captioned{Pixels: pictures.Picture(w.picture), Width: pictures.Width,
			Caption: fmt.Sprintf("%d as %d, %.2f %%", w.label, w.guess, 100*w.likely)})
	}
	return show.WritePictures(filepath.Join(dir, "mistakes.png"), title, worst)
}
