package redislink

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"stentor/engine/credentials"
)

// Ports of an address that has none.
const (
	portDefault         = "6379"
	sentinelPortDefault = "26379"
)

// scheme is what the beginning of a URL says.
type scheme struct {
	kind kind
	tls  bool
}

var schemes = map[string]scheme{
	"redis":           {kindPlain, false},
	"tcp":             {kindPlain, false},
	"rediss":          {kindPlain, true},
	"unix":            {kindUnix, false},
	"redis+sentinel":  {kindSentinel, false},
	"rediss+sentinel": {kindSentinel, true},
	"redis+cluster":   {kindCluster, false},
	"rediss+cluster":  {kindCluster, true},
}

// fromAddress reads one address, a URL or a mere host:port, over what the configuration says for all. No error repeats any part of the
// URL: wherever a slash or a colon in a password is not escaped, a part of the password looks like something else.
func fromAddress(s settings, address string) (settings, error) {
	name, _, isURL := strings.Cut(address, "://")
	if !isURL {
		s.addresses = []string{address}
		return s, checkHostPort(address)
	}
	scheme, known := schemes[name]
	if !known {
		return s, errors.New("a URL starts with redis://, rediss://, tcp://, unix://, redis+sentinel://, rediss+sentinel://, " +
			"redis+cluster:// or rediss+cluster://")
	}
	u, err := url.Parse(address)
	if err != nil {
		return s, errors.New("this is no URL; if there are special characters in user or password, write them as %XX")
	}
	if u.Fragment != "" || u.Opaque != "" || u.RawFragment != "" {
		return s, errors.New("there is no place for a # in a URL of Redis; in user or password, write it as %23")
	}
	s.kind = scheme.kind
	if u.User != nil {
		s.user = cmp.Or(u.User.Username(), s.user)
		if password, given := u.User.Password(); given {
			s.password = password
		}
	}
	if s, err = s.withQuery(u.RawQuery, scheme.tls); err != nil {
		return s, err
	}
	if len(s.unknown) > 0 && (u.User == nil && strings.Contains(u.RawQuery, "@") || !allMatch(optionName, s.unknown)) {
		return s, errors.New("there are options in the URL that cannot be any; if they are part of a password, write its ? as %3F")
	}
	return s.withPlace(u)
}

// optionName is what names of options look like.
var optionName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)

func allMatch(re *regexp.Regexp, list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !re.MatchString(s) })
}

// withPlace reads host, port and path. More addresses may be there already, from the query.
func (s settings) withPlace(u *url.URL) (settings, error) {
	if s.kind == kindUnix {
		if len(s.addresses) > 0 || u.Path == "" || u.Host != "" {
			return s, errors.New("unix:// is followed by the absolute path of one socket, as in unix:///run/redis.sock")
		}
		s.addresses = []string{u.Path}
		return s, nil
	}
	port := portDefault
	if s.kind == kindSentinel {
		port = sentinelPortDefault
	}
	// A URL without a host is allowed if its query has addresses.
	if u.Host != "" || len(s.addresses) == 0 {
		s.addresses = slices.Insert(s.addresses, 0, u.Host)
	}
	for i, address := range s.addresses {
		if !strings.Contains(address, ":") || strings.HasSuffix(address, "]") {
			address = net.JoinHostPort(strings.Trim(address, "[]"), port)
			s.addresses[i] = address
		}
		if err := checkHostPort(address); err != nil {
			return s, err
		}
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		db, err := strconv.Atoi(path)
		if err != nil {
			return s, errors.New("the path of the URL is the number of a database, as in redis://127.0.0.1:6379/2")
		}
		s.db = db
	}
	return s, nil
}

// withQuery reads the options of a URL. They hold before those of the configuration, except that TLS once set up there stays as it is.
func (s settings) withQuery(query string, useTLS bool) (settings, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return s, errors.New("the options of the URL cannot be read; write special characters in them as %XX")
	}
	s.addresses = nil
	r := optionReader{values: values}
	useTLS = r.boolean("tls_enabled", useTLS)
	r.duration("connect_timeout", &s.connectTimeout)
	r.duration("io_timeout", &s.ioTimeout)
	s.forceRESP2 = r.boolean("force_resp2", s.forceRESP2)
	s.replicaReads = r.boolean("replica_client_enabled", s.replicaReads)
	r.text("client_name", &s.clientName)
	r.text("sentinel_client_name", &s.sentinelClientName)
	if s.kind == kindPlain && values.Has("sentinel_master_name") {
		s.kind = kindSentinel
	}
	r.text("sentinel_master_name", &s.masterName)
	r.text("sentinel_user", &s.sentinelUser)
	r.text("sentinel_password", &s.sentinelPassword)
	s.addresses = r.take("addr")
	s.tls = r.tls("tls_", useTLS, s.tls)
	s.sentinelTLS = r.tls("sentinel_tls_", r.boolean("sentinel_tls_enabled", useTLS && s.kind == kindSentinel), s.sentinelTLS)
	for name := range r.values {
		s.unknown = append(s.unknown, name)
	}
	slices.Sort(s.unknown)
	return s, r.err
}

// optionReader takes options out of a query; what is left nobody knows. It keeps the first error.
type optionReader struct {
	values url.Values
	err    error
}

func (r *optionReader) take(name string) []string {
	values := r.values[name]
	delete(r.values, name)
	return values
}

// one takes an option that has one value.
func (r *optionReader) one(name string) (value string, given bool) {
	values := r.take(name)
	if len(values) > 1 {
		r.fail(name, "is there more than once")
	}
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

func (r *optionReader) fail(name, what string) {
	if r.err == nil {
		r.err = fmt.Errorf("option %s of the URL %s", name, what)
	}
}

func (r *optionReader) text(name string, to *string) {
	if value, given := r.one(name); given {
		*to = value
	}
}

func (r *optionReader) boolean(name string, otherwise bool) bool {
	value, given := r.one(name)
	if !given {
		return otherwise
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		r.fail(name, "is neither true nor false")
	}
	return b
}

func (r *optionReader) duration(name string, to *time.Duration) {
	value, given := r.one(name)
	if !given {
		return
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		r.fail(name, "is no time above 0 with its unit, like 500ms")
	}
	*to = d
}

// tls reads the options that start with prefix over what the configuration has set up, nil if nothing. Ignoring an option would leave
// the connection less protected than the URL says, so there is an error if TLS is off.
func (r *optionReader) tls(prefix string, on bool, configured *tls.Config) *tls.Config {
	var o credentials.Options
	r.text(prefix+"cert_pem", &o.CertPEM)
	r.text(prefix+"key_pem", &o.KeyPEM)
	r.text(prefix+"server_ca_pem", &o.ServerCAPEM)
	r.text(prefix+"server_name", &o.ServerName)
	o.InsecureSkipVerify = r.boolean(prefix+"insecure_skip_verify", false)
	if !on && configured == nil {
		if o != (credentials.Options{}) {
			r.fail(prefix+"enabled", "is not set, but other options of TLS are: set it to true, or start the URL with rediss")
		}
		return nil
	}
	config, err := o.Over(configured)
	if err != nil {
		r.fail(prefix+"...", "are wrong: "+err.Error())
	}
	return config
}
