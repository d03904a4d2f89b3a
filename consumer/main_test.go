package consumer_test

import (
	"flag"
	"os"
	"testing"

	"regmend/shared/postgres/postgrestest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childName) != "" {
		os.Exit(child())
	}
	// The tests wait more than they work.
	flag.Parse()
	if err := flag.Set("test.parallel", "10"); err != nil {
		panic(err)
	}
	os.Exit(postgrestest.Main(m))
}
