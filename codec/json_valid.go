package codec

// ValidJSON reports whether b may go to JSON clients as a payload: one JSON value nested no deeper than
// JSONDepthMax. Who takes payloads in asks before it publishes them: a payload that is not JSON closes every JSON subscriber with
// 3506.
func ValidJSON(b []byte) bool {
	ok, _ := validJSON(b)
	return ok
}
