package ring

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"unsafe"
	"weak"

	"stentor/codec"
)

var testEpoch = [EpochSize]byte([]byte("abcdefgh"))

// model is the same stream, kept as anyone would keep it first.
type model struct {
	top  uint64
	pubs []codec.Publication
}

func (m *model) append(p codec.Publication, size int) {
	m.top++
	p.Offset, p.Epoch = m.top, ""
	if m.top == 1 {
		p.Epoch = string(testEpoch[:])
	}
	m.pubs = append(m.pubs, p)
	if over := len(m.pubs) - max(size, 1); over > 0 {
		m.pubs = m.pubs[over:]
	}
}

func (m *model) since(offset uint64, limit int) (list []codec.Publication) {
	for _, p := range m.pubs {
		if p.Offset > offset && (limit < 0 || len(list) < limit) {
			list = append(list, p)
		}
	}
	return list
}

func (m *model) before(offset uint64, limit int) (list []codec.Publication) {
	for i := len(m.pubs) - 1; i >= 0; i-- {
		if p := m.pubs[i]; p.Offset < offset && (limit < 0 || len(list) < limit) {
			list = append(list, p)
		}
	}
	return list
}

func values(list []*codec.Publication) (out []codec.Publication) {
	for _, p := range list {
		out = append(out, *p)
	}
	return out
}

// anyPublication is plain, rich or empty.
func anyPublication(rnd *rand.Rand, n int) codec.Publication {
	p := codec.Publication{Data: fmt.Appendf(nil, `{"n":%d}`, n)}
	switch rnd.IntN(8) {
	case 0:
		p.Tags = map[string]string{"n": fmt.Sprint(n)}
	case 1:
		p.Info = &codec.ClientInfo{User: "u"}
	case 2:
		p.Version = uint64(n)
	case 3:
		p.Data = nil
	}
	return p
}

// TestModel drives a ring and the model with the same appends, clears and sizes, and compares every way to read them.
func TestModel(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		r, m := New(testEpoch), &model{}
		size := 1 + rnd.IntN(9)
		for step := range 300 {
			switch rnd.IntN(40) {
			case 0:
				r.Clear()
				m.pubs = nil
			case 1:
				size = rnd.IntN(12) // a reload; 0 still keeps one
			default:
				p := anyPublication(rnd, step)
				m.append(p, size)
				r.Append(&p, size)
			}
			compare(t, &r, m, rnd)
			if t.Failed() {
				t.Fatalf("seed %d, step %d, size %d", seed, step, size)
			}
		}
	}
}

func compare(t *testing.T, r *Ring, m *model, rnd *rand.Rand) {
	t.Helper()
	if got, want := r.Position(), (codec.StreamPosition{Offset: m.top, Epoch: string(testEpoch[:])}); got != want {
		t.Errorf("position %v, want %v", got, want)
	}
	if got, want := r.Len(), len(m.pubs); got != want {
		t.Errorf("len %d, want %d", got, want)
	}
	last := values([]*codec.Publication{})
	if p := r.Last(); p != nil {
		last = append(last, *p)
	}
	if want := m.before(math.MaxUint64, 1); !reflect.DeepEqual(last, want) {
		t.Errorf("last %v, want %v", last, want)
	}
	offset := rnd.Uint64N(m.top + 3)
	switch rnd.IntN(8) {
	case 0:
		offset = 0
	case 1:
		offset = math.MaxUint64
	}
	limit := rnd.IntN(8) - 1
	if got, want := values(r.Since(offset, limit).Publications()), m.since(offset, limit); !reflect.DeepEqual(got, want) {
		t.Errorf("since %d limit %d of %d: %v, want %v", offset, limit, m.top, got, want)
	}
	if got, want := values(r.Before(offset, limit).Publications()), m.before(offset, limit); !reflect.DeepEqual(got, want) {
		t.Errorf("before %d limit %d of %d: %v, want %v", offset, limit, m.top, got, want)
	}
}

// TestPlainKnowsAllFields fails when codec.Publication grows: plain must then name the new field.
func TestPlainKnowsAllFields(t *testing.T) {
	typ := reflect.TypeFor[codec.Publication]()
	positional := map[string]bool{"Data": true, "Offset": true, "Epoch": true}
	for i := range typ.NumField() {
		p := codec.Publication{Data: []byte("1")}
		field := reflect.ValueOf(&p).Elem().Field(i)
		switch name := typ.Field(i).Name; {
		case positional[name]:
			continue
		case field.Kind() == reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
		case field.Kind() == reflect.Map:
			field.Set(reflect.MakeMap(field.Type()))
		case field.Kind() == reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
		case field.Kind() == reflect.Bool:
			field.SetBool(true)
		case field.Kind() == reflect.String:
			field.SetString("x")
		case field.CanInt():
			field.SetInt(1)
		default:
			field.SetUint(1)
		}
		if plain(&p) {
			t.Errorf("a publication with %s set counts as plain", typ.Field(i).Name)
		}
	}
}

// TestNothingDroppedStaysAlive: what falls out of a ring, or is cleared, can be collected.
func TestNothingDroppedStaysAlive(t *testing.T) {
	for _, rich := range []bool{false, true} {
		t.Run(fmt.Sprintf("rich=%t", rich), func(t *testing.T) {
			r := New(testEpoch)
			var data []weak.Pointer[byte]
			add := func(size int) {
				p := &codec.Publication{Data: make([]byte, 64)} // too large for the allocator that packs small objects together
				if rich {
					p.Tags = map[string]string{}
				}
				data = append(data, weak.Make(&p.Data[0]))
				r.Append(p, size)
			}
			alive := func() (n int) {
				runtime.GC()
				for _, w := range data {
					if w.Value() != nil {
						n++
					}
				}
				return n
			}
			for range 10 {
				add(4)
			}
			if n := alive(); n != 4 {
				t.Errorf("%d publications alive, the ring keeps 4", n)
			}
			add(2)
			if n := alive(); n != 2 {
				t.Errorf("%d publications alive after the size shrank to 2", n)
			}
			r.Clear()
			if n := alive(); n != 0 {
				t.Errorf("%d publications alive after Clear", n)
			}
			add(4)
			if r.Position().Offset != 12 {
				t.Errorf("offset %d after Clear, want 12", r.Position().Offset)
			}
			runtime.KeepAlive(&r)
		})
	}
}

func TestAppendAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p := &codec.Publication{Data: []byte("payload")}
	tests := []struct {
		name  string
		size  int
		fresh bool // each publication meets an empty stream
		want  float64
	}{
		{"one plain publication", 1, true, 0},
		{"size one, in use", 1, false, 0},
		{"full", 10, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := New(testEpoch)
			for range 2 * tt.size {
				r.Append(p, tt.size)
			}
			got := testing.AllocsPerRun(100, func() {
				if tt.fresh {
					r.Clear()
				}
				r.Append(p, tt.size)
			})
			if got != tt.want {
				t.Errorf("%v allocations, want %v", got, tt.want)
			}
		})
	}
}

func TestSize(t *testing.T) {
	if got := unsafe.Sizeof(Ring{}); got > 40 {
		t.Errorf("a ring takes %d bytes, 40 were meant", got)
	}
}
