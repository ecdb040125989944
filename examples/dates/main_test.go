package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/train"
)

func TestMakeDates(t *testing.T) {
	texts, dates := makeDates(1, 100000)
	require.Len(t, texts, 100000)
	require.Len(t, dates, 100000)
	iso, byDate := regexp.MustCompile(`^(18|19|20)([0-9][1-9]|[1-9]0)-[01][0-9]-[0-3][0-9]$`), map[string]string{}
	for i, date := range dates {
		if !iso.MatchString(date) {
			t.Fatal(date)
		}
		byDate[date] = texts[i]
	}
	assert.Len(t, byDate, 100000, "each date once")
	found := 0
	for date, words := range map[string]string{
		"1998-03-13": "friday the thirteenth of march nineteen ninety eight",
		"2005-10-31": "monday the thirty first of october twenty oh five",
		"1820-01-20": "thursday the twentieth of january eighteen twenty",
		"1910-12-01": "thursday the first of december nineteen ten",
		"1812-06-27": "saturday the twenty seventh of june eighteen twelve",
	} {
		text, ok := byDate[date]
		if !ok {
			continue
		}
		found++
		// The forms differ in the order of the words, and in these.
		given, want := strings.Fields(text), strings.Fields(words)
		for _, word := range want[1:] {
			if word != "of" {
				assert.Contains(t, given, word)
			}
		}
		for _, word := range given {
			assert.Contains(t, append(want, "in", "on"), word)
		}
	}
	assert.GreaterOrEqual(t, found, 3)
	again, _ := makeDates(1, 10)
	assert.Equal(t, texts[:10], again)
	other, _ := makeDates(2, 10)
	assert.NotEqual(t, texts[:10], other)
}

// TestItTranslates trains briefly, and checks that most unseen dates are right, and that the attention is a distribution over the
// words for each character.
func TestItTranslates(t *testing.T) {
	texts, dates := makeDates(42, 5100)
	m, pairs, err := newModel(42, texts, dates)
	require.NoError(t, err)
	training, test := dataset.Split(pairs, 5000)
	require.NoError(t, m.learn(training, 4, 42))
	right := 0
	require.NoError(t, train.Evaluate(m.params, test, 1, m.translate, func(out translation, b *dataset.Batch) {
		words := len(strings.Fields(texts[b.Index[0]]))
		if out.text == dates[b.Index[0]] {
			right++
		}
		require.Len(t, out.weights, len(out.text)*words)
		for ; len(out.weights) > 0; out.weights = out.weights[words:] {
			sum := float32(0)
			for _, w := range out.weights[:words] {
				sum += w
			}
			assert.InDelta(t, 1, sum, 1e-5)
		}
	}))
	assert.Greater(t, right, 90)
}

// TestTeacherForcing checks that the decoder's steps, taken one by one, are the steps that training takes at once: the loss of
// a date that was learnt is small, and translate writes it.
func TestTeacherForcing(t *testing.T) {
	texts, dates := makeDates(3, 20)
	m, pairs, err := newModel(3, texts, dates)
	require.NoError(t, err)
	require.NoError(t, m.learn(pairs, 150, 3))
	require.NoError(t, train.Evaluate(m.params, pairs, 20, m.loss, func(l *autograd.Node, _ *dataset.Batch) {
		assert.Less(t, l.Value(), float32(0.01))
	}))
	require.NoError(t, train.Evaluate(m.params, pairs, 1, m.translate, func(out translation, b *dataset.Batch) {
		assert.Equal(t, dates[b.Index[0]], out.text)
	}))
}

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	assert.Error(t, run(file, 1, 1))
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, run(dir, 1, 1))
	assert.FileExists(t, filepath.Join(dir, "attention.png"))
}
