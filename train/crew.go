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

// crew runs the shards of one batch on some goroutines that live until the batch is done. Worker w of n takes shards w,
// w+n and so on, one after the other on the same seat, whose memory is warm then.
type crew struct {
	newTape func() *autograd.Tape
	keep    bool // a seat for each shard, so that what they leave on their tapes stays
	run     func(*seat, *shard) error

	seats   []*seat
	shards  []*shard
	rows    dataset.Rows
	count   int // shards of this batch
	workers int

	next atomic.Int64 // worker to begin
	wait sync.WaitGroup
	work func() // c.worker, made once: starting it then allocates nothing
}

// seat is where a shard is worked on.
type seat struct {
	tape  *autograd.Tape
	batch dataset.Batch
	out   *autograd.Node
}

type shard struct {
	index, rows  int
	grads        *autograd.Grads
	loss, weight float32
	err          error
	fault        error // a panic
}

// do cuts rows into shards and runs c.run on each, by at most workers goroutines, this one among
// them. A panic in one is raised here, once all have ended. It returns the first shard's error.
func (c *crew) do(rows dataset.Rows, shards, workers int) error {
	n := len(rows.Index)
	if shards <= 0 {
		shards = shardsOf(n)
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	c.rows, c.count = rows, max(1, min(shards, n))
	c.workers = min(workers, c.count)
	for len(c.shards) < c.count {
		c.shards = append(c.shards, &shard{index: len(c.shards)})
	}
	seats := c.workers
	if c.keep {
		seats = c.count
	}
	for len(c.seats) < seats {
		c.seats = append(c.seats, &seat{tape: c.newTape()})
	}
	if c.work == nil {
		c.work = c.worker
	}
	c.next.Store(0)
	c.wait.Add(c.workers)
	for range c.workers - 1 {
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

// worker takes its shards. Which worker takes which changes nothing: all that is left of a shard is its own.
func (c *crew) worker() {
	defer c.wait.Done()
	w := int(c.next.Add(1)) - 1
	for i := w; i < c.count; i += c.workers {
		at := c.seats[w]
		if c.keep {
			at = c.seats[i]
		}
		c.shards[i].fault = autograd.Try(func() { c.shard(at, c.shards[i]) })
	}
}

func (c *crew) shard(at *seat, s *shard) {
	at.out, s.err = nil, nil
	lo, hi := dataset.Cut(len(c.rows.Index), c.count, s.index)
	s.rows = hi - lo
	if s.err = c.rows.Source.Gather(c.rows.Index[lo:hi], &at.batch); s.err != nil {
		return
	}
	at.batch.First = lo
	s.err = c.run(at, s)
}
