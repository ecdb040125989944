package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// peer is a child process that answers each line of JSON with one.
type peer struct {
	version string // if it tells
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

// request is what a peer is asked to do; peers/pytorch.py, peers/ort.py and peers/jax_scan.py tell what there is.
type request struct {
	Do string `json:"do"`
	job
	Batches  int     `json:"batches,omitempty"`
	Autocast bool    `json:"autocast,omitempty"` // to bfloat16
	Quantile float64 `json:"quantile,omitempty"` // of runs timed one by one; 0: the mean of many
	Function string  `json:"function,omitempty"`
	Size     int     `json:"size,omitempty"`
	Epochs   int     `json:"epochs,omitempty"`
	Seed     uint64  `json:"seed,omitempty"`
	Conv     *conv   `json:"conv,omitempty"`
}

// job is a model to train, or to run: pictures of so many rows of 28 pixels, to ten classes.
type job struct {
	Cell   string `json:"cell,omitempty"`   // elman, lstm, gru, or one of own
	Input  int    `json:"input,omitempty"`  // columns; 0: 28
	Layers int    `json:"layers,omitempty"` // 0: 1
	Hidden int    `json:"hidden,omitempty"`
	Batch  int    `json:"batch,omitempty"`
	Steps  int    `json:"steps,omitempty"`
	Noise  bool   `json:"noise,omitempty"` // in place of MNIST

	lengths []int // of the rows; nil: all have all steps
	rates   rates
}

// rates are probabilities of what is dropped.
type rates struct{ recurrent, weight, zone float32 }

// same reports whether a peer has the same to do.
func (j job) same(k job) bool {
	return j.Cell == k.Cell && j.Hidden == k.Hidden && j.Batch == k.Batch && j.Steps == k.Steps && j.Noise == k.Noise
}

type reply struct {
	Seconds, Accuracy float64
	Version, Error    string
}

// startPeer returns once the child is ready, so that its start takes nobody's time.
func startPeer(env []string, command ...string) (*peer, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{cmd: cmd, in: in, out: json.NewDecoder(out)}
	r, err := p.exchange(request{Do: "version"})
	if err != nil {
		return nil, fmt.Errorf("%s does not start: %w", command[0], cmp.Or(p.close(), err))
	}
	p.version = r.Version
	return p, nil
}

// rest is for the threads of a peer to stop waiting for more, which they do in a loop at first.
const rest = 50 * time.Millisecond

func (p *peer) exchange(q request) (r reply, err error) {
	if err := json.NewEncoder(p.in).Encode(q); err != nil {
		return r, err
	}
	err = p.out.Decode(&r)
	time.Sleep(rest)
	return r, err
}

// seconds returns a contestant that does what q asks for, whose time counts so many times.
func (p *peer) seconds(q request, times float64) func() (float64, error) {
	return func() (float64, error) {
		r, err := p.ask(q)
		return r.Seconds * times, err
	}
}

// ask is exchange, but that an error which the child tells is one.
func (p *peer) ask(q request) (reply, error) {
	r, err := p.exchange(q)
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	return r, err
}

func (p *peer) close() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}

// threads are how many a PyTorch may use: of OpenMP, and of OpenBLAS where it has that one's matrix products.
type threads struct{ openMP, openBLAS int }

func (t threads) cores() int { return max(t.openMP, t.openBLAS) }

func (t threads) String() string {
	if t.openBLAS == 0 {
		return fmt.Sprint("OpenMP ", t.openMP)
	}
	return fmt.Sprintf("OpenMP %d, OpenBLAS %d", t.openMP, t.openBLAS)
}

// pytorch is a release that is installed.
type pytorch struct {
	name, python string
	settings     []threads // the first one is one core
}

// with names a release with a setting.
func (p pytorch) with(t threads) string { return p.name + ", " + t.String() }

// pytorches returns the releases that can be run and notes which can not.
func (b *bench) pytorches() (all []pytorch) {
	for _, p := range []pytorch{
		{"PyTorch 1.13", b.debian, []threads{{1, 1}, {1, 2}, {2, 1}, {2, 2}}},
		{"current PyTorch", b.current, []threads{{1, 0}, {2, 0}}},
	} {
		child, err := b.torch(p, p.settings[0])
		if err != nil {
			b.note("%s is left out: %v.", p.name, err)
			continue
		}
		p.name = "PyTorch " + shorten(child.version)
		b.version("PyTorch " + child.version)
		all = append(all, p)
	}
	return all
}

// shorten returns the first two numbers of a version.
func shorten(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// torch returns the child that runs a release with a setting, the same one until the section ends.
func (b *bench) torch(p pytorch, t threads) (*peer, error) {
	return b.peer([]string{fmt.Sprint("OMP_NUM_THREADS=", t.openMP), fmt.Sprint("OPENBLAS_NUM_THREADS=", max(1, t.openBLAS))},
		p.python, "peers/pytorch.py")
}

// gomlxPeer returns GoMLX's child and its name.
func (b *bench) gomlxPeer() (*peer, string, error) {
	info, err := buildinfo.ReadFile(b.gomlx)
	if err != nil {
		return nil, "", err
	}
	name := "GoMLX"
	for _, m := range info.Deps {
		if m.Path == "github.com/gomlx/gomlx" {
			name += " " + strings.TrimPrefix(m.Version, "v")
		}
	}
	p, err := b.peer(nil, b.gomlx)
	return p, name, err
}

// onnxRuntime returns ONNX Runtime's child and its name, or notes that it can not be run.
func (b *bench) onnxRuntime() (*peer, string) {
	p, err := b.peer(nil, b.current, "peers/ort.py")
	if err != nil {
		b.note("ONNX Runtime is left out: %v.", err)
		return nil, ""
	}
	b.version("ONNX Runtime " + p.version)
	return p, "ONNX Runtime " + shorten(p.version)
}

// jax returns JAX's child and its name, or notes that it can not be run. The C library keeps the memory that JAX frees: JAX is much faster with that.
func (b *bench) jax() (*peer, string) {
	const all = "1000000000"
	p, err := b.peer([]string{"MALLOC_MMAP_THRESHOLD_=" + all, "MALLOC_TRIM_THRESHOLD_=" + all}, b.current, "peers/jax_scan.py")
	if err != nil {
		b.note("JAX is left out: %v.", err)
		return nil, ""
	}
	b.version("JAX " + p.version)
	return p, "JAX " + shorten(p.version)
}

// program returns the child of a peer that is a program of its own, or notes that it can not be run.
func (b *bench) program(name, path string) *peer {
	p, err := b.peer([]string{"OMP_NUM_THREADS=1"}, path)
	if err != nil {
		b.note("%s is left out: %v.", path, err)
		return nil
	}
	b.version(name + " " + p.version)
	return p
}

func (b *bench) peer(env []string, command ...string) (*peer, error) {
	key := strings.Join(append(env, command...), " ")
	if p := b.peers[key]; p != nil {
		return p, nil
	}
	p, err := startPeer(env, command...)
	if err == nil {
		b.peers[key] = p
	}
	return p, err
}

// closePeers ends all children.
func (b *bench) closePeers() {
	for key, p := range b.peers {
		if err := p.close(); err != nil {
			fmt.Fprintln(os.Stderr, key+":", err)
		}
		delete(b.peers, key)
	}
}
