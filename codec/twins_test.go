package codec

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// TestTwins keeps the twins alike: the same methods in the same order, except for those that only one form needs.
func TestTwins(t *testing.T) {
	lone := map[string][]string{
		"reader": {
			"peek", "enterList", "open", "member", "element", "null", "literal", "quoted", "unquote", "unsigned", "signed", "digits",
			"field", "tag", "varint", "length", "is", "advance",
		},
		"decode": {"connectRequestFields"},
		"writer": {
			"line", "whole", "enterList", "leaveList", "key", "name", "uintAlways",
			"tag", "sint", "generated", "delimited", "undelimited",
		},
		"append": {
			"publicationsAlways", "command", "wholeConnectRequest", "wholeEmulationRequest", "publicationFields", "clientInfoFields",
		},
	}
	for _, name := range []string{"reader", "decode", "writer", "append"} {
		isLone := func(method string) bool { return slices.Contains(lone[name], method) }
		a := slices.DeleteFunc(methods(t, "json_"+name+".go"), isLone)
		b := slices.DeleteFunc(methods(t, "protobuf_"+name+".go"), isLone)
		if !slices.Equal(a, b) {
			t.Errorf("json_%s.go has\n%v\nprotobuf_%s.go has\n%v", name, a, name, b)
		}
	}
}

// methods lists the methods of readers and writers in a file.
func methods(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil {
			continue
		}
		star, ok := f.Recv.List[0].Type.(*ast.StarExpr)
		if !ok {
			continue
		}
		switch star.X.(*ast.Ident).Name {
		case "jsonReader", "protobufReader", "jsonWriter", "protobufWriter":
			names = append(names, f.Name.Name)
		}
	}
	return names
}
