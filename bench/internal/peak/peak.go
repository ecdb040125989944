// Package peak measures how fast a core can multiply and add: loops of fused multiply-adds on registers alone,
// independent of each other, so that nothing but the arithmetic units limits them.
package peak

import "sync"

// A Loop is such a loop for one width of registers.
type Loop struct {
	Name string
	flop int // a turn of the loop
	run  func(turns int, x float32)
}

// turns take some milliseconds, which is long beside the start of a goroutine.
const turns = 1 << 20

// FLOP returns the floating-point operations of Run on each core: two a lane and multiply-add.
func (l Loop) FLOP() float64 { return float64(l.flop) * turns }

// Run runs the loop on so many cores at once.
func (l Loop) Run(cores int) {
	var all sync.WaitGroup
	for range cores - 1 {
		all.Go(func() { l.run(turns, 0.5) })
	}
	l.run(turns, 0.5)
	all.Wait()
}
