package main

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/examples/charlm/lm"
)

var testLimits = limits{sessions: 2, idle: time.Hour, tokens: 1000, body: 500, timeout: time.Minute}

// start serves a model until the test ends.
func start(t *testing.T, m *lm.Model, l limits) (*server, string) {
	s, err := newServer(save(t, m), l, 2, 8)
	require.NoError(t, err)
	h := httptest.NewServer(s.handler())
	t.Cleanup(func() {
		h.Close()
		s.batcher.stop()
	})
	return s, h.URL
}

func seed(n uint64) *uint64 { return &n }

// TestGenerate: texts are those that the model writes alone, in one request or in a session of several.
func TestGenerate(t *testing.T) {
	m := newModel(t, config, 1)
	s, url := start(t, m, testLimits)
	for _, r := range []request{
		{Prompt: "func ", Tokens: 300, Temperature: 1, TopP: 1, Seed: seed(1)},
		{Prompt: "é", Tokens: 1, Temperature: 0, TopP: 1, Seed: seed(2)},
		{Prompt: "a\x00\n\"", Tokens: 50, Temperature: 2, TopK: 5, TopP: 0.9, Seed: seed(1 << 63)},
	} {
		got := exchange(t, "POST", url+"/generate", r.json(t))
		assert.Equal(t, http.StatusOK, got.status)
		assert.Equal(t, doneEvent{Tokens: r.Tokens, Seed: *r.Seed}, got.done)
		assert.Equal(t, []weightsEvent{{1, 0}}, got.weights)
		assert.Len(t, got.tokens, r.Tokens)
		assert.Equal(t, string([]rune(string(got.tokens))), got.text)
		newAlone(t, m).replay(t, r, nil, got)
	}
	assert.Zero(t, s.sessions.count())

	opened := exchange(t, "POST", url+"/sessions", "")
	assert.Equal(t, http.StatusCreated, opened.status)
	id := strings.Split(opened.body, `"`)[3]
	a, logits := newAlone(t, m), []float32(nil)
	for i, prompt := range []string{"type ", "", "x", ""} {
		r := request{Prompt: prompt, Tokens: 20, Temperature: 1, TopP: 1, Seed: seed(uint64(i)), Session: id}
		got := exchange(t, "POST", url+"/generate", r.json(t))
		assert.Equal(t, doneEvent{Tokens: 20, Seed: uint64(i), Session: id}, got.done)
		logits = a.replay(t, r, logits, got)
	}
	assert.Equal(t, 1, s.sessions.count())
	assert.Equal(t, http.StatusNoContent, exchange(t, "DELETE", url+"/sessions/"+id, "").status)
	assert.Zero(t, s.sessions.count())

	drawn := exchange(t, "POST", url+"/generate", `{"prompt": "x"}`)
	assert.Len(t, drawn.tokens, 200)
	again := exchange(t, "POST", url+"/generate", fmt.Sprintf(`{"prompt": "x", "seed": %d}`, drawn.done.Seed))
	assert.Equal(t, drawn.tokens, again.tokens)

	assert.Equal(t, "ok\n", exchange(t, "GET", url+"/healthz", "").body)
	metrics := exchange(t, "GET", url+"/metrics", "").body
	assert.Contains(t, metrics, "serve_sessions 0\n")
	assert.Contains(t, metrics, "serve_tokens_total 831\n")
	assert.Contains(t, metrics, "serve_batch_size_mean 1.00\n")
}

