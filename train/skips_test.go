package train_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/train"
)

func TestSkips(t *testing.T) {
	bad, torn := fmt.Errorf("there: %w", autograd.ErrNotFinite), errors.New("disk torn")
	s := train.Skips{Most: 2}
	assert.False(t, s.Skip(nil))
	assert.True(t, s.Skip(bad))
	assert.True(t, s.Skip(bad))
	assert.False(t, s.Skip(bad), "the third in succession")
	assert.False(t, s.Skip(torn))
	assert.Equal(t, train.Skips{Most: 2, Skipped: 2, Row: 2, Last: bad}, s)
	assert.False(t, s.Skip(nil))
	assert.True(t, s.Skip(bad))
	assert.Equal(t, train.Skips{Most: 2, Skipped: 3, Row: 1, Last: bad}, s)
	var unlimited train.Skips
	for range 1000 {
		assert.True(t, unlimited.Skip(bad))
	}
}

// A row of the data is broken. Its batch is skipped, and the training goes on.
func ExampleSkips() {
	source := sequences(12)
	source.x.Data()[7*3] = float32(math.Inf(1)) // example 7
	m := newModel(false, 3, 9, 4)
	step, adam := train.NewStep(m.params, m.loss), optim.NewAdam(m.params, 0.01)
	skips := train.Skips{Most: 3}
	for rows := range dataset.Batches(source, 4) {
		_, err := step.Run(rows)
		if skips.Skip(err) {
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		adam.Step(step.Grads())
	}
	fmt.Println("skipped:", skips.Skipped)
	fmt.Println(skips.Last)
	// Output:
	// skipped: 1
	// train: autograd: gradient is not finite; the first in the backward pass, through recurrent layer rnn, is NaN, element 0 of the gradient of weight rnn.weight_ih_l0, at steps 0 to 4; the first in its forward pass is +Inf, feature 0 of the input, in layer 0 of rnn: step 0 of row 3 of the batch, example 7 of the source
}
