package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"stentor/bench/page"
	"stentor/bench/pipe"
	"stentor/bench/result"
)

// scenario is one kind of measurement. It becomes a sub-command.
type scenario struct {
	name, short, long, example string

	target   *Target
	requests bool // some clients send requests, which unidirectional ones cannot
	flags    func(*pflag.FlagSet)
	// plan checks the options before anything is started, and says how many clients are connected at the same time, at most.
	plan func() (clients int, err error)
	// run fills the result of the rig. Its error says why there are no figures, that messages got lost, or that a figure is over its
	// budget.
	run func(context.Context, *rig) error
}

// Streams is where a run writes, and how it starts its children.
type Streams struct {
	Out io.Writer // the results
	Log io.Writer // what is going on

	JSON        bool   // results as one line of JSON each
	File        string // append them to this file too; empty: none
	Page        string // write a page to this file; empty: none
	Quiet       bool   // say nothing of what is going on
	CommandLine []string

	Worker, Bare pipe.Command
}

func (s *Streams) flags(f *pflag.FlagSet) {
	f.BoolVar(&s.JSON, "json", false, "print the result as one line of JSON")
	f.StringVar(&s.File, "out", "", "append the result to this file, one line of JSON, for compare and page")
	f.StringVar(&s.Page, "html", "", "write a page with charts to this file")
	f.BoolVar(&s.Quiet, "quiet", false, "say nothing of what is going on")
}

// command makes the sub-command of a scenario.
func (sc *scenario) command() *cobra.Command {
	s := &Streams{}
	c := &cobra.Command{
		Use: sc.name, Short: sc.short, Long: sc.long, Example: sc.example, Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := s.find(cmd); err != nil {
				return err
			}
			return sc.execute(ctx, s)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	sc.flags(f)
	sc.target.flags(f)
	s.flags(f)
	return c
}

// find says where the streams of a command lead and how its children are started.
func (s *Streams) find(cmd *cobra.Command) error {
	s.Out, s.Log = cmd.OutOrStdout(), cmd.ErrOrStderr()
	if s.Quiet {
		s.Log = io.Discard
	}
	s.CommandLine = commandLine(cmd)
	bench := cmd
	if cmd.Parent() != nil && cmd.Parent().Name() == benchName {
		bench = cmd.Parent()
	}
	parent := strings.Fields(bench.CommandPath())[1:]
	for name, to := range map[string]*pipe.Command{workerName: &s.Worker, bareName: &s.Bare} {
		self, err := pipe.Self(append(slices.Clone(parent), name)...)
		if err != nil {
			return err
		}
		*to = self
	}
	return nil
}

// secretFlags are those whose values no result repeats.
var secretFlags = []string{"api-key", "token-hmac-secret"}

// commandLine repeats the flags that were given, secrets left out.
func commandLine(cmd *cobra.Command) []string {
	words := strings.Fields(cmd.CommandPath())
	cmd.Flags().Visit(func(f *pflag.Flag) {
		value := f.Value.String()
		list, several := f.Value.(pflag.SliceValue)
		if several {
			value = strings.Join(list.GetSlice(), ",")
		}
		switch {
		case f.Name == "html" || f.Name == "out" || f.Name == "json" || f.Name == "quiet": // say nothing of the measurement
		case slices.Contains(secretFlags, f.Name):
			words = append(words, "--"+f.Name, "SECRET")
		case several && f.Value.Type() == "stringArray": // its values may hold commas
			for _, one := range list.GetSlice() {
				words = append(words, "--"+f.Name, quoted(one))
			}
		case f.Value.Type() == "bool" && value == "true":
			words = append(words, "--"+f.Name)
		case f.Value.Type() == "bool":
			words = append(words, "--"+f.Name+"="+value)
		default:
			words = append(words, "--"+f.Name, quoted(value))
		}
	})
	return words
}

// quoted is value as a shell takes it for one word.
func quoted(value string) string {
	if value != "" && !strings.ContainsAny(value, " \t\n'\"\\$`&|;<>(){}*?#~!") {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// execute measures once and reports.
func (sc *scenario) execute(ctx context.Context, s *Streams) error {
	r, err := sc.measure(ctx, s)
	if r == nil {
		return err
	}
	return errors.Join(err, s.report(r))
}

// measure runs the scenario. The result is nil if nothing was measured.
func (sc *scenario) measure(ctx context.Context, s *Streams) (*result.Result, error) {
	if err := checkSystem(); err != nil {
		return nil, err
	}
	clients, err := sc.plan()
	if err != nil {
		return nil, err
	}
	if err := sc.target.check(sc.name, sc.requests); err != nil {
		return nil, err
	}
	rig, err := newRig(ctx, sc, s, clients)
	if err != nil {
		return nil, err
	}
	defer rig.close()
	err = sc.run(rig.ctx, rig)
	if ended := context.Cause(rig.ctx); err != nil && ended != nil && ctx.Err() == nil {
		err = ended // the server's end explains whatever failed because of it
	}
	r := &rig.result
	r.Took = time.Since(r.Started)
	r.Series = rig.watch.stop()
	if err != nil {
		r.Error = err.Error()
	}
	if len(r.Metrics) == 0 {
		return nil, err
	}
	return r, err
}

// report writes a result everywhere it is to go.
func (s *Streams) report(r *result.Result) error {
	var errs []error
	if s.JSON {
		errs = append(errs, r.Append(s.Out))
	} else {
		r.Text(s.Out)
	}
	if s.File != "" {
		errs = append(errs, r.AppendFile(s.File))
	}
	if s.Page != "" {
		errs = append(errs, page.WriteFile(s.Page, []result.Result{*r}))
	}
	return errors.Join(errs...)
}
