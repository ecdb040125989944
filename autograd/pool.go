package autograd

import "sync"

// Pool lends inference tapes to any number of goroutines, such as the handlers of a server, and lets the weights be changed
// meanwhile: a change waits for the runs on the way, and the runs after it see the new weights alone.
//
//	pool := autograd.NewPool(params)
//	err := pool.Run(func(t *autograd.Tape) error { // in any goroutine
//		y := model(t, input)
//		copy(answer, y.Data())
//		return nil
//	})
//	err = pool.Update(func() error { return params.CopyFrom(trained) })
//
// Each tape is one goroutine's at a time, and keeps its memory for the next: once as many tapes exist as runs overlap and
// shapes repeat, a run allocates nothing.
type Pool struct {
	params *Params
	change sync.RWMutex // held by runs for reading, by Update for writing
	mu     sync.Mutex   // of idle
	idle   []*Tape
}

// NewPool returns a pool of tapes over p's set. No weight can be made in the set afterwards.
func NewPool(p *Params) *Pool {
	p.Seal()
	return &Pool{params: p}
}

// Run calls f with an inference tape that begins a new run. Nodes are good until f returns: f copies what it needs. Run returns
// the error of f or else of the run ([Tape.Err]). A panic in f goes through, and the tape is lent again. f must not call Run or
// Update of the same pool.
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

// Update calls change while no run is on its way and returns its error: for [Params.CopyFrom], for safetensors.Load, or
// for a step of an optimizer. All runs wait meanwhile, and so they do while a file is read: a server under load reads the
// file into a [Params.Clone] that it made at its start, and then calls CopyFrom in Update.
func (p *Pool) Update(change func() error) error {
	p.change.Lock()
	defer p.change.Unlock()
	return change()
}

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

func (p *Pool) give(t *Tape) {
	p.mu.Lock()
	p.idle = append(p.idle, t)
	p.mu.Unlock()
}
