package schema_test

import (
	"os"
	"testing"

	"regmend/shared/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
