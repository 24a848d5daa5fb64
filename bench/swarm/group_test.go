package swarm

import "testing"

// Publications are counted by channel, or once for all channels.
func TestLast(t *testing.T) {
	g := Group{Name: "g", First: 10, Base: 10, Count: 5, PerChannel: 2}
	for _, c := range []struct {
		last       []int
		client     int
		want       int
		deliveries uint64
		fails      bool
	}{
		{last: []int{7}, client: 14, want: 7, deliveries: 35},
		{last: []int{1, 20, 300}, client: 10, want: 1, deliveries: 342},
		{last: []int{1, 20, 300}, client: 13, want: 20, deliveries: 342},
		{last: []int{1, 20, 300}, client: 14, want: 300, deliveries: 342},
		{last: []int{1, 20}, client: 14, fails: true},
		{last: nil, client: 10, fails: true},
	} {
		n, err := g.Last(c.last, c.client)
		if n != c.want || (err != nil) != c.fails {
			t.Errorf("client %d of %v: %d, %v", c.client, c.last, n, err)
		}
		if sum, err := g.Deliveries(c.last); (err != nil) != c.fails || err == nil && sum != c.deliveries {
			t.Errorf("%v: %d deliveries, %v", c.last, sum, err)
		}
	}
}
