//go:build !linux

package attack

// Only Linux shows what a child process uses, see descriptors_linux_test.go.

func isChild() bool { return false }

func runChild() int { return 1 }
