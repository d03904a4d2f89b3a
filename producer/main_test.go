package producer_test

import (
	"flag"
	"os"
	"testing"

	"regmend/shared/postgres/postgrestest"
)

func TestMain(m *testing.M) {
	// The tests wait more than they work.
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(postgrestest.Main(m))
}
