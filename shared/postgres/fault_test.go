package postgres_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"regmend/shared/postgres"

	"github.com/lib/pq"
)

func TestAway(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"nothing is listening":           {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
		"the connection is cut":          {io.EOF, true},
		"the connection is cut in a row": {io.ErrUnexpectedEOF, true},
		"the connection was cut before":  {driver.ErrBadConn, true},
		"it does not answer in time":     {context.DeadlineExceeded, true},
		"PgBouncer cannot log in":        {&pq.Error{Code: "08P01"}, true},
		"it has no connection left":      {&pq.Error{Code: "53300"}, true},
		"it is starting":                 {&pq.Error{Code: "57P03"}, true},
		"its disk fails":                 {&pq.Error{Code: "58030"}, true},
		"it answers that it has no such": {&pq.Error{Code: "42P01"}, false},
		"it answers with another schema": {postgres.ErrNoSchema, false},
		"nothing is wrong":               {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.err
			if err != nil {
				err = fmt.Errorf("look: %w", err)
			}
			if got := postgres.Away(err); got != test.want {
				t.Errorf("Away(%v) = %t, want %t", err, got, test.want)
			}
		})
	}
}
