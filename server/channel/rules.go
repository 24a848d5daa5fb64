package channel

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"stentor/codec"
	"stentor/server/config"
)

// Rules says what every channel name means. Immutable; see [NewRules].
type Rules struct {
	without    *Options
	namespaces map[string]*Options

	nameBytesMax      int // 0: no limit
	privatePrefix     string
	namespaceBoundary string
	userBoundary      string
	userSeparator     string
}

// NewRules resolves the channel options of cfg. An error names the option and what is wrong with it.
func NewRules(cfg *config.Config) (*Rules, error) {
	c := &cfg.Channel
	r := &Rules{
		namespaces:        make(map[string]*Options, len(c.Namespaces)),
		nameBytesMax:      c.MaxLength,
		privatePrefix:     c.PrivatePrefix,
		namespaceBoundary: c.NamespaceBoundary,
		userBoundary:      c.UserBoundary,
		userSeparator:     c.UserSeparator,
	}
	var err error
	if r.without, err = newOptions("channel.without_namespace", "", c.WithoutNamespace, c); err != nil {
		return nil, err
	}
	for _, ns := range c.Namespaces {
		path := fmt.Sprintf("channel.namespaces[%s]", ns.Name)
		if ns.Name == "" {
			return nil, errors.New("channel.namespaces: a namespace needs a name")
		}
		if r.namespaces[ns.Name] != nil {
			return nil, fmt.Errorf("%s: the name is there twice", path)
		}
		if r.namespaces[ns.Name], err = newOptions(path, ns.Name, ns.ChannelOptions, c); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// PersonalPrefix is what stands before the user in the name of a user's personal channel, in a namespace or, if that is empty, in
// none.
func (r *Rules) PersonalPrefix(namespace string) string {
	if namespace == "" {
		return r.userBoundary
	}
	return namespace + r.namespaceBoundary + r.userBoundary
}

// Channel is a name and what holds for it.
type Channel struct {
	Name string
	// Namespace is the text before the first namespace boundary, configured or not.
	Namespace string
	// Options is nil if the namespace is unknown.
	Options *Options

	rest  string // what channel_regex looks at
	rules *Rules
}

// SetLabels asks number for the label of each namespace. It comes before anybody else has the rules.
func (r *Rules) SetLabels(number func(namespace string) uint16) {
	for name, o := range r.namespaces {
		o.Label = number(name)
	}
}

// Namespaces are the configured ones, in order.
func (r *Rules) Namespaces() []string { return slices.Sorted(maps.Keys(r.namespaces)) }

// Namespace is the text before the first namespace boundary of a channel's name, configured or not.
func (r *Rules) Namespace(name string) string {
	namespace, _ := r.cut(name)
	return namespace
}

// cut takes a name apart. One without a boundary keeps its private prefix in rest: the reference's regular expressions see it.
func (r *Rules) cut(name string) (namespace, rest string) {
	if r.namespaceBoundary == "" {
		return "", name
	}
	namespace, rest, ok := strings.Cut(strings.TrimPrefix(name, r.privatePrefix), r.namespaceBoundary)
	if !ok {
		return "", name
	}
	return namespace, rest
}

// Resolve finds the options that hold for a channel name. Error 102 says that its namespace is not configured; Name and
// Namespace are set then too. The name itself is not checked: see CheckName. The result aliases name.
func (r *Rules) Resolve(name string) (Channel, *codec.Error) {
	c := Channel{Name: name, rules: r}
	c.Namespace, c.rest = r.cut(name)
	if c.Namespace == "" {
		c.Options = r.without
		return c, nil
	}
	if c.Options = r.namespaces[c.Namespace]; c.Options == nil {
		return c, codec.ErrorUnknownChannel
	}
	return c, nil
}

// Slow is the policy of the channel called name.
func (r *Rules) Slow(name string) codec.SlowPolicy {
	if c, err := r.Resolve(name); err == nil {
		return c.Options.Slow
	}
	return codec.SlowDisconnect
}

// AnyDrop reports that Slow is more than codec.SlowDisconnect for some channel.
func (r *Rules) AnyDrop() bool {
	if r.without.Slow != codec.SlowDisconnect {
		return true
	}
	for _, o := range r.namespaces {
		if o.Slow != codec.SlowDisconnect {
			return true
		}
	}
	return false
}

// CheckLength reports a name of too many bytes, as error 107.
func (r *Rules) CheckLength(name string) *codec.Error {
	if r.nameBytesMax > 0 && len(name) > r.nameBytesMax {
		return codec.ErrorBadRequest
	}
	return nil
}

// CheckName reports a name that its namespace does not take, as error 107: empty, too long, against channel_regex, or, where
// there is none, with anything but printable ASCII; with wildcards where they have no meaning. Resolve must have found the options.
func (c Channel) CheckName() *codec.Error {
	if c.Name == "" {
		return codec.ErrorBadRequest
	}
	if err := c.rules.CheckLength(c.Name); err != nil {
		return err
	}
	if err := c.checkCharacters(); err != nil {
		return err
	}
	return c.checkPattern()
}

func (c Channel) checkCharacters() *codec.Error {
	if re := c.Options.nameRegex; re != nil {
		// Bytes that are not UTF-8 would match as U+FFFD and then break the JSON of every subscriber.
		if !utf8.ValidString(c.Name) || !re.MatchString(c.rest) {
			return codec.ErrorBadRequest
		}
		return nil
	}
	for i := range len(c.Name) {
		if b := c.Name[i]; b < ' ' || b > '~' {
			return codec.ErrorBadRequest
		}
	}
	return nil
}

// IsPrivate reports that nobody may subscribe without a token.
func (c Channel) IsPrivate() bool {
	return c.rules.privatePrefix != "" && strings.HasPrefix(c.Name, c.rules.privatePrefix)
}

// IsUserLimited reports that only the users listed in the name may subscribe without a token. Resolve must have found the
// options, for only some namespaces give the user boundary a meaning.
func (c Channel) IsUserLimited() bool {
	return c.Options.AllowUserLimits && c.rules.userBoundary != "" && strings.Contains(c.Name, c.rules.userBoundary)
}

// UserAllowed reports that the name of a user-limited channel lists user: after its last user boundary, between user
// separators. Clients without a user are never listed, although "x#" has an empty entry.
func (c Channel) UserAllowed(user string) bool {
	if user == "" || !c.IsUserLimited() {
		return false
	}
	i := strings.LastIndex(c.Name, c.rules.userBoundary)
	list := c.Name[i+len(c.rules.userBoundary):]
	for c.rules.userSeparator != "" {
		entry, rest, more := strings.Cut(list, c.rules.userSeparator)
		if entry == user {
			return true
		}
		if !more {
			return false
		}
		list = rest
	}
	return list == user
}
