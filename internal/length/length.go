// Package length checks the lengths of a batch's rows, for the packages whose operations take them.
package length

import (
	"fmt"

	"github.com/unroll-go/unroll/tensor"
)

// Check panics with a [*tensor.ShapeError] of where unless lengths is nil or holds one number from 0 to steps for each of
// rows rows.
func Check(where string, lengths []int, rows, steps int) {
	if lengths == nil {
		return
	}
	if len(lengths) != rows {
		panic(&tensor.ShapeError{Where: where, Got: fmt.Sprintf("%d lengths", len(lengths)), Want: fmt.Sprintf("%d, one a row", rows)})
	}
	for row, n := range lengths {
		if n < 0 || n > steps {
			panic(&tensor.ShapeError{Where: where, Got: fmt.Sprintf("row %d has length %d", row, n), Want: fmt.Sprintf("0 to %d, the steps of the input", steps)})
		}
	}
}
