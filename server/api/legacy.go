package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// legacyCommand is one command of the legacy endpoint.
type legacyCommand struct {
	ID     uint32          `json:"id"`
	Method legacyMethod    `json:"method"`
	Params json.RawMessage `json:"params"`
}

// legacyMethod is a method by name or by number. The zero value is publish, which is number 0.
type legacyMethod struct {
	set   bool
	index int // of the table, or methodNone
}

const errUnknownMethod = textError("unknown method")

// UnmarshalJSON takes a name in any letter case or an integer. An unknown integer is a method that is not found; an unknown name
// makes the whole request a bad one.
func (m *legacyMethod) UnmarshalJSON(text []byte) error {
	m.set, m.index = true, methodNone
	if n := len(text); n >= 2 && text[0] == '"' {
		index, known := methodNamed(string(text[1 : n-1]))
		if !known {
			return errUnknownMethod
		}
		m.index = index
		return nil
	}
	number, err := strconv.Atoi(string(text))
	if err != nil {
		return errUnknownMethod
	}
	if index, known := byNumber[number]; known {
		m.index = index
	}
	return nil
}

// serveLegacy runs the commands of a body in order. It decodes all of them first: a request that is refused as bad has had no
// effect.
func (h *HTTP) serveLegacy(w http.ResponseWriter, r *http.Request, text string) {
	commands, fault := decodeLegacy(text)
	if fault != nil {
		h.refuse(w, "legacy", fault)
		return
	}
	began := time.Now()
	out := getBuffer()
	defer putBuffer(out)
	for i := range commands {
		if i > 0 {
			appendText(out, "\n")
		}
		if fault := h.appendLegacy(out, r.Context(), &commands[i]); fault != nil {
			h.unwritten("legacy", fault)
			httpError(w, http.StatusInternalServerError)
			return
		}
	}
	extend(w, began)
	write(w, http.StatusOK, *out)
}

func decodeLegacy(text string) (commands []legacyCommand, err error) {
	if text == "" {
		return nil, io.EOF
	}
	for text != "" {
		var object string
		if object, text = cutObject(text); object == "" {
			break // white space at the end
		}
		if len(commands) == CommandsMax {
			return nil, textError("too many commands")
		}
		var c legacyCommand
		if err := decode(object, &c); err != nil {
			return nil, err
		}
		commands = append(commands, c)
	}
	return commands, nil
}

// appendLegacy runs one command and appends its reply. Bad params are the command's own fault, not the request's.
func (h *HTTP) appendLegacy(out *[]byte, ctx context.Context, c *legacyCommand) error {
	var result any
	err := ErrorBadRequest
	if len(*out) <= h.api.responseBytesMax {
		result, err = h.runLegacy(ctx, c)
	} else {
		h.api.counts.Error(methodUnknown, err.Code)
	}
	prefix := "{"
	if c.ID != 0 {
		prefix = `{"id":` + strconv.FormatUint(uint64(c.ID), 10) + ","
	}
	fault := appendOutcome(out, prefix, result, err)
	appendText(out, "}")
	return fault
}

func (h *HTTP) runLegacy(ctx context.Context, c *legacyCommand) (any, *Error) {
	m := c.Method.index
	if !c.Method.set {
		m = methodPublish
	}
	if m == methodNone {
		h.api.counts.Error(methodUnknown, ErrorNotFound.Code)
		return nil, ErrorNotFound
	}
	result, err, fault := h.api.run(ctx, m, legacyParams(m, c.Params))
	if fault != nil {
		h.api.counts.Error(m, ErrorBadRequest.Code)
		return nil, h.api.bad(m, "the params are no JSON of a request", "error", describe(fault))
	}
	return result, err
}

// legacyParams are the params of a command as JSON. info has none, whatever was sent.
func legacyParams(m int, params json.RawMessage) string {
	if m == methodInfo {
		return "{}"
	}
	return asString(params)
}
