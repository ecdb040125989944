// Package progress shows on the terminal how far a program is: one line, which says what is done, how fast, a note such as
// the loss, and how much time is left:
//
//	epoch 3: 120 of 400 steps, 41.3 steps/s, loss 0.3121, 7s left
//
// The example programs use it, and a program of your own may import it, too: it needs nothing but golang.org/x/term.
//
//	line := progress.New("epoch 3", "steps", 400)
//	defer line.Done()
//	for batch := range batches {
//		...
//		line.Note = fmt.Sprintf("loss %.4f", loss)
//		line.Add(1)
//	}
package progress

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// Line is a line on standard error that is drawn again when work is done, at most ten times a second, and removed in the end.
// Where standard error is not a terminal, nothing is shown. Goroutines must not share a Line.
type Line struct {
	Note string // what else to show from the next Add or Set on, such as "loss 0.3121"

	what, unit  string
	total, done int
	start, next time.Time // next is the earliest time of the next drawing
	shown       int       // columns of the terminal that the line takes
	width       func() int
	out         io.Writer
	now         func() time.Time
}

// New returns a line that begins with what, for work that consists of total parts, such as 400 steps. A negative total is
// one that is not known.
func New(what, unit string, total int) *Line {
	return newLine(what, unit, total, os.Stderr, time.Now, func() int {
		width, _, err := term.GetSize(int(os.Stderr.Fd())) // an error where standard error is not a terminal
		if err != nil {
			return 0
		}
		return width
	})
}

// newLine returns a progress line. The function width returns the number of columns of the terminal; if it returns 0, the line
// writes nothing.
func newLine(what, unit string, total int, out io.Writer, now func() time.Time, width func() int) *Line {
	l := &Line{what: what, unit: unit, total: total, start: now(), out: out, now: now, width: width}
	l.next = l.start.Add(pause)
	return l
}

const pause = 100 * time.Millisecond

// Set sets the number of parts that are done.
func (l *Line) Set(done int) {
	l.done = done
	if now := l.now(); !now.Before(l.next) {
		l.next = now.Add(pause)
		l.draw(l.text(now.Sub(l.start)))
	}
}

// Add adds n to the number of parts that are done.
func (l *Line) Add(n int) { l.Set(l.done + n) }

// Done removes the line.
func (l *Line) Done() { l.draw("") }

// text returns the line after so much time.
func (l *Line) text(elapsed time.Duration) string {
	rate := float64(l.done) / elapsed.Seconds()
	decimals := 0
	if rate < 100 {
		decimals = 1
	}
	of := ""
	if l.total >= 0 {
		of = fmt.Sprintf(" of %d", l.total)
	}
	parts := []string{fmt.Sprintf("%s: %d%s %s", l.what, l.done, of, l.unit),
		strconv.FormatFloat(rate, 'f', decimals, 64) + " " + l.unit + "/s"}
	if l.Note != "" {
		parts = append(parts, l.Note)
	}
	if l.done > 0 && l.done < l.total {
		left := time.Duration(float64(l.total-l.done) / rate * float64(time.Second))
		parts = append(parts, left.Round(time.Second).String()+" left")
	}
	return strings.Join(parts, ", ")
}

// draw replaces what is shown. A text that does not fit is cut, because a line that wraps cannot be removed.
func (l *Line) draw(text string) {
	width := l.width()
	if width == 0 || text == "" && l.shown == 0 {
		return
	}
	if runes := []rune(text); len(runes) >= width {
		text = string(runes[:width-1])
	}
	shown := utf8.RuneCountInString(text)
	fmt.Fprint(l.out, "\r", text, strings.Repeat(" ", max(0, min(l.shown, width-1)-shown)), "\r")
	l.shown = shown
}
