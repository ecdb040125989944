package rnn_test

import (
	"fmt"
	"sync"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// server answers requests of many sessions. A session is one sequence, whose state is a row of one State. Requests that wait
// at the same time are answered together, by one step. Weights may be replaced between two steps.
type server struct {
	params *autograd.Params
	layer  rnn.Layer
	head   *layers.Dense
	pool   *autograd.Pool // keeps steps apart from changes of the weights

	requests chan *session
	stopped  chan struct{}

	mu    sync.Mutex // guards the fields below
	state *rnn.State
	free  []int // rows of state that belong to no session
	x     tensor.Tensor
	rows  []int
}

// session is one sequence of a server.
type session struct {
	server *server
	row    int // of the server's state

	mu     sync.Mutex // held during a request, so that a step has at most one request of a session
	closed bool
	x, y   []float32
	done   chan error
}

const (
	inputs   = 1
	maxBatch = 64 // rows of a step; further requests wait for the next step
)

func newServer(params *autograd.Params) *server {
	s := &server{params: params, requests: make(chan *session, maxBatch), stopped: make(chan struct{}), free: []int{0}}
	s.layer = rnn.NewElman(params.In("rnn"), rnn.ElmanConfig{Input: inputs, Hidden: 1, ReLU: true})
	s.head = layers.NewDense(params.In("head"), s.layer.Out(), 1)
	s.pool = autograd.NewPool(params)
	s.state = s.layer.NewState(1)
	return s
}

// open begins a session.
func (s *server) open() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 { // twice as many rows
		rows := s.state.H.Dim(1)
		s.state.Resize(2 * rows)
		for row := rows; row < 2*rows; row++ {
			s.free = append(s.free, row)
		}
	}
	row := s.free[0]
	s.free = s.free[1:]
	s.state.ZeroRow(row)
	return &session{server: s, row: row, done: make(chan error)}
}

// close ends a session. Its row is free for another session.
func (c *session) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.server.mu.Lock()
		c.server.free = append(c.server.free, c.row)
		c.server.mu.Unlock()
	}
}

// next advances the session by one step and returns the model's answer.
func (c *session) next(x ...float32) ([]float32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("the session is closed")
	}
	if len(x) != inputs { // found here, where no other session suffers from it
		return nil, fmt.Errorf("%d inputs, want %d", len(x), inputs)
	}
	c.x = x
	c.server.requests <- c
	if err := <-c.done; err != nil {
		return nil, err
	}
	return c.y, nil
}

// serve answers requests until stop is called.
func (s *server) serve() {
	defer close(s.stopped)
	var batch []*session
	for c := range s.requests {
		batch = append(batch[:0], c)
		for len(batch) < maxBatch && len(s.requests) > 0 { // whatever else is waiting
			batch = append(batch, <-s.requests)
		}
		err := s.step(batch)
		for _, c := range batch {
			c.done <- err
		}
	}
}

// step advances some sessions together.
func (s *server) step(batch []*session) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.x.Resize(len(batch), inputs)
	s.rows = s.rows[:0]
	for i, c := range batch {
		copy(s.x.Data()[i*inputs:], c.x)
		s.rows = append(s.rows, c.row)
	}
	run := func(t *autograd.Tape) error {
		h, next := s.layer.Step(t.Input(&s.x), s.state.CarryRows(t, s.rows))
		y := s.head.Forward(h)
		s.state.SetRows(next, s.rows)
		n := y.Shape()[1]
		for i, c := range batch {
			c.y = append([]float32(nil), y.Data()[i*n:][:n]...) // a copy: the tape uses its memory again
		}
		return nil
	}
	if caught := autograd.Try(func() { err = s.pool.Run(run) }); caught != nil {
		return caught // a mistake in the model: the server goes on
	}
	return err
}

// load replaces the weights while the server runs. Sessions continue from their states.
func (s *server) load(from *autograd.Params) error {
	return s.pool.Update(func() error { return s.params.CopyFrom(from) })
}

// stop ends serve. It is called when no session has a request.
func (s *server) stop() {
	close(s.requests)
	<-s.stopped
}

// adder sets a server's weights so that its answers are easy to follow: h' = max(0, x + h) and y = factor*h'.
func adder(params *autograd.Params, factor float32) {
	params.Update(func() {
		for p := range params.All() {
			p.Value.Zero()
		}
		params.Get("rnn.weight_ih_l0").Value.Data()[0] = 1
		params.Get("rnn.weight_hh_l0").Value.Data()[0] = 1
		params.Get("head.weight").Value.Data()[0] = factor
	})
}

// A server of streams. Each session has a row of one State, requests that wait at the same time become one step, and weights
// are replaced while the server runs.
func Example_server() {
	s := newServer(autograd.NewParams(1))
	adder(s.params, 1)
	go s.serve()
	defer s.stop()

	// Five clients at the same time: client i sends the number i+1 ten times.
	sessions := make([]*session, 5)
	var clients sync.WaitGroup
	for i := range sessions {
		sessions[i] = s.open()
		clients.Go(func() {
			for range 10 {
				if _, err := sessions[i].next(float32(i + 1)); err != nil {
					panic(err)
				}
			}
		})
	}
	clients.Wait()

	trained := s.params.Clone() // new weights come from a file or from training
	adder(trained, -1)
	if err := s.load(trained); err != nil {
		panic(err)
	}
	for _, c := range sessions {
		y, err := c.next(0)
		if err != nil {
			panic(err)
		}
		fmt.Println(y[0])
		c.close()
	}
	// Output:
	// -10
	// -20
	// -30
	// -40
	// -50
}
