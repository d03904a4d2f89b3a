//go:build unix && !linux

package servers

import (
	"os/exec"
	"syscall"
)

// tie keeps the process out of the terminal's group. Nothing here ends a
// process with its parent.
func tie(cmd *exec.Cmd, _ syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}
