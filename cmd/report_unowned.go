package cmd

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// reportUnowned prints the repositories that belong to no project.
func (x *parts) reportUnowned(ctx context.Context, format string) error {
	out := bufio.NewWriter(x.process.Stdout)
	list, err := newPathList(format, out)
	if err != nil {
		return misuse{err}
	}
	db, err := x.readyDatabase(ctx)
	if err != nil {
		return err
	}
	err = printUnowned(ctx, db, list)
	if errors.Is(err, gitlab.ErrNotFound) {
		err = errors.New("no sweep has walked through the whole catalog yet, which is what finds them: regmend sweep")
	}
	return errors.Join(err, out.Flush())
}

func printUnowned(ctx context.Context, db *postgres.DB, list *pathList) error {
	paths := 0
	err := db.Unowned(ctx, func(path string) error {
		paths++
		return list.path(path, paths == 1)
	})
	if err != nil {
		return err
	}
	return list.end(paths == 0)
}

// pathList writes paths one by one; end says whether there were none.
type pathList struct {
	path func(path string, first bool) error
	end  func(none bool) error
}

func newPathList(format string, out *bufio.Writer) (*pathList, error) {
	write := func(text string) error {
		_, err := out.WriteString(text)
		return err
	}
	switch format {
	case "table":
		return &pathList{
			path: func(path string, _ bool) error { return write(printable(path) + "\n") },
			end: func(none bool) error {
				if none {
					return write("no such repositories\n")
				}
				return nil
			},
		}, nil
	case "csv":
		return csvPaths(csv.NewWriter(out)), nil
	case "json":
		return jsonPaths(write), nil
	default:
		return nil, fmt.Errorf("%q is no format: use --format table, csv or json", format)
	}
}

func csvPaths(w *csv.Writer) *pathList {
	head := func(wanted bool) error {
		if !wanted {
			return nil
		}
		return w.Write([]string{"path"})
	}
	return &pathList{
		path: func(path string, first bool) error {
			return errors.Join(head(first), w.Write([]string{cell(path)}))
		},
		end: func(none bool) error {
			err := head(none)
			w.Flush()
			return errors.Join(err, w.Error())
		},
	}
}

func jsonPaths(write func(string) error) *pathList {
	return &pathList{
		path: func(path string, first bool) error {
			text, err := json.Marshal(path)
			if err != nil {
				return err
			}
			separator := ",\n"
			if first {
				separator = "[\n"
			}
			return write(separator + string(text))
		},
		end: func(none bool) error {
			if none {
				return write("[\n]\n")
			}
			return write("\n]\n")
		},
	}
}
