package digits_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/dataset/digits"
)

// Draws three small sets and gathers a batch: eight sequences of 28 rows.
func Example() {
	drawn := digits.New(42, 1000, 100, 200)
	fmt.Println(drawn.Train.Shape(), drawn.Valid.Shape(), drawn.Test.Shape())

	var batch dataset.Batch
	for rows := range dataset.Shuffled(drawn.Train, 8, 42, 0) {
		if err := rows.Source.Gather(rows.Index, &batch); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(batch.X.Shape(), batch.Labels)
		break
	}
	// Output:
	// [1000 28 28] [100 28 28] [200 28 28]
	// [28 8 28] [2 5 6 7 1 0 5 0]
}

// A three, with one character for each pixel. Every second row is left out, because characters are twice as high as wide.
func ExampleDraw() {
	picture := make([]uint8, digits.Size*digits.Size)
	digits.Draw(rand.New(rand.NewPCG(2, 2)), 3, picture)
	for y := 0; y < digits.Size; y += 2 {
		line := []byte("|")
		for _, ink := range picture[y*digits.Size:][:digits.Size] {
			line = append(line, " .:*#"[int(ink)*4/255])
		}
		fmt.Println(string(line) + "|")
	}
	// Output:
	// |                            |
	// |                            |
	// |              .::.          |
	// |           ********.        |
	// |         .**:    :**        |
	// |         :*:     ***        |
	// |               .:**.        |
	// |            .*******:       |
	// |                  .**:      |
	// |           :**.    **:      |
	// |            .***   :**      |
	// |              :*#****:      |
	// |                .:*:.       |
	// |                            |
}
