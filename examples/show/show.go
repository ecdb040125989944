// Package show is the part of the example programs that is not learning: a progress bar on the terminal, and
// results drawn into PNG files.
//
// A program of your own may import it, but it brings gonum/plot and progressbar with it, which the library
// itself does not need.
//
// The colours are those of Okabe & Ito (2008, "Color Universal Design"), which people with any form of colour
// blindness can tell apart; curves differ in their markers and dashes as well.
package show

import (
	"errors"
	"image/color"
	"os"
	"path/filepath"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

var (
	ink    = color.RGBA{0x20, 0x20, 0x20, 0xff}
	blue   = color.RGBA{0x00, 0x72, 0xb2, 0xff}
	orange = color.RGBA{0xe6, 0x9f, 0x00, 0xff}
	red    = color.RGBA{0xd5, 0x5e, 0x00, 0xff} // vermillion
	green  = color.RGBA{0x00, 0x9e, 0x73, 0xff}
	purple = color.RGBA{0xcc, 0x79, 0xa7, 0xff}
)

// Bar is a progress bar on standard error. It is removed from the screen when the work is done. If standard error
// is not a terminal, nothing is shown.
type Bar struct{ bar *progressbar.ProgressBar }

// NewBar returns a bar for work that consists of total parts.
func NewBar(what string, total int) Bar {
	visible := term.IsTerminal(int(os.Stderr.Fd()))
	return Bar{progressbar.NewOptions(total, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetVisibility(visible), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100e6),
		progressbar.OptionFullWidth(), progressbar.OptionShowCount())}
}

// Set sets the number of parts that are done.
func (b Bar) Set(done int) { b.bar.Set(done) }

// Add adds n to the number of parts that are done.
func (b Bar) Add(n int) { b.bar.Add(n) }

// Done removes the bar from the screen.
func (b Bar) Done() { b.bar.Finish() }

// WritableFolder makes the folder if it does not exist, and returns an error if no file can be written into it.
func WritableFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	probe, err := os.Create(filepath.Join(dir, ".probe")) // always the same, in case that the program is killed here
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}
