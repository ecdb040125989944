// Command charlm trains a recurrent network to write texts, character by character: by default, the source of Go's standard
// library, which every machine with Go has.
//
//	go run ./examples/charlm
//	go run ./examples/charlm -text FILE_OR_FOLDER -cell lstm -layers 2 -dropout 0.1
//	go run ./examples/charlm -load charlm-run/model.safetensors -sample 2000 -temperature 0.5 -prompt "func (r *Reader) "
//
// The text is read as many streams side by side, by truncated backpropagation through time: after each -k1 characters the weights
// change, by gradients that go back -k2 characters; the state of the network goes on from window to window, and begins anew
// where a document begins. The command prints how many bits the network needs for a character of the texts that it learns and of
// texts that are held out, writes model.safetensors, and then a text of its own. The first command takes about two minutes
// on two cores.
//
// Ctrl-C ends the training after the running window. The same command then continues where it was, also after a kill, and ends
// with the same weights, bit for bit, as without the interruption.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/unroll-go/unroll/examples/charlm/lm"
	"github.com/unroll-go/unroll/examples/show"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "interrupted: the same command continues")
		os.Exit(130)
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	if errors.As(err, new(usageError)) {
		os.Exit(2)
	}
	os.Exit(1)
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.load != "" {
		m, err := lm.Load(o.load)
		if err != nil {
			return err
		}
		return sample(os.Stdout, m, o)
	}
	m, err := lm.New(o.model, o.seed)
	if err != nil {
		return usageError{err}
	}
	train, heldOut, err := read(o.text, o.match)
	if err != nil {
		return err
	}
	fmt.Printf("text : %d documents of %d characters, and %d of %d held out\n", len(train), size(train), len(heldOut), size(heldOut))
	if err := show.WritableFolder(o.out); err != nil { // better now than after training
		return err
	}
	if err := learn(ctx, m, o, train, heldOut); err != nil {
		return err
	}
	if err := sample(os.Stdout, m, o); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(o.out, "checkpoints")) // nothing is left to continue
}
