// Command mnist trains a recurrent network to read handwritten digits: each picture is a sequence of 28 rows of 28
// pixels, and from the network's last state a dense layer tells the digit.
//
//	go run ./examples/mnist
//
// It reads MNIST from a folder, the cache or the network; where none of them has it, it draws digits instead. It
// writes history.csv, model.safetensors and curves.png, and for the test pictures confusion.png (how often each digit was
// taken for each other) and mistakes.png (of the pictures it got wrong, the 40 whose label it found least likely).
//
// Ctrl-C, SIGTERM and SIGHUP end the training after the running batch. The same command then continues where it was, from the
// checkpoint in the output folder, also after a SIGKILL or a power failure, and ends with the same weights, bit for bit, as
// without the interruption.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"os/signal"
	"syscall"

	"github.com/unroll-go/unroll/examples/show"
	"github.com/unroll-go/unroll/safetensors"
)

func main() {
	err := run(interruptible(), os.Args[1:])
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "interrupted")
		os.Exit(130)
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	if errors.As(err, new(usageError)) {
		os.Exit(2)
	}
	os.Exit(1)
}

// interruptible returns a context that is canceled by the first of the signals. A second one ends the process at once.
func interruptible() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), signals()...)
	context.AfterFunc(ctx, stop) // gives the signals back to the system
	return ctx
}

// signals returns the signals that a user, the end of a container and a lost terminal send.
func signals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	const hangUp = syscall.Signal(1) // not all systems have a name for it
	if !signal.Ignored(hangUp) {     // as nohup wants it
		all = append(all, hangUp)
	}
	return all
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	m := newModel(o)
	if o.load != "" {
		if _, err := safetensors.Load(o.load, m.params); err != nil {
			return err
		}
	}
	digits, err := loadDigits(ctx, o)
	if err != nil {
		return err
	}
	fmt.Println("train_x.shape :", digits.Train.Shape())
	fmt.Println("valid_x.shape :", digits.Valid.Shape())
	fmt.Println("test_x.shape :", digits.Test.Shape())
	if err := show.WritableFolder(o.out); err != nil { // better now than after training
		return err
	}
	if o.load == "" {
		o.settings["pictures"] = fmt.Sprintf("%d, CRC %08x", digits.Train.Len(), crc32.ChecksumIEEE(digits.Train.Pixels))
		if err := m.learn(ctx, o, digits.Train, digits.Valid); err != nil {
			return err
		}
	}
	tested, err := m.test(o.reading(digits.Test))
	if err != nil {
		return err
	}
	fmt.Printf("test accuracy : %.4f\n", tested.confusion.Accuracy())
	if err := tested.draw(o.out, digits.Test); err != nil || o.load != "" {
		return err
	}
	return os.RemoveAll(o.checkpoints()) // nothing is left to continue
}
