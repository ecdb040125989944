// Package digits draws digits: grey pictures of 28x28 pixels in ten classes, much like those of MNIST, but made
// by arithmetic instead of read from files.
//
//	drawn := digits.New(42, 55000, 5000, 10000)
//
// takes about a second and stands in for what mnist.Load returns.
//
// A class has several forms, such as a seven with a bar and one without. Each picture is one of them in a
// handwriting of its own: points of the form are moved at random, the whole is bent, slanted, scaled, turned
// and shifted, and a pen of random width follows it. So there is something to learn: of 10,000 test
// pictures, softmax regression on the pixels gets 87 % right, and a tanh RNN of 150 units that reads them row
// by row 97 %, after five epochs of 55,000 pictures in batches of 150 (Adam, learning rate 0.001).
package digits

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/tensor"
)

const (
	Size    = 28 // height and width of a picture, in pixels
	Classes = 10 // class c is the digit c
)

// Data is divided as mnist.Data is.
type Data struct {
	Train, Valid, Test *dataset.Images
}

// New draws three sets of so many pictures each. Their classes are random, each as likely as the others.
//
// A picture follows from the seed, its set and its index alone, and has the same bytes on every platform. Thus
// a longer set begins with the shorter one, and the number of goroutines that draw, GOMAXPROCS, makes no difference.
//
// New panics with a [*tensor.ShapeError] if a number is negative or an int cannot count its pixels.
func New(seed uint64, train, valid, test int) *Data {
	d := &Data{blank("training", train), blank("validation", valid), blank("test", test)}
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() {
			for set, m := range []*dataset.Images{d.Train, d.Valid, d.Test} {
				lo, hi := dataset.Cut(m.Len(), workers, w)
				fill(m, lo, hi, seed, uint64(set))
			}
		})
	}
	group.Wait()
	return d
}

// blank returns n empty pictures.
func blank(set string, n int) *dataset.Images {
	pixels, ok := tensor.TrySize([]int{n, Size, Size})
	if !ok {
		panic(&tensor.ShapeError{Where: "digits.New", Got: fmt.Sprintf("%d %s pictures", n, set),
			Want: "0 or more, of pixels that an int can count"})
	}
	return &dataset.Images{Height: Size, Width: Size, Pixels: make([]uint8, pixels), Labels: make([]uint8, n)}
}

// fill draws pictures lo to hi of a set. Each has a generator of its own: ChaCha8, because streams
// of keys that differ little have nothing in common.
func fill(m *dataset.Images, lo, hi int, seed, set uint64) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], seed)
	binary.LittleEndian.PutUint64(key[8:], set)
	stream := rand.NewChaCha8(key)
	r := rand.New(stream)
	for i := lo; i < hi; i++ {
		binary.LittleEndian.PutUint64(key[16:], uint64(i))
		stream.Seed(key)
		class := r.IntN(Classes)
		m.Labels[i] = uint8(class)
		Draw(r, class, m.Picture(i))
	}
}
