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
	type command struct {
		Publish Publication `json:"publish"`
	}
	list := make([]command, len(channels))
	for i, name := range channels {
		list[i] = command{Publication{name, data}}
	}
	return json.Marshal(map[string]any{"commands": list})
}

// BroadcastBody is the body of a broadcast request.
func BroadcastBody(channels []string, data []byte) ([]byte, error) {
	return json.Marshal(map[string]any{"channels": channels, "data": json.RawMessage(data)})
}
