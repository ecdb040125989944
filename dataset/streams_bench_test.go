package dataset

import (
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/unroll-go/unroll/tensor"
)

// BenchmarkStreams makes and gathers windows of 32 rows of 100 steps.
func BenchmarkStreams(b *testing.B) {
	words := make([]int32, 1_000_000)
	short := make([][]int32, 1000)
	for i := range short {
		short[i] = words[:21]
	}
	v, err := BuildVocabulary(strings.SplitSeq(greek, ""))
	if err != nil {
		b.Fatal(err)
	}
	much := strings.Repeat("and the rest in ASCII, ", 1000)
	text := readerFunc(func(p []byte) (int, error) { return copy(p, much), nil })
	read := func(read func(io.Reader) Document) iter.Seq2[Document, error] {
		return func(yield func(Document, error) bool) {
			for yield(read(text), nil) {
			}
		}
	}
	for _, c := range []struct {
		name      string
		documents iter.Seq2[Document, error]
		s         Streams
	}{
		{"tokens", Documents(endless(Batches(NextTokens(words), 1))), Streams{Rows: 32, K1: 100}},
		{"overlap", Documents(endless(Batches(NextTokens(words), 1))), Streams{Rows: 32, K1: 50, K2: 100}},
		{"documents", Documents(endless(Batches(NextTokens(short...), 1000))), Streams{Rows: 32, K1: 100}},
		{"numbers", Documents(endless(Batches(&Sequences{X: []*tensor.Tensor{tensor.New(100_000, 8)}}, 1))), Streams{Rows: 32, K1: 100}},
		{"bytes", read(BytesDocument), Streams{Rows: 32, K1: 100}},
		{"text", read(func(r io.Reader) Document { return TextDocument(r, v) }), Streams{Rows: 32, K1: 100}},
		{"frames", read(func(r io.Reader) Document { return FramesDocument(r, 7, 1) }), Streams{Rows: 32, K1: 100}},
	} {
		b.Run(c.name, func(b *testing.B) {
			next, stop := iter.Pull(c.s.Batches(c.documents))
			defer stop()
			var into Batch
			b.ReportAllocs()
			for b.Loop() {
				rows, _ := next()
				if err := rows.Source.Gather(rows.Index, &into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
