package slots

// The keys. Together they are the state of the cap; each may be lost at any
// time, which costs one quiet lease. All are left to expire an idle day after
// the last use (idleTTL).

// heldKey is a sorted set: token → when its lease ends, in ms of Redis' clock.
func heldKey() string { return "regmend:slots:held" }

// ageKey is a sorted set of the same tokens: token → the number of its grant,
// by which the youngest give way when the cap is lowered.
func ageKey() string { return "regmend:slots:age" }

// waitingKey is a sorted set: process → since when it has waited without a
// grant, in ms of Redis' clock.
func waitingKey() string { return "regmend:slots:waiting" }

// seenKey is a sorted set of the same processes: process → when it counts as
// having gone away unless it asks again, in ms of Redis' clock.
func seenKey() string { return "regmend:slots:seen" }

// epochKey is a hash: run_id of the server that the other keys were written
// on, quiet_until in ms of Redis' clock, and the number of the last grant.
func epochKey() string { return "regmend:slots:epoch" }

// budgetKey is a string: the ledger of the rights to send requests, as JSON:
// rate, the anchor of its ticks in ms of Redis' clock, how many rights of each
// tick are taken, the last that is, and how far apart its ticks were. It is there
// while there is a rate.
func budgetKey() string { return "regmend:slots:budget" }

func keys() []string {
	return []string{epochKey(), heldKey(), ageKey(), waitingKey(), seenKey(), budgetKey()}
}
