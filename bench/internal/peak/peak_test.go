package peak

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRun(t *testing.T) {
	for _, l := range Loops() {
		for _, cores := range []int{1, 2} {
			l.Run(cores)
			start := time.Now()
			l.Run(cores)
			rate := l.FLOP() * float64(cores) / time.Since(start).Seconds()
			t.Logf("%s, cores: %d: %.1f GFLOP/s", l.Name, cores, rate/1e9)
			assert.Greater(t, rate, 1e8, l.Name)
		}
	}
}
