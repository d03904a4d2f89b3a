package postgres_test

import (
	"strings"
	"testing"

	"regmend/shared/postgres"
)

func TestP16_OpenNeverRepeatsThePassword(t *testing.T) {
	for _, url := range []string{
		"postgres://user:secret/x@host/db", "postgres://user:sec%ret@host/db", "postgres://user:secret@host:port/db",
		"mysql://user:secret@host/db", "host=x password=secret", "", "postgres://user:secret@host/db?sslmode=secret",
	} {
		_, err := postgres.Open(url)
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sec%") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Open(%q) = %v, want one line without the password", url, err)
		}
	}
}
