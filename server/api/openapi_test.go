package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"stentor/server/auth"
)

// schema is what this test reads of an OpenAPI schema.
type schema struct {
	Ref         string             `json:"$ref"`
	AllOf       []*schema          `json:"allOf"`
	Type        string             `json:"type"`
	Format      string             `json:"format"`
	Description string             `json:"description"`
	Properties  map[string]*schema `json:"properties"`
	Required    []string           `json:"required"`
	Items       *schema            `json:"items"`
	Values      *schema            `json:"additionalProperties"`
}

// document is what this test reads of an OpenAPI document.
type document struct {
	OpenAPI string
	Info    struct{ Title, Version, Description string }
	Servers []struct{ URL string }
	Tags    []struct{ Name, Description string }
	Paths   map[string]map[string]struct {
		OperationID          string
		Summary, Description string
		Tags                 []string
		RequestBody          struct {
			Content map[string]struct {
				Schema  *schema
				Example json.RawMessage
			}
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema *schema }
		}
	}
	Components struct{ Schemas map[string]*schema }
}

func readDocument(t *testing.T, prefix string) (d document) {
	t.Helper()
	if err := json.Unmarshal(OpenAPI(prefix, "1.2.3"), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// documented are the requests and results of the methods that this server has.
var documented = map[int]struct{ request, result reflect.Type }{
	methodPublish:       {reflect.TypeFor[PublishRequest](), reflect.TypeFor[PublishResult]()},
	methodBroadcast:     {reflect.TypeFor[BroadcastRequest](), reflect.TypeFor[BroadcastResult]()},
	methodUnsubscribe:   {reflect.TypeFor[UnsubscribeRequest](), reflect.TypeFor[EmptyResult]()},
	methodDisconnect:    {reflect.TypeFor[DisconnectRequest](), reflect.TypeFor[EmptyResult]()},
	methodPresence:      {reflect.TypeFor[PresenceRequest](), reflect.TypeFor[PresenceResult]()},
	methodPresenceStats: {reflect.TypeFor[PresenceStatsRequest](), reflect.TypeFor[PresenceStatsResult]()},
	methodHistory:       {reflect.TypeFor[HistoryRequest](), reflect.TypeFor[HistoryResult]()},
	methodHistoryRemove: {reflect.TypeFor[HistoryRemoveRequest](), reflect.TypeFor[EmptyResult]()},
	methodChannels:      {reflect.TypeFor[ChannelsRequest](), reflect.TypeFor[ChannelsResult]()},
	methodInfo:          {reflect.TypeFor[InfoRequest](), reflect.TypeFor[InfoResult]()},
	methodRPC:           {reflect.TypeFor[RPCRequest](), reflect.TypeFor[RPCResult]()},
	methodSubscribe:     {reflect.TypeFor[SubscribeRequest](), reflect.TypeFor[EmptyResult]()},
	methodRefresh:       {reflect.TypeFor[RefreshRequest](), reflect.TypeFor[EmptyResult]()},
	methodBatch:         {reflect.TypeFor[BatchRequest](), reflect.TypeFor[BatchResponse]()},
}

// TestOpenAPI compares the document with the table of methods and, field by field, with the structs.
func TestOpenAPI(t *testing.T) {
	d := readDocument(t, "/api")
	c := comparison{t: t, schemas: d.Components.Schemas, seen: map[string]bool{}}
	for m := range numMethods {
		name := methods[m].name
		types, ok := documented[m]
		if ok != (calls[m] != nil) {
			t.Errorf("%s: this test knows its types: %t; the server has it: %t", name, ok, calls[m] != nil)
		}
		if !ok {
			types.request, types.result = reflect.TypeFor[AbsentRequest](), reflect.TypeFor[EmptyResult]()
		}
		op, ok := d.Paths["/"+name]["post"]
		if !ok || op.OperationID != name || op.Summary == "" || op.Description == "" || len(op.Tags) != 1 {
			t.Errorf("%s: operation %+v", name, op)
			continue
		}
		if !slices.ContainsFunc(d.Tags, func(tag struct{ Name, Description string }) bool { return tag.Name == op.Tags[0] }) {
			t.Errorf("%s: there is no tag %q", name, op.Tags[0])
		}
		body := op.RequestBody.Content["application/json"]
		c.compare(name+" request", types.request, body.Schema)
		checkExample(t, name, types.request, body.Example)
		answer := op.Responses["200"].Content["application/json"].Schema
		if m == methodBatch {
			c.compare("batch replies", reflect.TypeFor[[]Reply](), answer.Properties["replies"])
		} else {
			c.compare(name+" result", types.result, answer.Properties["result"])
		}
		c.compare(name+" error", reflect.TypeFor[Error](), answer.Properties["error"])
	}
	if len(d.Paths) != numMethods {
		t.Errorf("%d paths, want %d", len(d.Paths), numMethods)
	}
	c.compare("batch response", reflect.TypeFor[BatchResponse](), &schema{Ref: schemaPath + "BatchResponse"})
	for name := range d.Components.Schemas {
		if !c.seen[name] {
			t.Errorf("nothing uses the schema %s", name)
		}
	}
}

// checkExample checks that an example is a request of its method, with fields that exist.
func checkExample(t *testing.T, name string, request reflect.Type, example json.RawMessage) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(example))
	d.DisallowUnknownFields()
	if err := d.Decode(reflect.New(request).Interface()); err != nil {
		t.Errorf("%s: the example %s is no request: %v", name, example, err)
	}
}

