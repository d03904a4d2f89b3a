package gitlab

import "time"

// Status says how a scan of a project ended.
type Status string

// The ways a scan ends. A project whose scans all ended with a first look, or none
// did, is pending.
const (
	Completed Status = "completed"
	Failed    Status = "failed"
	// Looked is of a scan that believes something missing which no look before it
	// did: a second one has to look before that counts.
	Looked Status = "looked"
)

// Evidence is what shows that a listing was whole.
type Evidence struct {
	// Method names the way the project was listed, such as "gitlab".
	Method string `json:"method,omitempty"`
	// Pages is how many pages were read, the last one included.
	Pages int `json:"pages,omitempty"`
	// Listed is how many of the project's own repositories were listed.
	Listed int `json:"listed,omitempty"`
	// Contradiction is what the registry's catalog and its listing disagreed
	// about, "" where they did not.
	Contradiction string `json:"contradiction,omitempty"`
}

// Result is what one scan says of one project.
type Result struct {
	// Run is the run the scan worked for.
	Run int64 `json:"run"`
	// Scan is the scan number of its batch; it alone orders results.
	Scan int64 `json:"scan"`
	// Project is the project with the full path that was listed.
	Project Project `json:"project"`
	Status  Status  `json:"status"`
	// Missing are the names of the repositories that have no row, sorted and
	// without repetition: where completed, those that were missed twice and are old
	// enough to count; where looked, all; empty where failed.
	Missing []string `json:"missing,omitempty"`
	// Young are those that were missed twice and are too young to count, likewise
	// sorted; only where completed.
	Young []string `json:"young,omitempty"`
	// LookAgainAt is when the first of Young is old enough; zero where there are none.
	LookAgainAt time.Time `json:"look_again_at,omitzero"`
	// Created is when those of Missing and Young were created, by name, where the
	// registry tells it.
	Created map[string]time.Time `json:"created,omitempty"`
	// Names are all of the project's non-empty repositories, as NameSet makes
	// them; nil where they are not known, as after a sweep. Of a registry that
	// does not tell which are empty they are those not known to be.
	Names []string `json:"names,omitzero"`
	// Evidence is whole where the status is completed or looked.
	Evidence
	// Error is the reason where the status is failed.
	Error string `json:"error,omitempty"`
}
