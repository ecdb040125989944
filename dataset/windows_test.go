package dataset

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

func TestWindowsGather(t *testing.T) {
	// Step t of the first series has 10t and 10t+1, of the second 100+10t and 101+10t.
	series := func(first float32, steps int) *tensor.Tensor {
		s := tensor.New(steps, 2)
		for i := range s.Data() {
			s.Data()[i] = first + float32(10*(i/2)+i%2)
		}
		return s
	}
	one, two := series(0, 5), series(100, 3)
	for _, c := range []struct {
		name   string
		c      WindowConfig
		n      int
		rows   []int
		x      *tensor.Tensor
		target *tensor.Tensor
	}{
		{"next steps", WindowConfig{Steps: 2, Ahead: 1}, 4, []int{3, 1},
			tensor.Of([]float32{100, 101, 10, 11, 110, 111, 20, 21}, 2, 2, 2),
			tensor.Of([]float32{110, 111, 20, 21, 120, 121, 30, 31}, 2, 2, 2)},
		{"the value after", WindowConfig{Steps: 2, Ahead: 1, Horizon: 1, Targets: []int{1}}, 4, []int{0, 3},
			tensor.Of([]float32{0, 1, 100, 101, 10, 11, 110, 111}, 2, 2, 2), tensor.Of([]float32{21, 121}, 2, 1)},
		{"two values", WindowConfig{Steps: 1, Ahead: 1, Horizon: 2, Inputs: []int{1}}, 4, []int{3, 0},
			tensor.Of([]float32{101, 1}, 1, 2, 1), tensor.Of([]float32{110, 111, 120, 121, 10, 11, 20, 21}, 2, 4)},
		{"stride", WindowConfig{Steps: 1, Stride: 3, Ahead: 1, Inputs: []int{1, 0}, Targets: []int{0}}, 3, []int{0, 1, 2},
			tensor.Of([]float32{1, 0, 31, 30, 101, 100}, 1, 3, 2), tensor.Of([]float32{10, 40, 110}, 1, 3, 1)},
		{"same step", WindowConfig{Steps: 3, Inputs: []int{1}, Targets: []int{0}}, 4, []int{3},
			tensor.Of([]float32{101, 111, 121}, 3, 1, 1), tensor.Of([]float32{100, 110, 120}, 3, 1, 1)},
		{"further ahead", WindowConfig{Steps: 2, Ahead: 3, Targets: []int{0}}, 1, []int{0},
			tensor.Of([]float32{0, 1, 10, 11}, 2, 1, 2), tensor.Of([]float32{30, 40}, 2, 1, 1)},
		{"too short", WindowConfig{Steps: 5, Ahead: 1}, 0, nil, tensor.New(5, 0, 2), tensor.New(5, 0, 2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := NewWindows(c.c, one, two)
			require.Equal(t, c.n, w.Len())
			b := full()
			require.NoError(t, w.Gather(c.rows, b))
			assert.Equal(t, c.x.Shape(), b.X.Shape())
			assert.Equal(t, c.x.Data(), b.X.Data())
			assert.Equal(t, c.target.Shape(), b.Target.Shape())
			assert.Equal(t, c.target.Data(), b.Target.Data())
			assert.Nil(t, b.IDs)
			assert.Nil(t, b.Labels)
			assert.Nil(t, b.Lengths)
		})
	}
}

// Every window that fits is there, and no other.
func TestWindowsCount(t *testing.T) {
	for steps := 1; steps < 4; steps++ {
		for stride := 1; stride < 4; stride++ {
			for ahead := 1; ahead < 3; ahead++ {
				for horizon := range 3 {
					var series []*tensor.Tensor
					var want [][2]int
					for length := range 12 {
						for at := 0; at+steps+ahead+max(horizon, 1)-1 <= length; at += stride {
							want = append(want, [2]int{length, at})
						}
						series = append(series, counted(length, 1))
					}
					w := NewWindows(WindowConfig{Steps: steps, Stride: stride, Ahead: ahead, Horizon: horizon}, series...)
					var got [][2]int
					for i := range w.Len() {
						s, first := w.At(i)
						got = append(got, [2]int{s, first})
					}
					require.Equal(t, want, got)
					if w.Len() > 0 { // the last one reads its series to the end
						require.NoError(t, w.Gather([]int{w.Len() - 1}, new(Batch)))
					}
				}
			}
		}
	}
}

func TestWindowsPanics(t *testing.T) {
	s := counted(9, 2)
	for _, c := range []struct {
		c      WindowConfig
		series []*tensor.Tensor
		want   string
	}{
		{WindowConfig{}, []*tensor.Tensor{s},
			"Steps 0, Stride 1, Ahead 0, Horizon 0, want at least 1 step and nothing negative"},
		{WindowConfig{Steps: 1, Stride: -1}, []*tensor.Tensor{s},
			"Steps 1, Stride -1, Ahead 0, Horizon 0, want at least 1 step and nothing negative"},
		{WindowConfig{Steps: 1, Ahead: -1}, []*tensor.Tensor{s},
			"Steps 1, Stride 1, Ahead -1, Horizon 0, want at least 1 step and nothing negative"},
		{WindowConfig{Steps: 1, Horizon: -2}, []*tensor.Tensor{s},
			"Steps 1, Stride 1, Ahead 0, Horizon -2, want at least 1 step and nothing negative"},
		{WindowConfig{Steps: 1, Ahead: 1}, nil, "no series, want at least one"},
		{WindowConfig{Steps: 1, Ahead: 1}, []*tensor.Tensor{s, counted(3)}, "series 1 has shape [3], want [T,F]"},
		{WindowConfig{Steps: 1, Ahead: 1}, []*tensor.Tensor{s, counted(3, 1)}, "series 1 has 1 columns, want 2 as in series 0"},
		{WindowConfig{Steps: 1, Ahead: 1, Inputs: []int{0, 2}}, []*tensor.Tensor{s}, "Inputs has column 2, want 0 to 1"},
		{WindowConfig{Steps: 1, Ahead: 1, Targets: []int{-1}}, []*tensor.Tensor{s}, "Targets has column -1, want 0 to 1"},
		{WindowConfig{Steps: 1, Inputs: []int{1}}, []*tensor.Tensor{s}, "Ahead is 0, but column 1 is both input and target"},
	} {
		assert.PanicsWithError(t, "dataset.NewWindows: "+c.want, func() { NewWindows(c.c, c.series...) })
	}
	w := NewWindows(WindowConfig{Steps: 8, Ahead: 1}, s)
	assert.PanicsWithError(t, "dataset.Windows.At: window 1 of 1", func() { w.At(1) })
	assert.PanicsWithError(t, "dataset.Windows.At: window -1 of 1", func() { w.At(-1) })
}
