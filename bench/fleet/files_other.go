//go:build !linux

package fleet

// FilesMax needs Linux.
func FilesMax() (int, error) { return 0, errLinuxOnly }
