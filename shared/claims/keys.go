package claims

import "time"

// keyTTL is how long a forgotten key stays: marks and claims of batches that
// nobody runs any more.
const keyTTL = 7 * 24 * time.Hour

// The keys. Losing any of them costs work done twice; a batch that was in
// flight then is cancelled and put back.

// claimsKey is a hash: batch name → its claim as JSON. TTL: keyTTL after the
// last claim.
func claimsKey() string { return "regmend:claims" }

// processesKey is a sorted set: process → when its lease ends, in ms of Redis'
// clock. Each member is one process's lease. TTL: keyTTL after the last renewal.
func processesKey() string { return "regmend:processes" }

// infoKey is a hash: process → its Info as JSON. TTL as processes.
func infoKey() string { return "regmend:processes:info" }

// lookKey is a string: the process that looked last. TTL: until the next look
// may begin.
func lookKey() string { return "regmend:claims:look" }

// unclaimedKey is a set: task IDs that the last look saw running without a
// claim. TTL: three looks.
func unclaimedKey() string { return "regmend:claims:unclaimed" }

// marksKey is a hash: project ID → how many scans of it have begun and not
// ended. TTL: keyTTL after the last mark.
func marksKey() string { return "regmend:marks" }
