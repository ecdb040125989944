package main

import (
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

func TestForecast(t *testing.T) {
	series, scale := makeSeries()
	assert.Len(t, series, total)
	assert.InDelta(t, 9.825, scale, 0.001)
	m := newModel(1)
	untrained, err := m.oneAhead(series)
	require.NoError(t, err)
	require.NoError(t, m.learn(tensor.Of(series[:known], known, 1), 100, 1))
	ahead, err := m.oneAhead(series)
	require.NoError(t, err)
	require.Len(t, ahead, total-known)
	assert.Greater(t, squares(untrained, series[known:])/variance(series), 0.5)
	assert.Less(t, squares(ahead, series[known:])/variance(series), 0.05)

	free := m.free(series[:known], 30)
	require.Len(t, free, 30)
	assert.InDelta(t, ahead[0], free[0], 1e-5, "the first prediction has seen the same steps")
	assert.NotEqual(t, ahead[1], free[1])
	assert.Equal(t, free[:10], m.free(series[:known], 10))
}

func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, run(dir, 1, 1))
	require.NoError(t, findRate(dir, 1))
	for _, name := range []string{"forecast.png", "range.png"} {
		f, err := os.Open(filepath.Join(dir, name))
		require.NoError(t, err)
		defer f.Close()
		_, err = png.Decode(f)
		require.NoError(t, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	assert.Error(t, run(file, 1, 1))
	assert.Error(t, findRate(file, 1))
}
