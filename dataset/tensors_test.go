package dataset

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

var nan = float32(math.NaN())

// counted returns a tensor whose element i is i.
func counted(shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	for i := range x.Data() {
		x.Data()[i] = float32(i)
	}
	return x
}

// full returns a batch in which another kind of source has filled everything.
func full() *Batch {
	return &Batch{X: counted(9, 9, 9), IDs: make([]int32, 99), Labels: make([]int32, 99), Target: counted(9),
		Lengths: make([]int, 99), Parts: make([]Batch, 9), Begins: make([]bool, 99), Overlap: 99, First: 7}
}

func TestTensorsGather(t *testing.T) {
	labels := []int32{5, 6, 7}
	stepLabels := []int32{0, 1, 2, 3, 4, 5}
	for _, c := range []struct {
		name   string
		s      Tensors
		rows   []int
		x      *tensor.Tensor
		y      *tensor.Tensor
		labels []int32
		length []int
	}{
		{"sequences", Tensors{X: counted(3, 2, 2)}, []int{2, 0},
			tensor.Of([]float32{8, 9, 0, 1, 10, 11, 2, 3}, 2, 2, 2), nil, nil, nil},
		{"no time axis", Tensors{X: counted(3, 2), Target: counted(3, 1), Labels: labels}, []int{1, 1, 2},
			tensor.Of([]float32{2, 3, 2, 3, 4, 5}, 3, 2), tensor.Of([]float32{1, 1, 2}, 3, 1), []int32{6, 6, 7}, nil},
		{"one step", Tensors{X: counted(3, 1, 2), Target: counted(3, 1), Labels: labels}, []int{1, 1, 2},
			tensor.Of([]float32{2, 3, 2, 3, 4, 5}, 1, 3, 2), tensor.Of([]float32{1, 1, 2}, 3, 1), []int32{6, 6, 7}, nil},
		{"targets and labels a step", Tensors{X: counted(3, 2, 1), Target: counted(3, 2, 2), Labels: stepLabels}, []int{2, 1},
			tensor.Of([]float32{4, 2, 5, 3}, 2, 2, 1), tensor.Of([]float32{8, 9, 4, 5, 10, 11, 6, 7}, 2, 2, 2),
			[]int32{4, 2, 5, 3}, nil},
		{"lengths", Tensors{X: counted(3, 2, 1), Labels: stepLabels, Lengths: []int{2, 1, 2}}, []int{1, 0},
			tensor.Of([]float32{2, 0, 3, 1}, 2, 2, 1), nil, []int32{2, 0, -100, 1}, []int{1, 2}},
		{"labels an example and lengths", Tensors{X: counted(3, 2, 1), Labels: labels, Lengths: []int{2, 1, 2}}, []int{1},
			tensor.Of([]float32{2, 3}, 2, 1, 1), nil, []int32{6}, []int{1}},
		{"targets a step and lengths", Tensors{X: counted(3, 2, 1), Target: counted(3, 2, 2), Lengths: []int{2, 1, 2}}, []int{1, 0},
			tensor.Of([]float32{2, 0, 3, 1}, 2, 2, 1), tensor.Of([]float32{4, 5, 0, 1, nan, nan, 2, 3}, 2, 2, 2), nil, []int{1, 2}},
		{"targets an example and lengths", Tensors{X: counted(3, 2, 1), Target: counted(3, 2), Lengths: []int{2, 1, 2}}, []int{1},
			tensor.Of([]float32{2, 3}, 2, 1, 1), tensor.Of([]float32{2, 3}, 1, 2), nil, []int{1}},
		{"no rows", Tensors{X: counted(3, 2, 1), Labels: labels, Target: counted(3, 4)}, nil,
			tensor.New(2, 0, 1), tensor.New(0, 4), []int32{}, nil},
		{"no features", Tensors{X: counted(3, 0)}, []int{1}, tensor.New(1, 0), nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := full()
			require.NoError(t, c.s.Gather(c.rows, b))
			assert.Equal(t, 3, c.s.Len())
			assert.Equal(t, c.x.Shape(), b.X.Shape())
			assert.Equal(t, c.x.Data(), b.X.Data())
			require.Equal(t, c.y == nil, b.Target == nil)
			if c.y != nil {
				assert.Equal(t, c.y.Shape(), b.Target.Shape())
				assert.Equal(t, fmt.Sprint(c.y.Data()), fmt.Sprint(b.Target.Data()), "as text, because NaN is not equal to itself")
			}
			assert.Equal(t, c.labels, b.Labels)
			assert.Equal(t, c.length, b.Lengths)
			assert.Nil(t, b.IDs)
			assert.Empty(t, b.Parts)
			assert.Equal(t, 7, b.First)
		})
	}
}

