package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// The ways to train on long sequences.
const (
	keepAll      = "all kept"
	againLayer   = "layer again" // rnn.Options.MemoryBudget
	againWindows = "model again" // autograd.Recompute; torch.utils.checkpoint
)

// long has whole programs compute the gradient of a loss at every step of long sequences: the time of a training step, and the most memory.
func long(b *bench) (all []*Contest, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	torches := b.pytorches()
	for _, steps := range []int{100, 1000, 10_000, 100_000} {
		j := job{Cell: lstm, Hidden: 150, Batch: 32, Steps: steps, Input: pixels}
		seconds := &Contest{Name: fmt.Sprint("seconds, steps: ", steps)}
		peak := &Contest{Name: fmt.Sprint("MB, steps: ", steps)}
		add := func(name string, command func() *exec.Cmd) {
			var bytes float64 // of the run whose time was told last
			seconds.add(name, 2, func() (s float64, err error) { s, bytes, err = program(command()); return s, err })
			peak.add(name, 2, func() (float64, error) { return bytes / 1e6, nil })
		}
		for _, way := range []string{keepAll, againLayer, againWindows} {
			if way == keepAll && steps > 10_000 {
				continue // more memory than many machines have
			}
			add("ours, "+way, func() *exec.Cmd {
				return exec.Command(self, "-long", strconv.Itoa(steps), "-way", way)
			})
		}
		for _, p := range torches {
			for _, way := range []string{keepAll, againWindows} {
				if way == keepAll && steps > 10_000 {
					continue
				}
				q, err := json.Marshal(request{Do: "long", job: j, Function: way})
				if err != nil {
					return nil, err
				}
				add(p.name+", "+way, func() *exec.Cmd {
					cmd := exec.Command(p.python, "peers/pytorch.py")
					cmd.Stdin, cmd.Env = bytes.NewReader(q), append(os.Environ(), "OMP_NUM_THREADS=2", "OPENBLAS_NUM_THREADS=1")
					return cmd
				})
			}
		}
		all = append(all, seconds, peak)
	}
	return all, nil
}

// program runs a program that prints a reply, and returns the seconds that it tells and the most memory that it had.
func program(cmd *exec.Cmd) (seconds, peak float64, err error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if peak, err = peakRSS(cmd); err != nil {
		return 0, 0, err
	}
	var r reply
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return 0, 0, err
	}
	if r.Error != "" {
		return 0, 0, fmt.Errorf("%s", r.Error)
	}
	return r.Seconds, peak, nil
}

// trainLong prints the seconds of a training step on sequences of so many steps, the second one after one to warm up.
func trainLong(steps int, way string) error {
	const hidden, batch = 150, 32
	params := autograd.NewParams(1)
	layer := rnn.NewLSTM(params.In("rnn"), rnn.LSTMConfig{Input: pixels, Hidden: hidden})
	head := layers.NewDense(params.In("head"), hidden, classes)
	window := int(math.Ceil(math.Sqrt(float64(steps))))
	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		rows := b.Rows()
		if way != againWindows {
			o := rnn.Options{}
			if way == againLayer {
				o.MemoryBudget = 1 // as little as can be
			}
			y, _ := layer.Forward(t.Input(b.X), o)
			return loss.SparseSoftmaxCrossEntropy(head.Forward(y), b.Labels)
		}
		var losses []*autograd.Node
		var carry rnn.Carry
		for from := 0; from < steps; from += window {
			to := min(from+window, steps)
			x := tensor.Of(b.X.Data()[from*rows*pixels:to*rows*pixels], to-from, rows, pixels)
			out := autograd.Recompute(t, func(t *autograd.Tape, in []*autograd.Node) []*autograd.Node {
				y, end := layer.Forward(t.Input(x), rnn.Options{Start: rnn.Carry{H: in[0], C: in[1]}})
				return append(in[:0], loss.SparseSoftmaxCrossEntropy(head.Forward(y), b.Labels[from*rows:to*rows]), end.H, end.C)
			}, carry.H, carry.C)
			losses, carry = append(losses, out[0]), rnn.Carry{H: out[1], C: out[2]}
		}
		return autograd.JoinMeans(losses...)
	})
	var seconds float64
	for range 2 {
		start := time.Now()
		if _, err := step.Run(dataset.Rows{Source: lines{steps}, Index: make([]int, batch)}); err != nil {
			return err
		}
		seconds = time.Since(start).Seconds()
	}
	return json.NewEncoder(os.Stdout).Encode(reply{Seconds: seconds})
}

// lines is a source of sequences of noise, with a label at each step.
type lines struct{ steps int }

func (l lines) Len() int { return 1 }

func (l lines) Gather(rows []int, into *dataset.Batch) error {
	n := l.steps * len(rows)
	if into.X == nil || into.X.Len() != n*pixels {
		into.X = tensor.Of(noise(n*pixels), l.steps, len(rows), pixels)
		into.Labels = make([]int32, n)
		for i := range into.Labels {
			into.Labels[i] = int32(i * 7 % classes)
		}
	}
	return nil
}

func longTable(contests []*Contest) table {
	t := table{{"steps", "who, and what is kept", "seconds", "times ours with all kept", "MB"}}
	for i := 0; i < len(contests); i += 2 {
		seconds, peak := contests[i], contests[i+1]
		var plain *Entry
		for k, e := range seconds.Entries {
			times := ""
			if plain = cmp.Or(plain, seconds.entry("ours, "+keepAll)); plain != nil {
				times = figure(ratio(e, plain))
			}
			t = append(t, []string{seconds.Name[len("seconds, steps: "):], e.Name, figure(e.median()), times, figure(peak.Entries[k].median())})
		}
	}
	return t
}
