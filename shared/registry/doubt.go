package registry

import (
	"context"

	"regmend/shared/gitlab"
)

// doubter doubts a catalog that is read for some projects.
type doubter interface {
	// Before is called before a walk, Page with each of its pages, of which some
	// may come twice, and After once it was read to its end. An error of the first
	// or the last ends the walk, and nothing of it is handed out.
	Before(ctx context.Context, of []gitlab.Project) error
	Page(paths []string)
	After(ctx context.Context) error
}

// Doubt lets d doubt the catalog whenever the survey reads it. An error of d's is
// what List returns.
func (s *Survey) Doubt(d doubter) { s.doubter = d }

// readCatalog reads the catalog if that was not yet done.
func (s *Survey) readCatalog(ctx context.Context) error {
	return s.catalog.once(func(keep func([]entry) error) (pages int, err error) {
		if s.doubter == nil {
			return s.client.Catalog(ctx, func(paths []string) error { return keep(ageless(paths)) })
		}
		if err := s.doubter.Before(ctx, s.catalogued); err != nil {
			return 0, err
		}
		pages, err = s.client.Catalog(ctx, func(paths []string) error {
			s.doubter.Page(paths)
			return keep(ageless(paths))
		})
		if err != nil {
			return pages, err
		}
		return pages, s.doubter.After(ctx)
	})
}
