package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stentor/server/auth"
)

// ttlDefault is the life of a generated token, in seconds: a week.
const ttlDefault = 7 * 24 * 3600

func genTokenCommand() *cobra.Command {
	c := &cobra.Command{Use: "gentoken", Short: "Sign a connection token for a user", Args: cobra.NoArgs}
	file, user, ttl, quiet := addTokenFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := loadConfig(c, *file)
		if err != nil {
			return err
		}
		token, err := auth.MintConnection(cfg.Client.Token, *user, time.Now(), seconds(*ttl))
		if err != nil {
			return noSecret(err, *file)
		}
		printToken(c, token, fmt.Sprintf("user %q", *user), *ttl, *quiet)
		return nil
	}
	return c
}

func genSubTokenCommand() *cobra.Command {
	c := &cobra.Command{Use: "gensubtoken", Short: "Sign a subscription token for a user and a channel", Args: cobra.NoArgs}
	file, user, ttl, quiet := addTokenFlags(c)
	channel := c.Flags().StringP("channel", "s", "", "channel")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *channel == "" {
			return errors.New("no channel given; name it with --channel")
		}
		cfg, err := loadConfig(c, *file)
		if err != nil {
			return err
		}
		block := cfg.Client.Token
		if separate := cfg.Client.SubscriptionToken; separate.Enabled {
			block = separate.Token
		}
		token, err := auth.MintSubscription(block, *user, *channel, time.Now(), seconds(*ttl))
		if err != nil {
			return noSecret(err, *file)
		}
		printToken(c, token, fmt.Sprintf("user %q and channel %q", *user, *channel), *ttl, *quiet)
		return nil
	}
	return c
}

func addTokenFlags(c *cobra.Command) (file, user *string, ttl *int, quiet *bool) {
	f := c.Flags()
	return addConfigFlag(c), f.StringP("user", "u", "", "user id; empty is the anonymous user"),
		f.IntP("ttl", "t", ttlDefault, "seconds until the token expires; -1 for never"),
		f.BoolP("quiet", "q", false, "print the token only")
}

// noSecret names the likely reason for having nothing to sign a token with.
func noSecret(err error, file string) error {
	_, missing := os.Stat(file)
	if errors.Is(err, auth.ErrNoSecret) && errors.Is(missing, fs.ErrNotExist) {
		return fmt.Errorf("%w (there is no %s here; name the file with --config)", err, file)
	}
	return err
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func printToken(c *cobra.Command, token, whose string, ttl int, quiet bool) {
	w := c.OutOrStdout()
	if quiet {
		fmt.Fprint(w, token)
		return
	}
	life := "without expiration"
	if ttl >= 0 {
		life = "with expiration TTL " + seconds(ttl).String()
	}
	fmt.Fprintf(w, "HMAC SHA-256 JWT for %s %s:\n%s\n", whose, life, token)
}

func checkTokenCommand() *cobra.Command {
	c := &cobra.Command{Use: "checktoken TOKEN", Short: "Verify a connection token and show what it says", Args: cobra.ExactArgs(1)}
	file := addConfigFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		token := strings.TrimSpace(args[0])
		payload, connection, _, err := openToken(c, *file, token)
		if err != nil {
			return err
		}
		claims, err := connection.ConnectWait(c.Context(), token)
		if err != nil {
			return err
		}
		printClaims(c, "valid token for "+userWords(claims.User), payload)
		return nil
	}
	return c
}

func checkSubTokenCommand() *cobra.Command {
	c := &cobra.Command{Use: "checksubtoken TOKEN", Short: "Verify a subscription token and show what it says", Args: cobra.ExactArgs(1)}
	file := addConfigFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		token := strings.TrimSpace(args[0])
		payload, _, subscription, err := openToken(c, *file, token)
		if err != nil {
			return err
		}
		claims, err := subscription.SubscribeWait(c.Context(), token)
		if err != nil {
			return err
		}
		printClaims(c, fmt.Sprintf("valid subscription token for %s and channel %s", userWords(claims.User), claims.Channel), payload)
		return nil
	}
	return c
}

func userWords(user string) string {
	if user == "" {
		return "the anonymous user"
	}
	return "user " + user
}

// openToken returns the claims of a token as they stand in it, and who can verify it.
func openToken(c *cobra.Command, file, token string) (payload []byte, connection, subscription *auth.Verifier, err error) {
	if payload, err = auth.Payload(token); err != nil {
		why := strings.TrimPrefix(err.Error(), auth.ErrInvalid.Error()+": ")
		return nil, nil, nil, fmt.Errorf("token format is not valid\nreason: %s", why)
	}
	cfg, err := loadConfig(c, file)
	if err != nil {
		return nil, nil, nil, err
	}
	connection, subscription, err = auth.NewVerifiers(cfg)
	return payload, connection, subscription, err
}

func printClaims(c *cobra.Command, verdict string, payload []byte) {
	fmt.Fprintf(c.OutOrStdout(), "%s\npayload: %s\n", verdict, payload)
}