// comparison walks types and schemas together.
type comparison struct {
	t       *testing.T
	schemas map[string]*schema
	seen    map[string]bool
}

const schemaPath = "#/components/schemas/"

// compare checks that s describes typ, a type as it stands in JSON; at is where that is, for messages.
func (c *comparison) compare(at string, typ reflect.Type, s *schema) {
	c.t.Helper()
	if s == nil {
		c.t.Errorf("%s: there is no schema", at)
		return
	}
	if len(s.AllOf) == 1 {
		s = s.AllOf[0]
	}
	if s.Ref != "" {
		name := strings.TrimPrefix(s.Ref, schemaPath)
		if c.schemas[name] == nil {
			c.t.Errorf("%s: there is no schema %s", at, name)
			return
		}
		if c.seen[name] {
			c.checkName(at, typ, name)
			return
		}
		c.seen[name] = true
		c.checkName(at, typ, name)
		s = c.schemas[name]
	}
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	c.compareValue(at, typ, s)
}

// checkName checks that a type is described by the schema of its own name.
func (c *comparison) checkName(at string, typ reflect.Type, name string) {
	c.t.Helper()
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if want := typ.Name(); want != name && (want != "Switch" || name != "BoolValue") {
		c.t.Errorf("%s: the schema is %s, want %s", at, name, want)
	}
}

func (c *comparison) compareValue(at string, typ reflect.Type, s *schema) {
	c.t.Helper()
	want, format := "", ""
	switch {
	case typ == reflect.TypeFor[json.RawMessage]():
	case typ == reflect.TypeFor[auth.Switch]():
		typ = reflect.TypeFor[struct {
			Value bool `json:"value"`
		}]()
		fallthrough
	case typ.Kind() == reflect.Struct:
		want = "object"
		c.compareFields(at, typ, s)
	case typ.Kind() == reflect.Map:
		want = "object"
		c.compare(at+"{}", typ.Elem(), s.Values)
	case typ.Kind() == reflect.Slice:
		want = "array"
		c.compare(at+"[]", typ.Elem(), s.Items)
	case typ.Kind() == reflect.String:
		want = "string"
	case typ.Kind() == reflect.Bool:
		want = "boolean"
	case typ.Kind() == reflect.Float64:
		want, format = "number", "double"
	default:
		want, format = "integer", typ.Kind().String() // int32, int64, uint32, uint64
	}
	if s.Type != want || s.Format != format {
		c.t.Errorf("%s: type %q of format %q, want %q of %q", at, s.Type, s.Format, want, format)
	}
}

// compareFields checks that a schema has exactly the fields of a struct, each with a description, and requires no others.
func (c *comparison) compareFields(at string, typ reflect.Type, s *schema) {
	c.t.Helper()
	fields := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(typ) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			fields[name] = f.Type
		} else if !f.Anonymous {
			c.t.Errorf("%s: the field %s has no name in JSON", at, f.Name)
		}
	}
	if got, want := slices.Sorted(maps.Keys(s.Properties)), slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
		c.t.Errorf("%s: fields %q, want %q", at, got, want)
	}
	for name, field := range fields {
		if p := s.Properties[name]; p != nil {
			if p.Description == "" {
				c.t.Errorf("%s.%s has no description", at, name)
			}
			c.compare(at+"."+name, field, p)
		}
	}
	for _, name := range s.Required {
		if fields[name] == nil {
			c.t.Errorf("%s: the required field %s is none", at, name)
		}
	}
}

func TestOpenAPIPlace(t *testing.T) {
	d := readDocument(t, `/other/"prefix"`)
	if len(d.Servers) != 1 || d.Servers[0].URL != `/other/"prefix"` || d.Info.Version != "1.2.3" || d.OpenAPI != "3.0.3" {
		t.Errorf("servers %v, version %q of %q", d.Servers, d.Info.Version, d.OpenAPI)
	}
}
