package metrics_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/metrics"
)

// A program that outlives a caller's mistake gets it from autograd.Try as an error of a type of its own.
func TestMistakesAreTyped(t *testing.T) {
	topK := func(k, logits, labels int) func() {
		return func() {
			m := metrics.TopK{K: k}
			defer func() { assert.Zero(t, m.Count()) }()
			m.Add(make([]float32, logits), make([]int32, labels))
		}
	}
	confusion := func(m metrics.ConfusionMatrix, logits, labels int) func() {
		return func() {
			defer func() { assert.Zero(t, m.Total()) }()
			m.Add(make([]float32, logits), make([]int32, labels))
		}
	}
	guesses := func(m metrics.ConfusionMatrix, guesses, labels int) func() {
		return func() { m.AddGuesses(make([]int32, guesses), make([]int32, labels)) }
	}
	three := metrics.ConfusionMatrix{Classes: 3, Names: []string{"a", "b", "c"}}
	three.AddGuesses([]int32{0}, []int32{1})
	merged := func(m metrics.ConfusionMatrix) func() { return func() { m.Merge(three) } }

	for want, f := range map[string]func(){
		"metrics.TopK: 5 logits for 2 labels, want the same number of classes, at least 1, for each": topK(1, 5, 2),
		"metrics.TopK: 0 logits for 2 labels, want the same number of classes, at least 1, for each": topK(1, 0, 2),
		"metrics.TopK: 3 logits for 0 labels, want the same number of classes, at least 1, for each": topK(1, 3, 0),
		"metrics.TopK: 1 logits for 2 labels, want the same number of classes, at least 1, for each": topK(1, 1, 2),
		"metrics.ConfusionMatrix: 4 logits for 2 labels, want one for each of 3 classes in each row": confusion(metrics.ConfusionMatrix{Classes: 3}, 4, 2),
		"metrics.ConfusionMatrix: 0 logits for 1 labels, want one for each of 0 classes in each row": confusion(metrics.ConfusionMatrix{}, 0, 1),
		"metrics.ConfusionMatrix: 4 logits for 2 labels, want one for each of 1 classes in each row": confusion(metrics.ConfusionMatrix{Names: []string{"a"}}, 4, 2),
		"metrics.ConfusionMatrix: 1 guesses, want one for each of 2 labels":                          guesses(metrics.ConfusionMatrix{Classes: 3}, 1, 2),
		"metrics.Regression: 1 predictions, want one for each of 2 targets":                          func() { new(metrics.Regression).Add(make([]float32, 1), make([]float32, 2)) },
	} {
		var mistake *autograd.ShapeError
		if assert.ErrorAs(t, autograd.Try(f), &mistake, want) {
			assert.EqualError(t, mistake, want)
		}
	}

	weight := func(w float64) func() {
		return func() {
			var m metrics.Mean
			defer func() { assert.Equal(t, metrics.Mean{}, m) }()
			m.Add(1, w)
		}
	}
	for want, f := range map[string]func(){
		"metrics.TopK: K is -1, want at least 1, or 0 for 1":                                                                                               topK(-1, 4, 2),
		"metrics.TopK: K is -2, want at least 1, or 0 for 1":                                                                                               topK(-2, 0, 0),
		"metrics.TopK: merged with a metric of K 1, want 5":                                                                                                func() { five := metrics.TopK{K: 5}; five.Merge(metrics.TopK{}) },
		"metrics.ConfusionMatrix: AddGuesses does not know the number of classes; set Classes or Names":                                                    guesses(metrics.ConfusionMatrix{}, 1, 1),
		"metrics.ConfusionMatrix: 1 Names for 2 classes":                                                                                                   confusion(metrics.ConfusionMatrix{Classes: 2, Names: []string{"a"}}, 4, 2),
		"metrics.ConfusionMatrix: merged with a matrix of 3 classes, want 2":                                                                               merged(metrics.ConfusionMatrix{Classes: 2}),
		"metrics.ConfusionMatrix: merged with a matrix of the classes [\"a\" \"b\" \"c\"], want [\"c\" \"b\" \"a\"]":                                       merged(metrics.ConfusionMatrix{Names: []string{"c", "b", "a"}}),
		"metrics.ConfusionMatrix: merged with a matrix of the classes [\"a\" \"b\" \"c\"], want [\"\\x1b\" \"" + strings.Repeat("d", 100) + "\"... \"a\"]": merged(metrics.ConfusionMatrix{Names: []string{"\x1b", strings.Repeat("d", 1000), "a"}}),
		"metrics.ConfusionMatrix: Classes was changed after rows were added":                                                                               func() { m := three; m.Names, m.Classes = nil, 4; m.AddGuesses(nil, nil) },
		"metrics.ConfusionMatrix: class 3, want None or 0 to 2":                                                                                            func() { three.Recall(3) },
		"metrics.ConfusionMatrix: class -2, want None or 0 to 2":                                                                                           func() { three.Count(0, -2) },
		"metrics.ConfusionMatrix: class 4, want None or 0 to 2":                                                                                            func() { three.Name(4) },
		"metrics.Mean: weight is -1, want a finite number of at least 0":                                                                                   weight(-1),
		"metrics.Mean: weight is NaN, want a finite number of at least 0":                                                                                  weight(math.NaN()),
		"metrics.Mean: weight is +Inf, want a finite number of at least 0":                                                                                 weight(math.Inf(1)),
		"metrics.Mean: weight is -Inf, want a finite number of at least 0":                                                                                 weight(math.Inf(-1)),
	} {
		var mistake *autograd.UsageError
		if assert.ErrorAs(t, autograd.Try(f), &mistake, want) {
			assert.EqualError(t, mistake, want)
		}
	}
}
