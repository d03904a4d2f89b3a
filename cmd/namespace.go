package cmd

import (
	"context"
	"errors"
	"fmt"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// findNamespace is an error if there is no group and no project of that full
// path.
func findNamespace(ctx context.Context, db *postgres.DB, path string) error {
	_, err := db.Namespace(ctx, path, 0, 1)
	if errors.Is(err, gitlab.ErrNotFound) {
		return fmt.Errorf("there is no group or project %s: give its full path, such as group/sub", path)
	}
	return err
}
