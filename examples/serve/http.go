package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/unroll-go/unroll/examples/charlm/lm"
)

// limits are what a client may ask of the server.
type limits struct {
	sessions int           // at once, a request without a session included
	idle     time.Duration // after which a session that no request uses is closed
	tokens   int           // that a request writes
	body     int64         // bytes of a request
	timeout  time.Duration // for a client to send its request, and to take an event
}

// server answers HTTP requests.
type server struct {
	limits   limits
	path     string // the model's file
	batcher  *batcher
	sessions *sessions

	reloading       sync.Mutex
	tokens, refused atomic.Int64 // written; requests for which there was no session
}

// newServer returns a server of the model of a file. It takes batches of so many sessions at most, in so many goroutines.
func newServer(path string, l limits, workers, batch int) (*server, error) {
	m, err := lm.Load(path)
	if err != nil {
		return nil, err
	}
	b := newBatcher(m, l.sessions, workers, batch)
	return &server{limits: l, path: path, batcher: b, sessions: newSessions(b.state, l.idle)}, nil
}

// handler returns the server's routes. Pages of other origins cannot use them from a browser.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, handle func(w http.ResponseWriter, r *http.Request, body []byte) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, err := s.read(w, r)
			if err == nil {
				err = handle(w, r, body)
			}
			if err != nil {
				s.fail(w, err)
			}
		})
	}
	route("POST /generate", s.generate)
	route("POST /sessions", s.newSession)
	route("DELETE /sessions/{id}", s.deleteSession)
	route("POST /reload", s.reload)
	route("GET /healthz", s.health)
	route("GET /metrics", s.metrics)
	return http.NewCrossOriginProtection().Handler(mux)
}

// read returns the body of a request, which must be short and come in time.
func (s *server) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(s.limits.timeout)); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.limits.body))
	if err != nil {
		return nil, err
	}
	return body, control.SetReadDeadline(time.Time{}) // later reads only notice that the client goes
}

// fail answers a request with an error.
func (s *server) fail(w http.ResponseWriter, err error) {
	status, field := http.StatusInternalServerError, ""
	var full fullError
	var bad badRequest
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &full):
		s.refused.Add(1)
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(full.seconds()))
	case errors.As(err, &bad):
		status, field = http.StatusBadRequest, bad.field
	case errors.As(err, &large):
		status, err = http.StatusRequestEntityTooLarge, fmt.Errorf("the request is longer than %d bytes", large.Limit)
	case errors.Is(err, errNoSession), errors.Is(err, errDeleted):
		status, field = http.StatusNotFound, "session"
	case errors.Is(err, errBusy):
		status, field = http.StatusConflict, "session"
	case errors.Is(err, errUnusable):
		status = http.StatusUnprocessableEntity
	case errors.Is(err, errStopped):
		status = http.StatusServiceUnavailable
	}
	s.reply(w, status, errorEvent{err.Error(), field})
}

// reply answers a request with JSON.
func (s *server) reply(w http.ResponseWriter, status int, value any) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.timeout)) // whatever the answer took; an error is the connection's
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

// generate streams a text.
func (s *server) generate(w http.ResponseWriter, r *http.Request, body []byte) error {
	asked, err := parseRequest(body, s.limits.tokens)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	var c *session
	if asked.Session == "" {
		c, err = s.sessions.begin(false, cancel)
	} else {
		c, err = s.sessions.use(asked.Session, cancel)
	}
	if err != nil {
		return err
	}
	g := generation{server: s, ctx: ctx, session: c, out: newEvents(w, s.limits.timeout)}
	err = g.run(asked)
	switch {
	case err == nil:
		g.out.send("done", doneEvent{Tokens: asked.Tokens, Seed: *asked.Seed, Session: asked.Session})
	case g.out.begun:
		g.out.send("error", errorEvent{Error: err.Error()})
	default:
		return err
	}
	return nil // where the last event does not arrive, the client is gone
}

// generation is the work for one request.
type generation struct {
	*server
	ctx     context.Context // ends when the client goes, the session is deleted or the server stops
	session *session
	out     *events
	steps   int
	weights weightsEvent // the last that was sent
}

// run writes the text. Afterwards the session is free for the next request.
func (g *generation) run(asked request) error {
	defer g.sessions.release(g.session)
	if asked.Prompt == "" && g.session.version == 0 {
		return badRequest{"prompt", "prompt is empty, want at least one character at the beginning of a text"}
	}
	for i := range len(asked.Prompt) {
		if err := g.step(asked.Prompt[i]); err != nil {
			return err
		}
	}
	sampler := asked.sampler()
	for n := range asked.Tokens {
		token, err := sampler.Next(g.session.logits)
		if err != nil {
			return err
		}
		if err := g.out.sendToken(byte(token), n == asked.Tokens-1); err != nil {
			return err
		}
		g.tokens.Add(1)
		if err := g.step(byte(token)); err != nil {
			return err
		}
	}
	return nil
}

// step lets the session read a character, and tells the client if this was done by other weights than the step before.
func (g *generation) step(character byte) error {
	if err := context.Cause(g.ctx); err != nil {
		return err
	}
	if err := g.batcher.step(g.session, character); err != nil {
		return err
	}
	if g.session.version != g.weights.Version {
		g.weights = weightsEvent{g.session.version, g.steps}
		if err := g.out.send("weights", &g.weights); err != nil {
			return err
		}
	}
	g.steps++
	return nil
}

// newSession opens a session for further requests.
func (s *server) newSession(w http.ResponseWriter, _ *http.Request, _ []byte) error {
	c, err := s.sessions.begin(true, func(error) {})
	if err != nil {
		return err
	}
	id := c.id
	s.sessions.release(c)
	s.reply(w, http.StatusCreated, map[string]string{"session": id})
	return nil
}

func (s *server) deleteSession(w http.ResponseWriter, r *http.Request, _ []byte) error {
	if err := s.sessions.delete(r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

var errUnusable = errors.New("the server goes on with the weights that it has")

// reload takes the weights that the model's file has now.
func (s *server) reload(w http.ResponseWriter, _ *http.Request, _ []byte) error {
	s.reloading.Lock() // the memory of one more model is enough
	defer s.reloading.Unlock()
	m, err := lm.Load(s.path)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnusable, err)
	}
	version, err := s.batcher.swap(m)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnusable, err)
	}
	s.reply(w, http.StatusOK, map[string]int{"version": version})
	return nil
}

func (s *server) health(w http.ResponseWriter, _ *http.Request, _ []byte) error {
	_, err := io.WriteString(w, "ok\n")
	return err
}

// metrics writes counters in the text format of Prometheus.
func (s *server) metrics(w http.ResponseWriter, _ *http.Request, _ []byte) error {
	characters, batches := s.batcher.characters.Load(), s.batcher.batches.Load()
	_, err := fmt.Fprintf(w, "serve_sessions %d\nserve_sessions_refused_total %d\nserve_tokens_total %d\nserve_characters_read_total %d\n"+
		"serve_batches_total %d\nserve_batch_size_mean %.2f\n", s.sessions.count(), s.refused.Load(), s.tokens.Load(), characters,
		batches, float64(characters)/float64(max(1, batches)))
	return err
}
