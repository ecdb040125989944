package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"

	"github.com/unroll-go/unroll/decode"
)

// request is what a client asks of POST /generate.
type request struct {
	Prompt      string  `json:"prompt"` // may be empty in a session that has read something
	Tokens      int     `json:"tokens"` // characters (bytes) to write
	Temperature float32 `json:"temperature"`
	TopK        int     `json:"top_k"`
	TopP        float32 `json:"top_p"`
	Seed        *uint64 `json:"seed"`    // of the random numbers; none: drawn
	Session     string  `json:"session"` // the session to go on with; "": a text by itself
}

// badRequest says which field of a request cannot be.
type badRequest struct{ field, text string }

func (e badRequest) Error() string { return e.text }

// parseRequest reads a request, which may ask for so many tokens at most.
func parseRequest(body []byte, tokens int) (request, error) {
	r := request{Tokens: 200, Temperature: 0.7, TopP: 1}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return r, jsonError(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return r, badRequest{text: "the JSON object is followed by something else"}
	}
	if r.Seed == nil {
		seed := uint64(rand.Uint32()) // fits every client's numbers
		r.Seed = &seed
	}
	for _, c := range []struct {
		field string
		ok    bool
		found any
		want  string
	}{
		{"tokens", r.Tokens >= 1 && r.Tokens <= tokens, r.Tokens, fmt.Sprintf("1 to %d", tokens)},
		{"temperature", r.Temperature >= 0 && r.Temperature <= math.MaxFloat32, r.Temperature, "0 or more"},
		{"top_k", r.TopK >= 0, r.TopK, "0 or more"},
		{"top_p", r.TopP > 0 && r.TopP <= 1, r.TopP, "more than 0 and at most 1"},
	} {
		if !c.ok {
			return r, badRequest{c.field, fmt.Sprintf("%s is %v, want %s", c.field, c.found, c.want)}
		}
	}
	return r, nil
}

// jsonError turns an error of the JSON decoder into one that a client understands.
func jsonError(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case err == io.EOF:
		return badRequest{text: "the body is empty, want a JSON object"}
	case errors.As(err, &wrong) && wrong.Field == "":
		return badRequest{text: fmt.Sprintf("the body is a JSON %s, want an object", wrong.Value)}
	case errors.As(err, &wrong):
		want := map[reflect.Kind]string{reflect.String: "a string", reflect.Float32: "a number of float32", reflect.Int: "a whole number",
			reflect.Uint64: "a whole number, 0 or more"}[wrong.Type.Kind()]
		return badRequest{wrong.Field, fmt.Sprintf("%s is a JSON %s, want %s", wrong.Field, wrong.Value, want)}
	}
	return badRequest{text: strings.TrimPrefix(err.Error(), "json: ")}
}

// sampler returns how characters are drawn.
func (r request) sampler() *decode.Sampler {
	return decode.NewSampler(decode.SamplerConfig{Temperature: r.Temperature, TopK: r.TopK, TopP: r.TopP}, rand.New(rand.NewPCG(*r.Seed, 0)))
}
