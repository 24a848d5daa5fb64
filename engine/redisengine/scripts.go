package redisengine

import (
	_ "embed"

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

// scripts are what a broker runs in Redis. They go by their hash; a server that does not know one, as after a restart, is sent the text.
type scripts struct {
	publish, publishOnce *rueidis.Lua
	history              *rueidis.Lua
	historyOfReplica     *rueidis.Lua
}

func newScripts(lists bool) scripts {
	publish, history := publishStreamText, historyStreamText
	if lists {
		publish, history = publishListText, historyListText
	}
	return scripts{
		publish:          rueidis.NewLuaScript(publish),
		publishOnce:      rueidis.NewLuaScript(publishOnceText),
		history:          rueidis.NewLuaScript(history),
		historyOfReplica: rueidis.NewLuaScriptReadOnly(history),
	}
}
