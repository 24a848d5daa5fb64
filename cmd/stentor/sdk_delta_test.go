package main

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/centrifugal/centrifuge-go"
)

// deltaServer has channels with patches and channels with filters.
const deltaServer = `{
  "client": {"token": {"hmac_secret_key": "$SECRET"}},
  "http_api": {"key": "$API_KEY"},
  "channel": {"namespaces": [
    {"name": "delta", "history_size": 100, "history_ttl": "300s", "force_recovery": true, "allow_subscribe_for_client": true,
     "allowed_delta_types": ["fossil"]},
    {"name": "always", "history_size": 100, "history_ttl": "300s", "force_recovery": true, "allow_subscribe_for_client": true,
     "allow_publish_for_subscriber": true, "allowed_delta_types": ["fossil"], "delta_publish": true},
    {"name": "stream", "history_size": 100, "history_ttl": "300s", "force_recovery": true, "allow_subscribe_for_client": true},
    {"name": "filter", "history_size": 100, "history_ttl": "300s", "force_recovery": true, "allow_subscribe_for_client": true,
     "allow_tags_filter": true}
  ]}
}`

// TestSDKDeltaAndFilter plays what applications do with patches and with filters.
func TestSDKDeltaAndFilter(t *testing.T) {
	fill := strings.NewReplacer("$SECRET", quickStartSecret, "$API_KEY", quickStartAPIKey)
	set := scene{keys: newTokenKeys(t), ordinary: start(t, fill.Replace(deltaServer))}
	t.Run("javascript", func(t *testing.T) {
		t.Parallel()
		node(t, "scenarios.mjs", "NODE_OPTIONS=--test-reporter=spec", "TOPICS=delta filter",
			"ORDINARY="+set.ordinary.url, "API_KEY="+quickStartAPIKey, "SECRET="+quickStartSecret)
	})
	playAll(t, slices.Concat(deltaScenarios, filterScenarios), set)
}

var deltaScenarios = []scenario{
	{"delta", "patches", patches},
	{"delta", "for every publication", patchesOfAll},
	{"delta", "not where it is not allowed", noPatches},
}

// drafts are versions of a text of some 4 KB that differ in a few bytes.
type drafts string

func newDrafts() drafts {
	random := rand.NewChaCha8([32]byte{})
	b := make([]byte, 2000)
	random.Read(b)
	return drafts(hex.EncodeToString(b))
}

func (d drafts) version(n int) string { return fmt.Sprintf(`{"n":%d,"text":"%s","end":%d}`, n, d, 2*n) }

// expectDraft waits for the publication that follows, which has to be this version at its offset.
func (n *subscription) expectDraft(d drafts, version int) {
	n.s.Helper()
	e := n.published.next(fmt.Sprint("draft ", version))
	if string(e.Data) != d.version(version) || e.Offset != uint64(version) {
		n.s.Fatalf("draft at %d of %d bytes: %.40s…", e.Offset, len(e.Data), e.Data)
	}
}

// few asserts that less came over the line than so many drafts in full.
func (n *line) few(s *scene, d drafts, full int) {
	s.Helper()
	if got, most := n.fromServer.Load(), int64(full*len(d)); got >= most {
		s.Errorf("%d bytes came, want less than %d", got, most)
	}
}

// patches: who asks for them gets the first publication in full and then what has changed, also of what it missed; who does not gets all
// of everything. What the backend publishes without delta comes in full to all.
func patches(s *scene) {
	channel, d, line := s.channel("delta"), newDrafts(), newLine(s.T, s.ordinary.url)
	c, _ := s.connect(line.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	other, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("b"), nil)})
	publish := func(version int, delta bool) {
		s.Helper()
		s.ordinary.call("publish", fmt.Sprintf(`{"channel":%q,"delta":%t,"data":%s}`, channel, delta, d.version(version)), nil)
	}
	publish(1, true) // before there is anybody
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{Delta: centrifuge.DeltaTypeFossil})
	plain, _ := other.enter(channel, centrifuge.SubscriptionConfig{})
	for version := 2; version <= 10; version++ {
		publish(version, true)
		sub.expectDraft(d, version)
		plain.expectDraft(d, version)
	}
	line.few(s, d, 2) // one in full

	c.cut(line)
	for version := 11; version <= 15; version++ {
		publish(version, true)
		plain.expectDraft(d, version)
	}
	line.mend()
	if e := sub.subscribed.next("subscribed again"); !e.WasRecovering || !e.Recovered {
		s.Errorf("not recovered: %+v", e)
	}
	publish(16, true)
	for version := 11; version <= 16; version++ {
		sub.expectDraft(d, version)
	}
	line.few(s, d, 4) // two in full, and perhaps the first after the recovery
	publish(17, false)
	publish(18, true)
	for version := 17; version <= 18; version++ {
		sub.expectDraft(d, version)
	}
}

