package api

import (
	"net/http"

	"stentor/codec"
)

// Error is the answer to a request that failed. Codes are those of the client protocol; some messages differ.
type Error struct {
	Code    uint32 `json:"code"`
	Message string `json:"message"`
}

// Error is the message of e; the code is for programs.
func (e *Error) Error() string { return e.Message }

// The errors of the server API.
var (
	ErrorInternal              = &Error{100, "internal server error"}
	ErrorUnknownChannel        = &Error{102, "unknown channel"}
	ErrorNotFound              = &Error{104, "not found"}
	ErrorBadRequest            = &Error{107, "bad request"}
	ErrorNotAvailable          = &Error{108, "not available"}
	ErrorUnrecoverablePosition = &Error{112, "unrecoverable position"}
	ErrorConflict              = &Error{113, "conflict"}
)

var errorsByCode = map[uint32]*Error{
	100: ErrorInternal, 102: ErrorUnknownChannel, 104: ErrorNotFound, 107: ErrorBadRequest, 108: ErrorNotAvailable,
	112: ErrorUnrecoverablePosition, 113: ErrorConflict,
}

// errorOf is an error of the client protocol as the server API says it.
func errorOf(e *codec.Error) *Error {
	if known := errorsByCode[e.Code]; known != nil {
		return known
	}
	return &Error{e.Code, e.Message}
}

// status is the HTTP status of e in transport error mode.
func (e *Error) status() int {
	switch e.Code {
	case 102, 104:
		return http.StatusNotFound
	case 107, 108:
		return http.StatusBadRequest
	case 112:
		return http.StatusRequestedRangeNotSatisfiable
	case 113:
		return http.StatusConflict
	default:
		return http.StatusInternalServerError
	}
}
