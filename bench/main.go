// Command bench compares the library with OpenBLAS, gonum, PyTorch, ONNX Runtime, JAX and GoMLX and writes README.md, on Linux, in this
// folder:
//
//	bash run -only gemm,epoch -rounds 9
//
// The script run installs those that it compares with and starts it. Those that are not there are left out.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// section is a part of the report.
type section struct {
	name, title, about string
	threads            int // of Go, at once; 0: one a core
	contests           func(*bench) ([]*Contest, error)
	table              func([]*Contest) table
}

var sections = []section{
	{
		name: "peak", title: "Peak",
		about:    "Fused multiply-adds on registers, twelve that do not wait for each other.",
		contests: peaks, table: peakTable,
	},
	{
		name: "gemm", title: "Matrix products", threads: 1,
		about: `C = A·B on one core, m x k x n. Ours has B packed before, as a recurrent layer has its weights, or packs it each
time. OpenBLAS is called without cgo, which costs it some 0.1 µs.`,
		contests: products, table: productTable,
	},
	{
		name: "gemmt", title: "Transposed products", threads: 1,
		about:    `C += Aᵀ·B on one core, m x n x k: gradients of weights, summed over k rows.`,
		contests: gradients, table: productTable,
	},
	{
		name: "activations", title: "Activations", threads: 1,
		about:    fmt.Sprintf("Nanoseconds an element, of %d between -4 and 4, on one core.", elements),
		contests: activations, table: activationTable,
	},
	{
		name: "epoch", title: "An epoch of MNIST",
		about: `A recurrent layer of 150 units reads 55,000 pictures row by row, in 366 batches; Adam. The work is that of the
layer's matrix products. PyTorch runs with the order of dimensions and the kind of Adam that it is fastest with;
JAX runs jit and lax.scan, with both cores. What says bfloat16 computes in another precision, by torch.autocast: its products have inputs
of 8 bits' precision, and its share is of the peak for float32, though the processor multiplies bfloat16 faster.`,
		contests: epochs, table: epochTable,
	},
	{
		name: "streaming", title: "Streaming", threads: 1,
		about: `One step of one sequence of 28 inputs, on one core; no gradient. Ours is a Stream. The kernels are what it calls for its
arithmetic, so the difference is what the library adds. ONNX Runtime and PyTorch are called from Python, which is a part of their time.
Median and p99 are of 20,000 steps that are timed one by one, a reading of the clock included; the other rows are means of many steps.`,
		contests: streaming, table: streamingTable,
	},
	{
		name: "reading", title: "Reading whole sequences", threads: 1,
		about: `Batches of whole sequences on one core, no gradient: one layer of 150 units that reads 28 columns, and two layers as wide
as their input that read few rows, for which the weights have to come from the caches again at each step.`,
		contests: reading, table: readingTable,
	},
	{
		name: "convolutions", title: "Convolutions over time", threads: 1,
		about:    `Layers of Silero VAD on 100 rows, on one core, no gradient, and a whole chunk of its network: 512 samples.`,
		contests: convolutions, table: streamingTable,
	},
	{
		name: "options", title: "What options cost",
		about: `A training step of the recipe on two cores, with one option at a time: rows of 1 to 28 steps, 14.5 in the mean; or one
kind of dropout.`,
		contests: options, table: optionsTable,
	},
	{
		name: "growth", title: "How the cost of a training step grows",
		about:    "Random pictures of 28 columns, Adam; the recipe of the epoch above with one thing changed at a time.",
		contests: growth, table: growthTable,
	},
	{
		name: "accuracy", title: "Accuracy",
		about: `The share of MNIST's 10,000 test pictures that are classified rightly after five epochs of the recipe, from a seed of its own in
each round. PyTorch has the initialisers that the library has by default.`,
		contests: accuracies, table: accuracyTable,
	},
	{
		name: "memory", title: "Memory",
		about:    "The most memory that a program has resident which loads MNIST, trains an epoch and tests: peak RSS.",
		contests: memory, table: memoryTable,
	},
	{
		name: "long", title: "Long sequences",
		about: `A training step on 32 sequences of many steps, an LSTM of 150 units with a loss at every step, on two cores: what recomputation saves, and what
it costs. "Layer again" is a MemoryBudget of 1 byte, "model again" is autograd.Recompute or torch.utils.checkpoint over about the square root of
the steps; MB is peak RSS, with the input.`,
		contests: long, table: longTable,
	},
}

