package main

import (
	"fmt"

	"github.com/unroll-go/unroll/bench/internal/peak"
)

// peaks has all loops run on one core and on two.
func peaks(*bench) ([]*Contest, error) {
	c := &Contest{Name: "peak", Work: 1e9}
	for _, l := range peak.Loops() {
		for _, cores := range []int{1, 2} {
			c.addLoop(fmt.Sprintf("%s, cores: %d", l.Name, cores), l, cores)
		}
	}
	return []*Contest{c}, nil
}

func peakTable(contests []*Contest) table {
	t := table{{"", "GFLOP/s"}}
	for _, c := range contests {
		for _, e := range c.Entries {
			t = append(t, []string{e.Name, figure(c.rate(e))})
		}
	}
	return t
}
