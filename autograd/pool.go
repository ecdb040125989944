package autograd

import "sync"

// Pool lends inference tapes to any number of goroutines, such as the handlers of a server, and allows the weights to
// be changed between runs: [Pool.Update] waits until the current runs have ended, and every run after it uses the new
// weights only.
//
//	pool := autograd.NewPool(params)
//	err := pool.Run(func(t *autograd.Tape) error { // in any goroutine
//		y := model(t, input)
//		copy(answer, y.Data())
//		return nil
//	})
//	err = pool.Update(func() error { return params.CopyFrom(trained) })
//
// A tape is lent to one goroutine at a time and keeps its memory for the next one. The pool makes as many tapes as
// there are runs at the same time; after that, a run allocates nothing once the shapes repeat.
type Pool struct {
	params *Params
	change sync.RWMutex // read-locked by Run, locked by Update
	mu     sync.Mutex   // guards idle
	idle   []*Tape
}

// NewPool returns a pool of inference tapes over p's set. No weight can be made in the set afterwards.
func NewPool(p *Params) *Pool {
	p.Seal()
	return &Pool{params: p}
}

// Run calls f with an inference tape on which a new run begins. The nodes of the tape are valid until f returns, so f
// copies the numbers that it needs. Run returns the error of f or, if f returns nil, the error of the run ([Tape.Err]).
// A panic of f passes through Run, and the tape goes back to the pool. f must not call Run or Update of the same pool.
func (p *Pool) Run(f func(t *Tape) error) error {
	p.change.RLock()
	defer p.change.RUnlock()
	t := p.take()
	defer p.give(t)
	t.Reset()
	if err := f(t); err != nil {
		return err
	}
	return t.Err()
}

// Update calls change while no run is in progress and returns its error. change is, for example, [Params.CopyFrom],
// safetensors.Load or the step of an optimizer. All runs wait until change has returned, also while it reads a file. A
// server under load therefore reads the file into a [Params.Clone] that it made at its start, and then calls CopyFrom in
// Update.
func (p *Pool) Update(change func() error) error {
	p.change.Lock()
	defer p.change.Unlock()
	return change()
}

// take returns an idle tape, or a new one if all are lent.
func (p *Pool) take() *Tape {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return NewInference(p.params)
	}
	t := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return t
}

// give puts a tape back among the idle ones.
func (p *Pool) give(t *Tape) {
	p.mu.Lock()
	p.idle = append(p.idle, t)
	p.mu.Unlock()
}
