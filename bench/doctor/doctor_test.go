package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the reports in testdata/*.txtar")

// wantName is the report at the end of a machine's archive.
const wantName = "want"

// played is a machine out of testdata: what a process knows, the files, a goal, and the report.
type played struct {
	Process
	Goal
	root    fstest.MapFS
	archive *txtar.Archive
	want    string
}

func play(t *testing.T, name string) played {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	p := played{root: fstest.MapFS{}, archive: a, Process: Process{PageBytes: 4096}}
	found := 0
	for line := range strings.Lines(string(a.Comment)) {
		n, _ := fmt.Sscanf(line, "process os=%s cpus=%d procs=%d soft=%d hard=%d", &p.OS, &p.CPUs, &p.Procs, &p.Files.Soft, &p.Files.Hard)
		m, _ := fmt.Sscanf(line, "goal connections=%d client=%t addresses=%d", &p.Connections, &p.Client, &p.Addresses)
		found += n + m
	}
	if found != 8 {
		t.Fatalf("%s: %d values in the head, want 8", name, found)
	}
	for _, f := range a.Files {
		if f.Name == wantName {
			p.want = string(f.Data)
			continue
		}
		p.root[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return p
}

// TestMachines judges machines and compares the whole report; -update rewrites it.
func TestMachines(t *testing.T) {
	tests := []struct {
		name    string
		verdict Verdict
		code    int
		first   Mark // the lowest wall
	}{
		{"debian", Wall, 1, Mark{"open files", 524288 - 296}},
		{"tuned", OK, 0, Mark{"net.netfilter.nf_conntrack_max", 2000000 - 812}},
		{"container", Wall, 1, Mark{"cgroup memory", 66969}},
		{"cgroup1", Wall, 1, Mark{"net.netfilter.nf_conntrack_max", 60000}},
		{"missing", Unknown, 2, Mark{}},
		{"garbage", Unknown, 2, Mark{"open files", 2000000 - 284}},
		{"generator", Wall, 1, Mark{"net.ipv4.ip_local_port_range", 8 * (28232 - 101)}},
		{"darwin", Unknown, 2, Mark{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := play(t, tt.name)
			r := Judge(p.root, p.Process, p.Goal)
			var first Mark
			if len(r.Walls) > 0 {
				first = r.Walls[0]
			}
			if r.Verdict != tt.verdict || first != tt.first || codeOf(r.failure()) != tt.code {
				t.Errorf("%s, code %d, first wall %+v; want %s, %d, %+v", r.Verdict, codeOf(r.failure()), first, tt.verdict, tt.code, tt.first)
			}
			var b bytes.Buffer
			r.text(&b)
			if *update {
				p.rewrite(t, tt.name, b.Bytes())
			} else if b.String() != p.want {
				t.Errorf("the report is\n%s\nwant\n%s", b.String(), p.want)
			}
		})
	}
}

func (p *played) rewrite(t *testing.T, name string, report []byte) {
	t.Helper()
	if p.want == "" {
		p.archive.Files = append(p.archive.Files, txtar.File{Name: wantName})
	}
	p.archive.Files[len(p.archive.Files)-1].Data = report
	if err := os.WriteFile(filepath.Join("testdata", name+".txtar"), txtar.Format(p.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func codeOf(err error) int {
	var f *Failure
	if errors.As(err, &f) {
		return f.ExitCode()
	}
	return 0
}

// TestEdges: a goal that is met exactly is met, and one more is not.
func TestEdges(t *testing.T) {
	p := play(t, "tuned")
	p.Files.Hard = 1_000_000 + 256 + 16 + 3*16
	for goal, want := range map[int]Verdict{1_000_000: OK, 1_000_001: Wall} {
		p.Connections = goal
		if r := Judge(p.root, p.Process, p.Goal); r.Verdict != want {
			t.Errorf("%d: %s, want %s", goal, r.Verdict, want)
		}
	}
	p.Files.Hard = 100 // fewer than the server keeps for itself
	if r := Judge(p.root, p.Process, p.Goal); r.Walls[0] != (Mark{"open files", 0}) {
		t.Errorf("%+v", r.Walls)
	}
}

// TestRemedy: a machine on which all recommended lines were run has no wall below the goal but RAM and cores.
func TestRemedy(t *testing.T) {
	p := play(t, "cgroup1")
	for _, goal := range []int{1, 1000, 200_000, 1_000_000, 5_000_000, ConnectionsMax} {
		p.Connections = goal
		for range 2 { // fs.nr_open comes before the limit of open files
			r := Judge(p.root, p.Process, p.Goal)
			for _, c := range r.Checks {
				for _, f := range c.Fixes {
					p.apply(t, f.Run)
				}
			}
		}
		for _, c := range Judge(p.root, p.Process, p.Goal).Checks {
			if c.Verdict != OK && len(c.Fixes) > 0 && c.Fixes[0].Run != "" {
				t.Errorf("goal %d: %s = %s is still %s", goal, c.Name, c.Value, c.Verdict)
			}
		}
	}
}

// apply does to the played machine what a shell would do.
func (p *played) apply(t *testing.T, line string) {
	t.Helper()
	if _, set, ok := strings.Cut(line, "sysctl -w "); ok {
		name, value, _ := strings.Cut(set, "=")
		p.root["proc/sys/"+sysctlPath(name)] = &fstest.MapFile{Data: []byte(strings.Trim(value, `"`))}
		return
	}
	switch {
	case line == "":
	case strings.HasPrefix(line, "ulimit -n "):
		fmt.Sscanf(line, "ulimit -n %d", &p.Files.Hard)
	case strings.HasPrefix(line, "export GOMAXPROCS="):
		fmt.Sscanf(line, "export GOMAXPROCS=%d", &p.Procs)
	default:
		t.Errorf("nothing plays %q", line)
	}
}

func sysctlPath(name string) string { return strings.ReplaceAll(name, ".", "/") }

// TestAdvice: a machine with all of the advice has none of its walls below the goal.
func TestAdvice(t *testing.T) {
	for _, goal := range []int{1, 30_000, 1_000_000, 3_000_000} {
		p := play(t, "tuned")
		p.Connections, p.Procs = goal, 4
		for _, f := range Advice(goal, 4, 0) {
			p.apply(t, f.Run)
		}
		for _, c := range Judge(p.root, p.Process, p.Goal).Checks {
			if c.Name != "RAM" && c.Name != "CPUs" && c.Verdict != OK {
				t.Errorf("goal %d: %s = %s is %s at %s", goal, c.Name, c.Value, c.Verdict, c.enough())
			}
		}
	}
}

// TestAdviceBuffers: who knows of more unsent bytes than doctor does gets a larger tcp_mem.
func TestAdviceBuffers(t *testing.T) {
	const pressure = 5_000_192 // 5,000,000 pages, rounded up to 1,024
	for _, f := range Advice(1000, 1, 5_000_000*4096) {
		if strings.Contains(f.Run, "tcp_mem") && f.Run != fmt.Sprintf(`sysctl -w net.ipv4.tcp_mem="%d %d %d"`, pressure*3/4, pressure, pressure*3/2) {
			t.Error(f.Run)
		}
	}
}

func TestJSON(t *testing.T) {
	p := play(t, "debian")
	b, err := json.Marshal(Judge(p.root, p.Process, p.Goal))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"goal":1000000,"role":"server","os":"linux","verdict":"wall","walls":[{"name":"open files","connections":523992},`,
		`{"name":"open files","value":"soft 524,288, hard 524,288","verdict":"wall","hard":true,"wall_at":523992,"why":"`,
		`"fixes":[{"run":"ulimit -n 1048576","keep":"LimitNOFILE=1048576 `,
		`{"name":"cgroup memory","value":"no limit (v2)","verdict":"ok","hard":true,"wall_at":null,`,
	} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s is not in\n%s", want, b)
		}
	}
}

// TestAddresses: when the widest range of ports is not enough, more addresses are.
func TestAddresses(t *testing.T) {
	p := play(t, "generator")
	p.Connections = 1_000_000
	check := func() Check { return newMachine(p.root, p.Process).ports(p.Goal) }
	if c := check(); c.Verdict != Wall || len(c.Fixes) != 2 || !strings.Contains(c.Fixes[1].Keep, "and 16 pairs of addresses") {
		t.Errorf("%+v", c)
	}
	p.apply(t, check().Fixes[0].Run)
	p.root["proc/sys/net/ipv4/ip_local_reserved_ports"] = &fstest.MapFile{}
	p.Addresses = 16
	if c := check(); c.Verdict != OK || *c.WallAt != 16*64512 {
		t.Errorf("%+v", c)
	}
}

func TestGoal(t *testing.T) {
	tests := []struct {
		goal Goal
		want string
	}{
		{Goal{Connections: 1, Addresses: 1}, ""},
		{Goal{Connections: ConnectionsMax, Addresses: addressesMax, Client: true}, ""},
		{Goal{Connections: 0, Addresses: 1}, "--connections 0"},
		{Goal{Connections: ConnectionsMax + 1, Addresses: 1}, "--connections 100000001: want 1 to 100,000,000"},
		{Goal{Connections: 1, Client: true}, "--addresses 0"},
		{Goal{Connections: 1, Client: true, Addresses: addressesMax + 1}, "--addresses 65537"},
		{Goal{Connections: 1, Addresses: 2}, "--addresses belongs to --client"},
	}
	for _, tt := range tests {
		err := tt.goal.check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: %v, want %q", tt.goal, err, tt.want)
		}
	}
}

func TestWithin(t *testing.T) {
	for list, want := range map[string]int64{
		"": 0, "150": 1, "99,201": 0, "100-200": 101, "1-100": 1, "200-300,100": 2, "x,150-y,-": 0, "150-149": 0, " 101 , 102-103 ": 3,
	} {
		if got := within(list, 100, 200); got != want {
			t.Errorf("%q: %d, want %d", list, got, want)
		}
	}
}

func TestKernelVersion(t *testing.T) {
	for release, want := range map[string]int{"6.1.0-18-amd64": 6001, "4.4": 4004, "5.15-rc1": 5015, "3.8.0": 3008} {
		if got, err := kernelVersion(release); err != nil || got != want {
			t.Errorf("%s: %d %v, want %d", release, got, err, want)
		}
	}
	for _, bad := range []string{"", "6", "6.", ".1", "six.one", "-6.1", "6.1000"} {
		if got, err := kernelVersion(bad); err == nil {
			t.Errorf("%q was taken as %d", bad, got)
		}
	}
	p := play(t, "tuned")
	p.root["proc/sys/kernel/osrelease"] = &fstest.MapFile{Data: []byte("3.8.0")}
	if r := Judge(p.root, p.Process, p.Goal); r.Walls[0] != (Mark{"kernel", 0}) || r.Verdict != Wall {
		t.Errorf("a kernel without SO_REUSEPORT: %s %+v", r.Verdict, r.Walls)
	}
}

// TestHere: whatever this machine is, it can be judged.
func TestHere(t *testing.T) {
	p := ThisProcess()
	if p.Files.Err != nil || p.Files.Hard < p.Files.Soft || p.CPUs < 1 || p.Procs < 1 || p.PageBytes < 4096 {
		t.Errorf("%+v", p)
	}
	for _, client := range []bool{false, true} {
		r := Judge(os.DirFS("/"), p, Goal{Connections: 1, Client: client, Addresses: 1})
		if r.OS == "linux" && r.Verdict != OK {
			t.Errorf("not even one connection: %+v", r)
		}
	}
}

// FuzzFiles: whatever the files of a machine hold, it is judged, and no wall is below 0.
func FuzzFiles(f *testing.F) {
	f.Add("1 2 3", "0::/a/b\n4:memory,cpu:/..", "[always]")
	f.Add("max 100000", "2:cpu:/x\n3:memory:/", "MemTotal: 1 kB\nSwapTotal: 1 kB")
	f.Fuzz(func(t *testing.T, numbers, cgroup, text string) {
		root := fstest.MapFS{}
		for i, file := range filesRead {
			root[file] = &fstest.MapFile{Data: []byte([]string{numbers, text}[i%2])}
		}
		root["proc/self/cgroup"] = &fstest.MapFile{Data: []byte(cgroup)}
		for _, client := range []bool{false, true} {
			r := Judge(root, Process{OS: "linux", CPUs: 1, Procs: 1, PageBytes: 4096}, Goal{Connections: 1000, Client: client, Addresses: 1})
			for _, c := range r.Checks {
				if c.WallAt != nil && (*c.WallAt < 0 || *c.WallAt > ConnectionsMax) {
					t.Errorf("%+v is at %d", c, *c.WallAt)
				}
			}
		}
	})
}

var filesRead = []string{
	"proc/sys/fs/nr_open", "proc/meminfo", "proc/sys/fs/file-max", "sys/kernel/mm/transparent_hugepage/enabled", "proc/sys/net/ipv4/tcp_mem", "proc/self/status",
	"proc/sys/net/ipv4/ip_local_port_range", "proc/sys/kernel/osrelease", "sys/fs/cgroup/memory.max", "proc/sys/net/ipv4/ip_local_reserved_ports",
	"sys/fs/cgroup/cpu.max", "proc/sys/net/core/somaxconn", "sys/fs/cgroup/memory/memory.limit_in_bytes", "proc/sys/vm/overcommit_memory",
}
