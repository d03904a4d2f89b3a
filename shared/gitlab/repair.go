package gitlab

import "strings"

// Refusal is a reason not to restore a repository's row.
type Refusal string

// The reasons there are. An operator may accept each but the last two, which no
// insert could pass by.
const (
	RefusedPath      Refusal = "invalid-path"
	RefusedDeletion  Refusal = "pending-delete"
	RefusedMarked    Refusal = "marked-for-deletion"
	RefusedRegistry  Refusal = "registry-disabled"
	RefusedCleanup   Refusal = "cleanup-policy"
	RefusedReuse     Refusal = "reused-path"
	RefusedAge       Refusal = "unknown-age"
	RefusedRenaming  Refusal = "renamed"
	RefusedNoProject Refusal = "no-project"
)

// Acceptable are the refusals that an operator may accept, in the order in which
// they are shown.
func Acceptable() []Refusal {
	return []Refusal{RefusedPath, RefusedDeletion, RefusedMarked, RefusedRegistry, RefusedCleanup, RefusedReuse, RefusedAge}
}

// Words says what the refusal means, as the end of a sentence about a repository.
func (r Refusal) Words() string {
	switch r {
	case RefusedPath:
		return "its path is not valid by GitLab's rules"
	case RefusedDeletion:
		return "its project is about to be deleted"
	case RefusedMarked:
		return "its project is marked for deletion"
	case RefusedRegistry:
		return "its project's registry is switched off"
	case RefusedCleanup:
		return "its project has an enabled clean-up policy, which would delete its tags at once"
	case RefusedReuse:
		return "its path was another project's: the images may be somebody else's"
	case RefusedAge:
		return "its age is not known, so neither whether its project is older"
	case RefusedRenaming:
		return "its project has another path by now"
	case RefusedNoProject:
		return "its project is gone"
	default:
		return string(r)
	}
}

// A container repository's path has between two components, a group's and a
// project's, and nineteen.
const leastComponents, mostComponents = 2, 19

// ValidContainerPath tells whether GitLab takes the path for a container
// repository's.
func ValidContainerPath(path string) bool {
	components := strings.Count(path, "/") + 1
	return ValidRepositoryPath(path) && components >= leastComponents && components <= mostComponents
}
