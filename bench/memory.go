package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// memory has whole programs run.
func memory(b *bench) ([]*Contest, error) {
	if _, err := pictures(); err != nil {
		return nil, err
	}
	example, err := filepath.Abs(filepath.Join(results, "mnist"))
	if err != nil {
		return nil, err
	}
	if out, err := exec.Command("go", "build", "-C", "..", "-o", example, "./examples/mnist").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	c := &Contest{Name: "an epoch"}
	c.add("ours, examples/mnist", 2, func() (float64, error) {
		return peakRSS(exec.Command(example, "-data", os.Getenv("UNROLL_MNIST"), "-epochs", "1", "-out", example+"-run"))
	})
	epoch, err := json.Marshal(request{Do: "epoch", job: recipe(elman)})
	if err != nil {
		return nil, err
	}
	for _, p := range b.pytorches() {
		c.add(p.name, 2, func() (float64, error) {
			cmd := exec.Command(p.python, "peers/pytorch.py")
			cmd.Stdin = bytes.NewReader(epoch)
			return peakRSS(cmd)
		})
	}
	return []*Contest{c}, nil
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakRSS runs a program and returns the most memory that it had resident, in bytes. It asks again and again as long as
// the program runs: the number that a parent gets at the end counts the parent's own memory, from before exec.
func peakRSS(cmd *exec.Cmd) (peak float64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-time.After(10 * time.Millisecond):
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)) // nothing once it has ended
			if m := highWater.FindSubmatch(status); m != nil {
				kB, _ := strconv.ParseFloat(string(m[1]), 64)
				peak = 1024 * kB
			}
		}
	}
}

func memoryTable(contests []*Contest) table {
	t := table{{"program", "MB", "times ours"}}
	for _, c := range contests {
		for _, e := range c.Entries {
			t = append(t, []string{e.Name, figure(e.median() / 1e6), figure(ratio(e, c.Entries[0]))})
		}
	}
	return t
}
