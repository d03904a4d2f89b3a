package slots

// keyspace is the keys of one cap. Together they are its state; each may be lost at
// any time, which costs one quiet lease. All are left to expire an idle day after
// the last use (idleTTL).
type keyspace struct {
	// epoch is a hash: run_id of the server that the other keys were written on,
	// quiet_until in ms of Redis' clock, and the number of the last grant.
	epoch string
	// held is a sorted set: token → when its lease ends, in ms of Redis' clock.
	held string
	// age is a sorted set of the same tokens: token → the number of its grant, by
	// which the youngest give way when the cap is lowered.
	age string
	// waiting is a sorted set: process → since when it has waited without a grant,
	// in ms of Redis' clock.
	waiting string
	// seen is a sorted set of the same processes: process → when it counts as having
	// gone away unless it asks again, in ms of Redis' clock.
	seen string
	// budget is a string: the ledger of the rights to send requests, as JSON: rate,
	// the anchor of its ticks in ms of Redis' clock, how many rights of each tick are
	// taken, the last that is, and how far apart its ticks were. It is there while
	// there is a rate.
	budget string
}

// scans is the cap of what is asked of the registry.
func scans() keyspace {
	return keyspace{
		epoch: "regmend:slots:epoch", held: "regmend:slots:held", age: "regmend:slots:age",
		waiting: "regmend:slots:waiting", seen: "regmend:slots:seen", budget: "regmend:slots:budget",
	}
}

// repairs is the cap of tasks of repairs; nothing is sent by its rights.
func repairs() keyspace {
	return keyspace{
		epoch: "regmend:repairs:epoch", held: "regmend:repairs:held", age: "regmend:repairs:age",
		waiting: "regmend:repairs:waiting", seen: "regmend:repairs:seen", budget: "regmend:repairs:budget",
	}
}

func (k keyspace) all() []string {
	return []string{k.epoch, k.held, k.age, k.waiting, k.seen, k.budget}
}
