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
	os.Exit(1)
}
