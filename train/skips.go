package train

import (
	"errors"

	"github.com/unroll-go/unroll/autograd"
)

// Skips skips batches whose loss or gradient is NaN or infinite, and counts them, where a training would otherwise end:
//
//	skips := train.Skips{Most: 5}
//	for rows := range dataset.Shuffled(source, 100, seed, epoch) {
//		_, err := step.Run(rows)
//		if !skips.Skip(err) {
//			if err != nil {
//				return err
//			}
//			adam.Step(step.Grads())
//		}
//		// What follows a batch or an epoch, such as a validation, also follows a batch that was skipped.
//	}
//
// The weights, the optimizer and an rnn.State stay as they are if a batch is skipped. The whole state is in the fields, all
// of which but Last a [Checkpoint] keeps; the part is the pointer &skips.
type Skips struct {
	// Most is the largest number of batches in succession that are skipped; 0 means no limit. A model whose weights are no
	// longer finite fails at every batch, so a limit ends such a training.
	Most int

	Skipped int   // number of batches skipped so far
	Row     int   // number of batches skipped in succession up to now
	Last    error `json:"-"` // the error of the last batch that was skipped; it names the example
}

// Skip takes the error of a [Step.Run], nil too. It reports whether the batch is to be skipped: whether the error wraps
// [autograd.ErrNotFinite] and fewer than Most batches before it were skipped in succession.
func (s *Skips) Skip(err error) bool {
	if !errors.Is(err, autograd.ErrNotFinite) {
		if err == nil {
			s.Row = 0
		}
		return false
	}
	if s.Most > 0 && s.Row >= s.Most {
		return false
	}
	s.Row, s.Skipped, s.Last = s.Row+1, s.Skipped+1, err
	return true
}
