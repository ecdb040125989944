package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/dataset/digits"
	"github.com/unroll-go/unroll/dataset/mnist"
	"github.com/unroll-go/unroll/examples/progress"
)

// loadDigits loads the data that -data asks for and prints where it comes from.
func loadDigits(ctx context.Context, o options) (*mnist.Data, error) {
	switch o.data {
	case "synthetic":
		return drawDigits(o), nil
	case "auto":
		if dir := os.Getenv("UNROLL_MNIST"); dir != "" {
			return loadFolder(dir)
		}
	default:
		return loadFolder(o.data)
	}
	dir, err := mnist.CacheDir()
	if err == nil {
		fmt.Println("data : looking for MNIST in", dir, "and on its mirrors")
		err = download(ctx, dir)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		fmt.Println("data : MNIST could not be downloaded, training on drawn digits instead (-data synthetic):", err)
		return drawDigits(o), nil
	}
	return loadFolder(dir)
}

func loadFolder(dir string) (*mnist.Data, error) {
	data, err := mnist.Load(dir)
	if err == nil {
		fmt.Println("data : MNIST from", dir)
	}
	return data, err
}

func drawDigits(o options) *mnist.Data {
	fmt.Println("data : drawn digits, seed", o.seed)
	counts := [3]int{55000, 5000, 10000}
	if n := o.pictures; n > 0 {
		counts = [3]int{n, max(1, n/10), max(1, n/10)}
	}
	drawn := digits.New(o.seed, counts[0], counts[1], counts[2])
	return &mnist.Data{Train: drawn.Train, Valid: drawn.Valid, Test: drawn.Test}
}

// download fetches the files that the folder lacks, with a line for each that shows how far it is.
func download(ctx context.Context, dir string) error {
	var name string
	line := progress.New("", "bytes", 0)
	defer func() { line.Done() }()
	return mnist.Fetch(ctx, dir, func(file string, done, total int64) {
		if file != name {
			line.Done()
			name, line = file, progress.New(file, "bytes", int(total))
		}
		line.Set(int(done))
	})
}

// reading returns the pictures as -read has the model see them.
func (o options) reading(pictures dataset.Source) dataset.Source {
	if o.read != "pixels" {
		return pictures
	}
	p := pixels{Source: pictures}
	if o.permute {
		p.order = rand.New(rand.NewPCG(28, 28)).Perm(784)
	}
	return p
}

// pixels is a source of pictures that are read pixel by pixel, from the top left to the bottom right: a step is one pixel.
// If there is an order, step i is pixel order[i].
type pixels struct {
	dataset.Source
	order []int
}

// Gather makes [784,B,1] of [28,B,28].
func (p pixels) Gather(rows []int, into *dataset.Batch) error {
	if err := p.Source.Gather(rows, into); err != nil {
		return err
	}
	x, side, batch := slices.Clone(into.X.Data()), into.X.Dim(2), len(rows)
	into.X.Resize(into.X.Dim(0)*side, batch, 1)
	for step := range into.X.Dim(0) {
		pixel := step
		if p.order != nil {
			pixel = p.order[step]
		}
		from := x[pixel/side*batch*side+pixel%side:]
		to := into.X.Data()[step*batch:][:batch]
		for b := range to {
			to[b] = from[b*side]
		}
	}
	return nil
}

// shifted is a source of pictures that are moved by up to two pixels down or up and right or left. The distance of a
// picture follows from the seed and its number.
type shifted struct {
	dataset.Source
	seed uint64
}

func (s shifted) Gather(rows []int, into *dataset.Batch) error {
	if err := s.Source.Gather(rows, into); err != nil {
		return err
	}
	const side = 28
	x, batch := into.X.Data(), len(rows)
	var picture [side][side]float32
	for b, row := range rows {
		r := rand.NewPCG(s.seed, uint64(row))
		down, right := int(r.Uint64()%5)-2, int(r.Uint64()%5)-2
		for i := range side {
			copy(picture[i][:], x[(i*batch+b)*side:])
		}
		for i := range side {
			line := x[(i*batch+b)*side:][:side]
			clear(line)
			if from := i - down; from >= 0 && from < side {
				copy(line[max(0, right):], picture[from][max(0, -right):side-max(0, right)])
			}
		}
	}
	return nil
}
