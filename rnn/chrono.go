package rnn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// chrono is the initialisation of a gated layer whose units remember for different times at first. A gate of sigmoid(b) that keeps the state does
// so for about e^b steps. Unit j of H begins with e^b = steps^(j/(H-1)), from 1 to steps. The gate that lets the input in begins with -b.
//
// Tallec & Ollivier (2018, "Can recurrent neural networks warp time?", section 2.2) draw e^b uniformly from [1, steps-1]. Then hardly a unit has a
// short memory, and it takes longer to learn the order of what is remembered.
type chrono struct {
	steps, hidden int
	keep, write   int // numbers of the two gates in the bias; -1: there is none
}

// check panics with a [*autograd.UsageError] if the number of steps cannot be.
func (c chrono) check(where string, noBias bool) {
	switch {
	case c.steps < 0 || c.steps == 1:
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("Chrono is %d, want at least 2 steps, or 0 for none", c.steps)})
	case c.steps > 0 && noBias:
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("Chrono is %d, but NoBias leaves no bias", c.steps)})
	}
}

// bias returns the rule for a bias: factor is 1 for bias_ih and 0 for bias_hh. It returns nil without chrono initialisation.
func (c chrono) bias(factor float64) func(autograd.Init) autograd.Init {
	if c.steps == 0 {
		return nil
	}
	return func(rule autograd.Init) autograd.Init {
		return func(r *rand.Rand, v *tensor.Tensor) {
			rule(r, v)
			for j := range c.hidden {
				b := factor * math.Log(float64(c.steps)) * float64(j) / float64(max(1, c.hidden-1))
				if c.keep >= 0 {
					v.Data()[c.keep*c.hidden+j] = float32(b)
				}
				if c.write >= 0 {
					v.Data()[c.write*c.hidden+j] = float32(-b)
				}
			}
		}
	}
}