// bench is a run of the program.
type bench struct {
	rounds, batches        int
	debian, current, gomlx string // programs: Python with either PyTorch, the current one with ONNX Runtime and JAX, too; GoMLX's peer
	libTorch, nexus        string // programs: the peers of PyTorch's C++ library and of the Rust crate nexus-inference
	notes, versions        []string
	peers                  map[string]*peer
}

// note has the section's report say something.
func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// version has the section's report name somebody's version.
func (b *bench) version(v string) {
	if !slices.Contains(b.versions, v) {
		b.versions = append(b.versions, v)
	}
}

// measure runs a section.
func (b *bench) measure(s section) (*Result, error) {
	b.notes, b.versions, b.peers = nil, nil, map[string]*peer{}
	defer b.closePeers()
	if s.threads > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(s.threads))
	}
	contests, err := s.contests(b)
	if err != nil {
		return nil, err
	}
	command := fmt.Sprintf("bench/run -only %s -rounds %d", s.name, b.rounds)
	if s.name == "epoch" {
		command += fmt.Sprint(" -batches ", b.batches)
	}
	notes := append(b.notes, play(b.rounds, contests, os.Stderr)...)
	return &Result{time.Now().Format(time.DateOnly), command, thisMachine(), b.versions, notes, contests}, nil
}

func run() error {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	cache = filepath.Join(cache, "unroll-bench")
	b := new(bench)
	only := flag.String("only", strings.Join(names, ","), "sections to measure; the others keep their numbers")
	flag.IntVar(&b.rounds, "rounds", 7, "turns of each contestant; 0: write the page again, no more")
	flag.IntVar(&b.batches, "batches", epochBatches/6, "batches a turn of the section epoch")
	flag.StringVar(&b.debian, "pytorch113", "/usr/bin/python3", "Python with PyTorch 1.13 and OpenBLAS")
	flag.StringVar(&b.current, "pytorch", filepath.Join(cache, "venv/bin/python"), "Python with the current PyTorch, ONNX Runtime and JAX")
	flag.StringVar(&b.gomlx, "gomlx", filepath.Join(cache, "gomlx"), "program built of peers/gomlx")
	flag.StringVar(&b.libTorch, "libtorch", filepath.Join(cache, "libtorch"), "program built of peers/libtorch")
	flag.StringVar(&b.nexus, "nexus", filepath.Join(cache, "nexus/release/nexus"), "program built of peers/nexus")
	steps := flag.Int("long", 0, "for the section long: train on sequences of so many steps and print the time, no more")
	way := flag.String("way", keepAll, "for -long: how")
	flag.Parse()
	if *steps > 0 {
		return trainLong(*steps, *way)
	}
	chosen := strings.Split(*only, ",")
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return fmt.Errorf("-only names %q, want some of %s", name, strings.Join(names, ","))
		}
	}
	if err := os.MkdirAll(results, 0o755); err != nil {
		return err
	}
	found := map[string]*Result{}
	for _, s := range sections {
		if b.rounds > 0 && slices.Contains(chosen, s.name) {
			r, err := b.measure(s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if err := r.save(s.name); err != nil {
				return err
			}
		}
		if found[s.name], err = loadResult(s.name); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	writeReport(&text, found)
	page := pagePath(thisMachine().CPU)
	if err := os.MkdirAll(filepath.Dir(page), 0o755); err != nil {
		return err
	}
	return os.WriteFile(page, text.Bytes(), 0o644)
}

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
