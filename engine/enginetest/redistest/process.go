package redistest

import (
	"os/exec"
	"runtime"
	"sync"
)

// starts carries processes to the thread that starts them all. On Linux a process that is to die with its parent dies with the thread
// that started it, and threads may end before the process does; this one does not.
var starts = sync.OnceValue(func() chan<- func() {
	queue := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range queue {
			start()
		}
	}()
	return queue
})

// startProcess runs cmd and closes gone when it has ended.
func startProcess(cmd *exec.Cmd, gone chan<- struct{}) error {
	started := make(chan error)
	starts() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return err
	}
	go func() {
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		close(gone)
	}()
	return nil
}