// patchesOfAll: a namespace may say that all its publications have patches, those of clients, too.
func patchesOfAll(s *scene) {
	channel, d, line := s.channel("always"), newDrafts(), newLine(s.T, s.ordinary.url)
	c, _ := s.connect(line.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	writer, id := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("b"), nil)})
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{Delta: centrifuge.DeltaTypeFossil})
	own, _ := writer.enter(channel, centrifuge.SubscriptionConfig{Delta: centrifuge.DeltaTypeFossil})
	for version := 1; version <= 9; version += 2 {
		s.ordinary.publish(channel, d.version(version))
		sub.expectDraft(d, version)
		if _, err := own.Publish(s.Context(), []byte(d.version(version+1))); err != nil {
			s.Fatal(err)
		}
		e := sub.published.next("draft of the other client")
		if string(e.Data) != d.version(version+1) || e.Info == nil || e.Info.Client != id {
			s.Fatalf("draft at %d of %d bytes by %+v", e.Offset, len(e.Data), e.Info)
		}
		own.expectDraft(d, version)
		own.expectDraft(d, version+1)
	}
	line.few(s, d, 2)
	s.ordinary.publish(channel, `{}`) // shorter than any patch
	if e := sub.published.next("something else"); string(e.Data) != `{}` {
		s.Errorf("publication %s", e.Data)
	}
	s.ordinary.publish(channel, d.version(12))
	sub.expectDraft(d, 12)
}

// noPatches: a subscription that asks for what its namespace does not allow goes without.
func noPatches(s *scene) {
	channel, d := s.channel("stream"), newDrafts()
	c, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{Delta: centrifuge.DeltaTypeFossil})
	for version := 1; version <= 3; version++ {
		s.ordinary.call("publish", fmt.Sprintf(`{"channel":%q,"delta":true,"data":%s}`, channel, d.version(version)), nil)
		sub.expectDraft(d, version)
	}
}

var filterScenarios = []scenario{
	{"filter", "by tags", filterByTags},
	{"filter", "recovery", filterRecovery},
	{"filter", "refused", filterRefused},
}

// quotes are publications with tags. A publication's number is its place here, from 1 on.
var quotes = []string{
	`{"ticker":"BTC","price":"100"}`, `{"ticker":"ETH","price":"7.5"}`, `{"ticker":"BTC","price":"99.5"}`, `{"ticker":"BTCUSD","halted":"yes"}`, `{}`,
}

func (s *scene) quote(channel string, n int) {
	s.Helper()
	s.ordinary.call("publish", fmt.Sprintf(`{"channel":%q,"data":%s,"tags":%s}`, channel, numbered(n), quotes[(n-1)%len(quotes)]), nil)
}

