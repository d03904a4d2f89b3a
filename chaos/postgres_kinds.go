package main

// postgresKinds are the faults of Postgres and of what is before it.
func postgresKinds() []kind { return nil }
