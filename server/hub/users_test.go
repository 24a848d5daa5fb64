package hub

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"stentor/reactor/loop"
)

func TestUsers(t *testing.T) {
	type step struct {
		do    string // "+" reserve, "-" release
		user  string
		h     loop.Handle
		limit int
		full  bool // the reserve must fail
	}
	tests := []struct {
		name  string
		steps []step
		want  []loop.Handle // of user "u", sorted
		count int
	}{
		{"nobody", nil, nil, 0},
		{"one", []step{{"+", "u", 1, 0, false}}, []loop.Handle{1}, 1},
		{"three", []step{{"+", "u", 1, 0, false}, {"+", "u", 2, 0, false}, {"+", "u", 3, 0, false}}, []loop.Handle{1, 2, 3}, 1},
		{"the first goes", []step{{"+", "u", 1, 0, false}, {"+", "u", 2, 0, false}, {"-", "u", 1, 0, false}}, []loop.Handle{2}, 1},
		{"the last goes", []step{{"+", "u", 1, 0, false}, {"+", "u", 2, 0, false}, {"-", "u", 2, 0, false}}, []loop.Handle{1}, 1},
		{"the middle goes", []step{{"+", "u", 1, 0, false}, {"+", "u", 2, 0, false}, {"+", "u", 3, 0, false}, {"-", "u", 2, 0, false}},
			[]loop.Handle{1, 3}, 1},
		{"all go", []step{{"+", "u", 1, 0, false}, {"+", "u", 2, 0, false}, {"-", "u", 1, 0, false}, {"-", "u", 2, 0, false}}, nil, 0},
		{"one that has no place", []step{{"+", "u", 1, 0, false}, {"-", "u", 9, 0, false}, {"-", "w", 1, 0, false}}, []loop.Handle{1}, 1},
		{"limit of one", []step{{"+", "u", 1, 1, false}, {"+", "u", 2, 1, true}}, []loop.Handle{1}, 1},
		{"limit of two", []step{{"+", "u", 1, 2, false}, {"+", "u", 2, 2, false}, {"+", "u", 3, 2, true}}, []loop.Handle{1, 2}, 1},
		{"a place under the limit comes free", []step{{"+", "u", 1, 1, false}, {"-", "u", 1, 1, false}, {"+", "u", 2, 1, false}},
			[]loop.Handle{2}, 1},
		{"the limit is each user's own", []step{{"+", "u", 1, 1, false}, {"+", "w", 2, 1, false}}, []loop.Handle{1}, 2},
		{"anonymous", []step{{"+", "", 1, 1, false}, {"+", "", 2, 1, false}, {"-", "", 1, 1, false}}, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := NewUsers()
			for i, s := range tt.steps {
				if s.do == "-" {
					u.Release(s.user, s.h)
				} else if got := u.Reserve(s.user, s.h, s.limit); got == s.full {
					t.Fatalf("step %d: Reserve is %t", i, got)
				}
			}
			got := u.Sessions(nil, "u")
			if slices.Sort(got); !slices.Equal(got, tt.want) {
				t.Errorf("sessions %v, want %v", got, tt.want)
			}
			if n := u.Count(); n != tt.count {
				t.Errorf("%d users, want %d", n, tt.count)
			}
			if got := u.Sessions(nil, ""); got != nil {
				t.Errorf("anonymous sessions %v", got)
			}
		})
	}
}

// TestUsersKeepNothing: empty stripes have no maps.
func TestUsersKeepNothing(t *testing.T) {
	u := NewUsers()
	for round := range 2 {
		for h := loop.Handle(1); h <= 3000; h++ {
			user := fmt.Sprint("user-", h%1000)
			if round == 0 {
				u.Reserve(user, h, 0)
			} else {
				u.Release(user, h)
			}
		}
		if n := u.Count(); n != 1000*(1-round) {
			t.Errorf("%d users after round %d", n, round)
		}
	}
	for i := range u.stripes {
		if st := &u.stripes[i]; st.one.slots != nil || st.more != nil {
			t.Fatal("an empty stripe keeps maps")
		}
	}
}

// TestUsersConcurrently: at no moment has a user more sessions than its limit.
func TestUsersConcurrently(t *testing.T) {
	const limit, workers, users = 3, 8, 5
	u := NewUsers()
	var mu sync.Mutex
	held := map[string]int{}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range 2000 {
				user, h := fmt.Sprint(i%users), loop.Handle(1+w*10_000+i)
				if !u.Reserve(user, h, limit) {
					continue
				}
				mu.Lock()
				if held[user]++; held[user] > limit {
					t.Errorf("%d sessions of a user", held[user])
				}
				mu.Unlock()
				if got := u.Sessions(nil, user); len(got) > limit || !slices.Contains(got, h) {
					t.Errorf("sessions %v without %v", got, h)
				}
				mu.Lock()
				held[user]--
				mu.Unlock()
				u.Release(user, h)
			}
		})
	}
	wg.Wait()
	if n := u.Count(); n != 0 {
		t.Errorf("%d users are left", n)
	}
}
