package reactor

import (
	"net"
	"reflect"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// gnet keeps three things per conn that it does not look at again once a stream conn is open: the peer's address twice (its
// release method only clears them) and a callback that only pollers built with the tag poll_opt call. They are about 100 of
// 390 bytes and three of four objects. We ask the kernel when we want the address (Conn.RemoteAddr).
//
// The fields are private. They are found by name and type, and left alone if they are not exactly what v2.10.0 has; a test
// fails then.

// gnetLayout is where the three fields are in gnet's conn.
type gnetLayout struct {
	known                        bool
	remote, remoteAddr, callback uintptr
}

// layoutOf looks the fields up in the type of a gnet.Conn.
func layoutOf(t reflect.Type) (l gnetLayout) {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return l
	}
	find := func(t reflect.Type, name string, want reflect.Type) (uintptr, bool) {
		f, ok := t.FieldByName(name)
		return f.Offset, ok && f.Type == want && len(f.Index) == 1
	}
	var ok1, ok2, ok3 bool
	l.remote, ok1 = find(t.Elem(), "remote", reflect.TypeFor[unix.Sockaddr]())
	l.remoteAddr, ok2 = find(t.Elem(), "remoteAddr", reflect.TypeFor[net.Addr]())
	attachment, ok := t.Elem().FieldByName("pollAttachment")
	if ok && attachment.Type.Kind() == reflect.Struct {
		var callback reflect.StructField
		callback, ok3 = attachment.Type.FieldByName("Callback")
		ok3 = ok3 && callback.Type.Kind() == reflect.Func
		l.callback = attachment.Offset + callback.Offset
	}
	l.known = ok1 && ok2 && ok3
	return l
}

// drop lets go of what gnet keeps for nothing.
func (l gnetLayout) drop(gc gnet.Conn) {
	if !l.known {
		return
	}
	at := reflect.ValueOf(gc).UnsafePointer()
	*(*unix.Sockaddr)(unsafe.Add(at, l.remote)) = nil
	*(*net.Addr)(unsafe.Add(at, l.remoteAddr)) = nil
	*(*func())(unsafe.Add(at, l.callback)) = nil
}
