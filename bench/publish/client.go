package publish

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of a client.
const (
	// ConnsMax is how many HTTP conns a client keeps open to the API.
	ConnsMax = 256
	// BroadcastMax is how many channels one broadcast names.
	BroadcastMax = 256

	callTimeout = 30 * time.Second
	answerMax   = 4 << 20 // bytes
)

// Client calls the HTTP API of one server. Make it with New. It is safe for concurrent use.
type Client struct {
	url  string
	key  string
	http *http.Client
}

// New takes the address of the API, such as http://127.0.0.1:8000/api, and its key. secured is for an https address; nil: whatever the
// system trusts.
func New(url, key string, secured *tls.Config) *Client {
	transport := &http.Transport{
		MaxIdleConnsPerHost: ConnsMax, MaxConnsPerHost: ConnsMax, DisableCompression: true, TLSClientConfig: secured,
	}
	return &Client{url: strings.TrimRight(url, "/"), key: key, http: &http.Client{Transport: transport, Timeout: callTimeout}}
}

// Error is what the API answered instead of a result.
type Error struct {
	Code    uint32 `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return "API error " + strconv.Itoa(int(e.Code)) + ": " + e.Message }

// Publication is one publish command.
type Publication struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

// One publishes data, which is JSON, into channel.
func (c *Client) One(ctx context.Context, channel string, data []byte) error {
	var answer struct{ Error *Error }
	if err := c.call(ctx, "publish", Publication{channel, data}, &answer); err != nil {
		return err
	}
	return orNil(answer.Error)
}

// Batch publishes all of data into channel, in order, with one request.
func (c *Client) Batch(ctx context.Context, channel string, data [][]byte) error {
	list := make([]Publication, len(data))
	for i, d := range data {
		list[i] = Publication{channel, d}
	}
	return c.All(ctx, list)
}

// All publishes list, in order, with one request.
func (c *Client) All(ctx context.Context, list []Publication) error {
	type command struct {
		Publish Publication `json:"publish"`
	}
	var body struct {
		Commands []command `json:"commands"`
	}
	for _, p := range list {
		body.Commands = append(body.Commands, command{p})
	}
	var answer struct {
		Error   *Error
		Replies []struct{ Error *Error }
	}
	if err := c.call(ctx, "batch", body, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return answer.Error
	}
	if len(answer.Replies) != len(list) {
		return fmt.Errorf("batch: %d replies to %d commands", len(answer.Replies), len(list))
	}
	for _, r := range answer.Replies {
		if r.Error != nil {
			return r.Error
		}
	}
	return nil
}

// Together publishes all of data into channel with one request each, all at once. They may arrive in any order.
func (c *Client) Together(ctx context.Context, channel string, data [][]byte) error {
	errs := make([]error, len(data))
	var all sync.WaitGroup
	for i, d := range data {
		all.Go(func() { errs[i] = c.One(ctx, channel, d) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Broadcast publishes data once into each of the channels.
func (c *Client) Broadcast(ctx context.Context, channels []string, data []byte) error {
	for len(channels) > 0 {
		part := channels[:min(len(channels), BroadcastMax)]
		channels = channels[len(part):]
		var answer struct {
			Error  *Error
			Result struct {
				Responses []struct{ Error *Error }
			}
		}
		body := map[string]any{"channels": part, "data": json.RawMessage(data)}
		if err := c.call(ctx, "broadcast", body, &answer); err != nil {
			return err
		}
		if answer.Error != nil {
			return answer.Error
		}
		for i, r := range answer.Result.Responses {
			if r.Error != nil {
				return fmt.Errorf("channel %s: %w", part[i%len(part)], r.Error)
			}
		}
	}
	return nil
}

func (c *Client) call(ctx context.Context, method string, body, answer any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/"+method, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("--api-url: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		req.Header.Set("X-API-Key", c.key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("API: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return fmt.Errorf("API: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return &StatusError{Status: resp.StatusCode, URL: req.URL.String()}
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("API: %s answers what is not JSON: %w", req.URL, err)
	}
	return nil
}

// StatusError is an HTTP status other than 200.
type StatusError struct {
	Status int
	URL    string
}

func (e *StatusError) Error() string {
	hint := ""
	switch e.Status {
	case http.StatusUnauthorized:
		hint = ": --api-key is not the server's http_api.key"
	case http.StatusNotFound:
		hint = ": is --api-url the address of the server's API?"
	}
	return fmt.Sprintf("API: %s answers %d %s%s", e.URL, e.Status, http.StatusText(e.Status), hint)
}

// orNil keeps a nil *Error from becoming an error that is not nil.
func orNil(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// Kind names err for a count of errors: the code of the API or of HTTP, or that no answer came.
func Kind(err error) string {
	var api *Error
	var status *StatusError
	switch {
	case errors.As(err, &api):
		return strconv.Itoa(int(api.Code)) + " " + api.Message
	case errors.As(err, &status):
		return "HTTP " + strconv.Itoa(status.Status)
	}
	return "no answer"
}
