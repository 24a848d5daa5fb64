package natstest

import "syscall"

// attributes have the server end with the test, however that ends, and keep a signal from the keyboard from it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
