package codec

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// random makes messages with every field set or not, the same ones for the same seed.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, 0))} }

func (r random) command() Command {
	c := Command{ID: r.Uint32(), Method: MethodConnect + Method(r.IntN(int(MethodPing)))}
	field := reflect.ValueOf(&c).Elem().FieldByNameFunc(func(name string) bool {
		return strings.EqualFold(name, strings.ReplaceAll(c.Method.String(), "_", ""))
	})
	if field.IsValid() { // a ping has no request
		r.fill(field, 0)
	}
	return c
}

func (r random) reply() Reply {
	var m Reply
	r.fill(reflect.ValueOf(&m).Elem(), 0)
	return m
}

var texts = []string{"", "", "a", "chat:room-42", "\"\\\n\t\x00\x1f/<>&", "é😀\u2028\u2029\uFFFD", strings.Repeat("long ", 60)}

var payloads = []string{"", `{}`, `{"a":[1,2.5e3,"é\n"],"b":null}`, `"text"`, `0`, `[` + strings.Repeat(`"long",`, 3000) + `0]`}

func (r random) fill(v reflect.Value, depth int) {
	if r.IntN(3) == 0 && v.Kind() != reflect.Struct {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(r.number(v.Type().Bits()))
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.number(v.Type().Bits())) << (64 - v.Type().Bits()) >> (64 - v.Type().Bits()))
	case reflect.String:
		v.SetString(texts[r.IntN(len(texts))])
	case reflect.Struct:
		for i := range v.NumField() {
			r.fill(v.Field(i), depth)
		}
	case reflect.Pointer:
		if depth < 4 {
			v.Set(reflect.New(v.Type().Elem()))
			r.fill(v.Elem(), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(3) {
			key := reflect.ValueOf(texts[r.IntN(len(texts))])
			v.SetMapIndex(key, r.element(v.Type().Elem(), depth))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(payloads[r.IntN(len(payloads))]))
			return
		}
		for range r.IntN(4) {
			v.Set(reflect.Append(v, r.element(v.Type().Elem(), depth)))
		}
	}
}

// element makes a value for a map or list, where pointers are never nil.
func (r random) element(t reflect.Type, depth int) reflect.Value {
	v := reflect.New(t).Elem()
	if t.Kind() == reflect.Pointer {
		v.Set(reflect.New(t.Elem()))
		if depth < 4 {
			r.fill(v.Elem(), depth+1)
		}
		return v
	}
	r.fill(v, depth)
	return v
}

// number makes numbers of all lengths.
func (r random) number(bits int) uint64 {
	return r.Uint64() >> (64 - bits) >> r.IntN(bits)
}

// seedMax is the size in bytes up to which random messages are good seeds: the fuzzer only wastes time on long ones.
const seedMax = 1000

func addSeed(f *testing.F, data []byte) {
	if len(data) < seedMax {
		f.Add(data)
	}
}

// normalize makes equal what is the same to the protocol: empty and absent, and payloads and strings as they come out of
// an encoder.
func normalize(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			normalize(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				normalize(v.Field(i))
			}
		}
	case reflect.String:
		v.SetString(validText(v.String()))
	case reflect.Map:
		normalizeMap(v)
	case reflect.Slice:
		if v.Len() == 0 {
			v.SetZero()
			return
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			text := strings.TrimFunc(validText(string(v.Bytes())), func(r rune) bool { return slices.Contains([]rune(" \t\r\n"), r) })
			v.SetBytes([]byte(strings.ReplaceAll(text, "\n", "")))
			return
		}
		for i := range v.Len() {
			normalize(v.Index(i))
		}
	}
}

func normalizeMap(v reflect.Value) {
	if v.Len() == 0 {
		v.SetZero()
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, key := range v.MapKeys() {
		value := reflect.New(v.Type().Elem()).Elem()
		value.Set(v.MapIndex(key))
		normalize(value)
		out.SetMapIndex(reflect.ValueOf(validText(key.String())), value)
	}
	v.Set(out)
}
