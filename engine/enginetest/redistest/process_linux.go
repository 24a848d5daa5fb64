package redistest

import (
	"os/exec"
	"syscall"
)

// dieWithParent has cmd killed when this process ends, however it does.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
