package config

import (
	"strings"
)

// nearest returns the candidate closest to name, "" if none is close: at most one edit in five characters,
// two for short names.
func nearest(name string, candidates []string) string {
	best, distance := "", max(2, len(name)/5)+1
	for _, c := range candidates {
		if abs(len(c)-len(name)) >= distance {
			continue
		}
		if d := edits(strings.ToLower(name), strings.ToLower(c), distance); d < distance && d < len(c) {
			best, distance = c, d
		}
	}
	return best
}

// edits returns the number of insertions, deletions and replacements between a and b, or limit if it is not less.
func edits(a, b string, limit int) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal, least := row[0], i+1
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
			least = min(least, row[j+1])
		}
		if least >= limit {
			return limit
		}
	}
	return min(row[len(b)], limit)
}

func abs(i int) int {
	if i < 0 {
		return -i
	}
	return i
}

// suggest returns the option that was probably meant by an unknown name below the block siblings:
// a similar name there, else the same name elsewhere, else (at the top) a similar flat name.
func suggest(path string, siblings *node) string {
	parent, name := cutLast(path)
	var near []string
	for _, kid := range siblings.kids {
		near = append(near, kid.name)
	}
	if s := nearest(name, near); s != "" {
		return join(parent, s)
	}
	if s := pathOfName(root(), "", name); s != "" {
		return s
	}
	if parent == "" {
		if s := nearest(name, flatNames()); s != "" {
			return flatTarget(s)
		}
	}
	return ""
}

// cutLast splits a path before its last name.
func cutLast(path string) (parent, name string) {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// pathOfName returns the paths of the options called name, joined by "or"; "" if there is none or more than a few.
func pathOfName(n *node, path, name string) string {
	var found []string
	n.paths(path, func(p string, kid *node) {
		if kid.name == name {
			found = append(found, p)
		}
	})
	if len(found) > pathsShownMax {
		return ""
	}
	return strings.Join(found, " or ")
}

// paths calls visit for each option below n; the elements of a list are written list[].
func (n *node) paths(path string, visit func(path string, n *node)) {
	for _, kid := range n.kids {
		p := join(path, kid.name)
		switch kid.kind {
		case kindBlock:
			kid.paths(p, visit)
		case kindList:
			visit(p, kid)
			kid.paths(p+"[]", visit)
		default:
			visit(p, kid)
		}
	}
}
