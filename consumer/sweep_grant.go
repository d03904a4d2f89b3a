package consumer

import (
	"context"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
)

// catalogFor is how long it is believed that the catalog is granted, or refused.
const catalogFor = 10 * time.Minute

// knows tells whether the notice says enough about the catalog.
func (m *mender) knows(c board.Catalog) bool {
	return c.Registry == m.identity() && time.Since(c.At) < catalogFor/2
}

// askCatalog tells the producers whether the registry grants its catalog. One
// that fails while the registry works is as good as none.
func (m *mender) askCatalog(ctx context.Context, _ postgres.State) error {
	granted, reason, err := m.registry.GrantsCatalog(ctx)
	if err != nil {
		if ctx.Err() != nil || blame(err) != unclear {
			return err
		}
		reason = err.Error()
	}
	told := board.Catalog{Registry: m.identity(), Granted: granted, Reason: reason, At: time.Now()}
	return m.board.SetCatalog(ctx, told, catalogFor)
}
