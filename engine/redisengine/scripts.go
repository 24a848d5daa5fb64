package redisengine

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// Each script is one step for Redis, so nothing comes between its parts. lua/ has them, and says what goes in and out.
var (
	//go:embed lua/publish_stream.lua
	publishStreamText string
	//go:embed lua/publish_list.lua
	publishListText string
	//go:embed lua/publish_once.lua
	publishOnceText string
	//go:embed lua/history_stream.lua
	historyStreamText string
	//go:embed lua/history_list.lua
	historyListText string
)

// scripts are what a broker runs in Redis.
type scripts struct {
	publish, publishOnce, history script
}

func newScripts(lists, sharded bool) scripts {
	publish, history := publishStreamText, historyStreamText
	if lists {
		publish, history = publishListText, historyListText
	}
	once := publishOnceText
	if sharded {
		publish, once = toShards(publish), toShards(once)
	}
	return scripts{newScript(publish), newScript(once), newScript(history)}
}

// toShards makes a script publish to the node that has its keys, alone.
func toShards(text string) string { return strings.ReplaceAll(text, "'publish'", "'spublish'") }

// script goes by its hash. A server that does not know it, as after a restart, has done nothing and is sent the text.
type script struct {
	text, hash string
}

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text, hex.EncodeToString(sum[:])}
}

// run runs the script with keys and arguments of c.
func (s script) run(ctx context.Context, client rueidis.Client, n names, c *call) rueidis.RedisResult {
	answer := client.Do(ctx, c.command(client, n, "EVALSHA", s.hash, false))
	if notSent(ctx, answer) {
		answer = client.Do(ctx, c.command(client, n, "EVALSHA", s.hash, false))
	}
	if unknownScript(answer) {
		answer = client.Do(ctx, c.command(client, n, "EVAL", s.text, false))
	}
	return answer
}

// runOnReplica is run for a script that writes nothing. It needs Redis 7.
func (s script) runOnReplica(ctx context.Context, client rueidis.Client, n names, c *call) rueidis.RedisResult {
	answer := client.Do(ctx, c.command(client, n, "EVALSHA_RO", s.hash, true))
	if unknownScript(answer) {
		answer = client.Do(ctx, c.command(client, n, "EVAL_RO", s.text, true))
	}
	return answer
}

func unknownScript(answer rueidis.RedisResult) bool {
	said, is := rueidis.IsRedisErr(answer.Error())
	return is && said.IsNoScript()
}

// notSent reports that nothing was done because another caller went: those who need a new connection wait for one dialling together, and it
// ends with the context of the first.
func notSent(ctx context.Context, answer rueidis.RedisResult) bool {
	err := answer.NonRedisError()
	return err != nil && ctx.Err() == nil && errors.Is(err, context.Canceled)
}

// command is a script with its keys and arguments. The slot of the keys is computed for clusters only.
func (c *call) command(client rueidis.Client, n names, name, script string, reads bool) rueidis.Completed {
	build := client.B().Arbitrary(name, script, strconv.Itoa(len(c.keys)))
	if n.form == plainNames {
		build = build.Args(c.keys...)
	} else {
		build = build.Keys(c.keys...)
	}
	build = build.Args(c.args...)
	if reads {
		return build.ReadOnly()
	}
	return build.Build()
}
