package attack

func isChild() bool { return false }
func runChild() int { return 0 }
