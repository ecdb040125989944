package dataset

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/tensor"
)

// FillGaps fills gaps in the columns of a series [T,F], in place. A gap is a run of NaN values in one column, such as the
// empty fields that a [CSV] with EmptyIsNaN reads. A gap between two numbers is filled by linear interpolation over the
// steps; a gap at the start or the end of the series takes the value of the nearest number. Columns to fill may be named
// by their number, counted from 0; none are all of them.
//
// Values made up for a column that is to be predicted are no truth to learn from: name the columns of inputs alone, and let
// the losses pass over the NaN targets. A column that is both input and target is read twice, by naming it twice in
// CSV.Features: one copy is filled and is the input, the other keeps its gaps and is the target. Interpolation looks ahead,
// too: a value at the end of a window may be computed from a number after the window, which a forecast would not know. Cut
// the series with [SplitSeries] before, so that at least no number of the test part gets into the training part.
//
// A gap of more than longest steps is left as it is, and so is a gap beside an infinite value and a column without any
// number: there, a guess would be worth nothing. WindowConfig.SkipGaps leaves out the windows over such gaps. FillGaps
// returns how many values it has filled and how many it has left NaN.
//
// It panics with a [*tensor.ShapeError] if the shape is not [T,F], and with a [*tensor.UsageError] if longest is not
// positive (math.MaxInt fills gaps of any length) or a column is not in the series.
func FillGaps(series *tensor.Tensor, longest int, columns ...int) (filled, left int) {
	const where = "dataset.FillGaps"
	steps, width := seriesShape(where, "the series", series)
	if longest < 1 {
		panic(&tensor.UsageError{Where: where, What: fmt.Sprintf("longest is %d, want at least 1", longest)})
	}
	data := series.Data()
	for _, f := range columnsOr(where, "columns", columns, width) {
		before := -1 // step of the last number, or the step before the series
		for step := range steps + 1 {
			if step < steps && data[step*width+f] != data[step*width+f] {
				continue
			}
			switch gap := step - before - 1; {
			case gap == 0:
			case gap <= longest && interpolate(data[f:], width, before, step, steps):
				filled += gap
			default:
				left += gap
			}
			before = step
		}
	}
	return filled, left
}

// interpolate fills the steps between before and after of a column whose values are width apart. Either may be outside
// the series: before is -1, or after is steps. It reports whether there was a finite number to go by.
func interpolate(column []float32, width, before, after, steps int) bool {
	if before < 0 && after >= steps {
		return false
	}
	var a, b float64 // the numbers on both sides
	if before >= 0 {
		a = float64(column[before*width])
	}
	if after < steps {
		b = float64(column[after*width])
	} else {
		b = a
	}
	if before < 0 {
		a = b
	}
	if math.IsInf(a, 0) || math.IsInf(b, 0) {
		return false
	}
	for step := before + 1; step < after; step++ {
		share := float64(step-before) / float64(after-before)
		column[step*width] = float32(a + float64((b-a)*share))
	}
	return true
}

// columnsOr returns the columns that are named, or all of width where none are. field is what names them.
func columnsOr(where, field string, named []int, width int) (columns []int) {
	for _, f := range named {
		if f < 0 || f >= width {
			panic(&tensor.UsageError{Where: where, What: fmt.Sprintf("%s has column %d, want 0 to %d", field, f, width-1)})
		}
		columns = append(columns, f)
	}
	for f := range width {
		if len(named) == 0 {
			columns = append(columns, f)
		}
	}
	return columns
}
