package board

// The keys. What their loss costs is said at each.

// runKey is a hash: run and scan, the run Redis knows and the highest scan
// number seen in it. No TTL: it is what a restored database is noticed by.
// Lost: noted again from the database, and such a restore goes unnoticed.
func runKey() string { return "regmend:run" }

// holdKey is a string: a Hold as JSON, one key for each kind. TTL: given by who
// sets it. Lost: scanning goes on until the reason is found again.
func holdKey(kind string) string { return "regmend:hold:" + kind }

// controlKey is a string: the control as JSON. TTL: noteTTL. Lost: no control
// listing until a project lists non-empty.
func controlKey() string { return "regmend:control" }

// witnessKey is a string: a Witness as JSON. TTL: given by who sets it. Lost:
// the witness is asked again before scanning goes on.
func witnessKey() string { return "regmend:witness" }

// catalogKey is a string: a Catalog as JSON. TTL: given by who sets it. Lost: it
// is asked again where somebody wants to know.
func catalogKey() string { return "regmend:catalog" }

// lockKey is a string: the holder of the lock of that name. TTL: its lease.
// Lost: two may hold it for as long as one lease.
func lockKey(name string) string { return "regmend:lock:" + name }

// countersKey is a string: Counters as JSON. TTL: noteTTL. Lost: pages lack
// them until the next count.
func countersKey() string { return "regmend:counters" }

// walkKey is a string: the Walk as JSON. TTL: noteTTL. Lost: a new lap begins.
func walkKey() string { return "regmend:walk" }

// scannedKey is a string: a count of results. No TTL. Lost: the rate shown
// begins at zero.
func scannedKey() string { return "regmend:scanned" }

// trafficKey is a hash: answers, took (µs), refused and failed, what the registry
// answered since the brake last looked. TTL: trafficTTL. Lost: the brake looks at
// a second less.
func trafficKey() string { return "regmend:traffic" }
