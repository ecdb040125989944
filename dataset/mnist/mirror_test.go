package mnist

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// transport answers requests within the process, so that a test can run with the fake clock of synctest.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// slow is a body that returns one piece after each interval, and then either ends or falls silent.
type slow struct {
	ctx      context.Context
	pieces   [][]byte
	interval time.Duration
	silent   bool
}

func (s *slow) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 && !s.silent {
		return 0, io.EOF
	}
	wait := time.After(s.interval)
	if len(s.pieces) == 0 {
		wait = nil
	}
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-wait:
	}
	n := copy(p, s.pieces[0])
	s.pieces = s.pieces[1:]
	return n, nil
}

func (s *slow) Close() error { return nil }

// answerIn answers with the requested file in pieces of size bytes, one after each interval. After most pieces the body
// ends or, if silent is set, returns nothing any more.
func answerIn(size int, interval time.Duration, most int, silent bool) transport {
	return func(r *http.Request) (*http.Response, error) {
		packed := smallServed[strings.TrimPrefix(r.URL.Path, "/")]
		pieces := slices.Collect(slices.Chunk(packed, size))
		s := &slow{r.Context(), pieces[:min(most, len(pieces))], interval, silent}
		return &http.Response{StatusCode: 200, ContentLength: -1, Body: s}, nil
	}
}

func TestFetchFromSlowMirror(t *testing.T) {
	const all = 1000
	for _, c := range []struct {
		name   string
		answer transport
		least  int64 // bytes in 30 seconds; 0: as for users
		took   time.Duration
		want   string // of both mirrors; none: success
	}{
		{"no answer", func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, 0, 10 * time.Second, "no answer in 5s"},
		{"answer without a body", answerIn(1, time.Second, 0, true), 0, 30 * time.Second, "no byte in 15s"},
		{"stalled half-way", answerIn(1, 14*time.Second, 2, true), 0, 2 * (2*(14+60) + 15) * time.Second, "no byte in 15s"},
		{"a byte now and then", answerIn(1, time.Second, all, false), 0, 2 * 30 * (1 + 60) * time.Second,
			"too slow: 30 bytes in 30s, want at least 30720"},
		{"slower than the least", answerIn(1, 14*time.Second, all, false), 4, 2 * 3 * (14 + 60) * time.Second,
			"too slow: 3 bytes in 42s, want at least 4"},
		{"as slow as may be", answerIn(1, 14*time.Second, all, false), 3, 0, ""},
		{"a small file, slowly", answerIn(40, 9*time.Second, all, false), 0, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				f := smallFetcher("http://one/", "http://two/")
				f.client = &http.Client{Transport: c.answer}
				if c.least > 0 {
					f.limits.least = c.least
				}
				pieces := 0
				f.progress = func(string, int64, int64) { time.Sleep(time.Minute); pieces++ } // time of the caller, which does not count
				start := time.Now()
				err := f.fetch(t.Context(), dir)
				if c.want == "" {
					require.NoError(t, err)
					assert.Equal(t, smallServed, content(t, dir))
					assert.Greater(t, time.Since(start), time.Duration(pieces)*time.Minute)
					return
				}
				require.Error(t, err)
				for _, mirror := range f.mirrors {
					assert.Contains(t, err.Error(), mirror+"a-images.gz: "+c.want)
				}
				assert.NotErrorIs(t, err, context.Canceled)
				assert.Equal(t, c.took, time.Since(start))
				assert.Empty(t, content(t, dir))
			})
		})
	}
}

