package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stentor/server/api"
	"stentor/server/cluster/control"
	"stentor/server/metrics"
)

// with gives a node channels, by name and number of subscribers.
func (p *place) with(channels map[string]int) { p.set(func() { p.channels = channels }) }

// someChannels are three nodes with channels, some of them common.
func someChannels(t *testing.T, e *ether) []*place {
	all := nodes(t, e, "a", "b", "c")
	all[0].with(map[string]int{"news": 1, "chat:1": 2})
	all[1].with(map[string]int{"news": 10, "chat:2": 3})
	all[2].with(map[string]int{"news": 100, "chat:1": 4, "bad\xff": 1})
	return all
}

// TestChannels: those of all nodes, added up.
func TestChannels(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		want    map[string]int
	}{
		{"", map[string]int{"news": 111, "chat:1": 6, "chat:2": 3, "bad\ufffd": 1}},
		{"chat:*", map[string]int{"chat:1": 6, "chat:2": 3}},
		{"chat:2", map[string]int{"chat:2": 3}},
		{"x", map[string]int{}},
	} {
		synctest.Test(t, func(t *testing.T) {
			all := someChannels(t, new(ether))
			got, err := all[0].Node.Channels(t.Context(), tt.pattern)
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("%q: %v, %v", tt.pattern, got, err)
			}
			if got := all[0].metric(`centrifugo_node_survey_duration_seconds_count{op="channels"}`); got != "1" {
				t.Errorf("%s surveys counted", got)
			}
		})
	}
}

// TestChannelsAlone: without other nodes there is nobody to ask; a bad pattern is one anyway.
func TestChannelsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, e := range []*ether{nil, new(ether)} {
			p := put(t, e, "a").run(t)
			p.with(map[string]int{"news": 1})
			if got, err := p.Node.Channels(t.Context(), "n*"); err != nil || !maps.Equal(got, map[string]int{"news": 1}) {
				t.Errorf("%v, %v", got, err)
			}
			for _, pattern := range []string{"[", strings.Repeat("a", api.PatternBytesMax+1)} {
				if _, err := p.Node.Channels(t.Context(), pattern); !errors.Is(err, api.ErrPattern) {
					t.Errorf("%q: error %v", pattern, err)
				}
			}
			if sent := p.metric(`centrifugo_node_messages_sent_count{type="control",channel_namespace=""}`); e == nil && sent != "" {
				t.Errorf("%s messages sent", sent)
			}
		}
	})
}

// TestSurveyOfTheDead: a node that died is waited for until it is forgotten, and then not missed; one that left is not waited for at
// all. One that lives and does not answer makes an error after the time-out, with the answers of the others.
func TestSurveyOfTheDead(t *testing.T) {
	fromC := func(from, _ string, c *control.Command) bool { return from == "c" }
	answerOfC := func(from, _ string, c *control.Command) bool { return from == "c" && c.SurveyResponse != nil }
	for _, tt := range []struct {
		name  string
		lost  func(from, to string, c *control.Command) bool
		later func(*place) // a second after the question
		err   error
		least time.Duration
		most  time.Duration
	}{
		{"died", fromC, func(*place) {}, nil, ForgetAfter - AnnounceInterval, ForgetAfter + sweepInterval},
		{"leaves", answerOfC, func(c *place) { c.Leave(context.Background()) }, nil, time.Second, time.Second},
		{"is silent", answerOfC, func(*place) {}, ErrUnanswered, SurveyTimeout, SurveyTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := new(ether)
				all := someChannels(t, e)
				e.set(func() { e.lost = tt.lost })
				time.AfterFunc(time.Second, func() { tt.later(all[2]) })
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), SurveyTimeout)
				defer cancel()
				answers, err := all[0].survey(ctx, opChannels, nil)
				if !errors.Is(err, tt.err) || len(answers) != 1 || len(answers["b"].Data) == 0 {
					t.Errorf("answers %v, %v", answers, err)
				}
				if err != nil && !strings.HasSuffix(err.Error(), "nothing from c") {
					t.Errorf("error %v", err)
				}
				if took := time.Since(began); took < tt.least || took > tt.most {
					t.Errorf("after %s", took)
				}
				if _, n, _ := all[0].inside(); n != 0 {
					t.Errorf("%d questions are still waiting", n)
				}
			})
		})
	}
}

