package dataset

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

func TestSequencesGather(t *testing.T) {
	s := &Sequences{
		X: []*tensor.Tensor{
			tensor.Of([]float32{1, 2}, 1, 2), tensor.Of([]float32{3, 4, 5, 6, 7, 8}, 3, 2), tensor.Of([]float32{9, 10, 11, 12}, 2, 2)},
		StepLabels: [][]int32{{1}, {2, 3, 4}, {5, 6}},
		Target:     counted(3, 1),
	}
	b := full()
	require.NoError(t, s.Gather([]int{2, 1, 0}, b))
	assert.Equal(t, []int{3, 3, 2}, b.X.Shape())
	assert.Equal(t, []float32{9, 10, 3, 4, 1, 2, 11, 12, 5, 6, 0, 0, 0, 0, 7, 8, 0, 0}, b.X.Data())
	assert.Equal(t, []int32{5, 2, 1, 6, 3, -100, -100, 4, -100}, b.Labels)
	assert.Equal(t, []int{2, 3, 1}, b.Lengths)
	assert.Equal(t, []int{3, 1}, b.Target.Shape())
	assert.Equal(t, []float32{2, 1, 0}, b.Target.Data())
	assert.Nil(t, b.IDs)
	assert.Equal(t, 7, b.First)

	require.NoError(t, s.Gather([]int{0}, b))
	assert.Equal(t, []int{1, 1, 2}, b.X.Shape(), "padded to the longest of the batch, not of the set")
	require.NoError(t, s.Gather(nil, b))
	assert.Equal(t, []int{0, 0, 0}, b.X.Shape())

	s = &Sequences{IDs: [][]int32{{1, 2, 3}, {4}}, Pad: 9, Labels: []int32{5, 6}}
	require.NoError(t, s.Gather([]int{1, 0}, b))
	assert.Nil(t, b.X)
	assert.Nil(t, b.Target)
	assert.Equal(t, []int32{4, 1, 9, 2, 9, 3}, b.IDs)
	assert.Equal(t, []int32{6, 5}, b.Labels)
	assert.Equal(t, []int{1, 3}, b.Lengths)

	s.Labels = nil
	require.NoError(t, s.Gather([]int{1}, b))
	assert.Nil(t, b.Labels)
	assert.Equal(t, []int{1}, b.Lengths)
}

// Past its end a sequence has no targets: NaN, which losses do not count.
func TestSequencesStepTargets(t *testing.T) {
	s := &Sequences{IDs: [][]int32{{1}, {2, 3, 4}}, StepTargets: []*tensor.Tensor{counted(1, 2), counted(3, 2)}}
	b := full()
	require.NoError(t, s.Gather([]int{0, 1}, b))
	assert.Equal(t, []int{3, 2, 2}, b.Target.Shape())
	assert.Equal(t, fmt.Sprint([]float32{0, 1, 0, 1, nan, nan, 2, 3, nan, nan, 4, 5}), fmt.Sprint(b.Target.Data()))
	assert.Nil(t, b.Labels)
	require.NoError(t, s.Gather(nil, b))
	assert.Equal(t, []int{0, 0, 0}, b.Target.Shape())
}

// Without inputs, the labels or targets say how long the sequences are.
func TestSequencesWithoutInputs(t *testing.T) {
	b := full()
	labels := &Sequences{StepLabels: [][]int32{{1}, {2, 3}}}
	require.NoError(t, labels.Gather([]int{1, 0}, b))
	assert.Nil(t, b.X)
	assert.Nil(t, b.IDs)
	assert.Equal(t, []int32{2, 1, 3, -100}, b.Labels)
	assert.Equal(t, []int{2, 1}, b.Lengths)
	assert.Equal(t, [2]int{2, 2}, [2]int{b.Rows(), b.Steps()})
	targets := &Sequences{StepTargets: []*tensor.Tensor{counted(1, 1), counted(3, 1)}}
	require.NoError(t, targets.Gather([]int{1}, b))
	assert.Equal(t, []float32{0, 1, 2}, b.Target.Data())
	assert.Equal(t, [2]int{1, 3}, [2]int{b.Rows(), b.Steps()})
	assert.Equal(t, []int{2, 2}, []int{labels.Len(), targets.Len()})
}

