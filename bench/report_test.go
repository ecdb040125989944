package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFigure(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0.00", 0.01234: "0.0123", 0.9996: "1.00", 1.235: "1.24", 9.996: "10.0", 99.96: "100", 123.4: "123", 12345: "12345",
		math.Inf(1): none,
	} {
		assert.Equal(t, want, figure(x), "%v", x)
	}
	assert.Equal(t, none, figure(math.NaN()))
}

func TestPercent(t *testing.T) {
	assert.Equal(t, "93 %", percent(0.926))
	assert.Equal(t, none, percent(math.NaN()))
}

func TestTable(t *testing.T) {
	assert.Equal(t, "| a | b |\n|---|---:|\n| c | d |\n", table{{"a", "b"}, {"c", "d"}}.String())
}

func TestCompare(t *testing.T) {
	contests := []*Contest{
		{Name: "one", Entries: []*Entry{{Name: "ours", Took: []float64{0.5}}, {Name: "theirs", Took: []float64{1}}}},
		{Name: "two", Entries: []*Entry{{Name: "ours", Took: []float64{0.25}}}},
	}
	assert.Equal(t, table{
		{"", "ours, ms", "theirs, ms", "times ours"},
		{"one", "500", "1000", "2.00"},
		{"two", "250", none, none},
	}, compare(contests, "ours", "ms", 1e3))
}

func TestReport(t *testing.T) {
	var b strings.Builder
	writeReport(&b, map[string]*Result{"activations": {
		Date: "2026-01-02", Command: "bench/run -only activations", Versions: []string{"X 1"}, Notes: []string{"A note."},
		Contests: []*Contest{{Name: "tanh", Entries: []*Entry{{Name: ours, Took: []float64{12e-6}}}}},
	}})
	text := b.String()
	assert.Contains(t, text, "`bench/run -only activations`, 2026-01-02, with X 1\n")
	assert.Contains(t, text, "| tanh | 1.00 |\n\nA note.\n")
	assert.NotContains(t, text, "## Memory")
}

func TestShorten(t *testing.T) {
	assert.Equal(t, "1.13", shorten("1.13.0a0"))
	assert.Equal(t, "2", shorten("2"))
}

func TestPagePath(t *testing.T) {
	assert.Equal(t, "measured/amd-epyc-family-25-model-1.md", filepath.ToSlash(pagePath("AMD EPYC (family 25, model 1)")))
}
