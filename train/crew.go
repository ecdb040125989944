package train

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
)

// rowsPerShard and maxShards are the rule by which a batch is cut: by its rows alone, never
// by the number of workers, because the cut decides the order in which gradients are added.
const (
	rowsPerShard = 38
	maxShards    = 8
)

func shardsOf(rows int) int {
	return max(1, min(maxShards, (rows+rowsPerShard-1)/rowsPerShard))
}

// crew runs the shards of one batch, each on a tape of its own, on some goroutines that live
// until the batch is done.
type crew struct {
	newTape func(shard int) *autograd.Tape
	shards  []*shard
	rows    dataset.Rows
	count   int // shards of this batch
	run     func(*shard) error

	next atomic.Int64 // shard to be taken
	wait sync.WaitGroup
	work func() // c.worker, made once: starting it then allocates nothing
}

type shard struct {
	tape  *autograd.Tape
	batch dataset.Batch
	rows  int
	out   *autograd.Node
	err   error
	fault error // a panic
}

// do cuts rows into shards and runs c.run on each, by at most workers goroutines, this one among
// them. A panic in one is raised here, once all have ended. It returns the first shard's error.
func (c *crew) do(rows dataset.Rows, shards, workers int) error {
	n := len(rows.Index)
	if shards <= 0 {
		shards = shardsOf(n)
	}
	c.rows, c.count = rows, max(1, min(shards, n))
	for len(c.shards) < c.count {
		c.shards = append(c.shards, &shard{tape: c.newTape(len(c.shards))})
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if c.work == nil {
		c.work = c.worker
	}
	c.next.Store(0)
	others := min(workers, c.count) - 1
	c.wait.Add(others + 1)
	for range others {
		go c.work()
	}
	c.worker()
	c.wait.Wait()
	for _, s := range c.shards[:c.count] {
		if s.fault != nil {
			panic(s.fault)
		}
	}
	for _, s := range c.shards[:c.count] {
		if s.err != nil {
			return s.err
		}
	}
	return nil
}

// worker takes shards until none is left. Which worker takes which changes nothing: all
// that a shard reads and writes is its own.
func (c *crew) worker() {
	defer c.wait.Done()
	for {
		i := int(c.next.Add(1)) - 1
		if i >= c.count {
			return
		}
		c.shards[i].fault = autograd.Try(func() { c.shard(i) })
	}
}

func (c *crew) shard(i int) {
	s := c.shards[i]
	s.out, s.err = nil, nil
	lo, hi := dataset.Cut(len(c.rows.Index), c.count, i)
	s.rows = hi - lo
	s.tape.Reset()
	if s.err = c.rows.Source.Gather(c.rows.Index[lo:hi], &s.batch); s.err != nil {
		return
	}
	s.batch.First = lo
	s.err = c.run(s)
}
