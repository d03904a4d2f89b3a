package board

import (
	"context"
	"time"
)

// Catalog is whether the registry lets its catalog be read.
type Catalog struct {
	Registry string    `json:"registry"` // its identity
	Granted  bool      `json:"granted"`
	Reason   string    `json:"reason,omitempty"` // why not
	At       time.Time `json:"at"`
}

// SetCatalog notes it for ttl.
func (b *Board) SetCatalog(ctx context.Context, c Catalog, ttl time.Duration) error {
	return b.set(ctx, catalogKey(), c, ttl)
}

// Catalog tells it; ok is false when it is not known.
func (b *Board) Catalog(ctx context.Context) (c Catalog, ok bool, err error) {
	ok, err = b.read(ctx, catalogKey(), &c)
	return c, ok, err
}
