// Package show draws the results of the example programs into PNG files.
//
// A program of your own may import it, but it brings gonum/plot with it, which the library itself does not need.
//
// The colours are those of Okabe & Ito (2008, "Color Universal Design"), which people with any form of colour
// blindness can tell apart; curves differ in their markers and dashes as well.
package show

import (
	"errors"
	"image/color"
	"os"
	"path/filepath"
)

var (
	ink    = color.RGBA{0x20, 0x20, 0x20, 0xff}
	blue   = color.RGBA{0x00, 0x72, 0xb2, 0xff}
	orange = color.RGBA{0xe6, 0x9f, 0x00, 0xff}
	red    = color.RGBA{0xd5, 0x5e, 0x00, 0xff} // vermillion
	green  = color.RGBA{0x00, 0x9e, 0x73, 0xff}
	purple = color.RGBA{0xcc, 0x79, 0xa7, 0xff}
)

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
