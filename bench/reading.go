package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/vad"
)

// readingJobs are what the section reading has everybody read.
func readingJobs() (jobs []job) {
	for _, cell := range cells {
		jobs = append(jobs, job{Cell: cell, Input: pixels, Layers: 1, Hidden: 150, Batch: 256, Steps: 28})
		for _, hidden := range []int{64, 150, 256, 400, 512, 1024} {
			for _, batch := range []int{1, 2, 4, 8} {
				jobs = append(jobs, job{Cell: cell, Input: hidden, Layers: 2, Hidden: hidden, Batch: batch, Steps: 200})
			}
		}
	}
	return jobs
}

// reading has everybody read batches of whole sequences. Times are those of a step.
func reading(b *bench) (all []*Contest, err error) {
	releases := b.pytorches()
	runtime, name := b.onnxRuntime()
	for _, j := range readingJobs() {
		c := &Contest{Name: fmt.Sprintf("%s, %d x %d units, batch %d, steps %d", j.Cell, j.Layers, j.Hidden, j.Batch, j.Steps)}
		run, step := j.reader(), 1/float64(j.Steps)
		c.add(ours, 1, func() (float64, error) { return timed(run) * step, nil })
		if runtime != nil {
			c.add(name, 1, runtime.seconds(request{Do: "read", job: j}, step))
		}
		for _, p := range releases {
			child, err := b.torch(p, p.settings[0])
			if err != nil {
				return nil, err
			}
			c.add(p.name, 1, child.seconds(request{Do: "read", job: j}, step))
		}
		all = append(all, c)
	}
	return all, nil
}

// reader returns a run of our layer over a batch.
func (j job) reader() func() {
	params := autograd.NewParams(1)
	layer := j.layer(params).(interface {
		Forward(x *autograd.Node, o rnn.Options) (y *autograd.Node, end rnn.Carry)
	})
	tape, x := autograd.NewInference(params), tensor.Of(noise(j.Steps*j.Batch*j.Input), j.Steps, j.Batch, j.Input)
	return func() {
		tape.Reset()
		layer.Forward(tape.Input(x), rnn.Options{})
	}
}

func readingTable(contests []*Contest) table { return compare(contests, ours, "µs a step", 1e6) }

// conv is a convolution over time.
type conv struct {
	In      int `json:"in"`
	Out     int `json:"out"`
	Width   int `json:"width"`
	Stride  int `json:"stride"`
	Padding int `json:"padding"`
}

// convolutions compares convolutions with PyTorch's, and a chunk of a network that has them with ONNX Runtime's.
func convolutions(b *bench) (all []*Contest, err error) {
	releases := b.pytorches()
	const rows, steps = 100, 64
	for _, k := range []conv{{129, 128, 3, 1, 1}, {128, 64, 3, 2, 1}, {64, 64, 3, 2, 1}, {64, 128, 3, 1, 1}} {
		c := &Contest{Name: fmt.Sprintf("Conv1D, %d to %d channels, width %d, stride %d, %d steps", k.In, k.Out, k.Width, k.Stride, steps)}
		params := autograd.NewParams(1)
		layer := layers.NewConv1D(params, layers.Conv1DConfig{In: k.In, Out: k.Out, Width: k.Width, Stride: k.Stride, PadLeft: k.Padding, PadRight: k.Padding})
		tape, x := autograd.NewInference(params), tensor.Of(noise(steps*rows*k.In), steps, rows, k.In)
		c.addFunc(ours, func() {
			tape.Reset()
			layer.Forward(tape.Input(x))
		})
		for _, p := range releases {
			child, err := b.torch(p, p.settings[0])
			if err != nil {
				return nil, err
			}
			c.add(p.name, 1, child.seconds(request{Do: "conv", Conv: &k, job: job{Batch: rows, Steps: steps}}, 1))
		}
		all = append(all, c)
	}
	dir := os.Getenv("UNROLL_SILERO")
	if dir == "" {
		b.note("Silero VAD is left out: UNROLL_SILERO does not name the folder of its weights.")
		return all, nil
	}
	model, err := vad.Load(filepath.Join(dir, "silero_vad_16k.safetensors"))
	if err != nil {
		return nil, err
	}
	c := &Contest{Name: "Silero VAD, a chunk"}
	stream, chunk := model.NewStream(), noise(vad.Chunk)
	c.addFunc(ours, func() { stream.Step(chunk) })
	if runtime, name := b.onnxRuntime(); runtime != nil {
		c.add(name, 1, runtime.seconds(request{Do: "vad"}, 1))
	}
	return append(all, c), nil
}