func TestTensorsErrors(t *testing.T) {
	x := counted(3, 2, 1)
	for _, c := range []struct {
		s    Tensors
		want string
	}{
		{Tensors{}, "Tensors has no X, Target or Labels, want at least one of them"},
		{Tensors{Lengths: []int{1, 1}}, "Tensors has no X, Target or Labels, want at least one of them"},
		{Tensors{X: &tensor.Tensor{}}, "X has shape [0], want [N,T,F] or [N,F]"},
		{Tensors{X: tensor.New()}, "X has shape [], want [N,T,F] or [N,F]"},
		{Tensors{X: counted(3, 2, 1, 1)}, "X has shape [3 2 1 1], want [N,T,F] or [N,F]"},
		{Tensors{X: x, Target: counted(3)}, "Target has shape [3], want [3,K] or [3,2,K] as X has [3 2 1]"},
		{Tensors{X: x, Target: counted(2, 1)}, "Target has shape [2 1], want [3,K] or [3,2,K] as X has [3 2 1]"},
		{Tensors{X: x, Target: counted(3, 1, 1)}, "Target has shape [3 1 1], want [3,K] or [3,2,K] as X has [3 2 1]"},
		{Tensors{X: counted(3, 2), Target: counted(3, 1, 1)}, "Target has shape [3 1 1], want [3,K] as X has [3 2]"},
		{Tensors{Target: counted(3)}, "Target has shape [3], want [N,K] or [N,T,K]"},
		{Tensors{Target: counted(3, 2), Labels: make([]int32, 2)}, "2 labels, want 3, one an example, or 3, one a step"},
		{Tensors{Lengths: []int{1, 1}, Labels: make([]int32, 3)}, "3 labels, want 2, one an example, or 2, one a step"},
		{Tensors{X: x, Labels: make([]int32, 2)}, "2 labels, want 3, one an example, or 6, one a step"},
		{Tensors{X: x, Labels: []int32{}}, "0 labels, want 3, one an example, or 6, one a step"},
		{Tensors{X: x, Lengths: []int{1}}, "1 lengths, want 3, one an example"},
		{Tensors{X: x, Lengths: []int{1, 0, 1}}, "length of example 1 is 0, want 1 to 2"},
		{Tensors{X: x, Lengths: []int{1, 3, 1}}, "length of example 1 is 3, want 1 to 2"},
		{Tensors{X: counted(1, 1)}, "row 1 of a set of 1 examples"},
	} {
		b := full()
		assert.EqualError(t, c.s.Gather([]int{0, 1}, b), "dataset: "+c.want)
		assert.Equal(t, full(), b, "the batch stays as it was")
	}
	assert.Zero(t, (&Tensors{}).Len())
	assert.Zero(t, (&Tensors{X: tensor.New()}).Len())
}

// Without X, the numbers of examples and steps follow from Target, Lengths and Labels.
func TestTensorsWithoutX(t *testing.T) {
	for _, c := range []struct {
		s      Tensors
		labels []int32
		target []float32
		steps  int
	}{
		{Tensors{Labels: []int32{5, 6, 7}}, []int32{7, 5}, nil, 1},
		{Tensors{Labels: []int32{5, 6, 7, 8, 9, 10}, Lengths: []int{1, 2, 2}}, []int32{9, 5, 10, -100}, nil, 2},
		{Tensors{Target: counted(3, 1)}, nil, []float32{2, 0}, 1},
		{Tensors{Target: counted(3, 2, 1), Labels: []int32{5, 6, 7}}, []int32{7, 5}, []float32{4, 0, 5, 1}, 2},
	} {
		b := full()
		require.NoError(t, c.s.Gather([]int{2, 0}, b))
		assert.Nil(t, b.X)
		assert.Equal(t, c.labels, b.Labels)
		if c.target != nil {
			assert.Equal(t, c.target, b.Target.Data())
		}
		assert.Equal(t, [2]int{2, c.steps}, [2]int{b.Rows(), b.Steps()})
		assert.Equal(t, 3, c.s.Len())
	}
}

