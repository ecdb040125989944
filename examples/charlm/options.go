package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/unroll-go/unroll/decode"
	"github.com/unroll-go/unroll/examples/charlm/lm"
	"github.com/unroll-go/unroll/train"
)

// options are the command's flags.
type options struct {
	text, match                string
	model                      lm.Config
	streams, k1, k2, steps     int
	lr, clip                   float64
	seed                       uint64
	workers                    int
	every, heldOut             int
	out, load                  string
	saveEvery                  time.Duration
	prompt                     string
	sample, topK               int
	dropout, temperature, topP float64

	settings train.Settings // the flags that a training must not change when it continues
}

// sampler returns how characters are drawn.
func (o options) sampler() decode.SamplerConfig {
	return decode.SamplerConfig{Temperature: float32(o.temperature), TopK: o.topK, TopP: float32(o.topP)}
}

// usageError is an error in the command line: the exit code is 2.
type usageError struct{ error }

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("charlm", flag.ContinueOnError)
	f.SetOutput(io.Discard) // main prints errors, in one line
	f.StringVar(&o.text, "text", "", "file or folder of text; none: the source of Go's standard library")
	f.StringVar(&o.match, "match", "*", "the files of the folder -text to read: those whose name matches this pattern, such as *.txt")
	f.StringVar(&o.model.Cell, "cell", "gru", "gru or lstm")
	f.IntVar(&o.model.Hidden, "hidden", 256, "units of each recurrent layer")
	f.IntVar(&o.model.Layers, "layers", 1, "stacked recurrent layers")
	f.IntVar(&o.model.Embedding, "embedding", 64, "features of a character")
	f.Float64Var(&o.dropout, "dropout", 0, "probability that a feature or an output of a recurrent layer is dropped in training")
	f.BoolVar(&o.model.Tied, "tied", true, "use the matrix of the embedding for the logits, too")
	f.IntVar(&o.streams, "streams", 32, "streams of text that are read side by side")
	f.IntVar(&o.k1, "k1", 64, "characters of each stream between two updates of the weights")
	f.IntVar(&o.k2, "k2", 0, "characters that gradients go back; 0: as many as -k1")
	f.IntVar(&o.steps, "steps", 10_000, "updates of the weights")
	f.Float64Var(&o.lr, "lr", 0.01, "highest learning rate of AdamW, which rises over the first updates and then falls to 0")
	f.Float64Var(&o.clip, "clip", 1, "largest norm of a gradient; larger ones are shortened")
	f.Uint64Var(&o.seed, "seed", 42, "seed of the initial weights, of the order of the documents and of the sample")
	f.IntVar(&o.workers, "workers", 0, "goroutines that train; 0: one a core. The result does not depend on it")
	f.IntVar(&o.every, "every", 1000, "updates between two lines about the progress")
	f.IntVar(&o.heldOut, "held-out", 200_000, "held-out characters, about, that each line is measured on")
	f.StringVar(&o.out, "out", "charlm-run", "folder for model.safetensors and the checkpoints")
	f.DurationVar(&o.saveEvery, "save-every", time.Minute, "time between two checkpoints, which are also written when the training is interrupted")
	f.StringVar(&o.load, "load", "", "write a text by this model.safetensors and do not train")
	f.StringVar(&o.prompt, "prompt", "func ", "beginning of the text to write")
	f.IntVar(&o.sample, "sample", 600, "characters to write after the prompt")
	f.Float64Var(&o.temperature, "temperature", 0.7, "divides the logits: below 1, likely characters become more likely; 0: the most likely one always")
	f.IntVar(&o.topK, "top-k", 0, "draw from so many most likely characters; 0: from all")
	f.Float64Var(&o.topP, "top-p", 1, "draw from the fewest characters whose probabilities add up to this")
	if err := f.Parse(args); err == flag.ErrHelp {
		fmt.Println("Usage: charlm [flags]")
		f.SetOutput(os.Stdout)
		f.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	if f.NArg() > 0 {
		return o, usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	}
	if o.k2 == 0 {
		o.k2 = o.k1
	}
	o.model.Dropout = float32(o.dropout)
	o.settings = train.Settings{}
	f.VisitAll(func(g *flag.Flag) {
		switch g.Name {
		case "text", "workers", "out", "load", "save-every", "prompt", "sample", "temperature", "top-k", "top-p":
		default:
			o.settings["-"+g.Name] = g.Value.String()
		}
	})
	return o, o.check()
}

// check returns an error if a flag that package lm does not check cannot be.
func (o options) check() error {
	for _, c := range []struct {
		flag  string
		ok    bool
		found any
		want  string
	}{
		{"streams", o.streams >= 1 && o.streams <= 1<<12, o.streams, "1 to 4096"},
		{"k1", o.k1 >= 1 && o.k1 <= 1<<16, o.k1, "1 to 65536"},
		{"k2", o.k2 >= 1 && o.k2 <= 1<<16, o.k2, "0 to 65536"},
		{"steps", o.steps >= 1, o.steps, "at least 1"},
		{"lr", o.lr > 0 && o.lr <= math.MaxFloat32, o.lr, "a positive number"},
		{"clip", o.clip > 0, o.clip, "a positive number"},
		{"workers", o.workers >= 0, o.workers, "0 or more"},
		{"every", o.every >= 1, o.every, "at least 1"},
		{"held-out", o.heldOut >= 1, o.heldOut, "at least 1"},
		{"out", o.out != "", fmt.Sprintf("%q", o.out), "a folder"},
		{"save-every", o.saveEvery > 0, o.saveEvery, "a positive time"},
		{"prompt", o.prompt != "", fmt.Sprintf("%q", o.prompt), "at least one character"},
		{"sample", o.sample >= 0, o.sample, "0 or more"},
		{"temperature", o.temperature >= 0 && o.temperature <= math.MaxFloat32, o.temperature, "0 or more"},
		{"top-k", o.topK >= 0, o.topK, "0 or more"},
		{"top-p", o.topP > 0 && o.topP <= 1, o.topP, "more than 0 and at most 1"},
	} {
		if !c.ok {
			return usageError{fmt.Errorf("-%s is %v, want %s", c.flag, c.found, c.want)}
		}
	}
	return nil
}
