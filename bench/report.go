package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/unroll-go/unroll/bench/internal/peak"
)

// Result is what a section measured, as results/NAME.json keeps it.
type Result struct {
	Date     string
	Command  string
	Machine  Machine
	Versions []string // of those it compared with
	Notes    []string
	Contests []*Contest
}

// Machine is where a section was measured.
type Machine struct {
	CPU   string
	Cores int
	Peaks string // the loops of package peak; shares are of the last one
	Go    string
}

func thisMachine() Machine {
	var loops []string
	for _, l := range peak.Loops() {
		loops = append(loops, l.Name)
	}
	return Machine{cpuModel(), runtime.NumCPU(), strings.Join(loops, ", "), runtime.Version()}
}

// cpuModel returns what Linux says of the processor. Family and model tell generations apart that share a name.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	found := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan() && lines.Text() != ""; {
		key, value, _ := strings.Cut(lines.Text(), ":")
		found[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return fmt.Sprintf("%s (family %s, model %s)", found["model name"], found["cpu family"], found["model"])
}

// moduleVersion returns which version of a module this program was built with.
func moduleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return ""
}

// results is the folder for what was measured, and for what is built to be measured.
const results = "results"

func resultFile(name string) string { return filepath.Join(results, name+".json") }

func (r *Result) save(name string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(resultFile(name), append(text, '\n'), 0o644)
}

// loadResult returns what a section measured on this machine last; nil if nothing.
func loadResult(name string) (*Result, error) {
	text, err := os.ReadFile(resultFile(name))
	if os.IsNotExist(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	r := new(Result)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", resultFile(name), err)
	}
	if r.Machine != thisMachine() {
		return nil, nil
	}
	return r, nil
}

// pagePath returns the page of a processor, such as measured/amd-epyc-family-25-model-1.md.
func pagePath(cpu string) string {
	words := strings.FieldsFunc(strings.ToLower(cpu), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return filepath.Join("measured", strings.Join(words, "-")+".md")
}

// writeReport writes the page of this processor: the sections of which there are results.
func writeReport(w io.Writer, found map[string]*Result) {
	m := thisMachine()
	fmt.Fprintf(w, preface, m.CPU, m.Cores, cmp.Or(m.Peaks, "unknown"), m.Go)
	for _, s := range sections {
		r := found[s.name]
		if r == nil {
			continue
		}
		fmt.Fprintf(w, "\n## %s\n\n%s\n\n`%s`, %s", s.title, s.about, r.Command, r.Date)
		if len(r.Versions) > 0 {
			fmt.Fprintf(w, ", with %s", strings.Join(r.Versions, ", "))
		}
		fmt.Fprintf(w, "\n\n%s", s.table(r.Contests))
		for _, n := range r.Notes {
			fmt.Fprintf(w, "\n%s\n", n)
		}
	}
}

// preface is how the page begins.
const preface = `# Measured on one processor

The library beside what else computes the same, on one machine. This page is written by bench/run; see [the folder's page](../README.md).

| | |
|---|---|
| processor | %s |
| cores | %d |
| peak measured with | %s |
| Go | %s |
`

// table is a table for Markdown, its first row the heads.
type table [][]string

func (t table) String() string {
	var b strings.Builder
	for i, row := range t {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|---%s|\n", strings.Repeat("|---:", len(row)-1))
		}
	}
	return b.String()
}

// compare returns a table with a row a contest: what each contestant took, in a unit of which a second
// has so many, and how many times what base took.
func compare(contests []*Contest, base, unit string, perSecond float64) table {
	t, names := table{{""}}, []string(nil)
	for _, c := range contests {
		for _, e := range c.contestants() {
			if slices.Contains(names, e.Name) {
				continue
			}
			names = append(names, e.Name)
			t[0] = append(t[0], e.Name+", "+unit)
			if e.Name != base {
				t[0] = append(t[0], "times "+base)
			}
		}
	}
	for _, c := range contests {
		row := []string{c.Name}
		for _, name := range names {
			e := c.entry(name)
			row = append(row, figure(perSecond*e.median()))
			if name != base {
				row = append(row, figure(ratio(e, c.entry(base))))
			}
		}
		t = append(t, row)
	}
	return t
}

// none stands for what was not measured.
const none = "–"

// figure writes a number with three significant digits, or all before the point.
func figure(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return none
	}
	digits := 2
	for y := math.Abs(x); y >= 9.995 && digits > 0; y /= 10 {
		digits--
	}
	for y := math.Abs(x); y > 0 && y < 0.9995; y *= 10 {
		digits++
	}
	return strconv.FormatFloat(x, 'f', digits, 64)
}

// percent writes a share.
func percent(x float64) string {
	if math.IsNaN(x) {
		return none
	}
	return fmt.Sprintf("%.0f %%", 100*x)
}