// everySource returns a source of each kind with at least 12 examples.
func everySource(t testing.TB) map[string]Source {
	ids := make([]int32, 100)
	ragged := &Sequences{StepLabels: make([][]int32, 12), Target: counted(12, 2)}
	words := &Sequences{IDs: make([][]int32, 12), Labels: make([]int32, 12)}
	for i := range 12 {
		ragged.X = append(ragged.X, counted(i+1, 3))
		ragged.StepLabels[i] = ids[:i+1]
		words.IDs[i] = ids[:i+1]
	}
	for i := range ids {
		ids[i] = int32(i)
	}
	_, part := Split(&Tensors{X: counted(20, 3, 2)}, 8)
	speeds := &Sequences{IDs: words.IDs, StepTargets: ragged.X}
	return map[string]Source{
		"table":   &Tensors{X: counted(12, 3), Target: counted(12, 1)},
		"targets": &Tensors{Target: counted(12, 3, 1), Lengths: make12(2)},
		"speeds":  speeds,
		"Join":    Join(words, pictures(12), ragged),
		"Pairs":   Pairs(ragged, words.IDs, 1, 2),
		"Join of parts": Join(Rows{Join(words, speeds), []int{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
			Rows{Pairs(words, words.IDs, 1, 2), []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}, numbers(12)),
		"Images":    pictures(12),
		"Tensors":   &Tensors{X: counted(12, 3, 2), Target: counted(12, 3, 1), Labels: ids[:36], Lengths: make12(2)},
		"Rows":      part,
		"Windows":   NewWindows(WindowConfig{Steps: 4, Ahead: 1}, counted(20, 3)),
		"forecasts": NewWindows(WindowConfig{Steps: 4, Ahead: 1, Horizon: 3}, counted(10, 3), counted(30, 3)),
		"Sequences": ragged,
		"words":     words,
		"Text":      NewText(ids, 5, 1),
		"Table":     table(t),
	}
}

func make12(length int) []int {
	lengths := make([]int, 12)
	for i := range lengths {
		lengths[i] = length
	}
	return lengths
}

func TestGatherAllocatesNothing(t *testing.T) {
	for name, s := range everySource(t) {
		large, small := []int{11, 3, 0, 0, 7}, []int{2, 11}
		var b Batch
		var errs error
		allocs := testing.AllocsPerRun(50, func() {
			errs = errors.Join(errs, s.Gather(large, &b), s.Gather(small, &b))
		})
		require.NoError(t, errs, name)
		assert.Zero(t, allocs, name)
	}
}

// The content of a batch follows from its rows alone, whatever the batch held before and whichever goroutine gathers.
func TestGatherConcurrently(t *testing.T) {
	for name, s := range everySource(t) {
		var group sync.WaitGroup
		for w := range 4 {
			group.Go(func() {
				b := full()
				for i := range 20 {
					rows := []int{(i + w) % 12, i % 12, 3}[:i%3+1]
					var fresh Batch
					if !assert.NoError(t, s.Gather(rows, b), name) || !assert.NoError(t, s.Gather(rows, &fresh), name) {
						return
					}
					assert.Equal(t, contents(&fresh), contents(b), name)
				}
			})
		}
		group.Wait()
	}
}

// contents returns everything that a model sees of a batch, as text.
func contents(b *Batch) string {
	text := fmt.Sprint(b.X, b.Target, b.IDs, b.Labels, b.Lengths, b.Lengths == nil, b.Begins, b.Overlap, b.Index)
	for _, x := range []*tensor.Tensor{b.X, b.Target} {
		if x != nil {
			text += fmt.Sprint(x.Data())
		}
	}
	for i := range b.Parts {
		text += " Parts " + contents(&b.Parts[i])
	}
	return text
}

func TestRowsOutOfRange(t *testing.T) {
	for name, s := range everySource(t) {
		for _, row := range []int{-1, s.Len()} {
			b := full()
			assert.ErrorContains(t, s.Gather([]int{0, row}, b), fmt.Sprintf("dataset: row %d of a set of %d ", row, s.Len()), name)
			assert.Equal(t, full(), b, name)
		}
	}
}
