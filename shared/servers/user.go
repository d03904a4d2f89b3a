package servers

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is a user under which a server runs that refuses to run as root.
type account struct {
	name     string
	uid, gid int
}

// unprivileged returns postgres or, where there is no such user, nobody; ok
// is false where this process is not root and so nothing has to be dropped.
func unprivileged() (a account, ok bool, err error) {
	if os.Geteuid() != 0 {
		return account{}, false, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return account{}, false, fmt.Errorf("neither postgres nor nobody to drop root for: %w", err)
	}
	if a.uid, err = strconv.Atoi(u.Uid); err != nil {
		return account{}, false, err
	}
	if a.gid, err = strconv.Atoi(u.Gid); err != nil {
		return account{}, false, err
	}
	a.name = u.Username
	return a, true, nil
}

// dropRoot gives the folder, with what is in it, to the unprivileged user and
// returns what makes a command run as that user. Both are nothing where this
// process is not root.
func dropRoot(dir string) (drop func(*exec.Cmd), err error) {
	a, ok, err := unprivileged()
	if err != nil {
		return nil, err
	}
	if !ok {
		return func(*exec.Cmd) {}, nil
	}
	if err := a.own(dir); err != nil {
		return nil, err
	}
	return a.run, nil
}

func (a account) run(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)},
	}
}

func (a account) own(dir string) error {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("%s must be open to the user %s, as whom a server in %s runs", parent, a.name, dir)
		}
		if parent == filepath.Dir(parent) {
			break
		}
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, a.uid, a.gid)
	})
}
