package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
)

// options are the command's flags.
type options struct {
	problem, cell, train, out string
	lag, symbols, truncate    int
	recompute, memory         int
	hidden, batch, steps      int
	lr                        float64
	seed                      uint64
}

// usageError is an error in the command line: the exit code is 2.
type usageError struct{ error }

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("memory", flag.ContinueOnError)
	f.SetOutput(io.Discard) // main prints errors, in one line
	f.StringVar(&o.problem, "problem", "copy", "copy or add")
	f.IntVar(&o.lag, "lag", 1000, "copy: steps from a symbol to the answer; add: steps of a sequence")
	f.IntVar(&o.symbols, "symbols", 3, "symbols to copy")
	f.StringVar(&o.train, "train", "both", "the backpropagation through time to train with: full, truncated or both")
	f.IntVar(&o.truncate, "truncate", 0, "steps before the first answer that gradients go back in the truncated training; 0: half of the lag")
	f.IntVar(&o.recompute, "recompute", 0, "number of windows of time whose states are computed again on the way back, to save memory; 0: all states are kept. The result does not depend on it")
	f.IntVar(&o.memory, "memory", 0, "megabytes that the recurrent layer may keep for the way back, for each shard of the batch; 0: no limit. The result does not depend on it")
	f.StringVar(&o.cell, "cell", "gru", "gru, lstm or mingru")
	f.IntVar(&o.hidden, "hidden", 64, "units of the recurrent layer")
	f.IntVar(&o.batch, "batch", 32, "sequences in a batch")
	f.IntVar(&o.steps, "steps", 3000, "updates at most; the full training ends earlier when its loss is a fiftieth of chance, and the truncated one after as many updates")
	f.Float64Var(&o.lr, "lr", 0.01, "learning rate of Adam")
	f.Uint64Var(&o.seed, "seed", 42, "seed of the weights and of the sequences")
	f.StringVar(&o.out, "out", "memory-run", "folder for memory.png")
	if err := f.Parse(args); err == flag.ErrHelp {
		fmt.Println("Usage: memory [flags]")
		f.SetOutput(os.Stdout)
		f.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	if f.NArg() > 0 {
		return o, usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	}
	if o.truncate == 0 {
		o.truncate = o.lag / 2
	}
	return o, o.check()
}

// check returns a usageError if a flag's value cannot be.
func (o options) check() error {
	const most = 1 << 20 // steps
	for _, c := range []struct {
		flag  string
		ok    bool
		found any
		want  string
	}{
		{"problem", o.problem == "copy" || o.problem == "add", fmt.Sprintf("%q", o.problem), "copy or add"},
		{"lag", o.lag >= 2 && o.lag <= most, o.lag, fmt.Sprintf("2 to %d", most)},
		{"symbols", o.symbols >= 1 && (o.problem == "add" || o.symbols < o.lag), o.symbols, "at least 1 and less than the lag"},
		{"train", o.train == "full" || o.train == "truncated" || o.train == "both", fmt.Sprintf("%q", o.train), "full, truncated or both"},
		{"truncate", o.truncate >= 1, o.truncate, "0 or more"},
		{"recompute", o.recompute >= 0, o.recompute, "0 or more"},
		{"memory", o.memory >= 0 && o.memory <= 1<<10, o.memory, "0 to 1024"},
		{"cell", o.cell == "gru" || o.cell == "lstm" || o.cell == "mingru", fmt.Sprintf("%q", o.cell), "gru, lstm or mingru"},
		{"hidden", o.hidden >= 1 && o.hidden <= 1<<12, o.hidden, "1 to 4096"},
		{"batch", o.batch >= 1 && o.batch <= 1<<12, o.batch, "1 to 4096"},
		{"steps", o.steps >= 1, o.steps, "at least 1"},
		{"lr", o.lr > 0 && o.lr <= math.MaxFloat32, o.lr, "a positive number"},
		{"out", o.out != "", fmt.Sprintf("%q", o.out), "a folder"},
	} {
		if !c.ok {
			return usageError{fmt.Errorf("-%s is %v, want %s", c.flag, c.found, c.want)}
		}
	}
	return nil
}

// source returns the sequences.
func (o options) source() problem {
	if o.problem == "add" {
		return adding{o.lag, o.seed}
	}
	return copying{o.lag, o.symbols, o.seed}
}

// trainings returns the trainings that -train names, the full one first.
func (o options) trainings() []training {
	both := []training{{"full", 0}, {fmt.Sprintf("truncated to %d steps", o.truncate), o.truncate}}
	switch o.train {
	case "full":
		return both[:1]
	case "truncated":
		return both[1:]
	}
	return both
}

// title says what the picture shows.
func (o options) title() string {
	if o.problem == "add" {
		return fmt.Sprintf("loss of adding two of %d numbers, %s of %d units", o.lag, o.cell, o.hidden)
	}
	return fmt.Sprintf("loss of copying %d symbols over a lag of %d steps, %s of %d units", o.symbols, o.lag, o.cell, o.hidden)
}
