package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/unroll-go/unroll/examples/charlm/lm"
	"github.com/unroll-go/unroll/rnn"
)

// session is one text, which is written in one request or in several. The request that uses it and, during a step, the batcher
// own the fields below row.
type session struct {
	row       int // of the state
	character byte
	logits    []float32 // [lm.Characters], of the next character
	version   int       // of the weights that computed the logits; 0: nothing is read yet
	done      chan error

	// The sessions' mutex guards the fields below.
	id     string
	kept   bool                    // for further requests
	cancel context.CancelCauseFunc // ends the request that uses the session; nil: none does
	used   time.Time               // when the last request ended
}

// sessions is the table of all sessions. Their number is fixed, and so is the memory that they take.
type sessions struct {
	state *rnn.State
	most  int
	idle  time.Duration // after which a session that no request uses is closed
	now   func() time.Time

	mu   sync.Mutex // guards the fields below
	open map[string]*session
	free []*session
}

var (
	errNoSession = errors.New("no such session: it was deleted, was not used for too long, or never was")
	errBusy      = errors.New("another request uses the session")
	errDeleted   = errors.New("the session was deleted")
)

// fullError says that there are as many sessions as there may be.
type fullError struct {
	most int
	wait time.Duration // after which it makes sense to try again
}

func (e fullError) Error() string {
	return fmt.Sprintf("all %d sessions of this server are in use: try again after %d s", e.most, e.seconds())
}

// seconds returns the time to wait in whole seconds, at least 1.
func (e fullError) seconds() int { return max(1, int((e.wait+time.Second-1)/time.Second)) }

// newSessions returns a table with a session for each row of the state.
func newSessions(state *rnn.State, idle time.Duration) *sessions {
	t := &sessions{state: state, most: state.H.Dim(1), idle: idle, now: time.Now, open: map[string]*session{}}
	for row := range t.most {
		t.free = append(t.free, &session{row: row, logits: make([]float32, lm.Characters), done: make(chan error, 1)})
	}
	return t
}

// begin returns a new session for a request, which cancel ends. The session is kept for further requests, or is closed by release.
func (t *sessions) begin(keep bool, cancel context.CancelCauseFunc) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	last := len(t.free) - 1
	if last < 0 {
		return nil, t.full()
	}
	s := t.free[last]
	t.free = t.free[:last]
	t.state.ZeroRow(s.row)
	s.version, s.id, s.kept, s.cancel = 0, rand.Text(), keep, cancel
	if keep {
		t.open[s.id] = s
	}
	return s, nil
}

// use returns an open session for a request, which cancel ends.
func (t *sessions) use(id string, cancel context.CancelCauseFunc) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	s := t.open[id]
	if s == nil {
		return nil, errNoSession
	}
	if s.cancel != nil {
		return nil, errBusy
	}
	s.cancel = cancel
	return s, nil
}

// release ends the use of a session by a request.
func (t *sessions) release(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.cancel, s.used = nil, t.now()
	if !s.kept {
		t.free = append(t.free, s)
	}
}

// delete closes a session. A request that uses it ends.
func (t *sessions) delete(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	s := t.open[id]
	if s == nil {
		return errNoSession
	}
	t.close(s)
	return nil
}

// count returns the number of sessions that are open or in use.
func (t *sessions) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	return t.most - len(t.free)
}

// close takes a session out of the table, with the mutex held. Its place becomes free now or, if a request uses it, by release.
func (t *sessions) close(s *session) {
	delete(t.open, s.id)
	s.kept = false
	if s.cancel != nil {
		s.cancel(errDeleted)
	} else {
		t.free = append(t.free, s)
	}
}

// expire closes the sessions that were not used for too long, with the mutex held.
func (t *sessions) expire() {
	for _, s := range t.open {
		if s.cancel == nil && t.now().Sub(s.used) > t.idle {
			t.close(s)
		}
	}
}

// full returns the error that there is no free session, with the mutex held.
func (t *sessions) full() error {
	e := fullError{most: t.most, wait: t.idle}
	if len(t.open) < t.most { // requests that leave no session behind end soon
		e.wait = time.Second
	}
	for _, s := range t.open {
		if s.cancel == nil {
			e.wait = min(e.wait, s.used.Add(t.idle).Sub(t.now()))
		}
	}
	return e
}
