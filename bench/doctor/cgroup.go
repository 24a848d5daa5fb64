package doctor

import (
	"fmt"
	"path"
	"strings"
)

// cgroup is what the control groups around the process allow: the least of its own and of those above.
type cgroup struct {
	version   int // 0: there is none
	memory    int64
	memoryErr error
	cpu       float64 // cores
	cpuErr    error
}

// unlimited is what cgroup v1 shows for "no limit", less a page or more; v2 says max.
const unlimited = 1 << 60

// readCgroup finds the groups of this process. A limit of 0 is none.
func readCgroup(s source) (g cgroup) {
	text, err := s.text("proc/self/cgroup")
	if err != nil {
		return g
	}
	paths := cgroupPaths(text)
	if dirs := paths.dirs("memory"); dirs != nil {
		g.version = 1
		g.memory, g.memoryErr = least(s, dirs, "memory.limit_in_bytes", parseNumber)
	} else if dirs = paths.dirs(""); dirs != nil {
		g.version = 2
		g.memory, g.memoryErr = least(s, dirs, "memory.max", parseMax)
	}
	if dirs := paths.dirs("cpu"); dirs != nil {
		g.cpu, g.cpuErr = quotaV1(s, dirs)
	} else if dirs = paths.dirs(""); dirs != nil {
		g.cpu, g.cpuErr = quotaV2(s, dirs)
	}
	return g
}

// groups are the process's places in the hierarchies, by controller; "" is that of cgroup v2.
type groups map[string]place

// place is where a group is: below which mount, and its path there.
type place struct{ mounted, path string }

// cgroupPaths reads /proc/self/cgroup (cgroups(7)): lines "4:cpu,cpuacct:/a/b" of version 1, "0::/a/b" of version 2.
func cgroupPaths(text string) groups {
	paths := groups{}
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 || strings.Contains(fields[2], "..") {
			continue // a group outside of what the namespace shows begins with /..
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			paths[controller] = place{fields[1], path.Clean("/" + fields[2])}
		}
	}
	return paths
}

// dirs are the directories of a controller, the process's own first, the root of the mount last. A container often sees its own group
// as that root.
func (p groups) dirs(controller string) (dirs []string) {
	at, ok := p[controller]
	if !ok {
		return nil
	}
	for dir := at.path; ; dir = path.Dir(dir) {
		dirs = append(dirs, path.Join("sys/fs/cgroup", at.mounted, dir))
		if dir == "/" {
			return dirs
		}
	}
}

// least is the smallest limit that file has in any of dirs; 0 if none has one.
func least(s source, dirs []string, file string, parse func(string) (int64, error)) (int64, error) {
	var smallest int64
	for _, dir := range dirs {
		text, err := s.text(path.Join(dir, file))
		if err != nil {
			continue // the root of a hierarchy has none
		}
		n, err := parse(text)
		if err != nil {
			return 0, fmt.Errorf("/%s: %w", path.Join(dir, file), err)
		}
		if n > 0 && n < unlimited && (smallest == 0 || n < smallest) {
			smallest = n
		}
	}
	return smallest, nil
}

// parseMax reads a number, or the word max for none.
func parseMax(text string) (int64, error) {
	if text == "max" {
		return 0, nil
	}
	return parseNumber(text)
}

// quotaV2 reads cpu.max, "quota period" in microseconds, as a number of cores.
func quotaV2(s source, dirs []string) (float64, error) {
	return leastQuota(dirs, func(dir string) (quota, period string, err error) {
		text, err := s.text(path.Join(dir, "cpu.max"))
		quota, period, _ = strings.Cut(text, " ")
		return quota, period, err
	})
}

// quotaV1 reads the same from two files; a quota of -1 is none.
func quotaV1(s source, dirs []string) (float64, error) {
	return leastQuota(dirs, func(dir string) (quota, period string, err error) {
		if quota, err = s.text(path.Join(dir, "cpu.cfs_quota_us")); err != nil {
			return "", "", err
		}
		period, err = s.text(path.Join(dir, "cpu.cfs_period_us"))
		return quota, period, err
	})
}

func leastQuota(dirs []string, read func(dir string) (quota, period string, err error)) (smallest float64, err error) {
	for _, dir := range dirs {
		quota, period, err := read(dir)
		if err != nil || quota == "max" || quota == "-1" {
			continue
		}
		q, errQuota := parseNumber(quota)
		p, errPeriod := parseNumber(period)
		if errQuota != nil || errPeriod != nil || q == 0 || p == 0 {
			return 0, fmt.Errorf("/%s: %q of %q microseconds is no CPU quota", dir, brief(quota), brief(period))
		}
		if cores := float64(q) / float64(p); smallest == 0 || cores < smallest {
			smallest = cores
		}
	}
	return smallest, nil
}
