// Command serve streams texts from a model of examples/charlm over HTTP, to many clients at once.
//
//	go run ./examples/charlm
//	go run ./examples/serve -model charlm-run/model.safetensors
//	curl -N localhost:8080/generate -d '{"prompt": "func ", "tokens": 300, "temperature": 0.7, "seed": 1}'
//
// The answer is a stream of server-sent events, one for each character, and at last an event named done. The other fields of a
// request are top_k, top_p and session. A session is a text that is written in several requests, each of which goes on where the one
// before ended:
//
//	curl -X POST localhost:8080/sessions                                            # {"session":"ID"}
//	curl -N localhost:8080/generate -d '{"session": "ID", "prompt": "func "}'
//	curl -N localhost:8080/generate -d '{"session": "ID"}'
//	curl -X DELETE localhost:8080/sessions/ID
//
// POST /reload takes the weights that the model's file has now, while texts are written; they go on by the new weights. GET /healthz
// and GET /metrics are for who watches the server. Whoever reaches the address may use all this: there is no authentication.
//
// The program has three parts. The sessions (sessions.go) are the rows of one rnn.State, limited in number and in the time that they
// lie idle. The batcher (batcher.go) takes all sessions that wait through one step of the model. The handlers (http.go) draw the
// characters, and write them to the clients. A text depends on its requests alone, bit for bit, and not on the other sessions.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the command's flags.
type options struct {
	model, addr    string
	limits         limits
	workers, batch int
	grace          time.Duration
}

// usageError is an error in the command line: the exit code is 2.
type usageError struct{ error }

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	f.SetOutput(io.Discard) // main prints errors, in one line
	f.StringVar(&o.model, "model", "", "the model.safetensors of examples/charlm")
	f.StringVar(&o.addr, "addr", "localhost:8080", "address to listen at; port 0: a free one")
	f.IntVar(&o.limits.sessions, "sessions", 256, "sessions at once; a request without a session takes one while it runs")
	f.DurationVar(&o.limits.idle, "idle", 10*time.Minute, "time after which a session that no request uses is closed")
	f.IntVar(&o.limits.tokens, "tokens", 4096, "largest number of characters that a request may ask for")
	f.Int64Var(&o.limits.body, "body", 64<<10, "largest number of bytes of a request")
	f.DurationVar(&o.limits.timeout, "timeout", 10*time.Second, "time for a client to send a request, and to take an event")
	f.IntVar(&o.workers, "workers", 1, "goroutines that run the model, each a batch; the requests take cores, too")
	f.IntVar(&o.batch, "batch", 64, "largest number of sessions that take a step together")
	f.DurationVar(&o.grace, "grace", 10*time.Second, "time for texts to be written to the end when the server is stopped")
	if err := f.Parse(args); err == flag.ErrHelp {
		fmt.Println("Usage: serve -model FILE [flags]")
		f.SetOutput(os.Stdout)
		f.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	if f.NArg() > 0 {
		return o, usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	}
	for _, c := range []struct {
		flag  string
		ok    bool
		found any
		want  string
	}{
		{"model", o.model != "", fmt.Sprintf("%q", o.model), "a file that examples/charlm wrote"},
		{"sessions", o.limits.sessions >= 1 && o.limits.sessions <= 1<<16, o.limits.sessions, "1 to 65536"},
		{"idle", o.limits.idle > 0, o.limits.idle, "a positive time"},
		{"tokens", o.limits.tokens >= 1, o.limits.tokens, "at least 1"},
		{"body", o.limits.body >= 1, o.limits.body, "at least 1"},
		{"timeout", o.limits.timeout > 0, o.limits.timeout, "a positive time"},
		{"workers", o.workers >= 1 && o.workers <= 1<<10, o.workers, "1 to 1024"},
		{"batch", o.batch >= 1, o.batch, "at least 1"},
		{"grace", o.grace >= 0, o.grace, "0 or more"},
	} {
		if !c.ok {
			return o, usageError{fmt.Errorf("-%s is %v, want %s", c.flag, c.found, c.want)}
		}
	}
	return o, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:])
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	if errors.As(err, new(usageError)) {
		os.Exit(2)
	}
	os.Exit(1)
}

var errStopped = errors.New("the server stops")

// run serves until ctx is canceled. It then lets the texts be written to the end, for a while.
func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	s, err := newServer(o.model, o.limits, o.workers, o.batch)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	requests, end := context.WithCancelCause(context.Background())
	defer end(nil)
	h := &http.Server{Handler: s.handler(), BaseContext: func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: o.limits.timeout, WriteTimeout: o.limits.timeout, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(listener) }()
	fmt.Printf("serving : %s at http://%s\n", o.model, listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Println("stopping")
	return s.stop(h, end, o.grace)
}

// stop takes no further requests, and lets those that run come to their end. After some time it ends them.
func (s *server) stop(h *http.Server, end context.CancelCauseFunc, grace time.Duration) error {
	wait, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if h.Shutdown(wait) != nil {
		end(errStopped) // every request ends with its next step or, if its client takes nothing, with its timeout
		if err := h.Shutdown(context.Background()); err != nil {
			return err
		}
	}
	s.batcher.stop()
	return nil
}
