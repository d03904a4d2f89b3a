package postgres_test

import (
	"strings"
	"testing"

	"regmend/schema"
	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
)

func TestMigrationPlanIsWhatMigrateRuns(t *testing.T) {
	planned, migrated := installation(t), installation(t)
	before := planned.Value(t, objects)
	text, err := planned.DB.MigrationPlan(t.Context(), schema.Migrations, postgres.MigrateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if after := planned.Value(t, objects); after != before {
		t.Errorf("the plan changed something: %s", cmp.Diff(before, after))
	}
	for _, want := range []string{"SHARE ROW EXCLUSIVE on projects", "CREATE SCHEMA", "regmend.data_repair_details (", "GRANT USAGE", "VALIDATE CONSTRAINT"} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan does not mention %q", want)
		}
	}
	// What a person runs by hand makes the same.
	planned.Exec(t, text)
	migrate(t, migrated.DB, postgres.MigrateOptions{})
	if diff := cmp.Diff(migrated.Value(t, objects), planned.Value(t, objects)); diff != "" {
		t.Errorf("objects (-migrated +planned):\n%s", diff)
	}
	migrate(t, planned.DB, postgres.MigrateOptions{})
	if err := planned.DB.CheckSchema(t.Context(), schema.Migrations); err != nil {
		t.Errorf("CheckSchema() = %v", err)
	}
}

func TestMigrationPlanOfAnUpToDateSchemaIsTheGrants(t *testing.T) {
	db := installation(t)
	migrate(t, db.DB, postgres.MigrateOptions{})
	text, err := db.DB.MigrationPlan(t.Context(), schema.Migrations, postgres.MigrateOptions{})
	if err != nil || !strings.Contains(text, "nothing would run but the grants") || !strings.Contains(text, "GRANT USAGE") ||
		strings.Contains(text, "CREATE") || strings.Contains(text, "TABLE regmend") {
		t.Errorf("MigrationPlan() = %q, %v", text, err)
	}
	text, err = db.DB.MigrationPlan(t.Context(), schema.Migrations, postgres.MigrateOptions{NoForeignKey: true})
	if err != nil || !strings.Contains(text, "DROP CONSTRAINT") || !strings.Contains(text, "ACCESS EXCLUSIVE") {
		t.Errorf("MigrationPlan() without the foreign key = %q, %v", text, err)
	}
}
