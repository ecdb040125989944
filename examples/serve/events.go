package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"
)

// The data of the events, in the order in which they come.
type (
	// weightsEvent, named weights, says which version of the weights computes the steps from one on. Step 0 reads the first
	// character of the prompt or, without a prompt, the first character that is written.
	weightsEvent struct {
		Version int `json:"version"`
		Step    int `json:"step"`
	}
	// tokenEvent, which has no name, is a character that the model writes.
	tokenEvent struct {
		Token byte   `json:"token"`
		Text  string `json:"text"` // empty if the byte is a part of a letter that is not complete
	}
	// doneEvent, named done, is the last.
	doneEvent struct {
		Tokens  int    `json:"tokens"`
		Seed    uint64 `json:"seed"`
		Session string `json:"session,omitempty"`
	}
	// errorEvent, named error, is the last, too. It is also the body of an answer that is an error.
	errorEvent struct {
		Error string `json:"error"`
		Field string `json:"field,omitempty"`
	}
)

// events writes server-sent events. It keeps its memory from one event to the next.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration // for the client to take an event
	begun   bool

	buffer bytes.Buffer
	json   *json.Encoder // into buffer
	token  tokenEvent
	letter []byte // the bytes of a letter that is not complete
}

func newEvents(w http.ResponseWriter, timeout time.Duration) *events {
	e := &events{w: w, control: http.NewResponseController(w), timeout: timeout}
	e.json = json.NewEncoder(&e.buffer)
	e.json.SetEscapeHTML(false)
	return e
}

// send writes an event; "" is no name. It returns an error if the client does not take it in time.
func (e *events) send(name string, data any) error {
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", "text/event-stream")
		e.w.Header().Set("Cache-Control", "no-store")
	}
	e.buffer.Reset()
	if name != "" {
		e.buffer.WriteString("event: ")
		e.buffer.WriteString(name)
		e.buffer.WriteByte('\n')
	}
	e.buffer.WriteString("data: ")
	if err := e.json.Encode(data); err != nil { // ends with a newline
		return err
	}
	e.buffer.WriteByte('\n')
	if err := e.control.SetWriteDeadline(time.Now().Add(e.timeout)); err != nil {
		return err
	}
	if _, err := e.w.Write(e.buffer.Bytes()); err != nil {
		return err
	}
	return e.control.Flush()
}

// sendToken writes a byte. Its text is the letters that the byte completes; U+FFFD stands for bytes that are no UTF-8, and for
// the beginning of a letter whose rest does not come because the byte is the last.
func (e *events) sendToken(token byte, last bool) error {
	e.token = tokenEvent{Token: token}
	e.letter = append(e.letter, token)
	for len(e.letter) > 0 && (last || utf8.FullRune(e.letter)) {
		r, n := utf8.DecodeRune(e.letter)
		text := string(utf8.RuneError)
		if r != utf8.RuneError {
			text = string(e.letter[:n]) // takes no memory for a single byte
		}
		e.token.Text += text
		e.letter = append(e.letter[:0], e.letter[n:]...)
	}
	return e.send("", &e.token)
}
