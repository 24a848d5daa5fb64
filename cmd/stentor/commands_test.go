package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestCommands runs the tools as an operator does: each script of testdata/script in an empty directory and without any of our
// environment variables.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true})
}
