package dataset_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/tensor"
)

// A program that outlives a caller's mistake gets it from autograd.Try as an error of a type of its own.
func TestMistakesAreTyped(t *testing.T) {
	series, three := tensor.New(5, 2), &dataset.Tensors{X: tensor.New(3, 2)}
	words, err := dataset.NewVocabulary("a", "b")
	require.NoError(t, err)
	z := &dataset.Standardizer{Mean: []float64{1, 2}, Scale: []float64{1, 1}}
	step := dataset.WindowConfig{Steps: 1, Ahead: 1}

	for want, f := range map[string]func(){
		"dataset.CSV: Comma is '\"', which cannot separate fields":             func() { dataset.CSV{Comma: '"'}.Read(strings.NewReader("1")) },
		`dataset.CSV: Classes are ["a" "a"], want each once`:                   func() { dataset.CSV{Classes: []string{"a", "a"}}.Read(strings.NewReader("1")) },
		"dataset.Vocabulary: token 2, want 0 to 1":                             func() { words.Token(2) },
		"dataset.Vocabulary: token -1, want 0 to 1":                            func() { words.Decode([]int32{0, -1}) },
		"dataset.NewWindows: no series, want at least one":                     func() { dataset.NewWindows(step) },
		"dataset.Windows.At: window 4 of 4":                                    func() { dataset.NewWindows(step, series).At(4) },
		"dataset.SplitShuffled: cut at 4, want within 0 and the 3 there are":   func() { dataset.SplitShuffled(three, 4, 1) },
		"dataset.SplitStratified: cut at 4, want within 0 and the 3 there are": func() { dataset.SplitStratified(three, []string{"a", "b", "a"}, 4, 1) },
		"dataset.SplitSeries: cut at -1, want within 0 and the 5 there are":    func() { dataset.SplitSeries(series, -1) },
		"dataset.FillGaps: longest is 0, want at least 1":                      func() { dataset.FillGaps(series, 0) },
		"dataset.FillGaps: columns has column 2, want 0 to 1":                  func() { dataset.FillGaps(series, 1, 2) },
		"dataset.FitInputs: X of a batch is <nil>, want a tensor [B,F] or [T,B,F]": func() {
			dataset.FitInputs(dataset.NewText([]int32{0, 1, 0}, 1, 1))
		},
		"dataset.FitTargets: Target of a batch is <nil>, want a tensor [B,F] or [T,B,F]": func() { dataset.FitTargets(three) },
		"dataset.Standardizer.Columns: column 2, want 0 to 1":                            func() { z.Columns(0, 2) },
		"dataset.Standardizer.Undo: 1 means and 0 scales, want one of each for every column, and at least one column": func() {
			(&dataset.Standardizer{Mean: []float64{1}}).Undo(nil)
		},
		"dataset.Standardizer.Apply: column 0 has mean 1 and scale 0, want finite numbers and a positive scale": func() {
			(&dataset.Standardizer{Mean: []float64{1}, Scale: []float64{0}}).Apply(tensor.New(1, 1))
		},
		"dataset.Standardizer.String: column 0 has mean NaN and scale 1, want finite numbers and a positive scale": func() {
			_ = (&dataset.Standardizer{Mean: []float64{math.NaN()}, Scale: []float64{1}}).String()
		},
	} {
		var mistake *autograd.UsageError
		if assert.ErrorAs(t, autograd.Try(f), &mistake, want) {
			assert.EqualError(t, mistake, want)
		}
	}

	for want, f := range map[string]func(){
		"dataset.NewWindows: series 1 has shape [3], want [T,F]":             func() { dataset.NewWindows(step, series, tensor.New(3)) },
		"dataset.NewWindows: series 1 has 3 columns, want 2 as in series 0":  func() { dataset.NewWindows(step, series, tensor.New(5, 3)) },
		"dataset.SplitStratified: 2 labels, want one for each of 3 examples": func() { dataset.SplitStratified(three, []int32{0, 1}, 1, 1) },
		"dataset.SplitSeries: the series has shape [2 5 1], want [T,F]":      func() { dataset.SplitSeries(tensor.New(2, 5, 1), 1) },
		"dataset.FillGaps: the series has shape [5], want [T,F]":             func() { dataset.FillGaps(tensor.New(5), 1) },
		"dataset.Standardizer.Apply: shape [5 3], want [...,2]":              func() { z.Apply(series, tensor.New(5, 3)) },
		"dataset.Standardizer.Apply: shape [], want [...,2]":                 func() { z.Apply(tensor.New()) },
		"dataset.Standardizer.Undo: 3 values, want rows of 2 columns":        func() { z.Undo(make([]float32, 3)) },
	} {
		var mistake *autograd.ShapeError
		if assert.ErrorAs(t, autograd.Try(f), &mistake, want) {
			assert.EqualError(t, mistake, want)
		}
	}
}
