package config

import (
	"reflect"
	"strings"

	"github.com/spf13/pflag"
)

// Flag is a command line flag of the serve command that stands for an option.
type Flag struct {
	Path  string // of the option, and the long name of the flag
	Short string // one letter, or ""
	Group string // heading in --help
}

// The headings of --help, in order.
const (
	groupConfig   = "Configuration"
	groupListen   = "Listening and endpoints"
	groupClients  = "Clients and transports"
	groupAPI      = "Server API"
	groupEngine   = "Engine"
	groupOperate  = "Logs and operation"
	groupReactor  = "Event loops and memory"
	groupOfFlag   = "group" // annotation of a flag that holds its heading
	configFlag    = "config"
	configShort   = "c"
	configMeaning = "configuration file: .json, .yaml, .yml or .toml"
)

var groups = []string{groupConfig, groupListen, groupClients, groupAPI, groupEngine, groupOperate, groupReactor}

// Flags lists the options that have a flag: those of the reference server, the whole section reactor, and the limit of a
// client's queue that belongs to it.
func Flags() []Flag {
	list := []Flag{
		{Path: "http_server.address", Short: "a", Group: groupListen},
		{Path: "http_server.port", Short: "p", Group: groupListen},
		{Path: "http_server.internal_address", Group: groupListen},
		{Path: "http_server.internal_port", Group: groupListen},
		{Path: "engine.type", Group: groupEngine},
		{Path: "broker.enabled", Group: groupEngine},
		{Path: "broker.type", Group: groupEngine},
		{Path: "presence_manager.enabled", Group: groupEngine},
		{Path: "presence_manager.type", Group: groupEngine},
		{Path: "map_broker.type", Group: groupEngine},
		{Path: "log.level", Group: groupOperate},
		{Path: "log.file", Group: groupOperate},
		{Path: "pid_file", Group: groupOperate},
		{Path: "admin.enabled", Group: groupOperate},
		{Path: "admin.external", Group: groupOperate},
		{Path: "admin.insecure", Group: groupOperate},
		{Path: "prometheus.enabled", Group: groupOperate},
		{Path: "swagger.enabled", Group: groupOperate},
		{Path: "debug.enabled", Group: groupOperate},
		{Path: "health.enabled", Group: groupOperate},
		{Path: "init.enabled", Group: groupClients},
		{Path: "uni_websocket.enabled", Group: groupClients},
		{Path: "uni_sse.enabled", Group: groupClients},
		{Path: "uni_http_stream.enabled", Group: groupClients},
		{Path: "sse.enabled", Group: groupClients},
		{Path: "http_stream.enabled", Group: groupClients},
		{Path: "client.insecure", Group: groupClients},
		{Path: "http_api.insecure", Group: groupAPI},
		{Path: "http_api.external", Group: groupAPI},
		{Path: "grpc_api.enabled", Group: groupAPI},
		{Path: "grpc_api.port", Group: groupAPI},
		{Path: "dev.enabled", Group: groupOperate},
		{Path: "uni_grpc.enabled", Group: groupClients},
		{Path: "uni_grpc.port", Group: groupClients},
		{Path: "client.queue_max_size", Group: groupReactor},
	}
	for _, kid := range root().byName["reactor"].kids {
		list = append(list, Flag{Path: "reactor." + kid.name, Group: groupReactor})
	}
	return list
}

// flagValue holds the text of a flag; it checks the form, so that a bad flag is told before anything is read.
type flagValue struct {
	n    *node
	text string
}

func (f *flagValue) String() string { return f.text }

func (f *flagValue) Set(s string) error {
	if problem := f.n.parse(reflect.New(f.n.typ).Elem(), s); problem != nil {
		return problem
	}
	f.text = s
	return nil
}

// Type is the word that --help shows for the value.
func (f *flagValue) Type() string {
	switch f.n.kind {
	case kindBool:
		return "bool"
	case kindInt:
		return "int"
	case kindDuration:
		return "duration"
	default:
		return "string"
	}
}

// BindFlags adds --config and the flags of Flags to fs. Their defaults and meanings are those of the options.
func BindFlags(fs *pflag.FlagSet) {
	fs.StringP(configFlag, configShort, FileDefault, configMeaning)
	annotate(fs, configFlag, groupConfig)
	for _, f := range Flags() {
		n := root().find(f.Path)
		def := reflect.New(n.typ).Elem()
		if n.def != "" {
			n.parse(def, n.def)
		}
		usage := n.desc
		if featureOf(f.Path) >= 0 {
			usage += " [not built yet]"
		}
		added := fs.VarPF(&flagValue{n: n, text: n.text(def)}, f.Path, f.Short, usage)
		if n.kind == kindBool {
			added.NoOptDefVal = "true"
		}
		annotate(fs, f.Path, f.Group)
	}
}

func annotate(fs *pflag.FlagSet, name, group string) {
	f := fs.Lookup(name)
	f.Annotations = map[string][]string{groupOfFlag: {group}}
}

// FlagUsages returns the usage text of the flags of fs under their headings; flags of others come last.
func FlagUsages(fs *pflag.FlagSet) string {
	sets := map[string]*pflag.FlagSet{}
	for _, g := range append(groups, "Other") {
		sets[g] = pflag.NewFlagSet(g, pflag.ContinueOnError)
		sets[g].SortFlags = false
	}
	fs.VisitAll(func(f *pflag.Flag) {
		group := "Other"
		if a := f.Annotations[groupOfFlag]; len(a) == 1 {
			group = a[0]
		}
		sets[group].AddFlag(f)
	})
	var b strings.Builder
	for _, g := range append(groups, "Other") {
		if usages := sets[g].FlagUsages(); usages != "" {
			b.WriteString(g + ":\n" + usages + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// flags puts the flags that were given into the configuration.
func (l *loader) flags(fs *pflag.FlagSet) {
	fs.Visit(func(f *pflag.Flag) {
		value, ours := f.Value.(*flagValue)
		if !ours {
			return
		}
		n, v := l.cfg.at(f.Name)
		l.dec.source = "flag --" + f.Name
		l.dec.option(n, v, f.Name, value.text)
	})
}
