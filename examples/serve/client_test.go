package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answer is what a client gets from the server.
type answer struct {
	status     int
	retryAfter string
	weights    []weightsEvent
	tokens     []byte
	text       string
	done       doneEvent
	failure    errorEvent
	body       string // of an answer that is no stream and no error
}

// send sends a request and reads the answer to its end. each is called after each token; it may be nil. The answer is what came
// before the error, if there is one.
func send(ctx context.Context, method, url, body string, each func(*answer)) (a answer, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	a.status, a.retryAfter = response.StatusCode, response.Header.Get("Retry-After")
	if response.Header.Get("Content-Type") != "text/event-stream" {
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return a, err
		}
		if a.body = string(text); a.status >= 400 {
			json.Unmarshal(text, &a.failure) // an answer of package http is no JSON
		}
		return a, nil
	}
	lines := bufio.NewScanner(response.Body)
	name, ended := "", false
	for lines.Scan() && err == nil {
		line := lines.Text()
		data, isData := strings.CutPrefix(line, "data: ")
		switch {
		case isData && !ended:
			if err = a.take(name, []byte(data)); err == nil && name == "" && each != nil {
				each(&a)
			}
			ended = name == "done" || name == "error"
		case strings.HasPrefix(line, "event: ") && !ended:
			name = line[len("event: "):]
		case line == "":
			name = ""
		default:
			err = fmt.Errorf("unexpected line %q", line)
		}
	}
	if lines.Err() != nil { // also the reason why the last line is torn
		err = lines.Err()
	}
	if err == nil && !ended {
		err = io.ErrUnexpectedEOF
	}
	return a, err
}

// take adds an event to the answer.
func (a *answer) take(name string, data []byte) error {
	switch name {
	case "":
		var e tokenEvent
		if err := json.Unmarshal(data, &e); err != nil {
			return err
		}
		a.tokens, a.text = append(a.tokens, e.Token), a.text+e.Text
		return nil
	case "weights":
		var e weightsEvent
		err := json.Unmarshal(data, &e)
		a.weights = append(a.weights, e)
		return err
	case "done":
		return json.Unmarshal(data, &a.done)
	case "error":
		return json.Unmarshal(data, &a.failure)
	}
	return fmt.Errorf("unexpected event %q", name)
}

// exchange sends a request and returns the whole answer.
func exchange(t *testing.T, method, url, body string) answer {
	a, err := send(t.Context(), method, url, body, nil)
	require.NoError(t, err)
	return a
}

// replay writes alone, after the text that a has read before, what the server wrote for a request, and compares: every character must
// be the one that is drawn from the logits of the same weights.
func (a *alone) replay(t *testing.T, r request, logits []float32, got answer) []float32 {
	step, version, weights := 0, 0, got.weights
	read := func(character byte) {
		if len(weights) > 0 && weights[0].Step == step {
			version, weights = weights[0].Version, weights[1:]
		}
		logits = a.step(t, version, character)
		step++
	}
	for i := range len(r.Prompt) {
		read(r.Prompt[i])
	}
	sampler := r.sampler()
	for i, c := range got.tokens {
		want, err := sampler.Next(logits)
		if !assert.NoError(t, err) || !assert.Equal(t, byte(want), c, "token %d of %+v", i, got) {
			return nil
		}
		read(c)
	}
	assert.Empty(t, weights)
	return logits
}

// json returns the request's body.
func (r request) json(t *testing.T) string {
	text, err := json.Marshal(r)
	require.NoError(t, err)
	return string(text)
}
