package dataset

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// The last window of streams has fewer steps than the others, but as many rows.
func TestBatchKnowsItsRows(t *testing.T) {
	documents := Documents(Batches(NextTokens(upTo(9)).Parts(2), 2)) // two streams of 4 steps: windows of 3 steps and of 1
	var b Batch
	var sizes [][2]int
	for rows := range (Streams{Rows: 2, K1: 3}).Batches(documents) {
		require.NoError(t, rows.Source.Gather(rows.Index, &b))
		sizes = append(sizes, [2]int{b.Rows(), b.Steps()})
		ids, n := b.Tokens()
		assert.Equal(t, b.IDs, ids)
		assert.Equal(t, 2, n)
	}
	assert.Equal(t, [][2]int{{2, 3}, {2, 1}}, sizes)
}

// Every source numbers its rows, and Rows and Steps follow from the batch, even if it is part of a part of the source.
func TestRowsAndStepsOfEverySource(t *testing.T) {
	steps := map[string]int{"Images": 3, "Tensors": 3, "table": 1, "targets": 3, "Rows": 3, "Windows": 4, "forecasts": 4,
		"Sequences": 12, "words": 12, "speeds": 12, "Text": 5, "Table": 1,
		"Join": 1, "Pairs": 1, "Join of parts": 1}
	for name, s := range everySource(t) {
		inner := []int{11, 3, 0, 0, 7}
		if rows, ok := s.(Rows); ok {
			for i := range inner {
				inner[i] = rows.Index[inner[i]]
			}
		}
		b := full()
		require.NoError(t, s.Gather([]int{11, 3, 0, 0, 7}, b), name)
		assert.Equal(t, inner, b.Index, name)
		assert.Equal(t, 5, b.Rows(), name)
		want, ok := steps[name]
		require.True(t, ok, name)
		assert.Equal(t, want, b.Steps(), name)

		first, rest := Split(s, 2)
		last := len(rest.(Rows).Index) - 1
		again := Rows{rest, []int{last, 0}}
		require.NoError(t, s.Gather([]int{s.Len() - 1, 2}, b), name)
		index := slices.Clone(b.Index)
		require.NoError(t, again.Gather([]int{0, 1}, b), name)
		assert.Equal(t, index, b.Index, name)
		assert.Equal(t, 2, b.Rows(), name)

		require.NoError(t, first.Gather(nil, b), name)
		assert.Zero(t, b.Rows(), name)
		assert.Empty(t, b.Index, name)
	}
}

// A source of one's own need not set Index if the batch goes through Rows.
func TestIndexOfOwnSources(t *testing.T) {
	var b Batch
	require.NoError(t, Rows{numbers(10), []int{8, 2, 5}}.Gather([]int{2, 0}, &b))
	assert.Equal(t, []int{5, 8}, b.Index)
	assert.Equal(t, 2, b.Rows())
	for rows := range Shuffled(Rows{Rows{numbers(10), []int{8, 2, 5}}, []int{1, 2}}, 2, 1, 1) {
		require.NoError(t, rows.Source.Gather(rows.Index, &b))
		assert.ElementsMatch(t, []int{2, 5}, b.Index)
		for i, label := range b.Labels {
			assert.Equal(t, int32(10*b.Index[i]), label)
		}
	}

	// The caller's own numbers, put into Index before, stay as they are.
	callers := []int{1, 0}
	b = Batch{Index: callers}
	require.NoError(t, Rows{numbers(10), []int{8, 2}}.Gather(callers, &b))
	assert.Equal(t, []int{2, 8}, b.Index)
	assert.Equal(t, []int{1, 0}, callers)
	b = Batch{Index: callers}
	require.NoError(t, counts(5).Gather([]int{4, 3, 2}, &b))
	assert.Equal(t, []int{4, 3, 2}, b.Index)
	assert.Equal(t, []int{1, 0}, callers)
}

// counts returns n examples of one step: example i is the number i.
func counts(n int) *Tensors { return &Tensors{X: counted(n, 1)} }