// This test uses the network: a server that sends a byte every 100 ms is left for the next one, which sends all at once.
func TestFetchLeavesMirrorThatTrickles(t *testing.T) {
	var slow, good []string
	trickle := serve(t, &slow, func(w http.ResponseWriter, r *http.Request) {
		for _, b := range smallServed[strings.TrimPrefix(r.URL.Path, "/data/")] {
			w.Write([]byte{b})
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	f := smallFetcher(trickle, mirror(t, &good))
	f.limits.window, f.limits.least = 300*time.Millisecond, 30
	dir := t.TempDir()
	require.NoError(t, f.fetch(t.Context(), dir))
	assert.Equal(t, smallServed, content(t, dir))
	assert.Equal(t, slow, good, "each file is asked of both")
	assert.Len(t, good, len(smallServed))
}

// rawServer answers every connection with the same bytes.
func rawServer(t *testing.T, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			http.ReadRequest(bufio.NewReader(conn))
			io.WriteString(conn, answer)
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

// evil is text that a terminal would act upon: control characters of ASCII, of Latin-1 as a byte and in UTF-8, and a change of
// direction.
const evil = "\x1b]0;owned\x07\x9b2J\u009b31m\u202e\b\x7f"

// assertHarmless asserts that an error of n mirrors can be printed.
func assertHarmless(t *testing.T, err error, n int) {
	t.Helper()
	lines := strings.Split(err.Error(), "\n")
	assert.Len(t, lines, 1+n)
	for _, line := range lines {
		assert.Less(t, len(line), 1000)
		assert.True(t, utf8.ValidString(line), "%q", line)
		assert.False(t, strings.ContainsFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }), "%q", line)
	}
}

// What a server says reaches the user's terminal in errors.
func TestFetchEscapesWhatMirrorsSay(t *testing.T) {
	packed := string(smallServed["a-images.gz"])
	for name, c := range map[string]struct{ answer, want string }{
		"status text":       {"HTTP/1.1 404 " + evil + "\r\n\r\n", "status 404 Not Found"},
		"unknown status":    {"HTTP/1.1 799 " + evil + "\r\n\r\n", "status 799"},
		"status":            {"HTTP/1.1 " + evil + " OK\r\n\r\n", "malformed HTTP status code"},
		"no HTTP":           {evil + "\r\n\r\n", "malformed HTTP response"},
		"header":            {"HTTP/1.1 200 OK\r\n" + evil + "\r\n\r\n", "malformed MIME header"},
		"header name":       {"HTTP/1.1 200 OK\r\n" + evil + ": 1\r\n\r\n", "malformed MIME header"},
		"length":            {"HTTP/1.1 200 OK\r\nContent-Length: " + evil + "\r\n\r\n", "malformed MIME header"},
		"transfer encoding": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + evil + "\r\n\r\n", "malformed MIME header"},
		"redirect":          {"HTTP/1.1 302 Found\r\nLocation: http://" + evil + "/\r\n\r\n", "malformed MIME header"},
		"redirect's scheme": {"HTTP/1.1 302 Found\r\nLocation: a+" + evil + "://a/\r\n\r\n", "malformed MIME header"},
		"redirect's path":   {"HTTP/1.1 302 Found\r\nLocation: http://\u202e\u009b:x/\r\n\r\n", "failed to parse Location header"},
		"page":              {"HTTP/1.1 200 OK\r\n\r\n" + evil, "gzip: not gzip: begins with"},
		"chunk":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + evil + "\r\n", "invalid byte in chunk length"},
		"trailer": {fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n%s\r\n\r\n", len(packed), packed, evil),
			"malformed MIME header"},
		"long header": {"HTTP/1.1 200 OK\r\n" + strings.Repeat("\x1b", 10000) + "\r\n\r\n", "malformed MIME header"},
	} {
		t.Run(name, func(t *testing.T) {
			from := rawServer(t, c.answer)
			err := smallFetcher(from, from).fetch(t.Context(), t.TempDir())
			require.Error(t, err)
			assert.ErrorContains(t, err, c.want)
			assertHarmless(t, err, 2)
		})
	}
}

// Errors of the resolver contain the host of a redirect unescaped. Callers can still ask for the error that was wrapped.
func TestFetchEscapesErrorsOfTheClient(t *testing.T) {
	cause := &net.DNSError{Err: `no such "host"\`, Name: "é" + evil + strings.Repeat(" ", 1000)}
	f := smallFetcher("http://one/")
	f.client = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, cause })}
	err := f.fetch(t.Context(), t.TempDir())
	require.ErrorIs(t, err, error(cause))
	assert.ErrorContains(t, err, `http://one/a-images.gz: lookup é\x1b]0;owned\a\x9b2J\u009b31m\u202e\b\x7f   `)
	assert.ErrorContains(t, err, " ...")
	assertHarmless(t, err, 1)

	cause.Name = "one"
	assert.ErrorContains(t, f.fetch(t.Context(), t.TempDir()), `http://one/a-images.gz: lookup one: no such "host"\`)
}
