// Command gomlx is GoMLX's side of the benchmarks: for each request, a line of JSON on stdin, one reply on stdout.
// MNIST is in the folder UNROLL_MNIST. Built as it is fastest:
//
//	CGO_ENABLED=0 GOEXPERIMENT=simd go build
//
// Without the experiment the matrix products of GoMLX's Go backend are scalar, and a batch takes two to three times as
// long.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // registers "go"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/dataset/mnist"
)

// request asks to train some batches: the only thing to Do is "train".
type request struct {
	Do string
	job
	Batches int
}

// job is a model to train: pictures of so many rows, at most 28, to ten classes.
type job struct {
	Cell                 string // elman or lstm
	Hidden, Batch, Steps int
}

type reply struct {
	Seconds float64 `json:"seconds"`
	Loss    float32 `json:"loss"` // of the last batch
	Error   string  `json:"error,omitempty"`
}

func main() {
	log.SetFlags(0)
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr // the backend prints its settings
	p, err := newPeer()
	if err != nil {
		log.Fatal(err)
	}
	for {
		var q request
		if err := in.Decode(&q); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		r, err := p.answer(q)
		if err != nil {
			r = reply{Error: err.Error()}
		}
		if err := out.Encode(r); err != nil {
			log.Fatal(err)
		}
	}
}

// peer keeps what it trains from request to request.
type peer struct {
	backend  compute.Backend
	pictures *dataset.Images
	trainers map[job]*trainer
}

func newPeer() (*peer, error) {
	digits, err := mnist.Load(os.Getenv("UNROLL_MNIST"))
	if err != nil {
		return nil, err
	}
	// No limit to the nodes that are computed at once: a product uses no more goroutines than there are cores
	// anyway, and with a limit the backend deadlocks when as many nodes wait for goroutines of their products.
	backend, err := compute.NewWithConfig("go:parallelism=-1")
	return &peer{backend, digits.Train, map[job]*trainer{}}, err
}

func (p *peer) answer(q request) (reply, error) {
	if q.Do != "train" || q.Hidden < 1 || q.Batch < 1 || q.Batch > p.pictures.Len() ||
		q.Steps < 1 || q.Steps > p.pictures.Height || q.Batches < 1 {
		return reply{}, fmt.Errorf("cannot answer %+v", q)
	}
	t := p.trainers[q.job]
	if t == nil {
		step, err := newStep(p.backend, q.job)
		if err != nil {
			return reply{}, err
		}
		t = &trainer{job: q.job, pictures: p.pictures, step: step}
		if _, err := t.run(2); err != nil { // to compile the graph and to warm up
			return reply{}, err
		}
		p.trainers[q.job] = t
	}
	return t.run(q.Batches)
}

// trainer trains a model, as many batches at a time as are asked for. All are of one size, as the graph is, so that
// an epoch leaves out the few pictures that would make another batch.
type trainer struct {
	job
	pictures *dataset.Images
	step     *model.ExecOneOutput
	rows     []int // still to come in this epoch
}

func (t *trainer) run(batches int) (reply, error) {
	start := time.Now()
	var loss float32
	for range batches {
		l, err := t.step.Call(t.next())
		if err != nil {
			return reply{}, err
		}
		loss = tensors.ToScalar[float32](l)
	}
	return reply{Seconds: time.Since(start).Seconds(), Loss: loss}, nil
}

// next returns pictures, [Batch,Steps,28], and their classes, [Batch,1].
func (t *trainer) next() (x, classes *tensors.Tensor) {
	if len(t.rows) < t.Batch {
		t.rows = rand.Perm(t.pictures.Len())
	}
	size := t.Steps * t.pictures.Width
	pixels, labels := make([]float32, 0, t.Batch*size), make([]int32, 0, t.Batch)
	for _, row := range t.rows[:t.Batch] {
		for _, p := range t.pictures.Picture(row)[:size] {
			pixels = append(pixels, float32(p)/255)
		}
		labels = append(labels, int32(t.pictures.Labels[row]))
	}
	t.rows = t.rows[t.Batch:]
	return tensors.FromFlatDataAndDimensions(pixels, t.Batch, t.Steps, t.pictures.Width),
		tensors.FromFlatDataAndDimensions(labels, t.Batch, 1)
}