func TestErrors(t *testing.T) {
	s, url := start(t, newModel(t, config, 1), testLimits)
	for body, want := range map[string]errorEvent{
		"":                               {"the body is empty, want a JSON object", ""},
		"[]":                             {"the body is a JSON array, want an object", ""},
		`{"prompt": "x"} {}`:             {"the JSON object is followed by something else", ""},
		`{"prompt": "x"`:                 {"unexpected EOF", ""},
		`{"promt": "x"}`:                 {`unknown field "promt"`, ""},
		`{}`:                             {"prompt is empty, want at least one character at the beginning of a text", "prompt"},
		`{"prompt": 1}`:                  {"prompt is a JSON number, want a string", "prompt"},
		`{"prompt":"x","tokens":0}`:      {"tokens is 0, want 1 to 1000", "tokens"},
		`{"prompt":"x","tokens":1001}`:   {"tokens is 1001, want 1 to 1000", "tokens"},
		`{"prompt":"x","tokens":1.5}`:    {"tokens is a JSON number 1.5, want a whole number", "tokens"},
		`{"temperature":-1}`:             {"temperature is -1, want 0 or more", "temperature"},
		`{"temperature":1e39}`:           {"temperature is a JSON number 1e39, want a number of float32", "temperature"},
		`{"top_k":-1}`:                   {"top_k is -1, want 0 or more", "top_k"},
		`{"top_p":0}`:                    {"top_p is 0, want more than 0 and at most 1", "top_p"},
		`{"seed":-1}`:                    {"seed is a JSON number -1, want a whole number, 0 or more", "seed"},
		`{"prompt":"x","session":"abc"}`: {errNoSession.Error(), "session"},
		`{"prompt":"` + strings.Repeat("x", 500) + `"}`: {"the request is longer than 500 bytes", ""},
	} {
		got := exchange(t, "POST", url+"/generate", body)
		assert.Equal(t, want, got.failure, body)
		switch {
		case want.Field == "session":
			assert.Equal(t, http.StatusNotFound, got.status)
		case len(body) > 500:
			assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
		default:
			assert.Equal(t, http.StatusBadRequest, got.status)
		}
	}
	assert.Equal(t, http.StatusNotFound, exchange(t, "DELETE", url+"/sessions/abc", "").status)
	assert.Equal(t, http.StatusMethodNotAllowed, exchange(t, "GET", url+"/generate", "").status)
	assert.Zero(t, s.sessions.count(), "no error leaves a session behind")

	r, err := http.NewRequest("POST", url+"/reload", nil)
	require.NoError(t, err)
	r.Header.Set("Origin", "https://elsewhere.example")
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusForbidden, response.StatusCode)

	_, err = newServer("none", testLimits, 1, 1)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// TestFull: a request for which there is no session gets a clear answer, and is not in the way of others.
func TestFull(t *testing.T) {
	l := testLimits
	l.tokens = 1 << 30
	s, url := start(t, newModel(t, config, 1), l)
	id := strings.Split(exchange(t, "POST", url+"/sessions", "").body, `"`)[3]
	ctx, leave := context.WithCancel(t.Context())
	_, err := send(ctx, "POST", url+"/generate", `{"prompt":"x","tokens":1000000000}`, func(*answer) {
		if ctx.Err() != nil {
			return
		}
		for _, path := range []string{"/generate", "/sessions"} {
			got := exchange(t, "POST", url+path, `{"prompt":"x"}`)
			assert.Equal(t, http.StatusTooManyRequests, got.status)
			assert.Equal(t, "1", got.retryAfter)
			assert.Equal(t, errorEvent{Error: "all 2 sessions of this server are in use: try again after 1 s"}, got.failure)
		}
		assert.Len(t, exchange(t, "POST", url+"/generate", `{"prompt":"x","tokens":5,"session":"`+id+`"}`).tokens, 5)
		leave()
	})
	assert.ErrorIs(t, err, context.Canceled)
	assert.LessOrEqual(t, int64(2), s.refused.Load())
}

// TestReload: texts go on by the weights of the file; a file that is not usable changes nothing.
func TestReload(t *testing.T) {
	first, second := newModel(t, config, 1), newModel(t, config, 2)
	s, url := start(t, first, testLimits)
	id := strings.Split(exchange(t, "POST", url+"/sessions", "").body, `"`)[3]
	a, logits := newAlone(t, first, second), []float32(nil)
	generate := func(version int) {
		r := request{Prompt: "x", Tokens: 20, Temperature: 1, TopP: 1, Seed: seed(3), Session: id}
		got := exchange(t, "POST", url+"/generate", r.json(t))
		assert.Equal(t, []weightsEvent{{version, 0}}, got.weights)
		logits = a.replay(t, r, logits, got)
	}
	generate(1)
	require.NoError(t, second.Save(s.path))
	assert.JSONEq(t, `{"version":2}`, exchange(t, "POST", url+"/reload", "").body)
	generate(2)

	whole, err := os.ReadFile(s.path)
	require.NoError(t, err)
	broken := newModel(t, config, 3)
	broken.Params.Update(func() { broken.Params.Get("head.bias").Value.Data()[5] = float32(math.Inf(1)) })
	for want, write := range map[string]func() error{
		"no such file": func() error { return os.Remove(s.path) },
		"safetensors":  func() error { return os.WriteFile(s.path, whole[:len(whole)-1], 0o666) },
		"rnn.weight_ih_l1": func() error {
			return newModel(t, lm.Config{Cell: "lstm", Hidden: 32, Layers: 1, Embedding: 16}, 1).Save(s.path)
		},
		"the weights are not usable": func() error { return broken.Save(s.path) },
	} {
		require.NoError(t, write())
		got := exchange(t, "POST", url+"/reload", "")
		assert.Equal(t, http.StatusUnprocessableEntity, got.status)
		assert.ErrorContains(t, fmt.Errorf("%s", got.failure.Error), want)
		assert.Contains(t, got.failure.Error, errUnusable.Error())
		generate(2)
	}
}

