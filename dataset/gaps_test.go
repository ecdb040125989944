package dataset

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

func TestFillGaps(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name         string
		series, want []float32
		longest      int
		filled, left int
	}{
		{"none", []float32{1, 2}, []float32{1, 2}, 1, 0, 0},
		{"no steps", nil, nil, 1, 0, 0},
		{"one", []float32{1, nan, 2}, []float32{1, 1.5, 2}, 1, 1, 0},
		{"three", []float32{1, nan, nan, nan, 9}, []float32{1, 3, 5, 7, 9}, 3, 3, 0},
		{"too long", []float32{1, nan, nan, nan, 9, nan, 7}, []float32{1, nan, nan, nan, 9, 8, 7}, 2, 1, 3},
		{"ends", []float32{nan, nan, 4, 5, nan}, []float32{4, 4, 4, 5, 5}, 2, 3, 0},
		{"ends too long", []float32{nan, nan, 4, 5, nan, nan}, []float32{nan, nan, 4, 5, nan, nan}, 1, 0, 4},
		{"no number", []float32{nan, nan}, []float32{nan, nan}, math.MaxInt, 0, 2},
		{"beside infinite values", []float32{1, nan, inf, nan, -inf, nan}, []float32{1, nan, inf, nan, -inf, nan}, 9, 0, 3},
		{"after infinite values", []float32{nan, inf}, []float32{nan, inf}, 9, 0, 1},
		{"over the range of float32", []float32{-math.MaxFloat32, nan, math.MaxFloat32}, []float32{-math.MaxFloat32, 0, math.MaxFloat32}, 1, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, width := range []int{1, 3} { // the other columns are gaps that nobody asked to fill
				series := tensor.New(len(c.series), width)
				for i := range series.Data() {
					series.Data()[i] = nan
				}
				for i, v := range c.series {
					series.Data()[i*width+width-1] = v
				}
				filled, left := FillGaps(series, c.longest, width-1)
				assert.Equal(t, []int{c.filled, c.left}, []int{filled, left})
				for i, want := range c.want {
					same(t, []float32{want}, series.Data()[i*width+width-1:][:1])
					if width > 1 {
						same(t, []float32{nan, nan}, series.Data()[i*width:][:2])
					}
				}
			}
		})
	}
	all := tensor.Of([]float32{1, nan, nan, 4, 3, nan}, 3, 2)
	filled, left := FillGaps(all, 1)
	assert.Equal(t, []int{3, 0}, []int{filled, left})
	assert.Equal(t, []float32{1, 4, 2, 4, 3, 4}, all.Data())
	filled, left = FillGaps(tensor.New(0, 2), 1)
	assert.Equal(t, []int{0, 0}, []int{filled, left})
}

// Windows without gaps are those of all windows that have no NaN when gathered.
func TestWindowsSkipGaps(t *testing.T) {
	nan := float32(math.NaN())
	var some int
	for steps := 1; steps < 4; steps++ {
		for stride := 1; stride < 3; stride++ {
			for ahead := 1; ahead < 3; ahead++ {
				for horizon := range 3 {
					var series []*tensor.Tensor
					for i, gaps := range [][]int{{1, 25}, {}, {0, 1, 17}, {}} {
						s := counted([]int{17, 9, 8, 1}[i], 3)
						for _, g := range gaps {
							s.Data()[g] = nan
						}
						series = append(series, s)
					}
					c := WindowConfig{Steps: steps, Stride: stride, Ahead: ahead, Horizon: horizon, Inputs: []int{0}, Targets: []int{1, 0}}
					all := NewWindows(c, series...)
					c.SkipGaps = true
					whole := NewWindows(c, series...)
					assert.Zero(t, all.Skipped())
					var want, got [][2]int
					for i := range all.Len() {
						var b Batch
						require.NoError(t, all.Gather([]int{i}, &b))
						gap := false
						for _, x := range []*tensor.Tensor{b.X, b.Target} {
							for _, v := range x.Data() {
								gap = gap || v != v
							}
						}
						if !gap {
							s, first := all.At(i)
							want = append(want, [2]int{s, first})
						}
					}
					for i := range whole.Len() {
						s, first := whole.At(i)
						got = append(got, [2]int{s, first})
						var b Batch
						require.NoError(t, whole.Gather([]int{i}, &b))
						assert.Equal(t, series[s].Data()[first*3], b.X.Data()[0])
					}
					require.Equal(t, want, got)
					require.Equal(t, all.Len(), whole.Len()+whole.Skipped())
					some += whole.Skipped()
				}
			}
		}
	}
	assert.Positive(t, some)

	empty := NewWindows(WindowConfig{Steps: 1, Ahead: 1, SkipGaps: true}, tensor.Of([]float32{nan, 1, nan}, 3, 1))
	assert.Equal(t, []int{0, 2}, []int{empty.Len(), empty.Skipped()})
	assert.Error(t, empty.Gather([]int{0}, new(Batch)))
	// Column 2 is neither input nor target: its gaps do not matter.
	other := NewWindows(WindowConfig{Steps: 1, Ahead: 1, SkipGaps: true, Inputs: []int{0}, Targets: []int{1}},
		tensor.Of([]float32{1, nan, nan, nan, 1, nan}, 2, 3))
	assert.Equal(t, 1, other.Len())
}
