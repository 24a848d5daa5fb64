package launch

import "syscall"

// attributes put the server into a process group of its own, so that an interrupt from the keyboard reaches us alone and we stop the
// server in order; and end it with us, however that comes.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
