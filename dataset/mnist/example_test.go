package mnist_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/dataset/mnist"
)

// Downloads the files that are missing, then reads the set and gathers its first training batch.
func Example() {
	dir, err := mnist.CacheDir()
	if err != nil {
		log.Fatal(err)
	}
	err = mnist.Fetch(context.Background(), dir, func(file string, done, total int64) {
		fmt.Fprintf(os.Stderr, "\r%s: %d of %d bytes", file, done, total)
	})
	if err != nil {
		log.Fatal(err)
	}
	digits, err := mnist.Load(dir)
	if err != nil {
		log.Fatal(err)
	}
	var batch dataset.Batch
	for rows := range dataset.Shuffled(digits.Train, 150, 42, 0) {
		if err := rows.Source.Gather(rows.Index, &batch); err != nil {
			log.Fatal(err)
		}
		fmt.Println(batch.X, len(batch.Labels)) // tensor[28 151 28] 151
		break
	}
}

// Fashion-MNIST is fetched and read as MNIST is. Its classes have names.
func ExampleSet() {
	dir, err := mnist.FashionMNIST.CacheDir()
	if err != nil {
		log.Fatal(err)
	}
	if err := mnist.FashionMNIST.Fetch(context.Background(), dir, nil); err != nil {
		log.Fatal(err)
	}
	clothes, err := mnist.Load(dir)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(mnist.FashionMNIST.Classes()[clothes.Test.Labels[0]]) // Ankle boot
}

func ExampleSet_Classes() {
	fmt.Println(mnist.FashionMNIST.Classes()[:4], mnist.KMNIST.Classes()[:4])
	// Output: [T-shirt/top Trouser Pullover Dress] [o ki su tsu]
}

// A caller can tell missing files from damaged ones.
func ExampleLoad() {
	_, err := mnist.Load(filepath.Join(os.TempDir(), "no such folder"))
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output: true
}

// Two pictures of 2x3 pixels and their labels, as another set in IDX files might have them.
func ExampleReadIDX() {
	pictures, err := mnist.ReadIDX(bytes.NewReader([]byte{
		0, 0, 8, 3, // unsigned bytes, three dimensions
		0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3,
		10, 20, 30, 40, 50, 60,
		11, 21, 31, 41, 51, 61,
	}))
	if err != nil {
		log.Fatal(err)
	}
	labels, err := mnist.ReadIDX(bytes.NewReader([]byte{0, 0, 8, 1, 0, 0, 0, 2, 25, 7}), pictures.Shape[0])
	if err != nil {
		log.Fatal(err)
	}
	set, err := mnist.NewImages(pictures, labels, 26)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Shape(), set.Labels)
	fmt.Println(set.Picture(1))

	_, err = mnist.NewImages(pictures, labels, 10)
	fmt.Println(err)
	// Output:
	// [2 2 3] [25 7]
	// [11 21 31 41 51 61]
	// idx: label 25 of picture 0, want 0 to 9
}
