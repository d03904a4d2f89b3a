package servers_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"regmend/shared/servers"
)

// parentFolder, when set, makes the test binary a parent of servers that
// waits to be killed.
const parentFolder = "SERVERS_TEST_PARENT_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentFolder); dir != "" {
		beParent(dir)
	}
	os.Exit(m.Run())
}

func TestKilledParentLeavesNothing(t *testing.T) {
	dir := folder(t)
	open(t, dir)
	parent := osexec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentFolder+"="+dir)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for lines := bufio.NewScanner(out); len(pids) < 3 && lines.Scan(); {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // says that it was killed
	if len(pids) != 3 {
		t.Fatalf("the parent started %d servers, want 3", len(pids))
	}
	for _, pid := range pids {
		waitUntilGone(t, pid)
	}
}

func beParent(dir string) {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	sub := func(name string) string {
		path := filepath.Join(dir, name)
		check(os.Mkdir(path, 0o700))
		return path
	}
	postgres, err := servers.StartPostgres(ctx, sub("postgres"))
	check(err)
	redis, err := servers.StartRedis(ctx, sub("redis"))
	check(err)
	registry, err := servers.StartRegistry(ctx, sub("registry"))
	check(err)
	for _, pid := range []int{postgres.PID(), redis.PID(), registry.PID()} {
		fmt.Println(pid)
	}
	select {}
}

func open(t *testing.T, dir string) {
	t.Helper()
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
}

// waitUntilGone takes a process that nobody has buried yet for gone.
func waitUntilGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || len(name) == 0 {
			return
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // which is the test's failure already
			t.Fatalf("process %d (%s) outlived its parent", pid, name)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
