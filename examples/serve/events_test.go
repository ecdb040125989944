package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// page is a http.ResponseWriter that keeps what is written.
type page struct {
	text   []byte
	header http.Header
}

func (p *page) Header() http.Header              { return p.header }
func (p *page) WriteHeader(int)                  {}
func (p *page) Flush()                           {}
func (p *page) SetWriteDeadline(time.Time) error { return nil }
func (p *page) Write(text []byte) (int, error) {
	p.text = append(p.text, text...)
	return len(text), nil
}

func TestEvents(t *testing.T) {
	p := &page{header: http.Header{}}
	e := newEvents(p, time.Minute)
	require.NoError(t, e.send("weights", &weightsEvent{Version: 2, Step: 7}))
	for i, c := range []byte("<é\xff\nz\xe2\x82") {
		require.NoError(t, e.sendToken(c, i == 7))
	}
	assert.Equal(t, "event: weights\ndata: {\"version\":2,\"step\":7}\n\n"+
		"data: {\"token\":60,\"text\":\"<\"}\n\n"+
		"data: {\"token\":195,\"text\":\"\"}\n\n"+
		"data: {\"token\":169,\"text\":\"é\"}\n\n"+
		"data: {\"token\":255,\"text\":\"�\"}\n\n"+
		"data: {\"token\":10,\"text\":\"\\n\"}\n\n"+
		"data: {\"token\":122,\"text\":\"z\"}\n\n"+
		"data: {\"token\":226,\"text\":\"\"}\n\n"+
		"data: {\"token\":130,\"text\":\"��\"}\n\n", string(p.text))
	assert.Equal(t, "text/event-stream", p.header.Get("Content-Type"))
}

// TestTokenAllocatesNothing: to draw a character of ASCII, to send it and to read it takes no memory.
func TestTokenAllocatesNothing(t *testing.T) {
	s := &server{batcher: newBatcher(newModel(t, config, 1), 1, 1, 1)}
	defer s.batcher.stop()
	table := newSessions(s.batcher.state, time.Hour)
	c, err := table.begin(false, nil)
	require.NoError(t, err)
	p := &page{header: http.Header{}}
	g := generation{server: s, ctx: t.Context(), session: c, out: newEvents(p, time.Minute)}
	require.NoError(t, g.step('x'))
	sampler := request{Temperature: 1, TopK: 100, TopP: 0.9, Seed: seed(1)}.sampler()
	token := func() {
		c, err := sampler.Next(g.session.logits)
		if err == nil {
			err = g.out.sendToken(byte(c)&0x7f, false)
		}
		if err == nil {
			err = g.step(byte(c))
		}
		if err != nil {
			t.Error(err)
		}
		p.text = p.text[:0]
	}
	for range 10 {
		token()
	}
	assert.Zero(t, testing.AllocsPerRun(100, token))
}
