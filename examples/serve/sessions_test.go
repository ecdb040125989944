package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSessions(t *testing.T) {
	state := newModel(t, config, 1).NewState(3)
	table := newSessions(state, time.Minute)
	now := time.Now()
	table.now = func() time.Time { return now }
	ended := map[string]error{}
	cancel := func(name string) context.CancelCauseFunc { return func(cause error) { ended[name] = cause } }
	begin := func(keep bool, name string) *session {
		s, err := table.begin(keep, cancel(name))
		require.NoError(t, err)
		return s
	}

	a, b := begin(true, "a"), begin(true, "b")
	assert.NotEqual(t, a.id, b.id)
	once := begin(false, "once")
	_, err := table.begin(true, nil)
	assert.Equal(t, fullError{3, time.Second}, err, "the request without a session ends soon")
	assert.EqualError(t, err, "all 3 sessions of this server are in use: try again after 1 s")
	_, err = table.use(once.id, nil)
	assert.Equal(t, errNoSession, err, "nobody else can use it")
	_, err = table.use(a.id, nil)
	assert.Equal(t, errBusy, err)

	for i := range state.H.Data() {
		state.H.Data()[i] = 1
	}
	table.release(once)
	assert.Equal(t, 2, table.count())
	c := begin(true, "c")
	assert.Equal(t, once.row, c.row)
	assert.Zero(t, state.H.Data()[c.row*config.Hidden], "a text begins with zeros")

	// a and b lie idle for different times; c is in use and does not end.
	table.release(a)
	now = now.Add(20 * time.Second)
	table.release(b)
	_, err = table.begin(true, nil)
	assert.Equal(t, fullError{3, 40 * time.Second}, err)
	now = now.Add(41 * time.Second)
	assert.Equal(t, 2, table.count())
	_, err = table.use(a.id, nil)
	assert.Equal(t, errNoSession, err)
	same, err := table.use(b.id, cancel("b"))
	require.NoError(t, err)
	assert.Same(t, b, same)

	// Deleting a session ends the request that uses it; its row is free after that.
	require.NoError(t, table.delete(b.id))
	assert.Equal(t, map[string]error{"b": errDeleted}, ended)
	assert.Equal(t, errNoSession, table.delete(b.id))
	assert.Equal(t, 2, table.count())
	table.release(b)
	assert.Equal(t, 1, table.count())
	table.release(c)
	require.NoError(t, table.delete(c.id))
	assert.Zero(t, table.count())
	assert.Len(t, table.free, 3)
}