func TestRowsAndStepsOfOwnBatches(t *testing.T) {
	for _, c := range []struct {
		name        string
		b           Batch
		rows, steps int
	}{
		{"nothing", Batch{}, 0, 1},
		{"sequences", Batch{X: tensor.New(4, 3, 2)}, 3, 4},
		{"a table", Batch{X: tensor.New(3, 2)}, 3, 1},
		{"one number a row", Batch{X: tensor.New(3)}, 3, 1},
		{"pictures", Batch{X: tensor.New(4, 3, 8, 8)}, 3, 4},
		{"no rows", Batch{X: tensor.New(4, 0, 2), Lengths: []int{}, Labels: []int32{}}, 0, 4},
		{"no tokens", Batch{IDs: []int32{}, Index: []int{}}, 0, 0},
		{"tokens", Batch{IDs: make([]int32, 12), Index: make([]int, 3)}, 3, 4},
		{"tokens with lengths", Batch{IDs: make([]int32, 12), Lengths: make([]int, 3)}, 3, 4},
		{"tokens and numbers", Batch{X: tensor.New(4, 3, 2), IDs: make([]int32, 12), Labels: make([]int32, 3)}, 3, 4},
		{"tokens and numbers without a time axis", Batch{X: tensor.New(3, 2), IDs: make([]int32, 12)}, 3, 4},
		{"labels", Batch{Labels: make([]int32, 12), Index: make([]int, 3)}, 3, 4},
		{"targets", Batch{Target: tensor.New(3, 2)}, 3, 1},
		{"targets a step", Batch{Target: tensor.New(4, 3, 2), Labels: make([]int32, 12)}, 3, 4},
		{"pictures as targets", Batch{X: tensor.New(4, 3, 2), Target: tensor.New(3, 8, 8)}, 3, 4},
	} {
		assert.Equal(t, c.rows, c.b.Rows(), c.name)
		assert.Equal(t, c.steps, c.b.Steps(), c.name)
	}
}

func TestBatchesThatDoNotFit(t *testing.T) {
	x := tensor.New(4, 3, 2)
	for _, c := range []struct {
		b    Batch
		want string
	}{
		{Batch{IDs: make([]int32, 12)}, "12 IDs and no Index, want an Index with the number of each row's example"},
		{Batch{Labels: make([]int32, 2)}, "2 Labels and no Index, want an Index with the number of each row's example"},
		{Batch{X: tensor.New(), Index: make([]int, 2)}, "X has shape [], want 2 rows, as Index has"},
		{Batch{X: tensor.New()}, "X has shape [], want [T,B,F] or [B,F]"},
		{Batch{X: x, Index: make([]int, 2)}, "X has shape [4 3 2], want 2 rows, as Index has"},
		{Batch{X: tensor.New(3, 2), Index: make([]int, 2)}, "X has shape [3 2], want 2 rows, as Index has"},
		{Batch{IDs: make([]int32, 7), Index: make([]int, 3)}, "7 IDs, want a whole number of steps of 3 rows"},
		{Batch{IDs: make([]int32, 7), Index: []int{}}, "7 IDs, want a whole number of steps of 0 rows"},
		{Batch{X: x, IDs: make([]int32, 9)}, "9 IDs, want 12, for 3 rows of 4 steps"},
		{Batch{X: x, Lengths: make([]int, 4)}, "4 Lengths, want 3, one a row"},
		{Batch{X: x, Labels: make([]int32, 4)}, "4 Labels, want 3, one a row, or 12, one a step"},
		{Batch{X: x, Begins: make([]bool, 3)}, "3 Begins, want 12, for 3 rows of 4 steps"},
		{Batch{X: x, Overlap: 5}, "Overlap is 5, want 0 to 4, the number of steps"},
		{Batch{X: x, Overlap: -1}, "Overlap is -1, want 0 to 4, the number of steps"},
		{Batch{X: x, Target: tensor.New(4, 2)}, "Target has shape [4 2], want [3,K], numbers of each row, or [T,3,K], of each step"},
		{Batch{X: x, Target: tensor.New()}, "Target has shape [], want [3,K], numbers of each row, or [T,3,K], of each step"},
		{Batch{Target: tensor.New()}, "Target has shape [], want [B,K] or [T,B,K]"},
	} {
		for _, f := range []func(){func() { c.b.Rows() }, func() { c.b.Steps() }, func() { c.b.Tokens() }} {
			panicsWith[*tensor.ShapeError](t, "dataset.Batch: "+c.want, f)
		}
	}
	panicsWith[*tensor.ShapeError](t, "dataset.Batch: no IDs, want 12, for 3 rows of 4 steps", func() { (&Batch{X: x}).Tokens() })
	panicsWith[*tensor.ShapeError](t,
		"dataset.Batch: no IDs in a batch of dataset.Join, want the IDs of one of its Parts",
		func() { (&Batch{Index: make([]int, 3), Parts: make([]Batch, 2)}).Tokens() })
}