// filterByTags: each kind of condition lets through what it should, and nothing else.
func filterByTags(s *scene) {
	channel := s.channel("filter")
	btc := centrifuge.FilterEq("ticker", "BTC")
	conditions := []struct {
		name   string
		filter *centrifuge.FilterNode
		passes []int // numbers of quotes
	}{
		{"none", nil, []int{1, 2, 3, 4, 5}},
		{"eq", btc, []int{1, 3}},
		{"neq", centrifuge.FilterNeq("ticker", "BTC"), []int{2, 4, 5}},
		{"in", centrifuge.FilterIn("ticker", "ETH", "BTCUSD"), []int{2, 4}},
		{"nin", centrifuge.FilterNin("ticker", "ETH", "BTCUSD"), []int{1, 3, 5}},
		{"ex", centrifuge.FilterExists("halted"), []int{4}},
		{"nex", centrifuge.FilterNotExists("ticker"), []int{5}},
		{"sw", centrifuge.FilterStartsWith("ticker", "BTC"), []int{1, 3, 4}},
		{"ew", centrifuge.FilterEndsWith("ticker", "USD"), []int{4}},
		{"ct", centrifuge.FilterContains("ticker", "T"), []int{1, 2, 3, 4}},
		{"gt", centrifuge.FilterGt("price", "99.5"), []int{1}},
		{"gte", centrifuge.FilterGte("price", "99.5"), []int{1, 3}},
		{"lt", centrifuge.FilterLt("price", "99.5"), []int{2}},
		{"lte", centrifuge.FilterLte("price", "99.5"), []int{2, 3}},
		{"and", centrifuge.FilterAnd(btc, centrifuge.FilterGte("price", "100")), []int{1}},
		{"or", centrifuge.FilterOr(btc, centrifuge.FilterExists("halted")), []int{1, 3, 4}},
		{"not", centrifuge.FilterNot(centrifuge.FilterOr(btc, centrifuge.FilterExists("halted"))), []int{2, 5}},
	}
	subs := make([]*subscription, len(conditions))
	for i, condition := range conditions {
		c, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user(condition.name), nil)})
		subs[i], _ = c.enter(channel, centrifuge.SubscriptionConfig{TagsFilter: condition.filter})
	}
	for n := range 2 * len(quotes) {
		s.quote(channel, n+1)
	}
	for i, condition := range conditions {
		for round := range 2 {
			for _, n := range condition.passes {
				n += round * len(quotes)
				subs[i].expect(n, uint64(n))
			}
		}
	}
}

// filterRecovery: whether something is missing is judged before the filter. Nothing that passed it is lost, and nothing else comes.
func filterRecovery(s *scene) {
	channel, line := s.channel("filter"), newLine(s.T, s.ordinary.url)
	c, _ := s.connect(line.url, centrifuge.Config{Token: s.token(s.user("a"), nil)})
	sub, _ := c.enter(channel, centrifuge.SubscriptionConfig{TagsFilter: centrifuge.FilterEq("ticker", "BTC")})
	for n := 1; n <= 5; n++ {
		s.quote(channel, n)
	}
	sub.expect(1, 1)
	sub.expect(3, 3)
	for _, missed := range [][2]int{{6, 9}, {10, 10}} { // some pass, none passes
		c.cut(line)
		for n := missed[0]; n <= missed[1]; n++ {
			s.quote(channel, n)
		}
		line.mend()
		if e := sub.subscribed.next("subscribed again"); !e.WasRecovering || !e.Recovered {
			s.Errorf("not recovered: %+v", e)
		}
	}
	for n := 11; n <= 13; n++ {
		s.quote(channel, n)
	}
	for _, n := range []int{6, 8, 11, 13} {
		sub.expect(n, uint64(n))
	}
	if err := sub.Unsubscribe(); err != nil {
		s.Fatal(err)
	}
	if err := sub.SetTagsFilter(centrifuge.FilterEq("ticker", "ETH")); err != nil {
		s.Fatal(err)
	}
	for n := 14; n <= 17; n++ {
		s.quote(channel, n)
	}
	if err := sub.Subscribe(); err != nil {
		s.Fatal(err)
	}
	if e := sub.subscribed.next("subscribed with another filter"); !e.WasRecovering || !e.Recovered {
		s.Errorf("not recovered: %+v", e)
	}
	sub.expect(17, 17)
}

// filterRefused: where the namespace does not allow filters, and where one makes no sense.
func filterRefused(s *scene) {
	btc := centrifuge.FilterEq("ticker", "BTC")
	for _, test := range []struct {
		name, namespace string
		filter          *centrifuge.FilterNode
	}{
		{"not allowed", "stream", btc},
		{"no value", "filter", centrifuge.FilterEq("ticker", "")},
		{"no values", "filter", centrifuge.FilterIn("ticker")},
		{"nothing to join", "filter", centrifuge.FilterAnd()},
		{"deep down", "filter", centrifuge.FilterNot(centrifuge.FilterOr(btc, centrifuge.FilterNin("ticker")))},
	} {
		c, _ := s.connect(s.ordinary.url, centrifuge.Config{Token: s.token(s.user(test.name), nil)})
		sub := c.subscribe(s.channel(test.namespace), centrifuge.SubscriptionConfig{TagsFilter: test.filter})
		if e := sub.unsubscribed.next(test.name); e.Code != 107 || e.Reason != "bad request" {
			s.Errorf("%s: unsubscribed with %d %s", test.name, e.Code, e.Reason)
		}
	}
}
