package progress

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// terminal is what a line of so many columns shows.
type terminal struct {
	cells  []rune
	column int
	writes int
}

func (t *terminal) Write(p []byte) (int, error) {
	t.writes++
	for _, r := range string(p) {
		if r == '\r' {
			t.column = 0
			continue
		}
		t.cells[t.column] = r // a panic where the line would wrap
		t.column++
	}
	return len(p), nil
}

func (t *terminal) String() string { return strings.TrimRight(string(t.cells), " \x00") }

func newTerminal(columns int) *terminal { return &terminal{cells: make([]rune, columns)} }

func TestLine(t *testing.T) {
	screen, columns := newTerminal(80), 80
	now := time.Unix(0, 0)
	line := newLine("epoch 3", "steps", 400, screen, func() time.Time { return now }, func() int { return columns })
	line.Add(1)
	assert.Empty(t, screen.String(), "nothing for work that is done at once")
	now = now.Add(2 * time.Second)
	line.Add(99)
	assert.Equal(t, "epoch 3: 100 of 400 steps, 50.0 steps/s, 6s left", screen.String())
	line.Note = "loss 0.3121"
	line.Add(100)
	assert.Equal(t, 1, screen.writes, "too soon to draw again")
	now = now.Add(time.Second / 10)
	line.Set(210)
	assert.Equal(t, "epoch 3: 210 of 400 steps, 100 steps/s, loss 0.3121, 2s left", screen.String())
	line.Note = ""
	now = now.Add(1000 * time.Second)
	line.Set(300)
	assert.Equal(t, "epoch 3: 300 of 400 steps, 0.3 steps/s, 5m34s left", screen.String(), "the end of the longer line is gone")

	columns = 20 // the window was made smaller
	now = now.Add(time.Second)
	line.Set(400)
	assert.Equal(t, "epoch 3: 400 of 400", string(screen.cells[:19]))
	columns = 80
	now = now.Add(time.Second)
	line.what = "größe"
	line.Set(400)
	assert.Equal(t, "größe: 400 of 400 steps, 0.4 steps/s", string(screen.cells[:36]))
	line.Done()
	assert.Empty(t, strings.TrimSpace(string(screen.cells[:36])))
	assert.Zero(t, screen.column)
	writes := screen.writes
	line.Done()
	assert.Equal(t, writes, screen.writes)
}

// TestNoTimeLeft checks lines that cannot tell how much time is left.
func TestNoTimeLeft(t *testing.T) {
	for want, c := range map[string]struct{ done, total int }{
		"file: 0 of 9 bytes, 0.0 bytes/s": {0, 9},
		"file: 0 of 0 bytes, 0.0 bytes/s": {0, 0},
		"file: 5 of 4 bytes, 5.0 bytes/s": {5, 4},
		"file: 5 bytes, 5.0 bytes/s":      {5, -1},
	} {
		screen, now := newTerminal(80), time.Unix(0, 0)
		line := newLine("file", "bytes", c.total, screen, func() time.Time { return now }, func() int { return 80 })
		now = now.Add(time.Second)
		line.Set(c.done)
		assert.Equal(t, want, screen.String())
	}
}

// TestNoTerminal checks that a file, where a line would be noise, stays empty.
func TestNoTerminal(t *testing.T) {
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	defer file.Close()
	os.Stderr = file
	line := New("testing", "steps", 3)
	line.next = time.Time{} // due at once
	line.Add(1)
	line.Set(3)
	line.Done()
	info, err := file.Stat()
	require.NoError(t, err)
	assert.Zero(t, info.Size())
}
