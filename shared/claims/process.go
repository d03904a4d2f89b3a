package claims

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Info is what a process tells of itself.
type Info struct {
	Kind      string    `json:"kind"` // producer, consumer, web
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
}

// Process is a live process.
type Process struct {
	Name string
	Info
}

// processesScript lists the processes whose lease has not ended.
//
// KEYS: processes, info
// Result: name, info of each, by the end of their leases
var processesScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local list = {}
for _, process in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
  table.insert(list, process)
  table.insert(list, redis.call('HGET', KEYS[2], process) or '{}')
end
return list
`)

// Processes lists the live processes, sorted by name.
func Processes(ctx context.Context, rdb redis.UniversalClient) ([]Process, error) {
	reply, err := processesScript.Run(ctx, rdb, []string{processesKey(), infoKey()}).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var processes []Process
	for i := 0; i+1 < len(reply); i += 2 {
		p := Process{Name: reply[i]}
		if json.Unmarshal([]byte(reply[i+1]), &p.Info) != nil {
			p.Info = Info{} // a foreign hand's
		}
		processes = append(processes, p)
	}
	slices.SortFunc(processes, func(a, b Process) int { return cmp.Compare(a.Name, b.Name) })
	return processes, nil
}
