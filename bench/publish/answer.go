package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// firstError finds the first error in an answer of the API: of the whole, of a command of a batch, or of a channel of a broadcast.
// Almost all answers have none, and are only searched.
func firstError(text []byte) error {
	if !bytes.Contains(text, []byte(`"error"`)) {
		return nil
	}
	var answer struct {
		Error   *Error
		Replies []struct{ Error *Error }
		Result  struct {
			Responses []struct{ Error *Error }
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("API: an answer that is not JSON: %w", err)
	}
	if answer.Error != nil {
		return answer.Error
	}
	for _, r := range append(answer.Replies, answer.Result.Responses...) {
		if r.Error != nil {
			return r.Error
		}
	}
	return nil
}

// Body is the body of a publish request.
func Body(channel string, data []byte) ([]byte, error) {
	return json.Marshal(Publication{channel, data})
}

// BatchBody is the body of a batch request with a publish command for each of the channels.
func BatchBody(channels []string, data []byte) ([]byte, error) {
	bodies := make([][]byte, len(channels))
	for i, name := range channels {
		var err error
		if bodies[i], err = Body(name, data); err != nil {
			return nil, err
		}
	}
	return AppendBatch(nil, len(bodies), func(i int) []byte { return bodies[i] }), nil
}

// AppendBatch appends the body of a batch request with n publish commands to dst. body is that of a publish request, and may use the same
// bytes each time.
func AppendBatch(dst []byte, n int, body func(i int) []byte) []byte {
	dst = append(dst, `{"commands":[`...)
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"publish":`...)
		dst = append(dst, body(i)...)
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// BroadcastBody is the body of a broadcast request.
func BroadcastBody(channels []string, data []byte) ([]byte, error) {
	return json.Marshal(map[string]any{"channels": channels, "data": json.RawMessage(data)})
}
