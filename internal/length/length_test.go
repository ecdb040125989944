package length

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/tensor"
)

func TestCheck(t *testing.T) {
	assert.NotPanics(t, func() { Check("test", nil, 2, 3) })
	assert.NotPanics(t, func() { Check("test", []int{0, 3}, 2, 3) })
	for want, bad := range map[string][]int{
		"test: 1 lengths, want 2, one a row":                             {3},
		"test: 0 lengths, want 2, one a row":                             {},
		"test: row 1 has length 4, want 0 to 3, the steps of the input":  {0, 4},
		"test: row 0 has length -1, want 0 to 3, the steps of the input": {-1, 3},
	} {
		func() {
			defer func() {
				err, ok := recover().(*tensor.ShapeError)
				assert.True(t, ok, want)
				assert.EqualError(t, err, want)
			}()
			Check("test", bad, 2, 3)
		}()
	}
}
