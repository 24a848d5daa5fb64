package swarm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"stentor/bench/measure"
	"stentor/codec"
	"stentor/codec/ws"
)

// requesters send requests on a schedule: client c's k-th is due at plan.Due(k·clients + c). A client has one request on its way; one
// that falls due meanwhile goes out as soon as the reply is there, and its latency counts from when it was due all the same.
type requesters struct {
	talker
	clients []requester
	plan    measure.Schedule // of the whole group
	asking  bool
	next    int64 // number of the next request to fall due

	// Ending: until all is answered or the deadline has passed.
	deadline int64
	ended    func()
}

// requester is one client's part of it. Ids go on from one series of requests to the next, so that a reply tells which request it
// answers.
type requester struct {
	first    uint32 // id of the series' first request, less idRequest
	sent     uint32 // requests in all series: subscriptions and their ends take turns
	owed     uint32 // requests that fell due
	asked    uint32 // requests sent
	answered uint32
}

func newRequesters(g *group) *requesters {
	return &requesters{talker: talker{g}, clients: make([]requester, g.cfg.Count)}
}

// Ask lets the requesters of a group send perSecond requests a second in all, evenly spread over time and clients.
func (s *Swarm) Ask(name string, perSecond float64) error {
	r, err := s.requesters(name)
	if err != nil {
		return err
	}
	if r.asking || r.ended != nil {
		return fmt.Errorf("group %s is asking already", name)
	}
	if perSecond <= 0 {
		return errors.New("the number of requests per second must be above 0")
	}
	for i := range r.clients {
		q := &r.clients[i]
		*q = requester{first: q.first + q.owed, sent: q.sent}
	}
	r.asking, r.next = true, 0
	r.plan = measure.Every(s.now(), perSecond)
	r.due = 0
	return nil
}

// Hush ends what Ask began: nothing falls due any more. It calls done when all requests are answered, or after patience; what is
// not answered then counts with the time that it has waited.
func (s *Swarm) Hush(name string, patience time.Duration, done func()) error {
	r, err := s.requesters(name)
	if err != nil {
		return err
	}
	if !r.asking {
		return fmt.Errorf("group %s is not asking", name)
	}
	r.asking = false
	r.ended, r.deadline = done, s.now()+int64(patience)
	r.due = 0
	return nil
}

func (s *Swarm) requesters(name string) (*requesters, error) {
	g, err := s.known(name)
	if err != nil {
		return nil, err
	}
	r, ok := g.role.(*requesters)
	if !ok {
		return nil, fmt.Errorf("group %s has the role %s and sends no requests", name, g.cfg.Role)
	}
	return r, nil
}

func (r *requesters) turn(now int64) int64 {
	if r.ended != nil {
		return r.end(now)
	}
	if !r.asking {
		return never
	}
	for r.asking && r.plan.Due(r.next) <= now {
		i := int32(r.next % int64(len(r.clients)))
		r.next++
		q := &r.clients[i]
		q.owed++
		if q.asked == q.answered {
			r.ask(i)
		}
	}
	return r.plan.Due(r.next)
}

// ask sends the next request of client i.
func (r *requesters) ask(i int32) {
	if r.conns[i].state != stateLive {
		return // its requests stay owed and end as unanswered
	}
	q := &r.clients[i]
	id := idRequest + q.first + q.asked
	odd := q.sent%2 == 1
	q.asked++
	q.sent++
	if r.cfg.Request == Ping {
		r.write(i, r.words.wrap(ws.OpPing, binary.BigEndian.AppendUint32(nil, id)))
		return
	}
	r.words.command = r.request(i, id, odd)
	if err := r.words.add(); err != nil {
		r.fault("request: " + err.Error())
		return
	}
	r.say(i)
}

// request is client i's next command. Subscribe and its end take turns: the odd ones are ends.
func (r *requesters) request(i int32, id uint32, odd bool) codec.Command {
	channel := r.cfg.Channel(r.cfg.First+int(i), 0)
	c := codec.Command{ID: id}
	switch {
	case r.cfg.Request == Publish:
		c.Method = codec.MethodPublish
		c.Publish = codec.PublishRequest{Channel: channel, Data: []byte(`{"request":true}`)}
	case r.cfg.Request == Presence:
		c.Method, c.Presence.Channel = codec.MethodPresence, channel
	case r.cfg.Request == PresenceStats:
		c.Method, c.PresenceStats.Channel = codec.MethodPresenceStats, channel
	case r.cfg.Request == History:
		c.Method, c.History = codec.MethodHistory, codec.HistoryRequest{Channel: channel, Limit: -1}
	case r.cfg.Request == Subscribe && !odd:
		c.Method, c.Subscribe.Channel = codec.MethodSubscribe, channel
	default:
		c.Method, c.Unsubscribe.Channel = codec.MethodUnsubscribe, channel
	}
	return c
}

func (r *requesters) reply(i int32, id uint32, reply *codec.Reply) {
	q := &r.clients[i]
	if q.asked == q.answered || id != idRequest+q.first+q.answered {
		r.talker.reply(i, id, reply)
		return
	}
	if reply != nil && reply.Error != nil {
		r.fault(errorText(string(r.cfg.Request), reply.Error))
	}
	if reply != nil && reply.Subscribe != nil {
		r.stats.Subscribed++
	}
	if reply != nil && reply.Unsubscribe != nil {
		r.stats.Unsubscribed++
	}
	r.stats.Replies++
	r.count(i, r.swarm.readAt)
	q.answered++
	if q.owed > q.asked {
		r.ask(i)
	}
	if r.ended != nil {
		r.due = 0
	}
}

// count records the latency of client i's oldest request that is not answered.
func (r *requesters) count(i int32, now int64) {
	due := r.plan.Due(int64(r.clients[i].answered)*int64(len(r.clients)) + int64(i))
	r.stats.Latency.Record(time.Duration(now - due))
}

// end looks whether all requests are answered, or gives up on the rest.
func (r *requesters) end(now int64) int64 {
	open := false
	for i := range r.clients {
		q := &r.clients[i]
		if now >= r.deadline || r.conns[i].state != stateLive {
			for ; q.answered < q.owed; q.answered++ {
				r.count(int32(i), now)
				r.stats.Unanswered++
			}
			q.asked = q.answered
		}
		open = open || q.answered < q.owed
	}
	if open {
		return r.deadline
	}
	done := r.ended
	r.ended = nil
	done()
	return never
}
