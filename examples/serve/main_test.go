package main

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-model", "m", "-sessions", "3"})
	require.NoError(t, err)
	assert.Equal(t, 3, o.limits.sessions)
	for want, args := range map[string][]string{
		`-model is "", want a file that examples/charlm wrote`: {},
		"-sessions is 0, want 1 to 65536":                      {"-model", "m", "-sessions", "0"},
		"-workers is 2000, want 1 to 1024":                     {"-model", "m", "-workers", "2000"},
		"-idle is -1s, want a positive time":                   {"-model", "m", "-idle", "-1s"},
		"-batch is 0, want at least 1":                         {"-model", "m", "-batch", "0"},
		`unexpected argument "m"`:                              {"m"},
		"flag provided but not defined: -x":                    {"-x"},
	} {
		_, err := parse(args)
		assert.EqualError(t, err, want)
		assert.ErrorAs(t, err, new(usageError))
	}
	_, err = parse([]string{"-h"})
	assert.Equal(t, flag.ErrHelp, err)
	assert.ErrorContains(t, run(t.Context(), []string{"-model", "none"}), "none")
}
