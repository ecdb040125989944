package autograd_test

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/rnn"
)

// A character model's loss over a text of 4,096 characters, with the gradient through all of it: in one window, and in windows of 64
// characters that Backward computes again, so that the logits [4096,1,64] never exist at once.
func ExampleRecompute() {
	params := autograd.NewParams(42)
	embedding := layers.NewEmbedding(params.In("embedding"), 64, 16)
	layer := rnn.NewLSTM(params.In("rnn"), rnn.LSTMConfig{Input: 16, Hidden: 32})
	head := layers.NewDense(params.In("head"), layer.Out(), 64)
	text := make([]int32, 4097)
	for i := range text {
		text[i] = int32(i * i % 61)
	}

	model := func(t *autograd.Tape, size int) *autograd.Node {
		var losses []*autograd.Node
		var carry rnn.Carry
		for from := 0; from+1 < len(text); from += size {
			window := func(t *autograd.Tape, in []*autograd.Node) []*autograd.Node {
				x := embedding.Lookup(t, text[from:from+size], 1)
				y, end := layer.Forward(x, rnn.Options{Start: rnn.Carry{H: in[0], C: in[1]}})
				l := loss.SparseSoftmaxCrossEntropy(head.Forward(y), text[from+1:from+size+1])
				return []*autograd.Node{l, end.H, end.C}
			}
			out := autograd.Recompute(t, window, carry.H, carry.C)
			losses, carry = append(losses, out[0]), rnn.Carry{H: out[1], C: out[2]}
		}
		return autograd.JoinMeans(losses...)
	}
	for _, size := range []int{4096, 64} {
		tape := autograd.NewTape(params, 1)
		l := model(tape, size)
		if err := l.Backward(); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("loss %.5f, gradient %.5f, memory %.1f MB\n", l.Value(), tape.Grads().Norm(), float64(tape.Bytes())/1e6)
	}
	// Output:
	// loss 4.15032, gradient 0.28264, memory 8.2 MB
	// loss 4.15032, gradient 0.28264, memory 0.3 MB
}
