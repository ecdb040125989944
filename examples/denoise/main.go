// Command denoise takes noise out of a recording of speech: it runs NSNet2, the baseline of Microsoft's Deep Noise Suppression Challenge, with the
// weights that its makers trained.
//
//	go run ./examples/denoise -model nsnet2-20ms-baseline.onnx in.wav out.wav
//
// in.wav may have any rate, one channel or several, and 8, 16, 24 or 32 bits or floating-point numbers; out.wav has one channel of 16,000 samples
// a second, 16 bits each. The weights are not part of the library, and -model says where they are.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset/wav"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/onnx"
	"github.com/unroll-go/unroll/rnn"
)

// options are the command line.
type options struct{ model, in, out string }

// usageError is an error in the command line: the exit code is 2.
type usageError struct{ error }

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("denoise", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints errors, in one line
	flags.StringVar(&o.model, "model", "", "weights of NSNet2: nsnet2-20ms-baseline.onnx (CC-BY-4.0), from the folder NSNet2-baseline of https://github.com/microsoft/DNS-Challenge")
	if err := flags.Parse(args); err == flag.ErrHelp {
		fmt.Println("Usage: denoise -model FILE in.wav out.wav")
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	if flags.NArg() != 2 {
		return o, usageError{fmt.Errorf("%d files, want two: the one to read and the one to write", flags.NArg())}
	}
	if o.model == "" {
		return o, usageError{fmt.Errorf("-model is missing, want %s", flags.Lookup("model").Usage)}
	}
	o.in, o.out = flags.Arg(0), flags.Arg(1)
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(o)
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

// run takes the noise out of a sound.
func run(o options) error {
	network, err := fromFile(o.model, load)
	if err != nil {
		return err
	}
	sound, err := fromFile(o.in, newDenoiser(network.Step).read)
	if err != nil {
		return err
	}
	f, err := os.Create(o.out)
	if err != nil {
		return err
	}
	return errors.Join(wav.Write(f, rate, sound), f.Close())
}

// fromFile returns the result of a function that reads a file, and adds the path to the error of the function.
func fromFile[T any](path string, read func(io.Reader) (T, error)) (result T, err error) {
	f, err := os.Open(path)
	if err != nil {
		return result, err
	}
	defer f.Close()
	if result, err = read(bufio.NewReader(f)); err != nil {
		return result, fmt.Errorf("%s: %w", path, err)
	}
	return result, nil
}

// read returns the sound of a WAV file without its noise.
func (d *denoiser) read(file io.Reader) (sound []float32, err error) {
	r, err := wav.NewReader(file)
	if err != nil {
		return nil, err
	}
	convert, err := wav.NewResampler(r.Rate, rate)
	if err != nil {
		return nil, err
	}
	var block []float32
	for room := make([]float32, 4096); err == nil; {
		var n int
		n, err = r.ReadMono(room)
		block = convert.Write(block[:0], room[:n])
		if err == io.EOF {
			block = convert.Flush(block)
		}
		sound = d.write(sound, block)
	}
	if err != io.EOF {
		return nil, err
	}
	return d.flush(sound), nil
}

// load returns NSNet2 for one frame after the other: from the logarithm of the power of each frequency [161] to the part of it that is speech [161].
func load(file io.Reader) (rnn.Chain, error) {
	model, err := onnx.Read(file)
	if err != nil {
		return nil, err
	}
	found, err := model.Layers()
	if err != nil {
		return nil, err
	}
	if len(found) != 6 {
		return nil, fmt.Errorf("%d layers, want the 6 of NSNet2", len(found))
	}
	params := autograd.NewParams(1)
	gru, ok := found[1].Config.(rnn.GRUConfig)
	if !ok {
		return nil, fmt.Errorf("the second layer is %s, want a GRU", found[1].Node.Op)
	}
	gru.Layers = 2
	recurrent := rnn.NewGRU(params.In("gru"), gru)
	if err := onnx.Set(params.In("gru"), found[1:3]...); err != nil {
		return nil, err
	}
	var dense [4]*layers.Dense
	for i, k := range []int{0, 3, 4, 5} {
		config, ok := found[k].Config.(layers.DenseConfig)
		if !ok {
			return nil, fmt.Errorf("layer %d is %s, want a dense layer", k+1, found[k].Node.Op)
		}
		in := params.In(fmt.Sprint("dense", i))
		dense[i] = layers.NewDenseWith(in, config)
		if err := onnx.Set(in, found[k]); err != nil {
			return nil, err
		}
	}
	if in, out := dense[0].In(), dense[3].Out(); in != bins || out != bins {
		return nil, fmt.Errorf("from %d numbers a frame to %d, want %d and %d", in, out, bins, bins)
	}
	relu := func() rnn.Stepper {
		return rnn.Pointwise(func(dst, src []float32) {
			for i, v := range src {
				dst[i] = max(v, 0)
			}
		})
	}
	return rnn.Chain{dense[0].NewStream(), relu(), recurrent.NewStream(), dense[1].NewStream(), relu(), dense[2].NewStream(), relu(),
		dense[3].NewStream(), rnn.Pointwise(rnn.Sigmoid)}, nil
}