// eventually waits until a request does not hold its session any more.
func eventually(t *testing.T, s *server) {
	require.Eventually(t, func() bool { return s.sessions.count() == 0 }, time.Minute, time.Millisecond)
}

// TestEnds: a text ends when its client goes, when its session is deleted, and when the server is stopped.
func TestEnds(t *testing.T) {
	l := testLimits
	l.tokens = 1 << 30
	s, err := newServer(save(t, newModel(t, config, 1)), l, 2, 8)
	require.NoError(t, err)
	requests, end := context.WithCancelCause(t.Context())
	h := httptest.NewUnstartedServer(s.handler())
	h.Config.BaseContext = func(net.Listener) context.Context { return requests }
	h.Start()
	defer h.Close()
	const endless = `{"prompt":"x","tokens":1000000000,"session":%q}`

	ctx, leave := context.WithCancel(t.Context())
	_, err = send(ctx, "POST", h.URL+"/generate", fmt.Sprintf(endless, ""), func(*answer) { leave() })
	assert.ErrorIs(t, err, context.Canceled)
	eventually(t, s)

	id := strings.Split(exchange(t, "POST", h.URL+"/sessions", "").body, `"`)[3]
	got, err := send(t.Context(), "POST", h.URL+"/generate", fmt.Sprintf(endless, id), func(a *answer) {
		if len(a.tokens) == 1 {
			assert.Equal(t, http.StatusConflict, exchange(t, "POST", h.URL+"/generate", fmt.Sprintf(endless, id)).status)
			assert.Equal(t, http.StatusNoContent, exchange(t, "DELETE", h.URL+"/sessions/"+id, "").status)
		}
	})
	require.NoError(t, err)
	assert.Equal(t, errDeleted.Error(), got.failure.Error)
	eventually(t, s)

	var stopped chan error
	got, err = send(t.Context(), "POST", h.URL+"/generate", fmt.Sprintf(endless, ""), func(a *answer) {
		if len(a.tokens) == 1 {
			stopped = make(chan error, 1)
			go func() { stopped <- s.stop(h.Config, end, time.Millisecond) }()
		}
	})
	require.NoError(t, err)
	assert.Equal(t, errStopped.Error(), got.failure.Error)
	require.NoError(t, <-stopped)
	assert.Zero(t, s.sessions.count())
}

// smallBuffers is a listener whose connections keep little of what their clients do not read.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(1)
	}
	return c, err
}

// TestSlowClient: the text of a client that takes nothing ends.
func TestSlowClient(t *testing.T) {
	l := testLimits
	l.tokens, l.timeout = 1<<30, 100*time.Millisecond
	s, err := newServer(save(t, newModel(t, config, 1)), l, 1, 8)
	require.NoError(t, err)
	h := httptest.NewUnstartedServer(s.handler())
	h.Listener = smallBuffers{h.Listener}
	h.Start()
	defer s.batcher.stop()
	defer h.Close()
	client, err := net.Dial("tcp", h.Listener.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.(*net.TCPConn).SetReadBuffer(1))
	body := `{"prompt":"x","tokens":1000000000}`
	_, err = fmt.Fprintf(client, "POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.tokens.Load() > 0 }, time.Minute, time.Millisecond)
	eventually(t, s)
}
