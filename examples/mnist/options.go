package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/unroll-go/unroll/train"
)

// options are the command's flags.
type options struct {
	data, cell, out, load, recipe, read     string
	epochs, batch, hidden, layers, truncate int
	workers                                 int
	bidirectional, permute                  bool
	recompute                               int
	tensorboard                             string
	lr, dropout                             float64
	seed                                    uint64
	pictures, patience                      int
	resume                                  bool
	saveEvery                               time.Duration

	settings train.Settings // the flags that a training must not change when it continues
}

// checkpoints returns the folder of the checkpoints.
func (o options) checkpoints() string { return filepath.Join(o.out, "checkpoints") }

// recipes are the defaults of flags by the value of -recipe. Besides, the recipe "best" shifts the training pictures a
// little, anew in each epoch, and lets the learning rate rise to -lr and then fall to nearly 0.
var recipes = map[string]map[string]string{
	"plain": nil,
	"best":  {"cell": "gru", "hidden": "128", "epochs": "14", "lr": "0.005", "dropout": "0.1"},
}

// usageError is an error in the command line: the exit code is 2.
type usageError struct{ error }

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("mnist", flag.ContinueOnError)
	f.SetOutput(io.Discard) // main prints errors, in one line
	f.StringVar(&o.data, "data", "auto", "auto, synthetic or a folder with MNIST's four files; auto is the folder $UNROLL_MNIST if that is set, else the cache, else a download, else synthetic")
	f.IntVar(&o.epochs, "epochs", 5, "passes over the training set")
	f.IntVar(&o.batch, "batch", 150, "pictures in a batch, about")
	f.IntVar(&o.hidden, "hidden", 150, "units of the recurrent layer")
	f.Float64Var(&o.lr, "lr", 0.001, "learning rate of Adam")
	f.IntVar(&o.truncate, "truncate", 0, "number of steps that gradients go back; 0: all")
	f.StringVar(&o.cell, "cell", "elman", "elman, lstm or gru")
	f.IntVar(&o.layers, "layers", 1, "stacked recurrent layers")
	f.BoolVar(&o.bidirectional, "bidirectional", false, "read each picture from its last row to its first as well")
	f.Float64Var(&o.dropout, "dropout", 0, "probability that an output of a recurrent layer is dropped in training")
	f.StringVar(&o.read, "read", "rows", "rows: a picture is 28 steps of a row of 28 pixels; pixels: it is 784 steps of one pixel, the classic test of long memory")
	f.BoolVar(&o.permute, "permute", false, "with -read pixels, read the pixels in an order that was drawn once, the same for all pictures")
	f.IntVar(&o.recompute, "recompute", 0, "number of windows of time whose states are computed again on the way back, to save memory; 0: all states are kept. The result does not depend on it")
	f.StringVar(&o.recipe, "recipe", "plain", "plain, or best: other defaults, for accuracy, that take a minute on two cores")
	f.Uint64Var(&o.seed, "seed", 42, "seed of the initial weights and of the order of the pictures")
	f.IntVar(&o.workers, "workers", 0, "goroutines that train; 0: one a core. The result does not depend on it")
	f.StringVar(&o.out, "out", "mnist-run", "folder for history.csv, model.safetensors and the pictures")
	f.IntVar(&o.pictures, "pictures", 0, "training pictures that -data synthetic draws, with a tenth as many for validation and for the test; 0: as many as MNIST has")
	f.IntVar(&o.patience, "patience", 0, "epochs in succession without a better accuracy in validation after which the training ends, with the best weights; 0: it does not")
	f.BoolVar(&o.resume, "resume", false, "continue from the checkpoint in -out, and fail if there is none; without the flag, a checkpoint of the same flags is continued, too")
	f.DurationVar(&o.saveEvery, "save-every", time.Minute, "time between two checkpoints, which are also written when the training is interrupted")
	f.StringVar(&o.tensorboard, "tensorboard", "", "folder for what TensorBoard shows; none: nothing is written for it")
	f.StringVar(&o.load, "load", "", "evaluate this model.safetensors and do not train")
	if err := f.Parse(args); err == flag.ErrHelp {
		fmt.Println("Usage: mnist [flags]")
		f.SetOutput(os.Stdout)
		f.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	if f.NArg() > 0 {
		return o, usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	}
	for name, value := range recipes[o.recipe] {
		if !given(f, name) {
			if err := f.Set(name, value); err != nil {
				return o, err
			}
		}
	}
	o.settings = train.Settings{}
	f.VisitAll(func(g *flag.Flag) {
		switch g.Name {
		case "data", "workers", "recompute", "out", "load", "resume", "save-every", "tensorboard": // what the data are is told by the pictures themselves
		default:
			o.settings["-"+g.Name] = g.Value.String()
		}
	})
	return o, o.check()
}

// check returns a usageError if a flag's value cannot be.
func (o options) check() error {
	_, known := recipes[o.recipe]
	for _, c := range []struct {
		flag  string
		ok    bool
		found any
		want  string
	}{
		{"data", o.data != "", fmt.Sprintf("%q", o.data), "auto, synthetic or a folder"},
		{"epochs", o.epochs >= 1, o.epochs, "at least 1"},
		{"batch", o.batch >= 1, o.batch, "at least 1"},
		{"hidden", o.hidden >= 1 && o.hidden <= 1<<15, o.hidden, "1 to 32768"},
		{"lr", o.lr > 0 && o.lr <= math.MaxFloat32, o.lr, "a positive number"},
		{"truncate", o.truncate >= 0, o.truncate, "0 or more"},
		{"cell", o.cell == "elman" || o.cell == "lstm" || o.cell == "gru", fmt.Sprintf("%q", o.cell), "elman, lstm or gru"},
		{"layers", o.layers >= 1 && o.layers <= 64, o.layers, "1 to 64"},
		{"dropout", o.dropout >= 0 && o.dropout < 1, o.dropout, "0 or more and less than 1"},
		{"read", o.read == "rows" || o.read == "pixels", fmt.Sprintf("%q", o.read), "rows or pixels"},
		{"permute", !o.permute || o.read == "pixels", o.permute, "-read pixels with it"},
		{"recompute", o.recompute >= 0, o.recompute, "0 or more"},
		{"recipe", known, fmt.Sprintf("%q", o.recipe), "plain or best"},
		{"workers", o.workers >= 0, o.workers, "0 or more"},
		{"pictures", o.pictures >= 0, o.pictures, "0 or more"},
		{"patience", o.patience >= 0, o.patience, "0 or more"},
		{"save-every", o.saveEvery > 0, o.saveEvery, "a positive time"},
		{"out", o.out != "", fmt.Sprintf("%q", o.out), "a folder"},
	} {
		if !c.ok {
			return usageError{fmt.Errorf("-%s is %v, want %s", c.flag, c.found, c.want)}
		}
	}
	return nil
}

// given reports whether the command line has the flag.
func given(f *flag.FlagSet, name string) (yes bool) {
	f.Visit(func(g *flag.Flag) { yes = yes || g.Name == name })
	return yes
}
