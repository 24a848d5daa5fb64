package certs

import (
	"log/slog"
	"time"

	"stentor/server/config"
)

// Set has the certificates of all ports. A nil Keeper means that the port speaks plain text.
type Set struct {
	External, Internal *Keeper // of http_server; often the same
	UniGRPC, GRPCAPI   *Keeper
	Authority          *Authority // nil without tls_autocert; it has to run

	log *slog.Logger
}

// Open reads and checks all certificates that cfg names. Errors begin with the path of an option and tell the file.
func Open(cfg *config.Config, log *slog.Logger) (*Set, error) {
	h := &cfg.HTTPServer
	s := &Set{log: log}
	switch {
	case h.TLSAutocert.Enabled:
		authority, err := NewAuthority(&h.TLSAutocert, log)
		if err != nil {
			return nil, err
		}
		s.Authority = authority
		s.External = &Keeper{path: "http_server.tls", authority: authority}
	case h.TLS.Enabled:
		s.External = &Keeper{path: "http_server.tls"}
	}
	switch {
	case h.InternalPort == "":
	case h.InternalTLS.Enabled:
		s.Internal = &Keeper{path: "http_server.internal_tls"}
	case !h.TLSExternal:
		s.Internal = s.External
	}
	if cfg.UniGRPC.Enabled && cfg.UniGRPC.TLS.Enabled {
		s.UniGRPC = &Keeper{path: "uni_grpc.tls"}
	}
	if cfg.GRPCAPI.Enabled && cfg.GRPCAPI.TLS.Enabled {
		s.GRPCAPI = &Keeper{path: "grpc_api.tls"}
	}
	return s, s.Reload(cfg)
}

// Reload reads all certificates again, from the files that cfg names now. If any of them cannot be used, it returns the error and changes
// nothing. Ports do not begin or cease to speak TLS: that takes a restart.
func (s *Set) Reload(cfg *config.Config) error {
	use, err := s.Read(cfg)
	if err == nil {
		use()
	}
	return err
}

// Read is the first half of Reload: it reads and checks. What it returns is the second half, which cannot fail.
func (s *Set) Read(cfg *config.Config) (use func(), err error) {
	type change struct {
		keeper *Keeper
		to     *shown
	}
	var changes []change
	now := time.Now()
	for _, b := range []struct {
		keeper *Keeper
		block  *config.TLSConfig
	}{
		{s.External, &cfg.HTTPServer.TLS},
		{s.Internal, &cfg.HTTPServer.InternalTLS},
		{s.UniGRPC, &cfg.UniGRPC.TLS},
		{s.GRPCAPI, &cfg.GRPCAPI.TLS},
	} {
		if b.keeper == nil || b.keeper == s.External && b.block != &cfg.HTTPServer.TLS {
			continue
		}
		if b.keeper.authority == nil && !b.block.Enabled {
			continue // it is off from the next start on, and goes on with what it has
		}
		to, err := b.keeper.read(b.block, now)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change{b.keeper, to})
	}
	return func() {
		for _, c := range changes {
			c.keeper.use(c.to, s.log)
		}
	}, nil
}
