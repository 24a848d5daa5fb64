package metrics

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"stentor/codec"
	"stentor/engine"
)

// splitColon is how channels are named in these tests.
func splitColon(channel string) string {
	namespace, _, ok := strings.Cut(channel, ":")
	if !ok {
		return ""
	}
	return namespace
}

// telling makes metrics that tell namespaces apart.
func telling(loops int, names ...string) *Metrics {
	m, _ := newTestMetrics(loops)
	m.TellApart(splitColon, names)
	return m
}

// everything counts one of each thing that has a namespace.
func everything(m *Metrics, loop int, n Namespace, channel string) {
	c := m.Joined(loop, Client{Name: "js", Version: "1"})
	m.Occupied(loop, channel)
	m.Subscribed(loop, m.NamespaceOf(channel), c)
	m.Command(loop, n, codec.MethodSubscribe, time.Microsecond)
	m.MessageSent(loop, n, MessagePublication)
	m.MessageReceived(loop, n, MessageJoin)
	m.Recover(loop, n, true, true)
	m.Suppressed(n, engine.SuppressVersion)
	m.ReplyError(n, codec.MethodSubscribe, 103)
	m.Unsubscribe(n, 2500)
	m.FilteredOut(loop, channel, 1)
	m.Unsubscribed(loop, m.NamespaceOf(channel), c)
	m.Vacated(loop, channel)
	m.Left(loop, c, 1000)
}

func text(m *Metrics) string {
	var b bytes.Buffer
	m.Write(&b)
	return b.String()
}

// withLabel are the lines that have a label, without it and without buckets.
func withLabel(text, label string) (lines []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, label) && !strings.Contains(line, "le=") && !strings.Contains(line, "quantile=") {
			lines = append(lines, strings.TrimSpace(strings.Replace(line, label, "", 1)))
		}
	}
	return lines
}

// TestNamespaces: each kind of thing is counted under its namespace, and under no other.
func TestNamespaces(t *testing.T) {
	m := telling(2, "chat", "news")
	everything(m, 0, m.Namespace("chat"), "chat:1")
	everything(m, 1, m.Namespace("chat"), "chat:2")
	everything(m, 1, m.Namespace(""), "plain")
	page := text(m)
	checkText(t, page)
	want := []string{
		`centrifugo_node_messages_sent_count{type="publication",} 2`,
		`centrifugo_node_messages_received_count{type="join",} 2`,
		`centrifugo_client_recover{recovered="yes",,has_recovered_publications="yes"} 2`,
		`centrifugo_broker_publish_suppressed_count{,reason="version"} 2`,
		`stentor_channels_occupied_total{} 2`,
		`stentor_channels_vacated_total{} 2`,
		`centrifugo_node_tags_filter_dropped_publications{} 2`,
		`centrifugo_client_command_duration_seconds_sum{method="subscribe",} 2e-06`,
		`centrifugo_client_command_duration_seconds_count{method="subscribe",} 2`,
		`centrifugo_client_command_duration_seconds_histogram_sum{method="subscribe",} 2e-06`,
		`centrifugo_client_command_duration_seconds_histogram_count{method="subscribe",} 2`,
		`centrifugo_client_num_reply_errors{method="subscribe",code="103",} 2`,
		`centrifugo_client_num_server_unsubscribes{code="2500",} 2`,
		`centrifugo_client_subscriptions_accepted{client_name="js",} 2`,
		`centrifugo_client_subscriptions_inflight{client_name="js",} 0`,
	}
	if got := withLabel(page, `channel_namespace="chat"`); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("namespace chat:\n%s", strings.Join(got, "\n"))
	}
	for _, line := range want {
		line = strings.Replace(strings.Replace(line, "2e-06", "1e-06", 1), "} 2", "} 1", 1)
		if got := withLabel(page, `channel_namespace=""`); !strings.Contains(strings.Join(got, "\n")+"\n", line+"\n") {
			t.Errorf("%q is missing in:\n%s", line, strings.Join(got, "\n"))
		}
	}
	if got := withLabel(page, `channel_namespace="news"`); got != nil {
		t.Errorf("nothing happened in news, but: %q", got)
	}
}

// TestNamespacesOff: whatever is asked, there is one label, and nothing is made for others.
func TestNamespacesOff(t *testing.T) {
	m, _ := newTestMetrics(1)
	if m.Namespace("chat") != 0 || m.NamespaceOf("chat:1") != 0 {
		t.Error("a namespace has a number")
	}
	everything(m, 0, m.Namespace("chat"), "chat:1")
	if m.locals[0].spaces.Load() != nil || len(*m.outcomes.Load()) != 1 {
		t.Error("there is room for namespaces")
	}
	if strings.Contains(text(m), "chat") {
		t.Error("there is a label")
	}
}

