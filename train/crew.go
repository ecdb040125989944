package train

import (
	"errors"
	"fmt"
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

// crew works on the shards of one batch with some goroutines that live until the work is done. Worker w of n takes shards w,
// w+n and so on, one after the other on the same seat, whose memory is warm then.
type crew struct {
	newTape func() *autograd.Tape

	seats   []*seat
	shards  []*shard
	rows    dataset.Rows
	count   int  // shards of this batch
	keep    bool // a seat for each shard, so that the results on the tapes stay
	workers int
	task    func(*seat, *shard) error

	next atomic.Int64 // worker to begin
	wait sync.WaitGroup
	work func() // c.worker, made once: starting it then allocates nothing
}

// seat is a place to work on a shard.
type seat struct {
	tape  *autograd.Tape
	batch dataset.Batch
	loss  *autograd.Node
}

// check panics if a model returned a node that is not on the seat's tape.
func (at *seat) check(out *autograd.Node) {
	if out == nil || out.Tape() != at.tape {
		panic(&autograd.UsageError{Where: "train", What: "what the model returned is not a node of the tape that it was handed"})
	}
}

type shard struct {
	index   int
	lo, hi  int // rows of the batch
	grads   *autograd.Grads
	terms   []autograd.Term // of the loss; a weight is the number of rows where none was set
	unit    float32         // the gradient of the shard is that of its loss times unit,
	factors []float32       // and, unless empty, each mean times its factor
	err     error
	fault   error // a panic

	nonlinear bool // the loss is not linear in a mean: the shard is the whole batch
}

// weigh fills in the weights that were not set, and chooses unit: the weight of the first mean that counts anything.
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

// share sets the factors of the shard's gradient to the shard's part of the totals, one for each mean.
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

// begin cuts rows into shards, for at most so many workers. keep asks for a seat for each shard.
func (c *crew) begin(rows dataset.Rows, shards, workers int, keep bool) {
	n := len(rows.Index)
	if shards <= 0 {
		shards = shardsOf(n)
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	c.rows, c.count, c.keep = rows, max(1, min(shards, n)), keep
	c.workers = min(workers, c.count)
	for len(c.shards) < c.count {
		c.shards = append(c.shards, &shard{index: len(c.shards)})
	}
	for _, s := range c.shards[:c.count] {
		s.lo, s.hi = dataset.Cut(n, c.count, s.index)
		s.factors = s.factors[:0]
	}
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

// each runs task on each shard; this goroutine is one of the workers. A panic in a worker is raised here, once all have
// ended. It returns the first shard's error.
func (c *crew) each(task func(*seat, *shard) error) error {
	c.task = task
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

// worker takes its shards. Which worker takes which changes nothing: each shard has results of its own.
func (c *crew) worker() {
	defer c.wait.Done()
	w := int(c.next.Add(1)) - 1
	for i := w; i < c.count; i += c.workers {
		at, s := c.seats[w], c.shards[i]
		if c.keep {
			at = c.seats[i]
		}
		s.err = nil
		s.fault = autograd.Try(func() { s.err = locate(c.task(at, s), &at.batch) })
	}
}

// gather fills the seat's batch with the rows of a shard.
func (c *crew) gather(at *seat, s *shard) error {
	rows := c.rows.Index[s.lo:s.hi]
	at.batch.Index = append(at.batch.Index[:0], rows...) // unless the source sets it
	at.batch.First = s.lo
	return c.rows.Source.Gather(rows, &at.batch)
}

// locate adds to an error about one row of a shard the row of the batch and the example of the source.
func locate(err error, b *dataset.Batch) error {
	if err == nil {
		return nil
	}
	var data *autograd.DataError
	rows := len(b.Index)
	if !errors.As(err, &data) || data.Rows == 0 || rows == 0 || data.Rows%rows != 0 {
		return err
	}
	row := data.Row % rows
	place := fmt.Sprintf("row %d of the batch, example %d of the source", b.First+row, b.Index[row])
	if data.Rows > rows {
		place = fmt.Sprintf("step %d of %s", data.Row/rows, place)
	}
	if err == error(data) {
		return &autograd.DataError{Text: data.Text + ": " + place}
	}
	return fmt.Errorf("%w: %s", err, place)
}
