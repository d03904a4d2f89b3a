package tasks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scanned is what a scan task leaves as its result for the web pages, as JSON.
type Scanned struct {
	// Completed, Looked, Failed, Done and Gone count projects: scanned, scanned and
	// to be looked at again, recorded as failed, analysed before, and deleted or no
	// longer eligible.
	Completed int `json:"completed"`
	Looked    int `json:"looked,omitempty"`
	Failed    int `json:"failed"`
	Done      int `json:"done"`
	Gone      int `json:"gone"`
	// Missing counts the repositories found missing.
	Missing int `json:"missing"`
	// Note says why it did nothing, or not all, such as "of run 3, discarded".
	Note string        `json:"note,omitempty"`
	Took time.Duration `json:"took"`
}

// Flushed is what a flush task leaves, as JSON.
type Flushed struct {
	Written   int `json:"written"`
	Discarded int `json:"discarded"`
	// Note says why not all was written.
	Note string        `json:"note,omitempty"`
	Took time.Duration `json:"took"`
}

// FormatPayload says in plain words what a task is to do. A payload that
// cannot be read is said to be so.
func FormatPayload(taskType string, payload []byte) string {
	switch taskType {
	case TypeScan, TypeConfirm:
		s, err := DecodeScan(payload)
		if err != nil {
			return err.Error()
		}
		if taskType == TypeConfirm {
			return "second look at " + s.projects()
		}
		return s.words()
	case TypeFlush:
		f, err := DecodeFlush(payload)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("flush of the stash, run %d", f.Run)
	case TypeSweep:
		s, err := DecodeSweep(payload)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("sweep %d through the registry's catalog, run %d", s.Sweep, s.Run)
	case TypeRetain:
		return "removal of old versions of what projects list"
	case TypeRepair:
		r, err := DecodeRepair(payload)
		if err != nil {
			return err.Error()
		}
		return r.words()
	default:
		return fmt.Sprintf("unknown task type %q", taskType)
	}
}

func (s Scan) words() string {
	text := "scan of " + s.projects()
	if s.After > 0 {
		text += ", also those already analysed"
	}
	return text
}

func (s Scan) projects() string {
	text := fmt.Sprintf("project %d", s.IDs[0])
	if len(s.IDs) > 1 {
		text = fmt.Sprintf("%d projects, IDs %d to %d", len(s.IDs), slices.Min(s.IDs), slices.Max(s.IDs))
	}
	return text + fmt.Sprintf(", run %d", s.Run)
}

// FormatResult says in plain words what a task did: "" while it has left no
// result.
func FormatResult(taskType string, result []byte) string {
	if len(result) == 0 {
		return ""
	}
	switch taskType {
	case TypeScan, TypeConfirm:
		return words[Scanned](result)
	case TypeFlush:
		return words[Flushed](result)
	case TypeSweep:
		return words[Swept](result)
	case TypeRetain:
		return words[Retained](result)
	case TypeRepair:
		return words[Repaired](result)
	default:
		return fmt.Sprintf("unknown task type %q", taskType)
	}
}

func words[T interface{ words() string }](result []byte) string {
	var r T
	if err := json.Unmarshal(result, &r); err != nil {
		return fmt.Sprintf("unreadable result: %v", err)
	}
	return r.words()
}

func (s Scanned) words() string {
	all := s.Completed + s.Looked + s.Failed + s.Done + s.Gone
	if all == 0 && s.Note != "" {
		return s.Note
	}
	parts := []string{fmt.Sprintf("%d completed", s.Completed)}
	for _, part := range []struct {
		count int
		word  string
	}{
		{s.Looked, "to be looked at again"},
		{s.Failed, "failed"},
		{s.Done, "analysed before"},
		{s.Gone, "no longer there"},
		{s.Missing, plural(s.Missing, "repository", "repositories") + " missing"},
	} {
		if part.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.count, part.word))
		}
	}
	parts = append(parts, "in "+seconds(s.Took))
	if s.Note != "" {
		parts = append(parts, s.Note)
	}
	return fmt.Sprintf("%d %s: %s", all, plural(all, "project", "projects"), strings.Join(parts, ", "))
}

func (f Flushed) words() string {
	text := fmt.Sprintf("%d %s written", f.Written, plural(f.Written, "result", "results"))
	if f.Discarded > 0 {
		text += fmt.Sprintf(", %d discarded", f.Discarded)
	}
	text += ", in " + seconds(f.Took)
	if f.Note != "" {
		text += ": " + f.Note
	}
	return text
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
