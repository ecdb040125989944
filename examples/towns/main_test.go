package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/train"
)

// alphabet returns the vocabulary of run and the names.
func alphabet(t *testing.T, seed uint64) (*dataset.Vocabulary, []string, *dataset.Sequences) {
	t.Helper()
	letters, err := dataset.NewVocabulary(strings.Split("abcdefghijklmnopqrstuvwxyz", "")...)
	require.NoError(t, err)
	countries, names, err := load(letters, seed)
	require.NoError(t, err)
	return letters, countries, names
}

func TestLoad(t *testing.T) {
	letters, countries, names := alphabet(t, 1)
	assert.Equal(t, []string{"England", "Finland", "France", "Germany", "Italy", "Japan", "Poland", "Spain"}, countries)
	towns, perCountry := map[string]int32{}, make([]int, 8)
	for i, ids := range names.IDs {
		name := letters.Decode(ids)
		assert.NotContains(t, towns, name)
		towns[name] = names.Labels[i]
		perCountry[names.Labels[i]]++
	}
	assert.Equal(t, []int{180, 180, 180, 180, 180, 180, 180, 180}, perCountry)
	for town, country := range map[string]int32{"yeovil": 0, "ylivieska": 1, "vitry": 2, "zittau": 3, "voghera": 4, "zama": 5, "zyrardow": 6, "zaragoza": 7} {
		assert.Equal(t, country, towns[town], town)
	}
	_, _, again := alphabet(t, 1)
	assert.Equal(t, names, again)
	_, _, other := alphabet(t, 2)
	assert.NotEqual(t, names.Labels, other.Labels)
}

// TestItLearnsTheOrder checks that a short training beats a classifier that knows how often each country uses each letter.
func TestItLearnsTheOrder(t *testing.T) {
	letters, countries, names := alphabet(t, 42)
	training, test := dataset.Split(names, names.Len()*4/5)
	m := newModel(42, letters.Len(), len(countries))
	require.NoError(t, m.learn(training, 12, 42))
	var top metrics.TopK
	top.K = 1
	require.NoError(t, train.Evaluate(m.params, test, 64, m.classify, func(logits *autograd.Node, b *dataset.Batch) {
		top.Add(logits.Data(), b.Labels)
	}))
	baseline := bayes(names, training.Len(), letters.Len(), len(countries))
	assert.InDelta(t, 0.48, baseline, 0.05)
	assert.Greater(t, top.Value(), baseline+0.1)
}

func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, run(dir, 1, 1, []string{"Bergamo"}))
	assert.FileExists(t, filepath.Join(dir, "confusion.png"))
	assert.ErrorContains(t, run(dir, 1, 1, []string{"łódź"}), `łódź: `)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	assert.Error(t, run(file, 1, 1, nil))
}
