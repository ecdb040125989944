package train_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/train"
)

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestHistory(t *testing.T) {
	h := train.NewHistory("epoch", "loss")
	row := []float64{0, float64(float32(0.1))}
	h.Add(row...)
	row[1] = 7 // the history keeps a copy
	h.Add(1, 1.0/3)
	assert.Equal(t, 2, h.Len())
	assert.Equal(t, []float64{float64(float32(0.1)), 1.0 / 3}, h.Column("loss"))
	var text strings.Builder
	require.NoError(t, h.WriteCSV(&text))
	assert.Equal(t, "epoch,loss\n0,0.100000001\n1,0.333333333\n", text.String())
	assert.EqualError(t, h.WriteCSV(full{}), "disk full")
	assert.EqualError(t, autograd.Try(func() { h.Add(1) }), "train.History.Add: 1 values, want 2, one each for [epoch loss]")
	assert.EqualError(t, autograd.Try(func() { h.Column("time") }), `train.History.Column: no column "time" among [epoch loss]`)
}

func ExampleHistory() {
	h := train.NewHistory("epoch", "acc_valid")
	h.Add(0, 0.9322)
	h.Add(1, 0.9530)
	if err := h.WriteCSV(os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// epoch,acc_valid
	// 0,0.9322
	// 1,0.953
}
