package main

import (
	"errors"
	"log"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/examples/charlm/lm"
	"github.com/unroll-go/unroll/rnn"
)

// batcher runs the model. Sessions that wait for a step at the same time take it together, which is much faster than a step for
// each; a session gets the same bits as it would alone.
type batcher struct {
	model *lm.Model
	pool  *autograd.Pool // keeps steps apart from changes of the weights
	state *rnn.State     // a row for each session
	queue chan *session  // the sessions that wait for a step
	most  int            // sessions in a batch

	version int // of the weights: 1, and one more after each swap. Read in a Run of the pool, written in an Update

	characters, batches atomic.Int64 // read by the model, and in so many batches
	workers             sync.WaitGroup
}

// newBatcher starts the workers. There is room for so many sessions.
func newBatcher(m *lm.Model, sessions, workers, most int) *batcher {
	b := &batcher{model: m, pool: autograd.NewPool(m.Params), state: m.NewState(sessions), queue: make(chan *session, sessions),
		most: most, version: 1}
	for range workers {
		b.workers.Go(b.newWorker().work)
	}
	return b
}

// stop ends the workers. No session may wait for a step or ask for one afterwards.
func (b *batcher) stop() {
	close(b.queue)
	b.workers.Wait()
}

// step lets a session read a character. Afterwards, the session's logits are those of the character that follows. A session takes
// one step at a time.
func (b *batcher) step(s *session, character byte) error {
	s.character = character
	b.queue <- s // never waits: there is room for all sessions
	return <-s.done
}

// swap gives the model the weights of another one, between two steps. The sessions continue from their states. It returns the new
// version of the weights or, if the two models differ in more than their weights, an error; the weights are as before then.
func (b *batcher) swap(from *lm.Model) (version int, err error) {
	err = b.pool.Update(func() error {
		if err := b.model.Params.CopyFrom(from.Params); err != nil {
			return err
		}
		b.version++
		version = b.version
		return nil
	})
	return version, err
}

var errModel = errors.New("the model failed: the log of the server says how")

// worker is a goroutine that takes batches of sessions through a step. It keeps its memory, so that a step allocates nothing.
type worker struct {
	*batcher
	batch []*session
	ids   []int32 // the character that each session of the batch reads
	rows  []int   // its row of the state
	err   error

	forward func(*autograd.Tape) error // runForward
	try     func()                     // runs forward in the pool
}

func (b *batcher) newWorker() *worker {
	w := &worker{batcher: b}
	w.forward = w.runForward
	w.try = func() { w.err = b.pool.Run(w.forward) }
	return w
}

// work answers sessions until the batcher is stopped.
func (w *worker) work() {
	for s := range w.queue {
		runtime.Gosched() // sessions that are about to ask come first, and take part
		w.collect(s)
		err := w.step()
		if err != nil { // a mistake in the program: the server goes on
			log.Print(err)
			err = errModel
		}
		for _, s := range w.batch {
			s.done <- err // never waits
		}
	}
}

// collect makes a batch of a session and of those that wait.
func (w *worker) collect(first *session) {
	w.batch = append(w.batch[:0], first)
	for len(w.batch) < w.most {
		select {
		case s, open := <-w.queue:
			if !open {
				return
			}
			w.batch = append(w.batch, s)
		default:
			return
		}
	}
}

// step takes the batch through a step of the model.
func (w *worker) step() error {
	w.ids, w.rows = w.ids[:0], w.rows[:0]
	for _, s := range w.batch {
		w.ids, w.rows = append(w.ids, int32(s.character)), append(w.rows, s.row)
	}
	w.characters.Add(int64(len(w.batch)))
	w.batches.Add(1)
	if err := autograd.Try(w.try); err != nil {
		return err
	}
	return w.err
}

func (w *worker) runForward(t *autograd.Tape) error {
	logits := w.model.Step(t, w.ids, w.state, w.rows).Data()
	for i, s := range w.batch {
		copy(s.logits, logits[i*lm.Characters:]) // a copy, because the tape uses its memory again
		s.version = w.version
	}
	return nil
}
