package main

import (
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/loss"
)

// parsed returns the options of a command line, with a folder of the test's own.
func parsed(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parse(append([]string{"-out", t.TempDir()}, args...))
	require.NoError(t, err)
	return o
}

// TestCopying: a symbol is shown at step s, and due at step lag+s.
func TestCopying(t *testing.T) {
	const lag, symbols, rows, features = 5, 2, 3, alphabet + 1
	p := copying{lag, symbols, 1}
	var b dataset.Batch
	for range 2 { // the second time in the memory of the first
		require.NoError(t, p.Gather([]int{4, 7, 4}, &b))
	}
	require.Equal(t, []int{lag + symbols, rows, features}, b.X.Shape())
	require.Len(t, b.Labels, (lag+symbols)*rows)
	row := func(r int) (sequence []float32, labels []int32) {
		for step := range lag + symbols {
			at := step*rows + r
			sequence, labels = append(sequence, b.X.Data()[at*features:(at+1)*features]...), append(labels, b.Labels[at])
		}
		return sequence, labels
	}
	for r := range rows {
		sequence, labels := row(r)
		want := make([]float32, len(sequence))
		for s := range symbols {
			want[s*features+int(labels[lag+s])] = 1
		}
		want[(lag-1)*features+recall] = 1
		assert.Equal(t, want, sequence)
		assert.Equal(t, []int32{loss.Ignore, loss.Ignore, loss.Ignore, loss.Ignore, loss.Ignore}, labels[:lag])
	}
	first, _ := row(0)
	other, _ := row(1)
	again, _ := row(2)
	assert.NotEqual(t, first, other)
	assert.Equal(t, first, again, "a sequence follows from its number")
	assert.InDelta(t, math.Log(8), p.chance(), 1e-12)
}

// TestAdding: one step of each half is marked, the target is the sum of their numbers, and its variance is that of chance.
func TestAdding(t *testing.T) {
	const steps, rows = 7, 4000
	p := adding{steps, 1}
	index := make([]int, rows)
	for i := range index {
		index[i] = i
	}
	var b dataset.Batch
	for range 2 {
		require.NoError(t, p.Gather(index, &b))
	}
	require.Equal(t, []int{steps, rows, 2}, b.X.Shape())
	squares, marked := 0.0, make([]int, steps)
	for r := range rows {
		sum, halves := float32(0), [2]int{}
		for step := range steps {
			x := b.X.Data()[(step*rows+r)*2:]
			require.True(t, x[0] >= 0 && x[0] < 1)
			if x[1] == 1 {
				sum += x[0]
				marked[step]++
				halves[min(1, step/(steps/2))]++
			}
		}
		assert.Equal(t, [2]int{1, 1}, halves)
		assert.Equal(t, sum, b.Target.Data()[r])
		squares += float64((sum - 1) * (sum - 1))
	}
	assert.NotContains(t, marked, 0, "every step is marked in some sequence")
	assert.InDelta(t, p.chance(), squares/rows, 0.01)
}

// TestTruncation: at a lag of 100, each cell solves the copy problem by full backpropagation, and with a truncated one the loss stays at chance.
func TestTruncation(t *testing.T) {
	for _, cell := range []string{"gru", "lstm"} {
		if cell == "lstm" && testing.Short() {
			continue // it takes three times as many updates
		}
		o := parsed(t, "-lag", "100", "-symbols", "1", "-hidden", "32", "-steps", "1500", "-cell", cell)
		p, both := o.source(), o.trainings()
		full, err := learn(o, p, both[0], o.steps)
		require.NoError(t, err)
		assert.Less(t, full.Values[len(full.Values)-1], p.chance()/50, cell)
		truncated, err := learn(o, p, both[1], int(full.X[len(full.X)-1]))
		require.NoError(t, err)
		assert.Equal(t, full.X, truncated.X, cell)
		for _, v := range truncated.Values {
			assert.InDelta(t, p.chance(), v, 0.05, cell)
		}
	}
}