// TestUnknownNamespaces: only what is configured makes a label, whatever clients name.
func TestUnknownNamespaces(t *testing.T) {
	m := telling(1, "chat")
	for i := range 10_000 {
		name := fmt.Sprintf("made%d", i)
		everything(m, 0, m.Namespace(name), name+":1")
	}
	page := text(m)
	if strings.Contains(page, "made") || strings.Contains(page, `channel_namespace="other"`) {
		t.Errorf("a client made a label:\n%s", page)
	}
	if want := `stentor_channels_occupied_total{channel_namespace=""} 10000`; !strings.Contains(page, want+"\n") {
		t.Errorf("%q is missing", want)
	}
}

// TestNamespacesMax: the last one that is told apart, and the first that is not.
func TestNamespacesMax(t *testing.T) {
	var names []string
	for i := range NamespacesMax + 1 {
		names = append(names, fmt.Sprintf("n%d", i))
	}
	m := telling(1, names[:NamespacesMax-1]...)
	if n := m.Namespace(names[NamespacesMax]); n != noNamespace {
		t.Errorf("an unknown namespace has number %d", n)
	}
	m.TellApart(splitColon, names)
	last, beyond := names[NamespacesMax-1], names[NamespacesMax]
	everything(m, 0, m.Namespace(last), last+":1")
	everything(m, 0, m.Namespace(beyond), beyond+":1")
	page := text(m)
	checkText(t, page)
	for label, want := range map[string]int{last: 15, "other": 15, beyond: 0} {
		if got := len(withLabel(page, `channel_namespace="`+label+`"`)); got != want {
			t.Errorf("%s has %d lines, want %d", label, got, want)
		}
	}
	m.TellApart(splitColon, []string{"late"})
	if n := m.Namespace("late"); n != otherNamespaces {
		t.Errorf("one that came late has number %d", n)
	}
}

// TestNamespaceCalledOther shares the label with those beyond the limit, so that no sample is there twice.
func TestNamespaceCalledOther(t *testing.T) {
	m := telling(1, "other", "chat")
	if n := m.Namespace("other"); n != otherNamespaces {
		t.Errorf("it has number %d", n)
	}
	everything(m, 0, m.Namespace("other"), "other:1")
	checkText(t, text(m))
}

// TestReload: numbers stay, counts stay, and a subscription to a namespace that went is counted out where it was counted in.
func TestReload(t *testing.T) {
	m := telling(1, "chat", "news")
	chat, c := m.Namespace("chat"), m.Joined(0, Client{Name: "js", Version: "1"})
	m.Subscribed(0, m.NamespaceOf("chat:1"), c)
	m.MessageSent(0, chat, MessagePublication)
	m.TellApart(func(string) string { return "news" }, []string{"news", "more"})
	if m.Namespace("chat") != chat || m.NamespaceOf("chat:1") != chat {
		t.Error("the number has changed")
	}
	m.Unsubscribed(0, m.NamespaceOf("chat:1"), c)
	everything(m, 0, m.Namespace("more"), "more:1")
	page := text(m)
	checkText(t, page)
	for _, want := range []string{
		`centrifugo_client_subscriptions_accepted{client_name="js",channel_namespace="chat"} 1`,
		`centrifugo_client_subscriptions_inflight{client_name="js",channel_namespace="chat"} 0`,
		`centrifugo_node_messages_sent_count{type="publication",channel_namespace="chat"} 1`,
		`centrifugo_node_messages_sent_count{type="publication",channel_namespace="more"} 1`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("%q is missing in:\n%s", want, page)
		}
	}
}

// TestHostileLabels: nothing that a client, a backend or a configuration says ends a label or begins a line.
func TestHostileLabels(t *testing.T) {
	const evil = "x\"} 1\nevil_metric{a=\"\\"
	m := telling(1, evil, "\xff\xfe")
	for _, name := range []string{evil, "\xff\xfe"} {
		everything(m, 0, m.Namespace(name), name+":"+evil)
	}
	m.Joined(0, Client{Name: evil, Version: evil, AcceptProtocol: evil})
	m.Joined(0, Client{Name: "go", Version: evil})
	api := m.API(evil, []string{evil})
	api.Command(0, time.Microsecond)
	api.Error(0, 100)
	page := text(m)
	checkText(t, page)
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "evil") || !strings.HasPrefix(line, "# ") && !wholeSample(strings.TrimSuffix(line, "\n")) {
			t.Errorf("line %q", line)
		}
	}
	if want := `stentor_channels_occupied_total{channel_namespace="x\"} 1\nevil_metric{a=\"\\"} 1`; !strings.Contains(page, want+"\n") {
		t.Errorf("%q is missing in:\n%s", want, page)
	}
}

