package stash

// The keys. Losing any of them costs the scans whose results it held.

// resultsKey is a hash: "<project_id>:<c|f>" → the result as JSON. TTL 7 days
// after the last Put.
func resultsKey() string { return "regmend:stash:results" }

// orderKey is a sorted set of the same fields, with the scan number as score.
// TTL as results.
func orderKey() string { return "regmend:stash:order" }

// sizeKey is a hash: bytes, the size of all fields and values, and since, the
// time the oldest result has waited from, in ms of Redis' clock. TTL as results.
func sizeKey() string { return "regmend:stash:size" }

// flushLockKey is a string: who flushes now. TTL: the lease of LockFlush.
func flushLockKey() string { return "regmend:stash:flush-lock" }

// flushRequestKey is a string that is there while a flush task is on its way.
// TTL: the window of RequestFlush.
func flushRequestKey() string { return "regmend:stash:flush-request" }

func dataKeys() []string { return []string{resultsKey(), orderKey(), sizeKey()} }