func TestSequencesErrors(t *testing.T) {
	x := []*tensor.Tensor{counted(2, 3), counted(1, 3)}
	ids := [][]int32{{1}, {2, 3}}
	for _, c := range []struct {
		s    Sequences
		want string
	}{
		{Sequences{}, "Sequences has no X, IDs, StepLabels or StepTargets, want at least one of them"},
		{Sequences{Labels: []int32{1, 2}}, "Sequences has no X, IDs, StepLabels or StepTargets, want at least one of them"},
		{Sequences{X: x, IDs: ids}, "Sequences has 2 of X and 2 of IDs, want one of the two"},
		{Sequences{X: x, Labels: []int32{1, 2}, StepLabels: ids}, "Sequences has both Labels and StepLabels, want one of the two"},
		{Sequences{X: x, Labels: []int32{1}}, "1 labels, want 2, one an example"},
		{Sequences{X: x, StepLabels: ids[:1]}, "step labels of 1 examples, want 2"},
		{Sequences{X: x, StepLabels: ids}, "sequence 0 has 1 labels, want 2, one a step"},
		{Sequences{X: x, Target: counted(2, 1), StepTargets: x}, "Sequences has both Target and StepTargets, want one of the two"},
		{Sequences{X: x, StepTargets: x[:1]}, "step targets of 1 examples, want 2"},
		{Sequences{X: x, StepTargets: []*tensor.Tensor{counted(1, 1), counted(1, 1)}}, "sequence 0 has targets of 1 steps, want 2"},
		{Sequences{X: x, StepTargets: []*tensor.Tensor{counted(2, 1), counted(1, 2)}},
			"step targets: sequence 1 has shape [1 2], want [T,K] with the K of sequence 0, [2 1]"},
		{Sequences{X: x, StepTargets: []*tensor.Tensor{nil, counted(1, 2)}}, "step targets: sequence 0 has shape [], want [T,K]"},
		{Sequences{X: []*tensor.Tensor{counted(2, 3), nil}}, "sequence 1 has shape [], want [T,F]"},
		{Sequences{X: x, Target: counted(3, 1)}, "Target has shape [3 1], want [2,K]"},
		{Sequences{X: x, Target: counted(2)}, "Target has shape [2], want [2,K]"},
		{Sequences{X: []*tensor.Tensor{counted(2, 3), counted(2, 2)}},
			"sequence 1 has shape [2 2], want [T,F] with the F of sequence 0, [2 3]"},
		{Sequences{X: []*tensor.Tensor{counted(2, 3), counted(2)}}, "sequence 1 has shape [2], want [T,F]"},
		{Sequences{X: []*tensor.Tensor{tensor.New(), counted(2, 3)}}, "sequence 0 has shape [], want [T,F]"},
		{Sequences{X: []*tensor.Tensor{counted(2, 3), counted(0, 3)}}, "sequence 1 has no steps, want at least one"},
		{Sequences{IDs: [][]int32{{1}, {}}}, "sequence 1 has no steps, want at least one"},
		{Sequences{IDs: ids[:1]}, "row 1 of a set of 1 sequences"},
	} {
		// Row 0 comes last, so that its shape is met after the other's.
		for _, rows := range [][]int{{1, 0}, {0, 1}} {
			b := full()
			err := c.s.Gather(rows, b)
			require.Error(t, err)
			if rows[0] == 0 {
				assert.EqualError(t, err, "dataset: "+c.want)
			}
			assert.Equal(t, full(), b, "the batch stays as it was")
		}
	}
}
