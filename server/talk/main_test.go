package talk

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets many conversations go on at once: they wait for pings and ends more than they compute.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