// TestSurveyOfTheDeaf: when a node stops hearing after it has asked, it forgets all others, which does not make its answer complete.
func TestSurveyOfTheDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := someChannels(t, e)
		time.Sleep(AnnounceInterval - time.Millisecond) // it has just heard itself when it forgets them
		e.set(func() {
			e.lost = func(_, to string, c *control.Command) bool { return to == "a" && (c.Node == nil || c.Uid != "a") }
		})
		began := time.Now()
		if got, err := all[0].Node.Channels(t.Context(), ""); !errors.Is(err, ErrUnanswered) || got != nil || time.Since(began) != SurveyTimeout {
			t.Errorf("%v, %v after %s", got, err, time.Since(began))
		}
		if got := all[0].knows(); got != "a" {
			t.Errorf("it still knows %q", got)
		}
		if got, err := all[0].Node.Channels(t.Context(), ""); !errors.Is(err, ErrUnanswered) || got != nil {
			t.Errorf("when it knows nobody: %v, %v", got, err)
		}
	})
}

// TestTooManyErrands: what is to be sent waits up to a limit.
func TestTooManyErrands(t *testing.T) {
	p := put(t, new(ether), "a") // it does not run
	for range ErrandsMax + 10 {
		p.receive(encoded(t, &control.Command{Uid: "b", SurveyRequest: &control.SurveyRequest{Op: "unheard of"}}))
	}
	if got := p.failed(metrics.ControlDropped); got != "10" {
		t.Errorf("%s dropped", got)
	}
}

// TestChannelsWithASilentNode: the API does not pass a part for the whole.
func TestChannelsWithASilentNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := someChannels(t, e)
		e.set(func() {
			e.lost = func(from, _ string, c *control.Command) bool { return from == "c" && c.SurveyResponse != nil }
		})
		if got, err := all[0].Node.Channels(t.Context(), ""); !errors.Is(err, ErrUnanswered) || got != nil {
			t.Errorf("%v, %v", got, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := all[0].Node.Channels(ctx, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who left: %v", err)
		}
		e.set(func() { e.lost = nil; e.fault = errors.New("down") })
		if _, err := all[0].Node.Channels(t.Context(), ""); !errors.Is(err, e.fault) {
			t.Errorf("without the bus: %v", err)
		}
	})
}

// TestChannelsOfOthers: an answer that is none, or says that there is none, is an error.
func TestChannelsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(t, new(ether), "a", "b")
		for _, answer := range []Answer{{Code: AnswerInternal}, {Data: []byte{0xff}}} {
			all[1].lanes[opChannels].handler = func(context.Context, []byte) (uint32, []byte) { return answer.Code, answer.Data }
			if _, err := all[0].Node.Channels(t.Context(), ""); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "node b") {
				t.Errorf("error %v", err)
			}
		}
	})
	p := put(t, nil, "a")
	for _, data := range [][]byte{{0xff}, encodedPattern("[")} {
		if code, _ := p.answerChannels(t.Context(), data); code != AnswerInvalid {
			t.Errorf("%q is answered with code %d", data, code)
		}
	}
}

func encodedPattern(pattern string) []byte {
	b, err := (&control.ChannelsRequest{Pattern: pattern}).MarshalVT()
	if err != nil {
		panic(err)
	}
	return b
}

// TestSurveysTakeTurns: so many at once; others wait for a place, but not for ever.
func TestSurveysTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := nodes(t, e, "a", "b")
		e.set(func() { e.lost = func(_, _ string, c *control.Command) bool { return c.SurveyResponse != nil } })
		var calls sync.WaitGroup
		var mu sync.Mutex
		outcomes := map[error]int{}
		for range 2 * SurveysMax {
			calls.Go(func() {
				_, err := all[0].Node.Channels(t.Context(), "")
				mu.Lock()
				defer mu.Unlock()
				for _, known := range []error{ErrUnanswered, ErrBusy} {
					if errors.Is(err, known) {
						outcomes[known]++
					}
				}
			})
		}
		synctest.Wait()
		if _, n, _ := all[0].inside(); n != SurveysMax {
			t.Errorf("%d surveys at once", n)
		}
		calls.Wait()
		if outcomes[ErrUnanswered]+outcomes[ErrBusy] != 2*SurveysMax || outcomes[ErrUnanswered] < SurveysMax {
			t.Errorf("outcomes %v", outcomes)
		}
	})
}

