package postgres_test

import (
	"flag"
	"os"
	"testing"

	"regmend/shared/postgres/postgrestest"
)

func TestMain(m *testing.M) {
	// The tests wait for Postgres more than they work.
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(postgrestest.Main(m))
}
