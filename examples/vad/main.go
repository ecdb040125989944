// Command vad tells when somebody speaks in a sound: it runs the network of Silero VAD, with the weights that its makers trained.
//
//	go run ./examples/vad speech.wav
//	arecord -q -t raw -f S16_LE -r 16000 | go run ./examples/vad -
//
// The first form prints the stretches of speech of a WAV file (any rate; one channel or several; 8, 16, 24 or 32 bits or floating-point) and writes
// speech.png, the sound with the probability of speech over it. The second listens to standard input, either raw samples of 16 bits or a WAV
// file, and prints when speech begins and ends as soon as that is clear.
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
	"os"
	"path/filepath"

	"github.com/unroll-go/unroll/dataset/wav"
	"github.com/unroll-go/unroll/examples/show"
	"github.com/unroll-go/unroll/vad"
)

// options are the command line.
type options struct {
	model, csv, out string
	rate            int
	segments        vad.SegmentConfig
	input           string
}

// usageError is an error in the command line: the exit code is 2.
type usageError struct{ error }

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("vad", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints errors, in one line
	usual := vad.DefaultSegments()
	flags.StringVar(&o.model, "model", "", "weights of Silero VAD, silero_vad_16k.safetensors or silero_vad_16k_op15.onnx; without it the former are downloaded once")
	flags.StringVar(&o.csv, "csv", "", "file for a line a chunk: seconds,probability")
	flags.StringVar(&o.out, "out", "vad-run", "folder for speech.png; empty: no picture. There is none of standard input")
	flags.IntVar(&o.rate, "rate", vad.Rate, "samples a second of raw samples on standard input")
	threshold := flags.Float64("threshold", float64(usual.Threshold), "speech begins with this probability")
	release := flags.Float64("release", -1, "and ends below this one; -1: threshold - 0.15")
	flags.DurationVar(&o.segments.MinSpeech, "min-speech", usual.MinSpeech, "speech that is not longer is not told")
	flags.DurationVar(&o.segments.MinSilence, "min-silence", usual.MinSilence, "silence that ends speech")
	flags.DurationVar(&o.segments.Pad, "pad", usual.Pad, "added before and after speech")
	if err := flags.Parse(args); err == flag.ErrHelp {
		fmt.Println("Usage: vad [flags] FILE.wav   or   vad [flags] -")
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	if *release == -1 {
		*release = max(*threshold-0.15, min(0.01, *threshold))
	}
	o.segments.Threshold, o.segments.Release = float32(*threshold), float32(*release)
	switch {
	case flags.NArg() != 1:
		err = fmt.Errorf("%d files, want one WAV file, or - for standard input", flags.NArg())
	case !(*threshold > 0 && *threshold <= 1):
		err = fmt.Errorf("-threshold is %v, want above 0 and at most 1", *threshold)
	case !(*release >= 0 && *release <= *threshold):
		err = fmt.Errorf("-release is %v, want 0 to the threshold of %v", *release, *threshold)
	case min(o.segments.MinSpeech, o.segments.MinSilence, o.segments.Pad) < 0:
		err = errors.New("a duration is negative")
	}
	if err != nil {
		return o, usageError{err}
	}
	o.input = flags.Arg(0)
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

func run(o options, stdin io.Reader, stdout io.Writer) error {
	live := o.input == "-"
	sound, closeSound, err := open(o, stdin)
	if err != nil {
		return err
	}
	defer closeSound()
	if live {
		o.out = ""
	}
	if o.out != "" {
		if err := show.WritableFolder(o.out); err != nil {
			return err
		}
	}
	if o.model == "" {
		if o.model, err = silero.Cached(os.Stderr); err != nil {
			return err
		}
	}
	model, err := load(o.model)
	if err != nil {
		return err
	}
	l := &listener{stream: model.NewStream(), segmenter: vad.NewSegmenter(o.segments), out: stdout, live: live, keep: o.out != ""}
	if o.csv != "" {
		f, err := os.Create(o.csv)
		if err != nil {
			return err
		}
		defer f.Close()
		l.csv = bufio.NewWriter(f)
		fmt.Fprintln(l.csv, "seconds,probability")
	}
	if err := l.hear(sound); err != nil {
		return fmt.Errorf("%s: %w", o.name(), err)
	}
	if l.csv != nil {
		if err := l.csv.Flush(); err != nil {
			return err
		}
	}
	if o.out != "" && len(l.probabilities) > 0 {
		return l.draw(filepath.Join(o.out, "speech.png"))
	}
	return nil
}

// name returns the name of the sound, for errors.
func (o options) name() string {
	if o.input == "-" {
		return "standard input"
	}
	return o.input
}

// open opens the file or standard input.
func open(o options, stdin io.Reader) (sound *wav.Reader, closeSound func() error, err error) {
	if o.input != "-" {
		f, err := os.Open(o.input)
		if err != nil {
			return nil, nil, err
		}
		if sound, err = wav.NewReader(bufio.NewReader(f)); err != nil {
			f.Close()
			return nil, nil, fmt.Errorf("%s: %w", o.name(), err)
		}
		return sound, f.Close, nil
	}
	input := bufio.NewReader(stdin)
	if head, _ := input.Peek(4); string(head) == "RIFF" {
		sound, err = wav.NewReader(input)
	} else {
		sound, err = wav.NewRaw(input, wav.Format{Rate: o.rate, Channels: 1, Bits: 16})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", o.name(), err)
	}
	return sound, func() error { return nil }, nil
}

// listener hears a sound and tells what it hears.
type listener struct {
	stream    *vad.Stream
	segmenter *vad.Segmenter
	out       io.Writer
	csv       *bufio.Writer // or nil
	live      bool          // tell the beginning and the end of speech each when it is clear
	told      bool          // the beginning has been told

	chunks, found int
	keep          bool // for the picture
	peaks         []peak
	probabilities []float64
}

// peak is the range of the samples of a chunk.
type peak struct{ low, high float32 }

// hear reads the sound to its end. Memory does not grow with it, but for what the picture shows.
func (l *listener) hear(sound *wav.Reader) error {
	convert, err := wav.NewResampler(sound.Rate, vad.Rate)
	if err != nil {
		return err
	}
	samples := 0 // at the network's rate
	var block []float32
	for room, end := make([]float32, 4096), error(nil); end == nil; {
		var n int
		n, end = sound.ReadMono(room)
		block = convert.Write(block[:0], room[:n])
		if end == io.EOF {
			block = convert.Flush(block)
		} else if end != nil {
			return end
		}
		l.note(block, samples)
		samples += len(block)
		l.stream.Write(block, l.next)
		if l.csv != nil && l.live {
			if err := l.csv.Flush(); err != nil {
				return err
			}
		}
	}
	l.stream.Flush(l.next)
	for _, speech := range l.segmenter.Finish(samples) {
		l.tell(speech, samples)
	}
	if l.found == 0 {
		fmt.Fprintf(l.out, "nobody speaks in %.2f s\n", vad.Seconds(samples))
	}
	return nil
}

// note keeps the range of the samples, of which the first is number from, for the picture.
func (l *listener) note(samples []float32, from int) {
	if !l.keep {
		return
	}
	for i, v := range samples {
		if (from+i)%vad.Chunk == 0 {
			l.peaks = append(l.peaks, peak{v, v})
		}
		p := &l.peaks[len(l.peaks)-1]
		p.low, p.high = min(p.low, v), max(p.high, v)
	}
}

// next hears the probability of the next chunk.
func (l *listener) next(p float32) {
	at := l.chunks * vad.Chunk
	l.chunks++
	if l.csv != nil {
		fmt.Fprintf(l.csv, "%.3f,%.6f\n", vad.Seconds(at), p)
	}
	if l.keep {
		l.probabilities = append(l.probabilities, float64(p))
	}
	if speech, ok := l.segmenter.Next(p); ok {
		l.tell(speech, at+vad.Chunk)
	}
	if start, ok := l.segmenter.Speaking(); l.live && ok && !l.told {
		l.told = true
		fmt.Fprintf(l.out, "%9.2f s: speech begins\n", vad.Seconds(start))
	}
}

// tell prints a stretch of speech in a sound of so many samples.
func (l *listener) tell(speech vad.Segment, samples int) {
	l.found++
	end := vad.Seconds(min(speech.End, samples))
	if !l.live {
		fmt.Fprintf(l.out, "%9.2f s to %9.2f s\n", vad.Seconds(speech.Start), end)
		return
	}
	if !l.told {
		fmt.Fprintf(l.out, "%9.2f s: speech begins\n", vad.Seconds(speech.Start))
	}
	l.told = false
	fmt.Fprintf(l.out, "%9.2f s: speech ends\n", end)
}

// draw writes the picture: the range of the sound, scaled to 1, and the probability, at up to 1000 places.
func (l *listener) draw(path string) error {
	loudest := float32(1e-9)
	for _, p := range l.peaks {
		loudest = max(loudest, p.high, -p.low)
	}
	sound, probability := show.Curve{Name: "sound"}, show.Curve{Name: "probability of speech"}
	each := (len(l.probabilities) + 999) / 1000 // chunks of a place
	for first := 0; first < len(l.probabilities); first += each {
		at := vad.Seconds(first * vad.Chunk)
		var all peak
		most := 0.0
		for i := first; i < min(first+each, len(l.probabilities), len(l.peaks)); i++ {
			all.low, all.high = min(all.low, l.peaks[i].low), max(all.high, l.peaks[i].high)
			most = max(most, l.probabilities[i])
		}
		sound.X = append(sound.X, at, at)
		sound.Values = append(sound.Values, float64(all.low/loudest), float64(all.high/loudest))
		probability.X, probability.Values = append(probability.X, at), append(probability.Values, most)
	}
	return show.WritePlots(path, show.Plot{Title: "a sound and the probability that somebody speaks", X: "seconds", Curves: []show.Curve{sound, probability}})
}
