package redisengine

import _ "embed"

var (
	//go:embed lua/presence_time.lua
	presenceTimeText string
	//go:embed lua/presence_add.lua
	presenceAddText string
	//go:embed lua/presence_remove.lua
	presenceRemoveText string
	//go:embed lua/presence_page.lua
	presencePageText string
	//go:embed lua/presence_stats.lua
	presenceStatsText string

	//go:embed lua/presence_fields_add.lua
	presenceFieldsAddText string
	//go:embed lua/presence_fields_remove.lua
	presenceFieldsRemoveText string
	//go:embed lua/presence_fields_page.lua
	presenceFieldsPageText string
	//go:embed lua/presence_fields_stats.lua
	presenceFieldsStatsText string
)

// presenceScripts are what presence runs in Redis.
type presenceScripts struct {
	add, remove, page, stats script
}

// newPresenceScripts are those for an expiry of our own, or for that of fields of a hash.
func newPresenceScripts(fields bool) presenceScripts {
	if fields {
		return presenceScripts{
			add:    newScript(presenceFieldsAddText),
			remove: newScript(presenceFieldsRemoveText),
			page:   newScript(presenceFieldsPageText),
			stats:  newScript(presenceFieldsStatsText),
		}
	}
	return presenceScripts{
		add:    newScript(presenceTimeText + presenceAddText),
		remove: newScript(presenceRemoveText),
		page:   newScript(presenceTimeText + presencePageText),
		stats:  newScript(presenceTimeText + presenceStatsText),
	}
}