// wholeSample reports that a line is name{label="value",...} number, by the grammar of the text format.
func wholeSample(line string) bool {
	rest := strings.TrimLeft(line, "abcdefghijklmnopqrstuvwxyz_")
	if after, labels := strings.CutPrefix(rest, "{"); labels {
		for rest = after; !strings.HasPrefix(rest, "}"); rest = strings.TrimPrefix(rest, ",") {
			name, value, ok := strings.Cut(rest, `="`)
			if !ok || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
				return false
			}
			end := 0
			for ; end < len(value) && value[end] != '"'; end++ {
				if value[end] == '\\' {
					end++
				}
			}
			if end >= len(value) {
				return false
			}
			rest = value[end+1:]
		}
		rest = rest[1:]
	}
	return strings.HasPrefix(rest, " ") && strings.Trim(rest[1:], "0123456789.e+-NaInf") == ""
}

// TestClientsAddUp: those accepted are those who went, by code, and those who are here.
func TestClientsAddUp(t *testing.T) {
	m, _ := newTestMetrics(2)
	var here []Class
	for i := range 100 {
		here = append(here, m.Joined(i%2, Client{Transport: Transport(i % 3), Name: "js", Version: "1"}))
	}
	for i, code := range []uint32{0, 1000, 1005, 3008, 3503, 4000, 100, 65535} {
		m.Left(i%2, here[i], code)
	}
	page := text(m)
	accepted, inflight, ended := sumOf(t, page, "centrifugo_client_connections_accepted"), sumOf(t, page, "centrifugo_client_connections_inflight"),
		sumOf(t, page, "stentor_client_disconnects_total")
	if accepted != 100 || ended != 8 || accepted-ended != inflight {
		t.Errorf("%d accepted, %d went, %d are here", accepted, ended, inflight)
	}
	for _, want := range []string{`{code="0"} 1`, `{code="1005"} 1`, `{code="3008"} 1`, `{code="100"} 1`, `{code="custom"} 2`} {
		if !strings.Contains(page, "stentor_client_disconnects_total"+want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
}

// sumOf adds up the samples of a family.
func sumOf(t *testing.T, page, name string) (sum int) {
	t.Helper()
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, name+"{") {
			var n int
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n); err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// TestNamespacesAtOnce: loops count, a reload adds namespaces and a scrape reads, all at the same time.
func TestNamespacesAtOnce(t *testing.T) {
	m := telling(4, "chat")
	var wg sync.WaitGroup
	for loop := range 6 { // two of them are no loops
		wg.Go(func() {
			for i := range 300 {
				name := fmt.Sprintf("n%d", i%20)
				everything(m, loop, m.Namespace(name), name+":1")
				everything(m, loop, m.Namespace("chat"), "chat:1")
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			m.TellApart(splitColon, []string{fmt.Sprintf("n%d", i)})
			checkText(t, text(m))
		}
	})
	wg.Wait()
	if want := `stentor_channels_occupied_total{channel_namespace="chat"} 1800`; !strings.Contains(text(m), want+"\n") {
		t.Errorf("%q is missing in:\n%s", want, text(m))
	}
}

func TestCountingNamespacesAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	off, _ := newTestMetrics(1)
	for name, m := range map[string]*Metrics{"on": telling(1, "chat", "news"), "off": off} {
		n := m.Namespace("news")
		if allocs := testing.AllocsPerRun(100, func() { everything(m, 0, n, "news:1") }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// BenchmarkCommandByNamespace is BenchmarkCommand with namespaces told apart.
func BenchmarkCommandByNamespace(b *testing.B) {
	m := telling(1, "chat", "news")
	n := m.Namespace("news")
	for b.Loop() {
		m.Command(0, n, codec.MethodPublish, 3*time.Microsecond)
	}
}

// BenchmarkScrapeNamespaces is a scrape of as many namespaces as there can be.
func BenchmarkScrapeNamespaces(b *testing.B) {
	var names []string
	for i := range NamespacesMax {
		names = append(names, fmt.Sprintf("n%d", i))
	}
	m := telling(8, names...)
	for _, name := range names {
		everything(m, 0, m.Namespace(name), name+":1")
	}
	var page bytes.Buffer
	for b.Loop() {
		page.Reset()
		m.Write(&page)
	}
	b.ReportMetric(float64(page.Len()), "B/scrape")
}
