package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stentor/server/auth"
	"stentor/server/config"
)

// ttlDefault is the life of a generated token, in seconds: a week.
const ttlDefault = 7 * 24 * 3600

func genTokenCommand() *cobra.Command {
	c := &cobra.Command{Use: "gentoken", Short: "Sign a connection token for a user", Args: cobra.NoArgs}
	file, user, ttl, quiet := addTokenFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := config.Load(config.Options{File: *file})
		if err != nil {
			return err
		}
		token, err := auth.MintConnection(loaded.Config.Client.Token, *user, time.Now(), seconds(*ttl))
		if err != nil {
			return err
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
			return fmt.Errorf("no channel given; name it with --channel")
		}
		loaded, err := config.Load(config.Options{File: *file})
		if err != nil {
			return err
		}
		verifier := loaded.Config.Client.Token
		if separate := loaded.Config.Client.SubscriptionToken; separate.Enabled {
			verifier = separate.Token
		}
		token, err := auth.MintSubscription(verifier, *user, *channel, time.Now(), seconds(*ttl))
		if err != nil {
			return err
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
		connection, _, err := verifiers(*file)
		if err != nil {
			return err
		}
		claims, err := connection.Connect(args[0], time.Now())
		if err != nil {
			return err
		}
		return printClaims(c, args[0], "valid token for "+userWords(claims.User))
	}
	return c
}

func checkSubTokenCommand() *cobra.Command {
	c := &cobra.Command{Use: "checksubtoken TOKEN", Short: "Verify a subscription token and show what it says", Args: cobra.ExactArgs(1)}
	file := addConfigFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		_, subscription, err := verifiers(*file)
		if err != nil {
			return err
		}
		claims, err := subscription.Subscribe(args[0], time.Now())
		if err != nil {
			return err
		}
		return printClaims(c, args[0], fmt.Sprintf("valid subscription token for %s and channel %s", userWords(claims.User), claims.Channel))
	}
	return c
}

func userWords(user string) string {
	if user == "" {
		return "the anonymous user"
	}
	return "user " + user
}

func verifiers(file string) (connection, subscription *auth.Verifier, err error) {
	loaded, err := config.Load(config.Options{File: file})
	if err != nil {
		return nil, nil, err
	}
	return auth.NewVerifiers(loaded.Config)
}

func printClaims(c *cobra.Command, token, verdict string) error {
	payload, err := auth.Payload(token)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s\npayload: %s\n", verdict, payload)
	return nil
}