// TestTruncationAtShortLags: at a lag of 20, full backpropagation copies two symbols, and the truncated one is far behind with what it gets from the
// echo in the untrained state.
func TestTruncationAtShortLags(t *testing.T) {
	o := parsed(t, "-lag", "20", "-symbols", "2", "-hidden", "32", "-steps", "1500")
	p, both := o.source(), o.trainings()
	full, err := learn(o, p, both[0], o.steps)
	require.NoError(t, err)
	truncated, err := learn(o, p, both[1], int(full.X[len(full.X)-1]))
	require.NoError(t, err)
	assert.Less(t, full.Values[len(full.Values)-1], p.chance()/50)
	assert.Greater(t, slices.Min(truncated.Values), p.chance()/4)
}

func TestMinGRUAdds(t *testing.T) {
	o := parsed(t, "-problem", "add", "-lag", "50", "-cell", "mingru", "-hidden", "32", "-train", "full")
	full, err := learn(o, o.source(), o.trainings()[0], o.steps)
	require.NoError(t, err)
	assert.Less(t, full.Values[len(full.Values)-1], o.source().chance()/50)
}

// TestRecomputation: recomputation changes no bit of the losses. The second loss follows from the gradients of the first update.
func TestRecomputation(t *testing.T) {
	for _, problem := range []string{"copy", "add"} {
		for _, cell := range []string{"gru", "lstm", "mingru"} {
			flags := []string{"-problem", problem, "-lag", "3000", "-steps", "2", "-hidden", "16", "-batch", "9", "-cell", cell}
			plain := parsed(t, flags...)
			want, err := learn(plain, plain.source(), plain.trainings()[0], plain.steps)
			require.NoError(t, err)
			for _, more := range [][]string{{"-recompute", "50"}, {"-memory", "1"}} {
				o := parsed(t, append(flags, more...)...)
				got, err := learn(o, o.source(), o.trainings()[0], o.steps)
				require.NoError(t, err)
				assert.Equal(t, want, got, "%s %s %v", problem, cell, more)
			}
		}
	}
}

func TestRun(t *testing.T) {
	o := parsed(t, "-lag", "6", "-symbols", "1", "-hidden", "4", "-steps", "3")
	require.NoError(t, run(o))
	f, err := os.Open(filepath.Join(o.out, "memory.png"))
	require.NoError(t, err)
	defer f.Close()
	_, err = png.Decode(f)
	require.NoError(t, err)

	o.out = filepath.Join(o.out, "memory.png")
	assert.Error(t, run(o), "a file in the place of the folder")
}

func TestFlags(t *testing.T) {
	o := parsed(t)
	assert.Equal(t, []training{{"full", 0}, {"truncated to 500 steps", 500}}, o.trainings())
	assert.Equal(t, copying{1000, 3, 42}, o.source())
	o = parsed(t, "-problem", "add", "-train", "truncated", "-truncate", "30", "-seed", "1")
	assert.Equal(t, []training{{"truncated to 30 steps", 30}}, o.trainings())
	assert.Equal(t, adding{1000, 1}, o.source())
	for text, args := range map[string][]string{
		`-problem is "sort", want copy or add`:                  {"-problem", "sort"},
		"-lag is 1, want 2 to 1048576":                          {"-lag", "1"},
		"-symbols is 10, want at least 1 and less than the lag": {"-symbols", "10", "-lag", "10"},
		`-train is "some", want full, truncated or both`:        {"-train", "some"},
		"-truncate is -1, want 0 or more":                       {"-truncate", "-1"},
		"-recompute is -1, want 0 or more":                      {"-recompute", "-1"},
		"-memory is 2000, want 0 to 1024":                       {"-memory", "2000"},
		`-cell is "elman", want gru, lstm or mingru`:            {"-cell", "elman"},
		"-hidden is 0, want 1 to 4096":                          {"-hidden", "0"},
		"-batch is 0, want 1 to 4096":                           {"-batch", "0"},
		"-steps is 0, want at least 1":                          {"-steps", "0"},
		"-lr is 0, want a positive number":                      {"-lr", "0"},
		`-out is "", want a folder`:                             {"-out", ""},
		`unexpected argument "copy"`:                            {"copy"},
		"flag provided but not defined: -depth":                 {"-depth"},
	} {
		_, err := parse(args)
		assert.EqualError(t, err, text)
		assert.ErrorAs(t, err, new(usageError))
	}
}