// upper answers with what it was asked, in upper case.
func upper(_ context.Context, data []byte) (uint32, []byte) {
	return 0, []byte(strings.ToUpper(string(data)))
}

// TestAsk: one node answers, be it this one.
func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		var all []*place
		for _, uid := range []string{"a", "b", "c"} {
			p := put(t, e, uid)
			p.Handle("upper", 2, upper)
			if uid == "a" {
				p.Handle("of a alone", 1, upper)
			}
			all = append(all, p.run(t))
		}
		synctest.Wait()
		for _, to := range []string{"a", "b"} {
			if got, err := all[0].Ask(t.Context(), to, "upper", []byte("text")); err != nil || got.Code != 0 || string(got.Data) != "TEXT" {
				t.Errorf("%s: %+v, %v", to, got, err)
			}
		}
		if _, err := all[0].Ask(t.Context(), "nobody", "upper", nil); !errors.Is(err, ErrUnknownNode) {
			t.Errorf("error %v", err)
		}
		if _, err := all[0].Ask(t.Context(), "b", "unheard of", nil); !errors.Is(err, ErrRefused) {
			t.Errorf("error %v", err)
		}
		if got, err := all[0].Ask(t.Context(), "b", "of a alone", nil); err != nil || got.Code != AnswerUnknownOp {
			t.Errorf("%+v, %v", got, err)
		}
		e.set(func() { e.lost = func(_, _ string, c *control.Command) bool { return c.SurveyResponse != nil } })
		time.AfterFunc(time.Second, func() { all[1].Leave(context.Background()) })
		began := time.Now()
		if _, err := all[0].Ask(t.Context(), "b", "upper", nil); !errors.Is(err, ErrUnknownNode) || time.Since(began) != time.Second {
			t.Errorf("error %v after %s", err, time.Since(began))
		}
		if _, err := all[0].Ask(t.Context(), "c", "upper", nil); !errors.Is(err, ErrUnanswered) {
			t.Errorf("error %v", err)
		}
	})
}

// TestAskOften: many at once over a bad network get their own answer, or none in time.
func TestAskOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		var all []*place
		for _, uid := range []string{"a", "b"} {
			p := put(t, e, uid)
			p.Handle("upper", 4, upper)
			all = append(all, p.run(t))
		}
		synctest.Wait()
		e.set(func() { e.random, e.drop, e.twice, e.delay = rand.New(rand.NewPCG(3, 4)), 0.1, 0.3, time.Second })
		var calls sync.WaitGroup
		var mu sync.Mutex
		answered := 0
		const asks = 500
		for i := range asks {
			calls.Go(func() {
				got, err := all[i%2].Ask(t.Context(), all[1-i%2].cfg.UID, "upper", fmt.Appendf(nil, "n%d", i))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && string(got.Data) == fmt.Sprintf("N%d", i):
					answered++
				case !errors.Is(err, ErrUnanswered):
					t.Errorf("question %d: %+v, %v", i, got, err)
				}
			})
		}
		calls.Wait()
		if answered < asks/2 || answered == asks {
			t.Errorf("%d of %d were answered", answered, asks)
		}
	})
}

// TestTooManyQuestions: of this node and of others.
func TestTooManyQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := nodes(t, new(ether), "a", "b")
		a := all[0]
		for range AsksMax {
			if _, _, ok := a.asked.add(nil); !ok {
				t.Fatal("no room")
			}
		}
		if _, err := a.Ask(t.Context(), "b", opChannels, nil); err != ErrBusy {
			t.Errorf("error %v", err)
		}
		stuck := make(chan struct{})
		a.lanes[opChannels].handler = func(context.Context, []byte) (uint32, []byte) { <-stuck; return 0, nil }
		ask := encoded(t, &control.Command{Uid: "b", SurveyRequest: &control.SurveyRequest{Id: 1, Op: opChannels}})
		a.receive(ask)
		synctest.Wait() // it is being answered
		for range QuestionsMax + 10 {
			a.receive(ask)
		}
		if got := a.failed(metrics.ControlDropped); got != "10" {
			t.Errorf("%s dropped", got)
		}
		close(stuck)
		synctest.Wait()
		if left := a.inboxBytes.Load(); left != 0 {
			t.Errorf("%d bytes are still counted", left)
		}
	})
}

