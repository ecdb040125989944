package dataset_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/tensor"
)

// stripes returns six pictures of 2x2 pixels: picture i has label i.
func stripes() *dataset.Images {
	return &dataset.Images{Height: 2, Width: 2,
		Pixels: []uint8{
			0, 255, 0, 0,
			51, 255, 0, 0,
			102, 255, 0, 0,
			153, 255, 0, 0,
			204, 255, 0, 0,
			255, 255, 0, 0,
		},
		Labels: []uint8{0, 1, 2, 3, 4, 5},
	}
}

// The first two examples are kept for validation; the others are cut into batches.
func Example() {
	valid, train := dataset.Split(stripes(), 2)
	fmt.Println(valid.Len(), train.Len())

	var b dataset.Batch
	for rows := range dataset.Batches(train, 3) {
		if err := rows.Source.Gather(rows.Index, &b); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(b.Labels)
		fmt.Println(b.X, b.X.Data())
	}
	// Output:
	// 2 4
	// [2 3 4]
	// tensor[2 3 2] [0.4 1 0.6 1 0.8 1 0 0 0 0 0 0]
	// [5]
	// tensor[2 1 2] [1 1 0 0]
}

// Each epoch has an order of its own, the same whenever it is run. Seven rows in batches of
// three are two batches, the larger one first.
func ExampleShuffled() {
	var s dataset.Source = &dataset.Images{Labels: make([]uint8, 7)}
	for epoch := range uint64(2) {
		for rows := range dataset.Shuffled(s, 3, 42, epoch) {
			fmt.Println(epoch, rows.Index)
		}
	}
	// Output:
	// 0 [2 3 4 1]
	// 0 [0 5 6]
	// 1 [6 0 5 4]
	// 1 [2 3 1]
}

func ExampleCut() {
	for i := range 3 {
		fmt.Println(dataset.Cut(8, 3, i))
	}
	// Output:
	// 0 3
	// 3 6
	// 6 8
}

// Two sequences of three steps with one feature become time-major.
func ExampleTensors() {
	s := &dataset.Tensors{
		X:      tensor.Of([]float32{1, 2, 3, 10, 20, 30}, 2, 3, 1),
		Labels: []int32{0, 1},
	}
	var b dataset.Batch
	if err := s.Gather([]int{0, 1}, &b); err != nil {
		log.Fatal(err)
	}
	fmt.Println(b.X, b.X.Data(), b.Labels)
	// Output: tensor[3 2 1] [1 10 2 20 3 30] [0 1]
}

func ExampleCSV() {
	text := `length,width,kind
5.1,3.5,setosa
7.0,3.2,versicolor
4.9,,setosa
`
	table, err := dataset.CSV{Header: true, Label: "kind", TextLabels: true, EmptyIsNaN: true}.Read(strings.NewReader(text))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(table.X, table.X.Data(), table.FeatureNames)
	fmt.Println(table.Labels, table.Classes)

	_, err = dataset.CSV{Header: true, Label: "kind", TextLabels: true}.Read(strings.NewReader(text))
	fmt.Println(err)
	// Output:
	// tensor[3 2] [5.1 3.5 7 3.2 4.9 NaN] [length width]
	// [0 1 0] [setosa versicolor]
	// dataset: line 4, column 2 (width): found an empty field, want a number
}

// A series with one column: from three steps the next one is to be predicted. What is later is kept for validation, by
// cutting the series, so that no step is on both sides.
func ExampleWindows() {
	series := tensor.Of([]float32{0, 1, 2, 3, 4, 5, 6, 7, 8}, 9, 1)
	config := dataset.WindowConfig{Steps: 3, Ahead: 1, Horizon: 1}
	past, future := dataset.SplitSeries(series, 5)
	train, valid := dataset.NewWindows(config, past), dataset.NewWindows(config, future)
	fmt.Println(train.Len(), valid.Len())

	var b dataset.Batch
	if err := train.Gather([]int{0, 1}, &b); err != nil {
		log.Fatal(err)
	}
	fmt.Println(b.X, b.X.Data())
	fmt.Println(b.Target, b.Target.Data())
	// Output:
	// 2 1
	// tensor[3 2 1] [0 1 1 2 2 3]
	// tensor[2 1] [3 4]
}

// With no Horizon each step has a target: the step after it.
func ExampleWindows_sequenceToSequence() {
	series := tensor.Of([]float32{0, 1, 2, 3, 4}, 5, 1)
	w := dataset.NewWindows(dataset.WindowConfig{Steps: 3, Ahead: 1}, series)
	var b dataset.Batch
	if err := w.Gather([]int{1}, &b); err != nil {
		log.Fatal(err)
	}
	fmt.Println(b.X, b.X.Data())
	fmt.Println(b.Target, b.Target.Data())
	// Output:
	// tensor[3 1 1] [1 2 3]
	// tensor[3 1 1] [2 3 4]
}

// The characters of a text, and windows in which each is to be predicted from those before it.
func ExampleText() {
	text := "hello world"
	v, err := dataset.BuildVocabulary(strings.SplitSeq(text, ""))
	if err != nil {
		log.Fatal(err)
	}
	ids, err := v.Encode(text)
	if err != nil {
		log.Fatal(err)
	}
	var b dataset.Batch
	for rows := range dataset.Batches(dataset.NewText(ids, 5, 0), 1) {
		if err := rows.Source.Gather(rows.Index, &b); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%q %q\n", v.Decode(b.IDs), v.Decode(b.Labels))
	}
	_, err = v.Encode("hello\nyou")
	fmt.Println(err)
	// Output:
	// "hello" "ello "
	// " worl" "world"
	// dataset: line 1, column 6: character "\n" (U+000A), want one of the vocabulary's 8 tokens
}

