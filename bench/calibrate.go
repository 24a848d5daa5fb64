package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"stentor/bench/cost"
	"stentor/bench/launch"
	"stentor/bench/result"
	"stentor/bench/swarm"
)

// Calibrate measures what things cost on this machine, with servers that it starts itself.
type Calibrate struct {
	On      bool
	File    string // of coefficients; empty: cost.DefaultPath
	Clients int    // the most that are connected

	// The server: a command with a mark for the port, and the secrets in its configuration.
	server, apiKey, tokenSecret string
}

// Lengths of the measurements of a calibration: about two minutes in all.
const (
	calibratePing    = 2 * time.Second // client.ping_interval of the servers
	calibrateSettle  = time.Second
	calibratePhase   = 2 * time.Second
	calibrateRounds  = 3
	calibrateClients = 4000
	calibrateSteps   = 4
	calibrateBursts  = 20
)

// moreSubscriptions and moreChannels are what costs are told apart by: clients with so many subscriptions against one, and with a
// channel each against ten to a channel.
const (
	moreSubscriptions = 5
	fewerPerChannel   = 10
)

// config is the configuration of the servers that are measured.
func (c *Calibrate) config() ([]byte, error) {
	return json.Marshal(map[string]any{
		"http_server": map[string]any{"address": "127.0.0.1"},
		"client": map[string]any{
			"token":         map[string]any{"hmac_secret_key": c.tokenSecret},
			"ping_interval": calibratePing.String(), "pong_timeout": (calibratePing / 2).String(),
		},
		"http_api": map[string]any{"key": c.apiKey},
		"debug":    map[string]any{"enabled": true},
		"channel":  map[string]any{"without_namespace": map[string]any{"allow_subscribe_for_client": true}},
	})
}

// run measures all and writes the file.
func (c *Calibrate) run(cmd *cobra.Command) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if c.Clients < calibrateSteps*fewerPerChannel || c.Clients > clientsMax {
		return fmt.Errorf("--clients must be from %d to %d", calibrateSteps*fewerPerChannel, clientsMax)
	}
	if c.File == "" {
		var err error
		if c.File, err = cost.DefaultPath(); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "stentor-calibrate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := c.prepare(filepath.Join(dir, "config.json")); err != nil {
		return err
	}
	s := &Streams{}
	if err := s.find(cmd); err != nil {
		return err
	}
	figures, err := c.measure(ctx, s)
	if err != nil {
		return err
	}
	if err := figures.Save(c.File); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: measured here, for stentor plan\n", c.File)
	return json.NewEncoder(cmd.OutOrStdout()).Encode(figures)
}

// prepare writes the configuration of the servers.
func (c *Calibrate) prepare(config string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c.apiKey, c.tokenSecret = rand.Text(), rand.Text()
	text, err := c.config()
	if err != nil {
		return err
	}
	c.server = quoted(self) + " -c " + quoted(config) + " -p " + launch.PortMark
	return os.WriteFile(config, text, 0o600)
}

// target is a server of its own for a measurement.
func (c *Calibrate) target() Target {
	t := DefaultTarget()
	t.Server, t.APIKey, t.TokenSecret = c.server, c.apiKey, c.tokenSecret
	return t
}

// measure runs the scenarios.
func (c *Calibrate) measure(ctx context.Context, s *Streams) (f cost.Coefficients, err error) {
	f = cost.Coefficients{Version: cost.Version, When: time.Now().UTC().Truncate(time.Second), Machine: cost.ThisMachine()}
	for _, part := range []struct {
		name    string
		measure func(context.Context, *Streams, *cost.Coefficients) error
	}{{"memory", c.memory}, {"fan-out", c.fanout}, {"pings", c.pings}, {"connects", c.connects}, {"the API", c.api}} {
		fmt.Fprintf(s.Log, "calibrating: %s\n", part.name)
		if err := part.measure(ctx, s, &f); err != nil {
			return f, fmt.Errorf("calibrating %s: %w", part.name, err)
		}
	}
	return f, nil
}

