// Command g2p tells how English words are spoken: letters to phonemes, by an encoder and a decoder with the weights of g2p_en.
//
//	go run ./examples/g2p gopher unroll
//	go run ./examples/g2p -beam 5 -best 3 < words.txt
//
// It prints a line for each word, the word and its phonemes, in the alphabet of the CMU Pronouncing Dictionary: AH0 is the vowel of "the", and the digit
// of a vowel is its stress. With -best it prints several pronunciations of each word, each with its probability.
//
// The weights are not part of the library. Without -model, the command takes them from a folder in the user's cache, into which it
// downloads them the first time.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/unroll-go/unroll/decode"
	"github.com/unroll-go/unroll/examples/download"
)

// weights is checkpoint20.npz of g2p_en 2.1.0.
var weights = download.File{
	Name:   "checkpoint20.npz",
	Folder: "g2p-en",
	URL:    "https://raw.githubusercontent.com/Kyubyong/g2p/c6439c274c42b9724a7fee1dc07ca6a4c68a0538/g2p_en/checkpoint20.npz",
	SHA256: "b8af35e4596d8dd5836dfd3fe9b2ba4f97b9c311efe8879544cbcfcbd566d8c6",
	Size:   3342298,
	Title:  "the weights of g2p_en (Apache 2.0 licence)",
	Source: "in the Python package g2p-en 2.1.0 (pip download --no-deps g2p-en; the .whl is a zip archive with g2p_en/checkpoint20.npz)",
}

// options are the command line.
type options struct {
	model      string
	beam, best int
	words      []string
}

// usageError is an error in the command line: the exit code is 2.
type usageError struct{ error }

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("g2p", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints errors, in one line
	flags.StringVar(&o.model, "model", "", "weights of g2p_en, checkpoint20.npz; without it they are downloaded once")
	flags.IntVar(&o.beam, "beam", 1, "width of the beam; 1: greedy decoding")
	flags.IntVar(&o.best, "best", 1, "pronunciations to print of each word at most, with their probabilities; 1: without. A wider beam finds more")
	if err := flags.Parse(args); err == flag.ErrHelp {
		fmt.Println("Usage: g2p [flags] [WORD...]; without words, they are read from standard input")
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	if most := 1000; o.beam < 1 || o.beam > most || o.best < 1 || o.best > most {
		return o, usageError{fmt.Errorf("-beam is %d and -best %d, want 1 to %d", o.beam, o.best, most)}
	}
	o.words = flags.Args()
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(o, os.Stdin, os.Stdout)
	}
	if err == nil || err == flag.ErrHelp {
		return
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	if errors.As(err, new(usageError)) {
		os.Exit(2)
	}
	os.Exit(1)
}

func run(o options, stdin io.Reader, stdout io.Writer) (err error) {
	if o.model == "" {
		if o.model, err = weights.Cached(os.Stderr); err != nil {
			return err
		}
	}
	m, err := load(o.model)
	if err != nil {
		return err
	}
	pronounce := func(word string) error {
		found, err := m.pronounce(word, o.beam, o.best)
		if err != nil {
			return err
		}
		for _, h := range found {
			fmt.Fprintln(stdout, line(word, h, o.best > 1))
		}
		return nil
	}
	for _, word := range o.words {
		if err := pronounce(word); err != nil {
			return err
		}
	}
	if len(o.words) > 0 {
		return nil
	}
	words := bufio.NewScanner(stdin)
	words.Split(bufio.ScanWords)
	for words.Scan() {
		if err := pronounce(words.Text()); err != nil {
			return err
		}
	}
	return words.Err()
}

// line returns the line of a pronunciation.
func line(word string, h decode.Hypothesis, probability bool) string {
	text := word + "  " + strings.Join(names(h.Tokens), " ")
	if !h.Ended {
		text += " ..."
	}
	if probability {
		text += fmt.Sprintf("  (%.3f)", math.Exp(h.LogProb))
	}
	return text
}
