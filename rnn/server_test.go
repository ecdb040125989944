package rnn_test

import (
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
)

// TestTheServerOfTheExample has many clients open, use and close sessions while weights are replaced. Every answer is the sum
// of what its own session has read, times the factor of one of the two sets of weights.
func TestTheServerOfTheExample(t *testing.T) {
	s := newServer(autograd.NewParams(1))
	adder(s.params, 1)
	other := s.params.Clone()
	adder(other, -1)
	sets := []*autograd.Params{other, s.params.Clone()}
	go s.serve()
	stop, loaded := make(chan struct{}), make(chan int)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				loaded <- i
				return
			default:
				if err := s.load(sets[i%2]); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	var clients sync.WaitGroup
	for i := range 100 {
		clients.Go(func() {
			for range 3 {
				c, sum := s.open(), 0.0
				for n := range 20 {
					x := float32(i + n)
					y, err := c.next(x)
					if sum += float64(x); err != nil || math.Abs(float64(y[0])) != sum {
						t.Errorf("client %d, step %d: %v, %v, want %v or its negative", i, n, y, err, sum)
					}
					if _, err := c.next(); err == nil {
						t.Error("no inputs are an error")
					}
				}
				c.close()
				c.close() // frees the row once
				_, err := c.next(1)
				assert.EqualError(t, err, "the session is closed")
			}
		})
	}
	clients.Wait()
	close(stop)
	assert.Positive(t, <-loaded)
	rows := s.state.H.Dim(1)
	assert.LessOrEqual(t, rows, 128, "no more rows than sessions at a time, but for the doubling")
	assert.Len(t, s.free, rows)

	// In one step, an input that is NaN harms its own session alone.
	one, two := s.open(), s.open()
	one.x, two.x = []float32{float32(math.NaN())}, []float32{3}
	require.NoError(t, s.step([]*session{one, two}))
	assert.Equal(t, 3.0, math.Abs(float64(two.y[0])))
	s.stop()

	// A mistake in the model is an error of the step's requests, and the server goes on.
	assert.ErrorContains(t, s.step([]*session{one, one}), "rnn.State.SetRows: row")
	require.NoError(t, s.step([]*session{two}))
	assert.Equal(t, 6.0, math.Abs(float64(two.y[0])))
}