// memory measures heap bytes of clients, subscriptions and channels. How resident memory relates to them is a matter of minutes and of
// many clients, and stays unmeasured.
func (c *Calibrate) memory(ctx context.Context, s *Streams, f *cost.Coefficients) error {
	idle := func(subscriptions, perChannel int) (*result.Result, error) {
		o := DefaultIdle()
		o.Target, o.Subscriptions, o.PerChannel = c.target(), subscriptions, perChannel
		o.Channel, o.Settle, o.PprofURL = "idle-{n}-{s}", calibrateSettle, "/debug/pprof"
		for k := range calibrateSteps {
			o.Steps = append(o.Steps, c.Clients*(k+1)/calibrateSteps)
		}
		return o.scenario("idlesub", "memory").measure(ctx, s)
	}
	const heap = "heap bytes per client"
	one, err := idle(1, fewerPerChannel)
	if err != nil {
		return err
	}
	more, err := idle(moreSubscriptions, fewerPerChannel)
	if err != nil {
		return err
	}
	own, err := idle(1, 1)
	if err != nil {
		return err
	}
	f.BytesPerClientHeap = value(one, heap)
	f.BytesPerSubscription = max(0, value(more, heap)-value(one, heap)) / (moreSubscriptions - 1)
	f.BytesPerChannel = max(0, value(own, heap)-value(one, heap)) / (1 - 1.0/fewerPerChannel)
	if t, ok := one.Table("steps"); ok {
		for i, column := range t.Columns {
			if column.Name == "resident" {
				f.BaseBytesRSS = float64(t.Rows[0].Cells[i])
			}
		}
	}
	return nil
}

// fanout measures deliveries of publications that come alone, and of ten that meet.
func (c *Calibrate) fanout(ctx context.Context, s *Streams, f *cost.Coefficients) error {
	deliver := func(burst int) (float64, error) {
		o := DefaultFanout()
		o.Target, o.Subscribers, o.Pace, o.Burst, o.Publications = c.target(), c.Clients, Delivered, burst, calibrateBursts
		r, err := o.scenario().measure(ctx, s)
		if err != nil {
			return 0, err
		}
		return value(r, "server CPU per delivery"), nil
	}
	var alone, batched error
	f.NsPerDelivery, alone = deliver(1)
	f.NsPerDeliveryBatched, batched = deliver(floorBurst)
	return errors.Join(alone, batched)
}

// pings measures a ping and its pong.
func (c *Calibrate) pings(ctx context.Context, s *Streams, f *cost.Coefficients) error {
	o := DefaultPinged()
	o.Target, o.Clients, o.Window, o.Settle, o.Floor.Rounds = c.target(), c.Clients, 2*calibratePing, calibrateSettle, calibrateRounds
	r, err := o.scenario().measure(ctx, s)
	if err != nil {
		return err
	}
	f.NsPerPing = value(r, "server CPU per ping above the empty server")
	return nil
}

// connects measures connects with tokens, and the subscriptions that come with them.
func (c *Calibrate) connects(ctx context.Context, s *Streams, f *cost.Coefficients) error {
	connect := func(subscriptions int) (float64, error) {
		o := DefaultConnect()
		o.Target, o.Clients, o.Subscriptions, o.Pipeline, o.Floor.Rounds = c.target(), c.Clients, subscriptions, swarm.Nothing, calibrateRounds
		o.Target.ConnectRate = 0
		r, err := o.scenario().measure(ctx, s)
		if err != nil {
			return 0, err
		}
		return value(r, "server CPU per connect"), nil
	}
	none, err := connect(0)
	if err != nil {
		return err
	}
	more, err := connect(moreSubscriptions)
	f.NsPerConnect, f.NsPerSubscribe = none, max(0, more-none)/moreSubscriptions
	return err
}

// api measures publications that come one to a request.
func (c *Calibrate) api(ctx context.Context, s *Streams, f *cost.Coefficients) error {
	o := DefaultAPI()
	o.Target, o.Ways, o.Phase, o.Rounds = c.target(), []string{wayOne}, calibratePhase, calibrateRounds
	r, err := o.scenario().measure(ctx, s)
	if err != nil {
		return err
	}
	f.NsPerPublish = value(r, wayOne+": server CPU per publication")
	return nil
}

// value is a metric of a result; 0, which stands for a figure that was not measured, if it has none or it is below 0.
func value(r *result.Result, name string) float64 {
	m, _ := r.Metric(name)
	return max(0, m.Value)
}
