package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/examples/charlm/lm"
)

var (
	loadTime    = flag.Duration("load", 500*time.Millisecond, "time for which TestLoad sends requests")
	loadClients = flag.Int("clients", 8, "clients at once in TestLoad")
)

// TestMain runs the command instead of the tests in the process that TestLoad starts.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_SERVE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// client writes a text in one session, request after request.
type client struct {
	session  string
	requests []request
	answers  []answer
}

// traffic is what TestLoad sends and measures.
type traffic struct {
	url               string
	end               time.Time
	first, gap, token histogram // of a request: time to its first token, from any token to the next, and for a token in the mean
	refused           int
}

// TestLoad serves clients from a process of its own while the weights are swapped ten times. Then every text is written again, alone and by the
// weights that the server says it had at each step: all characters must be the same. One more client than there are sessions is
// refused each time. The figures of the test's log come from
//
//	go test ./examples/serve -run TestLoad -v -load 1m -clients 64
func TestLoad(t *testing.T) {
	c := lm.Config{Cell: "lstm", Hidden: 256, Layers: 1, Embedding: 64}
	weights := []*lm.Model{newModel(t, c, 1)}
	path := save(t, weights[0])
	process, url := startProcess(t, "-model", path, "-addr", "localhost:0", "-sessions", fmt.Sprint(*loadClients))
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = *loadClients + 2
	resident := []string{memory(process)}

	clients := make([]client, *loadClients)
	for i := range clients {
		opened := exchange(t, "POST", url+"/sessions", "")
		require.Equal(t, http.StatusCreated, opened.status)
		clients[i].session = strings.Split(opened.body, `"`)[3]
	}
	l := &traffic{url: url, end: time.Now().Add(*loadTime)}
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { l.write(t, &clients[i], uint64(i)) })
	}
	all.Go(func() { l.refuse(t) })
	for n := range 10 {
		time.Sleep(*loadTime / 11)
		resident = append(resident, memory(process))
		weights = append(weights, newModel(t, c, uint64(n+2)))
		require.NoError(t, weights[n+1].Save(path))
		assert.JSONEq(t, fmt.Sprintf(`{"version":%d}`, n+2), exchange(t, "POST", url+"/reload", "").body)
	}
	all.Wait()
	t.Logf("memory of the server before, before each of the swaps, and in the end : %s", append(resident, memory(process)))
	t.Logf("metrics of the server :\n%s", exchange(t, "GET", url+"/metrics", "").body)
	for i := range clients {
		assert.Equal(t, http.StatusNoContent, exchange(t, "DELETE", url+"/sessions/"+clients[i].session, "").status)
	}
	if runtime.GOOS != "windows" {
		require.NoError(t, process.Process.Signal(os.Interrupt))
		assert.NoError(t, process.Wait(), "the server stops in peace, and its race detector is content")
	}
	for name, h := range map[string]*histogram{"to the first token": &l.first, "a token of a request in the mean": &l.token, "from token to token": &l.gap} {
		t.Logf("%s : p50 %v, p99 %v", name, h.quantile(0.5), h.quantile(0.99))
	}
	compare(t, clients, weights, l.refused)
}

// startProcess runs the command in a process and returns its URL.
func startProcess(t *testing.T, args ...string) (*exec.Cmd, string) {
	c := exec.Command(os.Args[0], args...)
	c.Env, c.Stderr = append(os.Environ(), "RUN_SERVE=1"), os.Stderr
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() { c.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	go io.Copy(io.Discard, out)
	return c, strings.TrimSpace(line[strings.Index(line, "http://"):])
}

// write sends the requests of a client.
func (l *traffic) write(t *testing.T, c *client, number uint64) {
	r := rand.New(rand.NewPCG(number, 1))
	for len(c.answers) == 0 || time.Now().Before(l.end) {
		asked := request{Tokens: 50 + r.IntN(200), Temperature: r.Float32() + 0.5, TopK: r.IntN(300), TopP: 1 - r.Float32()/2,
			Seed: seed(r.Uint64()), Session: c.session}
		if len(c.answers) == 0 || r.IntN(2) == 0 {
			asked.Prompt = "package rand // is not random"[:1+r.IntN(29)]
		}
		begin := time.Now()
		last, first := begin, begin
		got, err := send(t.Context(), "POST", l.url+"/generate", asked.json(t), func(a *answer) {
			now := time.Now()
			if len(a.tokens) == 1 {
				first = now
			} else {
				l.gap.add(now.Sub(last))
			}
			last = now
		})
		if !assert.NoError(t, err) || !assert.Len(t, got.tokens, asked.Tokens) {
			return
		}
		l.first.add(first.Sub(begin))
		l.token.add(last.Sub(first) / time.Duration(asked.Tokens-1))
		c.requests, c.answers = append(c.requests, asked), append(c.answers, got)
	}
}

// refuse asks for sessions that there are not.
func (l *traffic) refuse(t *testing.T) {
	for l.refused == 0 || time.Now().Before(l.end) {
		got, err := send(t.Context(), "POST", l.url+[]string{"/generate", "/sessions"}[l.refused%2], `{"prompt":"x"}`, nil)
		if !assert.NoError(t, err) || !assert.Equal(t, http.StatusTooManyRequests, got.status) {
			return
		}
		assert.NotEmpty(t, got.retryAfter)
		assert.Contains(t, got.failure.Error, "sessions of this server are in use")
		l.refused++
		time.Sleep(*loadTime / 50)
	}
}

// compare writes all texts again, alone.
func compare(t *testing.T, clients []client, weights []*lm.Model, refused int) {
	var requests, tokens, swaps atomic.Int64
	var all sync.WaitGroup
	for n := range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := n; i < len(clients); i += runtime.GOMAXPROCS(0) {
				a, logits := newAlone(t, weights...), []float32(nil)
				for k, got := range clients[i].answers {
					logits = a.replay(t, clients[i].requests[k], logits, got)
					requests.Add(1)
					tokens.Add(int64(len(got.tokens)))
					swaps.Add(int64(len(got.weights)) - 1)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d requests of %d clients, %d tokens compared, %d swaps in the middle of a text, %d requests refused", requests.Load(),
		len(clients), tokens.Load(), swaps.Load(), refused)
}

// memory returns the resident memory of a process, where the system tells it.
func memory(c *exec.Cmd) string {
	status, _ := os.ReadFile(filepath.Join("/proc", fmt.Sprint(c.Process.Pid), "status"))
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "not known"
}

// histogram counts times in classes that are 2 % wide.
type histogram [2000]atomic.Int64

func (h *histogram) add(d time.Duration) {
	h[min(len(h)-1, int(math.Log(max(1, float64(d)))*50))].Add(1)
}

// quantile returns the time that the fraction q of all times does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	total := int64(0)
	for i := range h {
		total += h[i].Load()
	}
	below := int64(0)
	for i := range h {
		if below += h[i].Load(); float64(below) >= q*float64(total) {
			return time.Duration(math.Exp(float64(i+1) / 50)).Round(time.Microsecond)
		}
	}
	return 0
}
