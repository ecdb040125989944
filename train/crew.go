package train

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
)

// shardsOf returns the number of shards for a batch of so many rows. The rule depends on the number of rows and not on
// the number of workers, because the shards determine the order in which gradients are added. A shard of fewer rows than
// small leaves the matrix products too little to do; from large on, more rows hardly make a product faster. A batch has
// up to few small shards, so that few cores have work, and otherwise large ones, up to most.
func shardsOf(rows int) int {
	const small, large, few, most = 8, 38, 4, 64
	parts := func(size int) int { return (rows + size - 1) / size }
	return max(1, min(few, parts(small)), min(most, parts(large)))
}

// crew computes the shards of one batch, or of several that count as one, on several goroutines, the workers, which end
// when the work is done. Each worker takes the next shard that no worker has taken. It normally uses the same seat for all
// of its shards, so the memory of the seat's tape stays in the cache.
type crew struct {
	newTape func() *autograd.Tape

	seats   []*seat
	shards  []*shard
	batches int  // number of batches
	count   int  // number of shards of all batches
	keep    bool // every shard has its own seat, so the nodes on all tapes stay valid
	workers int
	task    func(*seat, *shard) error

	busy  atomic.Bool  // between enter and leave
	begun atomic.Int64 // number of workers that have begun
	taken atomic.Int64 // number of shards that were taken, and of workers that found none left
	wait  sync.WaitGroup
	work  func() // the method value c.worker, kept because making it allocates
}

// seat holds the memory for the work on one shard at a time.
type seat struct {
	tape  *autograd.Tape
	batch dataset.Batch
	loss  *autograd.Node
	shard *shard // the last one that was worked on
}

// check panics if out, which the model returned, is not a node on the seat's tape.
func (at *seat) check(out *autograd.Node) {
	if out == nil || out.Tape() != at.tape {
		panic(&autograd.UsageError{Where: "train", What: "what the model returned is not a node of the tape that it was handed"})
	}
}

// shard is one part of the rows of a batch, with the results of the work on it.
type shard struct {
	index    int
	batch    int             // number of the batch
	rows     dataset.Rows    // the batch
	lo, hi   int             // the rows lo to hi-1 of the batch
	grads    *autograd.Grads // its memory belongs to the shard between acquire and add of sum
	terms    []autograd.Term // the means in the loss; weigh replaces weights that were not set
	unit     float32         // grads is the gradient of unit*loss
	factors  []float32       // if not empty, one further factor for each mean of the loss
	started  bool            // the batch's work with grads has begun
	complete bool            // the work on the gradient has ended
	err      error
	fault    error // a panic of the work

	nonlinear bool // the loss is computed from a mean by a nonlinear operation; the shard is then the whole batch
}

// weigh sets the weights that were not set to the number of rows of the shard, and sets unit to the first weight that
// is not 0, or to 0 if nothing counts.
func (s *shard) weigh() {
	s.unit = 0
	for i := range s.terms {
		w := &s.terms[i].Weight
		if *w != *w {
			*w = float32(s.hi - s.lo)
		}
		if s.unit == 0 {
			s.unit = *w
		}
	}
}

// share sets unit to 1 and the factor of each mean to its weight divided by the total weight of this mean in all
// shards.
func (s *shard) share(totals []float64) {
	s.unit, s.factors = 1, s.factors[:0]
	for k, term := range s.terms {
		part := 0.0
		if totals[k] != 0 {
			part = float64(term.Weight) / totals[k]
		}
		s.factors = append(s.factors, float32(part))
	}
}

// errExit is the error of a shard on which a worker began, or would have begun, but whose goroutine ended before.
var errExit = errors.New("the model or the source ended its goroutine (runtime.Goexit), as FailNow of a test does")

// enter panics if another goroutine uses the crew. Otherwise the crew belongs to the caller until leave.
func (c *crew) enter(where string) {
	if !c.busy.CompareAndSwap(false, true) {
		panic(&autograd.UsageError{Where: where, What: "called while another call is running; each goroutine needs one of its own"})
	}
}