// Two streams go through two halves of a text. Each window goes on where the one before ended.
func ExampleStreams() {
	text := dataset.NextTokens([]int32{0, 1, 2, 3, 4, 5, 6, 7, 8})
	streams := dataset.Streams{Rows: 2, K1: 3}
	var b dataset.Batch
	for rows := range streams.Batches(dataset.Documents(dataset.Batches(text.Parts(2), 2))) {
		if err := rows.Source.Gather(rows.Index, &b); err != nil {
			log.Fatal(err)
		}
		fmt.Println(b.IDs, b.Labels)
	}
	// Output:
	// [0 4 1 5 2 6] [1 5 2 6 3 7]
	// [3 7] [4 8]
}

// Four documents of different lengths in two streams. The first digit of a token is the number of the document, the second that
// of the step. A loss is formed every 2 steps and its gradient goes back 3 steps, so a window repeats a step of the window
// before, without its label. The second stream ends a step after the first.
func ExampleStreams_documents() {
	documents := &dataset.Sequences{
		IDs:        [][]int32{{11, 12, 13}, {21, 22}, {31, 32, 33}, {41}},
		StepLabels: [][]int32{{1, 1, 1}, {2, 2}, {3, 3, 3}, {4}},
	}
	streams := dataset.Streams{Rows: 2, K1: 2, K2: 3}
	var b dataset.Batch
	for rows := range streams.Batches(dataset.Documents(dataset.Batches(documents, 4))) {
		if err := rows.Source.Gather(rows.Index, &b); err != nil {
			log.Fatal(err)
		}
		fmt.Println("window", b.Index[0]/2, "overlap", b.Overlap, "lengths", b.Lengths)
		for t := range b.Steps() {
			fmt.Println(b.IDs[2*t:2*t+2], b.Labels[2*t:2*t+2], b.Begins[2*t:2*t+2])
		}
	}
	// Output:
	// window 0 overlap 1 lengths []
	// [11 21] [1 2] [true true]
	// [12 22] [1 2] [false false]
	// window 1 overlap 1 lengths []
	// [12 22] [-100 -100] [false false]
	// [13 31] [1 3] [false true]
	// [41 32] [4 3] [true false]
	// window 2 overlap 1 lengths [1 2]
	// [41 32] [-100 -100] [true false]
	// [0 33] [-100 3] [false false]
}

func ExampleVocabulary() {
	v, err := dataset.BuildVocabulary(strings.FieldsSeq("to be or not to be"), dataset.Unknown)
	if err != nil {
		log.Fatal(err)
	}
	ids, err := v.EncodeTokens(strings.FieldsSeq("to be or to vanish"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ids, v.Token(ids[0]))
	// Output: [4 1 3 4 0] to
}

// Sentences of different lengths. Those of one batch are about as long as each other.
func ExampleBuckets() {
	s := &dataset.Sequences{
		IDs:    [][]int32{{1}, {2, 2, 2, 2}, {3, 3}, {4, 4, 4, 4, 4}},
		Labels: []int32{1, 2, 3, 4},
	}
	var b dataset.Batch
	for rows := range dataset.Buckets(s, 2, 42, 0) {
		if err := rows.Source.Gather(rows.Index, &b); err != nil {
			log.Fatal(err)
		}
		fmt.Println(b.IDs, b.Lengths, b.Labels)
	}
	// Output:
	// [2 4 2 4 2 4 2 4 0 4] [4 5] [2 4]
	// [1 3 0 3] [1 2] [1 3]
}

// A word goes into the encoder, and the decoder spells it backwards. The decoder's input is the target one step later,
// after the start token 1; the last label is the end token 2.
func ExamplePairs() {
	words := [][]int32{{7, 8, 9}, {5, 6}}
	reversed := [][]int32{{9, 8, 7}, {6, 5}}
	s := dataset.Pairs(&dataset.Sequences{IDs: words}, reversed, 1, 2)
	var b dataset.Batch
	for rows := range dataset.Buckets(s, 2, 42, 0) {
		if err := rows.Source.Gather(rows.Index, &b); err != nil {
			log.Fatal(err)
		}
		encoder, decoder := &b.Parts[0], &b.Parts[1]
		fmt.Println(encoder.IDs, encoder.Lengths)
		fmt.Println(decoder.IDs, decoder.Lengths)
		fmt.Println(decoder.Labels)
	}
	// Output:
	// [5 7 6 8 0 9] [2 3]
	// [1 1 6 9 5 8 2 7] [3 4]
	// [6 9 5 8 2 7 -100 2]
}

// Two inputs, a sentence and a row of numbers, and two tasks: a class of the sentence, and a number to predict.
func ExampleJoin() {
	s := dataset.Join(
		&dataset.Sequences{IDs: [][]int32{{1, 2, 3}, {4}}, Labels: []int32{0, 1}},
		&dataset.Tensors{X: tensor.Of([]float32{0.1, 0.2, 0.3, 0.4}, 2, 2)},
		&dataset.Tensors{Target: tensor.Of([]float32{10, 20}, 2, 1)})
	var b dataset.Batch
	if err := s.Gather([]int{1, 0}, &b); err != nil {
		log.Fatal(err)
	}
	sentence, numbers, task := &b.Parts[0], &b.Parts[1], &b.Parts[2]
	fmt.Println(sentence.IDs, sentence.Lengths, sentence.Labels)
	fmt.Println(numbers.X, numbers.X.Data())
	fmt.Println(task.Target, task.Target.Data())
	// Output:
	// [4 1 0 2 0 3] [1 3] [1 0]
	// tensor[2 2] [0.3 0.4 0.1 0.2]
	// tensor[2 1] [20 10]
}
