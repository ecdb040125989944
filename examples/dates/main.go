// Command dates learns to write dates in numbers, as ISO 8601 does, from dates in words: an encoder and a decoder with attention.
//
//	go run ./examples/dates
//
// The program makes the dates. The encoder, a bidirectional GRU, reads the words. The decoder, another GRU, writes the characters and
// looks at the words for each of them by additive attention (Bahdanau, Cho & Bengio 2015, arXiv:1409.0473). In training the
// decoder reads the right character before each one (teacher forcing), afterwards the character that it wrote itself. The
// command counts the unseen dates that are right in every character, and draws what the decoder looked at in attention.png.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/decode"
	"github.com/unroll-go/unroll/examples/show"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
)

const (
	features   = 32   // of a word and of a character
	hidden     = 64   // units of the encoder's directions, the decoder and the attention
	longest    = 10   // characters that the decoder writes at most
	start, end = 0, 1 // the characters before and after a date
)

func main() {
	out := flag.String("out", "dates-run", "folder for attention.png")
	epochs := flag.Int("epochs", 5, "passes over the training dates")
	seed := flag.Uint64("seed", 42, "seed of the dates and of the weights")
	flag.Parse()
	if err := run(*out, *epochs, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(out string, epochs int, seed uint64) error {
	if err := show.WritableFolder(out); err != nil {
		return err
	}
	texts, dates := makeDates(seed, 9000)
	m, pairs, err := newModel(seed, texts, dates)
	if err != nil {
		return err
	}
	training, test := dataset.Split(pairs, 8000)
	if err := m.learn(training, epochs, seed); err != nil {
		return err
	}
	right, printed := 0, 0
	var drawing error // of the last text that is printed
	err = train.Evaluate(m.params, test, 1, m.translate, func(t translation, b *dataset.Batch) {
		text := texts[b.Index[0]]
		if t.text == dates[b.Index[0]] {
			right++
		}
		if printed++; printed <= 3 {
			fmt.Println(text, ":", t.text)
			drawing = show.WriteWeights(filepath.Join(out, "attention.png"), "how much each character looks at each word",
				strings.Split(t.text, ""), strings.Fields(text), t.weights)
		}
	})
	fmt.Printf("dates that are right in every character : %d of %d unseen ones\n", right, test.Len())
	return cmp.Or(err, drawing)
}

type model struct {
	params           *autograd.Params
	chars            *dataset.Vocabulary
	wordsIn, charsIn *layers.Embedding
	encoder, decoder *rnn.GRU
	attention        *layers.AdditiveAttention
	head             *layers.Dense
}

// newModel returns a model of the words of the texts, and the texts and the dates as its data.
func newModel(seed uint64, texts, dates []string) (*model, dataset.Source, error) {
	words, err := dataset.BuildVocabulary(strings.FieldsSeq(strings.Join(texts, " ")))
	if err != nil {
		return nil, nil, err
	}
	chars, err := dataset.NewVocabulary(strings.Split("^$-0123456789", "")...) // the first two are start and end
	if err != nil {
		return nil, nil, err
	}
	from, to := make([][]int32, len(texts)), make([][]int32, len(texts))
	for i, text := range texts {
		if from[i], err = words.EncodeTokens(strings.FieldsSeq(text)); err != nil {
			return nil, nil, err
		}
		if to[i], err = chars.Encode(dates[i]); err != nil {
			return nil, nil, err
		}
	}
	p := autograd.NewParams(seed)
	return &model{p, chars,
		layers.NewEmbedding(p.In("words"), words.Len(), features), layers.NewEmbedding(p.In("chars"), chars.Len(), features),
		rnn.NewGRU(p.In("encoder"), rnn.GRUConfig{Input: features, Hidden: hidden, Bidirectional: true}),
		rnn.NewGRU(p.In("decoder"), rnn.GRUConfig{Input: features, Hidden: hidden}),
		layers.NewAdditiveAttention(p.In("attention"), hidden, 2*hidden, hidden),
		layers.NewDense(p.In("head"), 3*hidden, chars.Len()),
	}, dataset.Pairs(&dataset.Sequences{IDs: from}, to, start, end), nil
}

// encode returns the outputs of the encoder at each word, [T,B,2*hidden].
func (m *model) encode(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	memory, _ := m.encoder.Forward(m.wordsIn.Forward(t, b), rnn.Options{Lengths: b.Lengths})
	return memory
}

// loss is the mean over all characters. The decoder takes all its steps at once: its input is known.
func (m *model) loss(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	from, to := &b.Parts[0], &b.Parts[1]
	h, _ := m.decoder.Forward(m.charsIn.Forward(t, to), rnn.Options{Lengths: to.Lengths}) // [U,B,hidden]
	context, _ := m.attention.Forward(h, m.encode(t, from), from.Lengths)                 // [U,B,2*hidden]
	return loss.SparseSoftmaxCrossEntropy(m.head.Forward(autograd.Concat(2, h, context)), to.Labels)
}

// translation is what the decoder writes for a text.
type translation struct {
	text    string
	weights []float32 // of the attention, [characters, words]
}

// translate writes the date of a batch of one text by greedy decoding: each character is the most likely one, and the
// decoder's next input.
func (m *model) translate(t *autograd.Tape, b *dataset.Batch) (done translation) {
	memory, lengths := m.encode(t, &b.Parts[0]), b.Parts[0].Lengths
	keys, state := m.attention.Keys(memory, lengths), m.decoder.NewState(1)
	best, err := decode.Beam(decode.BeamConfig{Width: 1, Start: start, End: end, MaxSteps: longest}, func(chars []int32, parents []int) ([]float32, error) {
		h, next := m.decoder.Step(autograd.Gather(t.Param(m.charsIn.Weight), chars), state.CarryRows(t, parents))
		state.Set(next, 0)
		context, weights := m.attention.Attend(h, keys, memory, lengths)
		done.weights = append(done.weights, weights.Data()...)
		return m.head.Forward(autograd.Concat(1, h, context)).Data(), nil
	})
	if err != nil {
		t.Fail(err)
		return done
	}
	done.text = m.chars.Decode(best[0].Tokens)
	done.weights = done.weights[:len(done.text)*lengths[0]] // without those of end
	return done
}

func (m *model) learn(pairs dataset.Source, epochs int, seed uint64) error {
	step, adam := train.NewStep(m.params, m.loss), optim.NewAdam(m.params, 4e-3)
	for epoch := range epochs {
		for rows := range dataset.Buckets(pairs, 50, seed, uint64(epoch)) {
			if _, err := step.Run(rows); err != nil {
				return fmt.Errorf("epoch %d: %w", epoch, err)
			}
			optim.ClipNorm(step.Grads(), 1)
			adam.Step(step.Grads())
		}
	}
	return nil
}

// makeDates returns n different dates from 1801 to 2099 in random order: in words, in one of three forms and with the day of the
// week or without, and by ISO 8601. Years that end in 00 are left out.
func makeDates(seed uint64, n int) (texts, dates []string) {
	small := strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
	tens := strings.Fields("oh ten twenty thirty forty fifty sixty seventy eighty ninety")
	days := strings.Split(",first,second,third,fourth,fifth,sixth,seventh,eighth,ninth,tenth,eleventh,twelfth,thirteenth,fourteenth,fifteenth,"+
		"sixteenth,seventeenth,eighteenth,nineteenth,twentieth,twenty first,twenty second,twenty third,twenty fourth,twenty fifth,"+
		"twenty sixth,twenty seventh,twenty eighth,twenty ninth,thirtieth,thirty first", ",")
	number := func(n int) string { // of two digits
		if n >= 10 && n < 20 {
			return small[n]
		}
		return strings.TrimSuffix(tens[n/10]+" "+small[n%10], " zero")
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for _, i := range r.Perm(299 * 365) {
		date := time.Date(1801, time.January, 1+i, 0, 0, 0, 0, time.UTC)
		if date.Year()%100 == 0 || len(dates) == n {
			continue
		}
		day, month, year := days[date.Day()], date.Month().String(), number(date.Year()/100)+" "+number(date.Year()%100)
		forms := []string{"the " + day + " of " + month + " " + year, month + " the " + day + " " + year, "in " + year + " on the " + day + " of " + month}
		text := forms[r.IntN(3)]
		if r.IntN(2) == 0 {
			text = date.Weekday().String() + " " + text
		}
		texts, dates = append(texts, strings.ToLower(text)), append(dates, date.Format(time.DateOnly))
	}
	return texts, dates
}