func (c *crew) leave() { c.busy.Store(false) }

// begin cuts each of the batches into shards and prepares the seats. If shards or workers is 0 or less, begin chooses the
// number by rule. keep gives every shard its own seat.
func (c *crew) begin(batches []dataset.Rows, shards, workers int, keep bool) {
	c.batches, c.count, c.keep = len(batches), 0, keep
	for i, rows := range batches {
		n := len(rows.Index)
		count := shards
		if count <= 0 {
			count = shardsOf(n)
		}
		count = min(count, n)
		for k := range count {
			if c.count == len(c.shards) {
				c.shards = append(c.shards, &shard{index: c.count})
			}
			s := c.shards[c.count]
			s.batch, s.rows, s.factors, s.started = i, rows, s.factors[:0], false
			s.lo, s.hi = dataset.Cut(n, count, k)
			c.count++
		}
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	c.workers = min(workers, c.count)
	seats := c.workers
	if keep {
		seats = c.count
	}
	for len(c.seats) < seats {
		c.seats = append(c.seats, &seat{tape: c.newTape()})
	}
	if c.work == nil {
		c.work = c.worker
	}
}

// each calls task for every shard and waits until all workers have ended; the calling goroutine is one of them. If a
// task panicked, each then panics with the same value. Otherwise each returns the error of the first shard that has
// one; the error of a shard whose worker's goroutine has ended is errExit.
func (c *crew) each(task func(*seat, *shard) error) error {
	c.task = task
	for _, s := range c.shards[:c.count] {
		s.err, s.fault = errExit, nil
	}
	c.begun.Store(0)
	c.taken.Store(0)
	c.wait.Add(c.workers)
	for range c.workers - 1 {
		go c.work()
	}
	defer c.wait.Wait() // for the case that the model ends the calling goroutine
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

// worker works on shards until none is left. The results do not depend on which worker takes which shard, because every
// shard keeps its own results.
func (c *crew) worker() {
	defer c.wait.Done()
	at := c.seats[c.begun.Add(1)-1]
	for i := int(c.taken.Add(1)) - 1; i < c.count; i = int(c.taken.Add(1)) - 1 {
		s := c.shards[i]
		if c.keep {
			at = c.seats[i]
		}
		at.shard = s
		s.fault = autograd.Try(func() { s.err = c.locate(c.task(at, s), at) })
	}
}

// gather fills the seat's batch with the rows of a shard.
func (c *crew) gather(at *seat, s *shard) error {
	rows := s.rows.Index[s.lo:s.hi]
	at.batch.Index = append(at.batch.Index[:0], rows...) // for a source that does not set Index
	at.batch.First = s.lo
	return s.rows.Source.Gather(rows, &at.batch)
}

// locate adds to an error about one row of a shard ([autograd.DataError]) the row of the batch and the example of the
// source. It returns other errors unchanged, and also errors whose number of rows does not fit the batch: rows of a
// sequence [T,B,...] are counted t*B + b.
func (c *crew) locate(err error, at *seat) error {
	if err == nil {
		return nil
	}
	var data *autograd.DataError
	b, rows := &at.batch, len(at.batch.Index)
	if !errors.As(err, &data) || data.Rows == 0 || rows == 0 || data.Rows%rows != 0 {
		return err
	}
	row := data.Row % rows
	batch := "the batch"
	if c.batches > 1 {
		batch = fmt.Sprintf("batch %d", at.shard.batch)
	}
	place := fmt.Sprintf("row %d of %s, example %d of the source", b.First+row, batch, b.Index[row])
	if data.Rows > rows {
		place = fmt.Sprintf("step %d of %s", data.Row/rows, place)
	}
	return located{err, strings.Replace(err.Error(), data.Error(), data.Text, 1) + ": " + place}
}

// located is an error about one row whose text names the place in the batch and in the source, not that in the shard.
type located struct {
	error
	text string
}

func (e located) Error() string { return e.text }
func (e located) Unwrap() error { return e.error }
