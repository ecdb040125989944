package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/unroll-go/unroll/bench/internal/peak"
)

// Contest has contestants do the same work in turns, so that what slows the machine down for a while slows all of them.
type Contest struct {
	Name    string
	Work    float64 // floating-point operations of one run, where a share of the peak is told
	Entries []*Entry
}

// Entry is a contestant and what it took, turn by turn: seconds a run, or bytes in the contest for memory.
type Entry struct {
	Name  string
	Cores int // that it may use
	Took  []float64

	run func() (float64, error)
}

// The peak takes part under this name, followed by the number of cores.
const peakName = "peak, cores: "

func (c *Contest) add(name string, cores int, run func() (float64, error)) {
	c.Entries = append(c.Entries, &Entry{Name: name, Cores: cores, run: run})
}

// addFunc adds what can be run over and over.
func (c *Contest) addFunc(name string, run func()) {
	c.add(name, 1, func() (float64, error) { return timed(run), nil })
}

// addPeak adds the time that the work would take if so many cores did nothing but multiply and add.
func (c *Contest) addPeak(cores int) {
	if loops := peak.Loops(); len(loops) > 0 {
		c.addLoop(fmt.Sprint(peakName, cores), loops[len(loops)-1], cores)
	}
}

func (c *Contest) addLoop(name string, l peak.Loop, cores int) {
	c.add(name, cores, func() (float64, error) {
		return timed(func() { l.Run(cores) }) * c.Work / (l.FLOP() * float64(cores)), nil
	})
}

// enough is how long a function is run for one time, in seconds.
const enough = 0.01

// timed returns the seconds that a run takes, the mean of many after one to warm up.
func timed(run func()) float64 {
	run()
	for n := 1; ; n *= 2 {
		start := time.Now()
		for range n {
			run()
		}
		if s := time.Since(start).Seconds(); s >= enough {
			return s / float64(n)
		}
	}
}

// singleSteps is how many runs are timed one by one.
const singleSteps = 20_000

// timedSingly returns a quantile of the seconds that single runs take, a reading of the clock included.
func timedSingly(run func(), quantile float64) float64 {
	run()
	times, before := make([]float64, singleSteps), time.Now()
	for i := range times {
		run()
		now := time.Now()
		times[i], before = now.Sub(before).Seconds(), now
	}
	slices.Sort(times)
	return times[int(quantile*(singleSteps-1))]
}

// play has everybody take turns: in each round all contests, in each contest all contestants, another one first
// every time. Who fails takes no further part; the notes tell why.
func play(rounds int, contests []*Contest, progress io.Writer) (notes []string) {
	for round := range rounds {
		for _, c := range contests {
			fmt.Fprintf(progress, "round %d of %d: %s\n", round+1, rounds, c.Name)
			var failed []*Entry
			for i := range c.Entries {
				e := c.Entries[(i+round)%len(c.Entries)]
				took, err := e.run()
				if err != nil {
					notes = append(notes, fmt.Sprintf("%s is left out of %s: %v.", e.Name, c.Name, err))
					failed = append(failed, e)
					continue
				}
				e.Took = append(e.Took, took)
			}
			c.Entries = slices.DeleteFunc(c.Entries, func(e *Entry) bool { return slices.Contains(failed, e) })
		}
	}
	return notes
}

// entry returns the contestant of that name, or nil.
func (c *Contest) entry(name string) *Entry {
	for _, e := range c.Entries {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// median returns what e took in the median; NaN for nobody.
func (e *Entry) median() float64 {
	if e == nil {
		return math.NaN()
	}
	return median(e.Took)
}

// ratio returns the median over the rounds of what a took over what b took in the same round.
func ratio(a, b *Entry) float64 {
	if a == nil || b == nil {
		return math.NaN()
	}
	ratios := make([]float64, min(len(a.Took), len(b.Took)))
	for i := range ratios {
		ratios[i] = a.Took[i] / b.Took[i]
	}
	return median(ratios)
}

// share returns which part of the peak of its cores e reached.
func (c *Contest) share(e *Entry) float64 {
	if e == nil {
		return math.NaN()
	}
	return ratio(c.entry(fmt.Sprint(peakName, e.Cores)), e)
}

// rate returns the GFLOP/s that e reached.
func (c *Contest) rate(e *Entry) float64 { return c.Work / e.median() / 1e9 }

// contestants returns the entries but for the peaks.
func (c *Contest) contestants() []*Entry {
	return slices.DeleteFunc(slices.Clone(c.Entries), func(e *Entry) bool {
		return strings.HasPrefix(e.Name, peakName)
	})
}

// median returns the middle of x, the mean of the middle two if their number is even, and NaN if there are none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(x))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