// TestSlowHandler: it holds up its own kind of question, nothing else, and is told when nobody waits any more. One that panics is an
// answer.
func TestSlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		a, b := put(t, e, "a"), put(t, e, "b")
		for _, p := range []*place{a, b} {
			p.Handle("slow", 1, func(ctx context.Context, _ []byte) (uint32, []byte) { <-ctx.Done(); return 9, nil })
			p.Handle("broken", 1, func(context.Context, []byte) (uint32, []byte) { panic("broken") })
			p.run(t)
		}
		synctest.Wait()
		a.receive(encoded(t, &control.Command{Uid: "b", SurveyRequest: &control.SurveyRequest{Id: 77, Op: "slow"}}))
		synctest.Wait()
		began := time.Now()
		if got, err := b.Ask(t.Context(), "a", "broken", nil); err != nil || got.Code != AnswerInternal || time.Since(began) != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		a.wants(t, "panic in the answer", 1)
		if got, err := b.Ask(t.Context(), "b", "broken", nil); err != nil || got.Code != AnswerInternal {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := b.Ask(t.Context(), "a", "slow", nil); !errors.Is(err, ErrUnanswered) {
			t.Errorf("error %v", err)
		}
		time.Sleep(SurveyTimeout)
		synctest.Wait()
		if left := a.inboxBytes.Load(); left != 0 {
			t.Errorf("%d bytes are still counted", left)
		}
	})
}

// TestLargeAnswers: one that the bus does not take becomes a short one; too many bytes in all are an error.
func TestLargeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ether)
		all := nodes(t, e, "a", "b")
		all[1].lanes[opChannels].handler = func(context.Context, []byte) (uint32, []byte) { return 0, make([]byte, MessageBytesMax) }
		if got, err := all[0].Ask(t.Context(), "b", opChannels, nil); err != nil || got.Code != AnswerInternal {
			t.Errorf("code %d, %v", got.Code, err)
		}
		all[1].wants(t, "was not sent", 1)
	})
	a := newAsked()
	id, q, _ := a.add([]string{"a", "b", "c"})
	part := make([]byte, AnswersBytesMax/2+1)
	for _, uid := range []string{"a", "b", "c"} {
		a.answered(uid, &control.SurveyResponse{Id: id, Data: part})
	}
	a.departed("c")
	select {
	case <-q.done:
	default:
		t.Error("it goes on waiting")
	}
	if a.remove(id); q.fault != ErrTooLarge || q.answers != nil {
		t.Errorf("fault %v", q.fault)
	}
}

// TestAnswersNobodyWants: those that are late, come twice, or are of somebody who was not asked.
func TestAnswersNobodyWants(t *testing.T) {
	a := newAsked()
	id, q, _ := a.add([]string{"a", "b"})
	for _, r := range []struct {
		uid  string
		id   uint64
		text string
	}{{"a", id, "1"}, {"a", id, "2"}, {"x", id, "3"}, {"b", id + 1, "4"}, {"b", id, "5"}, {"b", id, "6"}} {
		a.answered(r.uid, &control.SurveyResponse{Id: r.id, Data: []byte(r.text)})
	}
	<-q.done
	a.remove(id)
	a.answered("a", &control.SurveyResponse{Id: id, Data: []byte("7")})
	if len(q.answers) != 2 || string(q.answers["a"].Data) != "1" || string(q.answers["b"].Data) != "5" {
		t.Errorf("%+v", q.answers)
	}
}

// TestHandlersAreUnique: a name has one.
func TestHandlersAreUnique(t *testing.T) {
	p := put(t, nil, "a")
	defer func() {
		if recover() == nil {
			t.Error("a second handler was taken")
		}
	}()
	p.Handle(opChannels, 1, upper)
}
