package mnist

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// limits says when a mirror is given up. Only the time that is spent on waiting for the mirror counts.
type limits struct {
	answer  time.Duration // for the answer to begin, including connecting and redirects
	silence time.Duration // between two reads that return bytes of a file
	window  time.Duration // the time over which the rate is measured
	least   int64         // bytes that must arrive in each window
}

var mirrorLimits = limits{answer: 5 * time.Second, silence: 15 * time.Second, window: 30 * time.Second, least: 30 << 10}

// download writes the file that a mirror serves at the address from to w, and verifies it.
func (f *fetcher) download(ctx context.Context, from string, want file, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	giveUp := func(after time.Duration, why string) *time.Timer {
		return time.AfterFunc(after, func() { cancel(fmt.Errorf("%s in %v", why, after)) })
	}

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept-Encoding", "identity") // otherwise the client may unpack the file
	answer := giveUp(f.limits.answer, "no answer")
	resp, err := f.client.Do(req)
	answer.Stop()
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // without the address, which the caller adds
		}
		return causeOf(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", http.StatusText(resp.StatusCode))))
	}

	t := &transfer{name: want.name + ".gz", body: resp.Body, total: resp.ContentLength,
		most: want.size() + 1024, limits: f.limits, progress: f.progress}
	t.silence = giveUp(f.limits.silence, "no byte")
	defer t.silence.Stop()
	return causeOf(ctx, want.verify(io.TeeReader(t, w), func(r io.Reader) (io.Reader, error) {
		return gunzip(bufio.NewReader(r))
	}))
}

// causeOf returns the cause for which ctx ended if it has ended, and err otherwise.
func causeOf(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// transfer is the body of an answer. It counts the bytes that arrive, and measures the time that reading them takes.
type transfer struct {
	name     string
	body     io.Reader
	done     int64 // bytes that have arrived
	total    int64 // bytes of the body, or -1
	most     int64 // a longer file cannot be the one that is wanted
	limits   limits
	silence  *time.Timer   // ends the download when it fires
	waited   time.Duration // in the present window
	arrived  int64         // bytes, in the present window
	progress func(file string, done, total int64)
}

func (t *transfer) Read(p []byte) (int, error) {
	t.silence.Reset(t.limits.silence)
	start := time.Now()
	n, err := t.body.Read(p)
	t.waited += time.Since(start)
	t.silence.Stop()
	t.arrived += int64(n)
	t.done += int64(n)
	if t.done > t.most {
		return 0, fmt.Errorf("more than %d bytes", t.most)
	}
	if n > 0 && t.progress != nil {
		t.progress(t.name, t.done, t.total)
	}
	if err == nil && t.waited >= t.limits.window {
		if t.arrived < t.limits.least {
			return n, fmt.Errorf("too slow: %d bytes in %v, want at least %d", t.arrived, t.waited.Round(time.Second/10), t.limits.least)
		}
		t.waited, t.arrived = 0, 0
	}
	return n, err
}
