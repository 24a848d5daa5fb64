// Command stentor is the server and its tools in one binary. Without a sub-command it serves.
package main

import (
	"errors"
	"fmt"
	"os"

	"stentor/server/config"
)

// version is set by the linker.
var version = "dev"

func main() {
	err := rootCommand().Execute()
	if err == nil {
		return
	}
	if !errors.As(err, new(logged)) {
		for _, e := range config.All(err) {
			fmt.Fprintln(os.Stderr, "error:", e)
		}
	}
	os.Exit(exitCode(err))
}

// exitCode is 1 but for commands whose errors say otherwise.
func exitCode(err error) int {
	var own interface{ ExitCode() int }
	if errors.As(err, &own) {
		return own.ExitCode()
	}
	return 1
}
