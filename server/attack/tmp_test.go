package attack

import (
	"os"
	"runtime"
	"runtime/pprof"
)

func init() {
	if os.Getenv("PROF") != "" {
		runtime.MemProfileRate = 1
	}
}
func dump(name string) {
	if os.Getenv("PROF") == "" {
		return
	}
	runtime.GC()
	runtime.GC()
	f, _ := os.Create("/tmp/st/" + name + ".pprof")
	pprof.Lookup("heap").WriteTo(f, 0)
	f.Close()
}
